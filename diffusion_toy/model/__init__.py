"""The network: its shape as data, the U-Net in torch, and the model file."""
