"""The one thing in which a twin differs, and what there is to say about it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum, IntEnum

import numpy as np

from diffusion_toy.contract import messages as m
from viewer_client.core import labels
from viewer_client.core.brush import injection
from viewer_client.core.strokes import Dab

LABEL_OF_TWIN = 7  # where the window's own session draws any class
# Root mean square difference of two guesses in [−1, 1]. Of the pairs of branches that `branches.ALIKE` was
# found with, 90 % of one digit are below 0.35, and 89 % of two digits above it.
EQUAL, DIFFERENT = 0.01, 0.35


class Difference(Enum):
    """What can differ; the value is what the viewer calls it."""

    KIND = "kind of noise"
    RULE = "rule"
    SAMPLER = "sampler"
    LABEL = "class"


@dataclass(frozen=True)
class Treatment:
    """How a session is treated, as far as a twin may differ: `kind` and `rule` are of the strokes."""

    kind: m.NoiseKind = m.NoiseKind.GAUSSIAN
    rule: m.InjectionRule = m.InjectionRule.TRUTH
    sampler: m.Sampler = m.Sampler.DDPM
    label: int = m.NO_LABEL

    def inject(self, dab: Dab) -> m.Inject:
        """Return the command by which this session gets a dab."""
        return injection(dab, self.kind, self.rule)

    @property
    def settings(self) -> m.SettingsChange:
        """Return the part of the treatment that is not of the strokes."""
        return m.SettingsChange(sampler=self.sampler, label=self.label)

    def value(self, what: Difference) -> int:
        """Return one of the four as a number."""
        return int(getattr(self, what.name.lower()))

    def name(self, what: Difference, label_names: Sequence[str]) -> str:
        """Return one of the four in words."""
        match what:
            case Difference.KIND:
                return f"noise: {self.kind.words}"
            case Difference.RULE:
                return labels.RULE_TEXTS[self.rule]
            case Difference.SAMPLER:
                return self.sampler.words
        if self.label == m.NO_LABEL:
            return "any class"
        known = self.label < len(label_names)
        return f"class {label_names[self.label] if known else self.label}"


def differing(own: Treatment, what: Difference, value: int) -> Treatment:
    """Return `own` with this one thing changed."""
    match what:
        case Difference.KIND:
            return replace(own, kind=m.NoiseKind(value))
        case Difference.RULE:
            return replace(own, rule=m.InjectionRule(value))
        case Difference.SAMPLER:
            return replace(own, sampler=m.Sampler(value))
    return replace(own, label=value)


def first_twin(own: Treatment, what: Difference, classes: int) -> Treatment:
    """Return the twin that shows most: constant noise, the rule naive, DDIM, the class 7 or any."""
    seven = min(LABEL_OF_TWIN, classes - 1)
    first: dict[Difference, tuple[int, int]] = {
        Difference.KIND: (m.NoiseKind.CONSTANT, m.NoiseKind.GAUSSIAN),
        Difference.RULE: (m.InjectionRule.NAIVE, m.InjectionRule.TRUTH),
        Difference.SAMPLER: (m.Sampler.DDIM, m.Sampler.DDPM),
        Difference.LABEL: (seven, m.NO_LABEL),
    }
    chosen, other = first[what]
    return differing(own, what, other if own.value(what) == chosen else chosen)


def next_twin(own: Treatment, twin: Treatment, what: Difference, classes: int) -> Treatment:
    """Return the twin with the next value that is not the session's own; the last leads to the first."""
    kinds: dict[Difference, type[IntEnum]] = {
        Difference.KIND: m.NoiseKind,
        Difference.RULE: m.InjectionRule,
        Difference.SAMPLER: m.Sampler,
    }
    values = [int(one) for one in kinds[what]] if what in kinds else [m.NO_LABEL, *range(classes)]
    index = values.index(twin.value(what))
    order = values[index + 1 :] + values[: index + 1]
    return differing(own, what, next(value for value in order if value != own.value(what)))


def root_mean_square(difference: m.Image) -> float:
    """Return the root mean square of all values of a difference, (C, H, W)."""
    return float(np.sqrt(np.mean(np.square(difference, dtype=np.float64))))


def difference_sentence(rms: float, what: Difference, *, touched: bool) -> str:
    """Return in words what the difference of the guesses says; `touched`: both got a stroke."""
    if rms < EQUAL:
        if what in (Difference.KIND, Difference.RULE) and not touched:
            return "no difference yet: stroke the left picture, and both get the same stroke"
        return "no difference"
    return "alike, but not in all places" if rms < DIFFERENT else "two different pictures"
