"""Training: data, level maps, the loop and the export. Never imports grpc."""
