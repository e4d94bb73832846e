"""The engine: a model's sessions and the loop that steps them, without gRPC, protobuf or sockets."""
