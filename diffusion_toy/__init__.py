"""What the processes of Diffusion Toy share: the contract, the mathematics and the model.

Importing this package, its stubs (`diffusion_toy.v1`), `wire` or `schedule` never imports torch;
`diffusion`, `unet`, `checkpoint` and `counter_noise` do.
"""

from importlib import metadata

try:
    __version__ = metadata.version("diffusion-toy")
except metadata.PackageNotFoundError:  # a source tree that was never installed
    __version__ = "0+unknown"
