"""The server: sessions, the engine that steps them in batches, and the gRPC service around it."""
