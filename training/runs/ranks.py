"""Several processes on one run: data parallelism under `torchrun`.

Every process draws the whole batch from the same generator and computes its own part of it, and
the gradients are added up. So the number of processes changes rounding errors and nothing else.
torch's DistributedDataParallel would average the gradients of parts that hold unequally many noisy pixels;
a sum weighted by each part's share is exact, and the same call carries the request to stop.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Ranks:
    """Which of how many processes this one is; alone by default."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Tell whether this process reports and writes files."""
        return self.rank == 0

    def part(self, total: int) -> slice:
        """Return the slice of a batch of `total` that is this process's."""
        return slice(total * self.rank // self.count, total * (self.rank + 1) // self.count)

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace each tensor by its sum over all processes."""
        if self.count == 1:
            return
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        dist.all_reduce(flat)
        for tensor, total in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):  # type: ignore[no-untyped-call]
            tensor.copy_(total.view_as(tensor))

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            dist.barrier()


def local_device(device: torch.device) -> torch.device:
    """Return the process's own GPU, where several share the machine; any other device as it is."""
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if device.type == "cuda" else device


@contextmanager
def joined(device: torch.device) -> Iterator[Ranks]:
    """Join the processes that `torchrun` has started; without it, there is only this one."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Ranks()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Ranks(dist.get_rank(), count)
    finally:
        dist.destroy_process_group()
