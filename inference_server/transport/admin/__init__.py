"""The operators' way to one server: its sessions, on a gRPC port of its own."""
