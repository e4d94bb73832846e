"""What a network is trained on: level maps, losses, recipes and their configuration."""
