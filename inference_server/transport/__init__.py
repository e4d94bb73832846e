"""The ways to the server: gRPC and WebSocket, their security and their status codes."""
