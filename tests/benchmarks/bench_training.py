"""Our training step beside that of a plain `diffusers` network of about the same work, in turns.

Both: forward, backward and AdamW on a batch of 128 in bfloat16 autocast, two threads.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from diffusers import UNet2DModel
from torch.utils.flop_counter import FlopCounterMode

from diffusion_toy.model.unet import UNet, UNetConfig
from tests.benchmarks.environment import describe
from training.objectives.levels import sample_level_maps
from training.objectives.recipes import velocity_loss

BATCH = 128
ROUNDS = 12


def ours() -> tuple[torch.nn.Module, Callable[[int], torch.Tensor]]:
    """The network, and its loss on so many pictures."""
    network = UNet(UNetConfig())

    def loss(count: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(0)
        x0, eps = torch.rand(2, count, 1, 28, 28, generator=generator)
        u = sample_level_maps(count, 28, 28, 0.5, generator)
        return velocity_loss(network, x0, u, eps, torch.arange(count) % 11)

    return network, loss


def theirs() -> tuple[torch.nn.Module, Callable[[int], torch.Tensor]]:
    """A plain network of theirs, and its ε-loss."""
    network = UNet2DModel(
        sample_size=28, in_channels=1, out_channels=1, layers_per_block=2, block_out_channels=(16, 40, 80),
        down_block_types=("DownBlock2D", "DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D", "UpBlock2D"), norm_num_groups=8,
    )  # fmt: skip

    def loss(count: int) -> torch.Tensor:
        x, eps = torch.rand(2, count, 1, 28, 28, generator=torch.Generator().manual_seed(0))
        guess = network(x, torch.arange(count) % 300).sample
        return (guess - eps).square().mean()

    return network, loss


def flops(loss: Callable[[int], torch.Tensor]) -> float:
    """GFLOP of a forward pass on one picture."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        loss(1)
    return counter.get_total_flops() / 1e9


def step_of(
    network: torch.nn.Module, loss: Callable[[int], torch.Tensor], compiled: bool
) -> Callable[[], None]:
    """A training step."""
    optimizer = torch.optim.AdamW(network.parameters(), fused=True)
    if compiled:
        network.compile()

    def step() -> None:
        with torch.autocast("cpu", torch.bfloat16):
            value = loss(BATCH)
        optimizer.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return step


def main() -> None:
    """Measure and print a table."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--compile", action="store_true", help="compile both networks")
    args = p.parse_args()
    torch.set_num_threads(2)
    print(f"{describe()}; batch {BATCH}, bfloat16{', compiled' if args.compile else ''}\n")
    sides = {"ours": ours(), "diffusers UNet2DModel": theirs()}
    work = {name: flops(loss) for name, (_, loss) in sides.items()}
    steps = {name: step_of(network, loss, args.compile) for name, (network, loss) in sides.items()}
    times: dict[str, list[float]] = {name: [] for name in sides}
    for step in steps.values():
        step()
    for _ in range(ROUNDS):
        for name, step in steps.items():
            began = time.perf_counter()
            step()
            times[name].append(time.perf_counter() - began)
    print("| network | parameters | GFLOP a picture, forward | images/s | training GFLOP/s |")
    print("| --- | --- | --- | --- | --- |")
    for name, (network, _) in sides.items():
        parameters = sum(p.numel() for p in network.parameters()) / 1e6
        rate = BATCH / statistics.median(times[name])
        print(
            f"| {name} | {parameters:.2f} M | {work[name]:.3f} | {rate:.0f} | {3 * work[name] * rate:.0f} |"
        )


if __name__ == "__main__":
    main()
