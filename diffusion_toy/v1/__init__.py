"""Generated from proto/diffusion_toy/v1 by `make proto`; never edited."""
