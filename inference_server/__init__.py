"""The server: sessions, the engine that steps them in batches, and the ways to reach it: gRPC and WebSocket."""
