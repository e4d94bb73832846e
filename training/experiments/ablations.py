"""Experiments on real digits: noised by the right amount, by a wrong one, by wrong noise, by wrong rules.

The first three are the tips of the original toy ("noise it a little, or all the way; the noise has to be
Gaussian; its amount has to be that of the time step") as questions with figures for an answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diffusion_toy.contract.messages import Disc, InjectionRule, NoiseKind
from diffusion_toy.diffusion.counter_noise import Purpose
from diffusion_toy.diffusion.noise_kinds import noise_of_kind
from diffusion_toy.diffusion.process import (
    Update,
    actual_level,
    alpha,
    forward_increment,
    naive_injection,
    q_sample,
    sigma,
)
from diffusion_toy.diffusion.sampling import step_noise
from diffusion_toy.diffusion.schedule import NoiseSchedule
from training.experiments.results import Cell, excess_kurtosis, neighbour_correlation
from training.experiments.setup import DDIM, DDPM, Condition, Experiment, Setup, denoising, levels_of

TIMES = (25, 50, 75, 100, 150, 200, 250, 300)

# What is told, by how much what is really there differs, and how the steps are taken.
AMOUNTS = (
    (150, (-75, -50, -25, -10, 0, 10, 25, 50, 75), DDPM),
    (75, (-50, 50), DDPM),
    (225, (-50, 50), DDPM),
    (150, (-50, 0, 50), DDIM),
)

DOSES = ((75, 1), (150, 1), (225, 1), (150, 30))  # time steps in all, in so many injections

# A scribble is a list of dabs as the viewer makes them: x, y, radius (infinite: everywhere), time steps.
# The brush has its standard radius and strength: a dab every half radius, of 15 time steps.
RADIUS, DAB = 0.15, 15.0
Dab = tuple[float, float, float, float]
LINE = [(0.2 + 0.075 * i, 0.5, RADIUS, DAB) for i in range(9)]
SCRIBBLES: dict[str, list[Dab]] = {
    "one line across": LINE,
    "three lines, to and fro": LINE + LINE[::-1] + LINE,
    "whole picture, 5 × 30": [(0.5, 0.5, float("inf"), 30.0)] * 5,
}


def even(t: float) -> NDArray[np.float64]:
    """Return a map of one time step that broadcasts to any (N, H, W)."""
    return np.full((1, 1, 1), float(t))


def right_amounts(setup: Setup) -> Experiment:
    """Noise real digits to t and denoise them again, unlabelled and labelled."""
    eps = step_noise(setup.seeds, setup.pipeline.shape, Purpose.INJECTION)(0)
    conditions = []
    for told, labels in (("nothing", setup.no_labels), ("its class", setup.digits.labels)):
        for t in TIMES:
            x = q_sample(setup.clean, levels_of(setup.pipeline.schedule, t), eps)
            conditions.append(
                Condition({"noised to t": t, "network told": told}, x, even(t), labels, setup.seeds)
            )
    return denoising(setup, "tips", "A real digit, noised to t and denoised again", conditions)


def wrong_amounts(setup: Setup) -> Experiment:
    """Denoise real digits that hold more or less noise than the network is told."""
    eps = step_noise(setup.seeds, setup.pipeline.shape, Purpose.INJECTION)(0)
    conditions = []
    for told, offsets, eta in AMOUNTS:
        for offset in offsets:
            x = q_sample(setup.clean, levels_of(setup.pipeline.schedule, told + offset), eps)
            cells: dict[str, Cell] = {
                "told t": told, "really t": told + offset, "steps": "DDPM" if eta else "DDIM"
            }  # fmt: skip
            conditions.append(Condition(cells, x, even(told), setup.no_labels, setup.seeds, eta))
    return denoising(setup, "amounts", "More and less noise than the network is told", conditions)


def injected(setup: Setup, kind: NoiseKind, amount: float, parts: int) -> Tensor:
    """Inject noise of one kind into the digits, up to the time step `amount` in `parts` equal injections."""
    x, schedule = setup.clean, setup.pipeline.schedule
    for number in range(parts):
        t = amount * number / parts
        update = forward_increment(levels_of(schedule, t), levels_of(schedule, t + amount / parts))
        numbers = torch.full_like(setup.seeds, number)
        x = update.apply_forward(x, noise_of_kind(kind, setup.seeds, numbers, setup.pipeline.shape))
    return x


def wrong_noise(setup: Setup) -> Experiment:
    """Denoise real digits with the right amount of noise, Gaussian and not, at once and bit by bit."""
    conditions = []
    for amount, parts in DOSES:
        for kind in NoiseKind:
            x = injected(setup, kind, amount, parts)
            u = levels_of(setup.pipeline.schedule, amount)
            z = (x - alpha(u) * setup.clean) / sigma(u)
            cells: dict[str, Cell] = {
                "noise": kind.words, "t": amount, "injections": parts,
                "excess kurtosis": excess_kurtosis(z), "neighbours": neighbour_correlation(z),
            }  # fmt: skip
            conditions.append(Condition(cells, x, even(amount), setup.no_labels, setup.seeds))
    return denoising(setup, "kinds", "Noise that is not Gaussian, at once and bit by bit", conditions)


def scribbled(
    schedule: NoiseSchedule, clean: Tensor, seeds: Tensor, dabs: Sequence[Dab], rule: InjectionRule
) -> tuple[Tensor, NDArray[np.float64], NDArray[np.float64]]:
    """Scribble on clean pictures by one of the injection rules.

    Args:
        clean: (N, C, H, W) float32.
        seeds: (N,) int64.

    Returns:
        x, of the shape of `clean`; and the time step of each pixel, (H, W): as told, and really.
    """
    channels, height, width = clean.shape[1:]
    shape = channels, height, width
    t, x = np.zeros((height, width)), clean
    g, n2 = torch.ones(height, width), torch.zeros(height, width)
    for number, (center_x, center_y, radius, amount) in enumerate(dabs):
        inside = Disc(center_x, center_y, radius).covers(height, width)
        t_next = np.minimum(t + inside * amount, schedule.T)
        u, u_next = levels_of(schedule, t), levels_of(schedule, t_next)
        t = t_next
        if rule is InjectionRule.LIE:
            continue
        update: Update = (naive_injection if rule is InjectionRule.NAIVE else forward_increment)(u, u_next)
        z = noise_of_kind(NoiseKind.GAUSSIAN, seeds, torch.full_like(seeds, number), shape)
        x = update.apply_forward(x, z)
        g, n2 = update.gain(g), update.noise_variance(n2)
    return x, t, schedule.time_step_of_level(actual_level(g, n2).numpy())


def wrong_rules(setup: Setup) -> Experiment:
    """Scribble on finished digits by each of the three rules, and heal them."""
    schedule, conditions = setup.pipeline.schedule, []
    for scribble, dabs in SCRIBBLES.items():
        for rule in InjectionRule:
            x, told, really = scribbled(schedule, setup.clean, setup.seeds, dabs, rule)
            touched = told > 0
            cells: dict[str, Cell] = {
                "scribble": scribble, "rule": rule.words, "touched": float(touched.mean()),
                "told t": round(told[touched].mean()), "really t": round(really[touched].mean()),
            }  # fmt: skip
            conditions.append(Condition(cells, x, told[None], setup.no_labels, setup.seeds))
    return denoising(setup, "rules", "A scribble on a finished digit, by three rules, healed", conditions)
