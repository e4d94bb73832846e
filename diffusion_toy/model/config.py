"""The network's shape as data: what rebuilds it, and what its weights are called. No torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from diffusion_toy.errors import InvalidValueError

MAP_FREQUENCIES = (0.5, 1.0, 2.0, 4.0)  # of π·u, per pixel
MEAN_FREQUENCIES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)  # of π·u, for the map's mean and maximum

PATCHES = (1, 2, 4)
ATTENTION_PLACES = ("down", "middle", "up")
BLOCK_KINDS, SKIP_KINDS, RESAMPLE_KINDS = ("double", "single"), ("concat", "add"), ("conv", "shuffle")


@dataclass(frozen=True)
class UNetConfig:
    """Describe the network completely; stored in every checkpoint and model file.

    The defaults are the first shipped shape. A field added later defaults to what that shape does, so
    that a file written before it was added still loads.

    Attributes:
        channels, height, width: of the image; height and width divisible by 2·patch.
        num_classes: labels are 0…num_classes−1, and num_classes itself means "no label".
        base_width, mid_width: feature channels at the first and at the second, halved resolution.
        blocks: residual blocks at the first resolution, per direction.
        embedding_width: of the level-and-label embedding.
        attention_heads: a divisor of mid_width.
        mid_blocks: residual blocks at the second resolution, per direction; None means as `blocks`. Two
            more form the middle.
        patch: the network works on patch×patch pixel blocks, 1, 2 or 4: with 2, 28×28 becomes 14×14.
        block: "double" normalises before both convolutions of a block, "single" before the first only.
        norm_groups: channel groups of every GroupNorm, a divisor of 8; 1 is the fastest on a CPU.
        attention: where self-attention is used, all at the second resolution: any of "down" (after the
            blocks on the way down), "middle" and "up".
        skips: "concat" joins a skip connection to the features, "add" adds it through a 1×1 convolution.
        resample: "conv" uses 3×3 convolutions between the resolutions, "shuffle" moves pixels to channels
            and back with 1×1 convolutions.
    """

    channels: int = 1
    height: int = 28
    width: int = 28
    num_classes: int = 10
    base_width: int = 48
    mid_width: int = 96
    blocks: int = 2
    embedding_width: int = 192
    attention_heads: int = 4
    mid_blocks: int | None = None
    patch: int = 2
    block: str = "double"
    norm_groups: int = 8
    attention: tuple[str, ...] = ATTENTION_PLACES
    skips: str = "concat"
    resample: str = "conv"

    def __post_init__(self) -> None:
        object.__setattr__(self, "attention", tuple(self.attention))  # a list, when read from JSON
        if self.patch not in PATCHES:
            raise InvalidValueError("patch", self.patch, " or ".join(map(str, PATCHES)))
        for field in ("height", "width"):
            size, unit = getattr(self, field), 2 * self.patch
            if size < unit or size % unit:
                raise InvalidValueError(field, size, f"the multiples of {unit} from {unit} up")
        for field in ("base_width", "mid_width"):
            if getattr(self, field) < 8 or getattr(self, field) % 8:
                raise InvalidValueError(field, getattr(self, field), "the multiples of 8 from 8 up")
        for field in ("channels", "num_classes", "blocks", "embedding_width", "attention_heads"):
            if getattr(self, field) < 1:
                raise InvalidValueError(field, getattr(self, field), "1 and above")
        if self.mid_blocks is not None and self.mid_blocks < 1:
            raise InvalidValueError("mid_blocks", self.mid_blocks, "1 and above")
        if self.norm_groups < 1 or 8 % self.norm_groups:
            raise InvalidValueError("norm_groups", self.norm_groups, "the divisors of 8")
        if self.mid_width % self.attention_heads:
            raise InvalidValueError(
                "attention_heads", self.attention_heads, f"the divisors of mid_width {self.mid_width}"
            )
        for field, kinds in (("block", BLOCK_KINDS), ("skips", SKIP_KINDS), ("resample", RESAMPLE_KINDS)):
            if getattr(self, field) not in kinds:
                raise InvalidValueError(field, repr(getattr(self, field)), " or ".join(kinds))
        if unknown := set(self.attention) - set(ATTENTION_PLACES):
            raise InvalidValueError("attention", sorted(unknown), "any of " + ", ".join(ATTENTION_PLACES))


SHAPES: Mapping[str, Mapping[str, Any]] = {
    "classic": {},
    "fast": {
        "base_width": 32, "mid_width": 128, "blocks": 1, "mid_blocks": 1, "block": "single",
        "norm_groups": 1, "attention": (), "skips": "add", "resample": "shuffle",
    },
}  # fmt: skip


def mid_blocks_of(config: UNetConfig) -> int:
    """Return the residual blocks at the second resolution, per direction."""
    return config.blocks if config.mid_blocks is None else config.mid_blocks


def weight_shapes(config: UNetConfig) -> dict[str, tuple[int, ...]]:
    """Return the name and shape of every weight of the network of this configuration."""
    return dict(_weights(config))


def _weights(config: UNetConfig) -> Iterator[tuple[str, tuple[int, ...]]]:
    c1, c2, e = config.base_width, config.mid_width, config.embedding_width
    pixels, mid_blocks = config.patch**2, mid_blocks_of(config)
    concat, double = config.skips == "concat", config.block == "double"
    joined = 2 if concat else 1

    def linear(name: str, c_in: int, c_out: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield from ((f"{name}.weight", (c_out, c_in)), (f"{name}.bias", (c_out,)))

    def conv(name: str, c_in: int, c_out: int, size: int = 3) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield from ((f"{name}.weight", (c_out, c_in, size, size)), (f"{name}.bias", (c_out,)))

    def norm(name: str, channels: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield from ((f"{name}.weight", (channels,)), (f"{name}.bias", (channels,)))

    def block(name: str, c_in: int, c_out: int) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield from norm(f"{name}.norm1" if double else f"{name}.norm", c_in)
        yield from conv(f"{name}.conv1", c_in, c_out)
        yield from linear(f"{name}.scale_shift", e, 2 * (c_out if double else c_in))
        if double:
            yield from norm(f"{name}.norm2", c_out)
        yield from conv(f"{name}.conv2", c_out, c_out)
        if c_in != c_out:
            yield from conv(f"{name}.skip", c_in, c_out, 1)

    def attention(name: str, place: str) -> Iterator[tuple[str, tuple[int, ...]]]:
        if place in config.attention:
            yield from norm(f"{name}.norm", c2)
            yield from conv(f"{name}.qkv", c2, 3 * c2, 1)
            yield from conv(f"{name}.out", c2, c2, 1)

    yield "label_embedding.weight", (config.num_classes + 1, e)
    yield from linear("embed.0", 4 * len(MEAN_FREQUENCIES), e)
    yield from linear("embed.2", e, e)
    yield from conv("conv_in", (config.channels + 2 * len(MAP_FREQUENCIES)) * pixels, c1)
    for stage, count, width in (("1", config.blocks, c1), ("2", mid_blocks, c2)):
        for i in range(count):
            yield from block(f"down{stage}.{i}", width, width)
            if not concat:
                yield from conv(f"join{stage}.{i}.project", width, width, 1)
            yield from block(f"up{stage}.{i}", joined * width, width)
    if config.resample == "conv":
        yield from conv("downsample", c1, c2)
        yield from conv("upsample", c2, c1)
    else:
        yield from conv("downsample.1", 4 * c1, c2, 1)
        yield from conv("upsample.0", c2, 4 * c1, 1)
    yield from attention("down2_attention", "down")
    yield from block("mid1", c2, c2)
    yield from attention("mid_attention", "middle")
    yield from block("mid2", c2, c2)
    yield from attention("up2_attention", "up")
    yield from norm("norm_out", c1)
    yield from conv("conv_out", c1, config.channels * pixels)
