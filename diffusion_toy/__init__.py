"""What the processes of Diffusion Toy share: the contract, the mathematics and the model.

Only the U-Net (`model.unet`) and torch's own predictors import torch.
"""

from importlib import metadata

try:
    __version__ = metadata.version("diffusion-toy")
except metadata.PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
