"""What runs the network: OpenVINO, or torch (eager, compiled, CUDA graphs)."""
