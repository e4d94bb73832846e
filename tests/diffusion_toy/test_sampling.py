"""Whole reverse processes."""

from __future__ import annotations

import pytest
import torch

from diffusion_toy.checkpoint import load_model
from diffusion_toy.errors import InvalidValueError
from diffusion_toy.sampling import sample
from diffusion_toy.schedule import make_schedule
from tests.models import random_network
from tests.tools import SHIPPED_MODEL


def test_every_moment_is_yielded_from_T_to_zero() -> None:
    x_T = torch.randn(2, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    moments = list(
        sample(random_network().eval(), x_T, torch.tensor([3, 10]), 10, make_schedule(), 6, 0.0, 2.0,
               torch.Generator().manual_seed(1))
    )  # fmt: skip
    assert [moment.t for moment in moments] == [300, 250, 200, 150, 100, 50, 0]
    assert torch.equal(moments[0].x_t, x_T)
    assert all(moment.x0_hat.abs().max() <= 1 for moment in moments)


class Recorder(torch.nn.Module):
    """Predicts nothing; remembers the labels it was asked about."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[list[int]] = []

    def forward(self, x: torch.Tensor, _u: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        self.asked.append(labels.tolist())
        return torch.zeros_like(x)


@pytest.mark.parametrize(
    ("guidance", "asked"), [(0.0, [[10, 10]]), (1.0, [[3, 4]]), (2.0, [[3, 4], [10, 10]])]
)
def test_guidance_takes_a_second_pass_only_where_it_needs_one(
    guidance: float, asked: list[list[int]]
) -> None:
    network, x_T = Recorder(), torch.randn(2, 1, 28, 28)
    for _ in sample(
        network, x_T, torch.tensor([3, 4]), 10, make_schedule(), 1, 0.0, guidance, torch.Generator()
    ):
        pass
    assert network.asked == asked


def test_the_same_seed_gives_the_same_pictures() -> None:
    def last(seed: int) -> torch.Tensor:
        x_T = torch.ones(1, 1, 28, 28)
        generator = torch.Generator().manual_seed(seed)
        *_, end = sample(
            random_network(), x_T, torch.tensor([1]), 10, make_schedule(), 5, 1.0, 1.0, generator
        )
        return end.x0_hat

    assert torch.equal(last(3), last(3))
    assert not torch.equal(last(3), last(4))


def test_more_steps_than_time_steps_are_refused() -> None:
    x_T, labels = torch.zeros(1, 1, 28, 28), torch.tensor([0])
    schedule = make_schedule("cosine", 10)
    with pytest.raises(InvalidValueError, match="steps 11"):
        next(sample(random_network(), x_T, labels, 10, schedule, 11, 0.0, 1.0, torch.Generator()))


def test_the_shipped_model_draws_what_the_label_says() -> None:
    """A nearest-class-mean judge is crude, and still: most of the digits are what was asked for."""
    model = load_model(SHIPPED_MODEL)
    assert model.examples is not None
    labels = torch.arange(20) % 10
    x_T = torch.randn(20, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    *_, last = sample(model.network, x_T, labels, 10, make_schedule(), 25, 0.0, 1.0, torch.Generator())
    real = model.examples.images.float().div(127.5).sub(1).flatten(1)
    distances = torch.cdist(last.x0_hat.flatten(1), real)
    nearest = model.examples.labels[distances.argmin(1)]
    assert (nearest == labels).float().mean() > 0.5
    ink = (last.x0_hat > 0).float().mean((1, 2, 3))
    assert ((ink > 0.03) & (ink < 0.4)).all()  # strokes on an empty ground, as digits are
