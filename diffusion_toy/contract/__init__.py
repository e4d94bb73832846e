"""The contract between the processes: plain messages, and their conversion to protobuf and JSON."""
