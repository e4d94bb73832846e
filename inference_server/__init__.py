"""The server: sessions, the engine that steps them in batches, and its two transports, gRPC and WebSocket."""
