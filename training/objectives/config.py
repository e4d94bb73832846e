"""What decides a training run; frozen and written into every checkpoint."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from diffusion_toy.contract.messages import SEED_MAX, check_range
from diffusion_toy.errors import InvalidValueError
from diffusion_toy.model.unet import UNetConfig
from diffusion_toy.options import check_options, option
from training.objectives.recipes import RECIPES

PRECISIONS = ("float32", "bfloat16")
LEARNING = "how it learns"  # a heading of the help


@dataclass(frozen=True, kw_only=True)
class LearningSettings:
    """The settings that the user of a run chooses, whatever it learns; each is an option."""

    epochs: int = option(
        24, "passes over the images; the learning rate reaches 0 at their end", low=1, group=LEARNING
    )
    batch_size: int = option(128, "images a step, up to all of them", low=1, group=LEARNING)
    learning_rate: float = option(
        2e-3, "peak rate of AdamW", low=0, high=1, open_low=True, open_high=True, group=LEARNING
    )
    flips: bool = option(False, "mirror every other picture (mirrored digits are not digits)", group=LEARNING)
    unlabelled_share: float = option(0.5, "images without label", low=0, high=1, group=LEARNING)
    map_share: float = option(
        0.5, "images whose level differs from pixel to pixel", low=0, high=1, group=LEARNING
    )
    precision: str = option("float32", "of the matrix products", choices=PRECISIONS, group=LEARNING)
    compiled: bool = option(
        False,
        "compile the network first, a minute or two; needs a C++ compiler, pays off in long runs",
        flag="--compile",
        group=LEARNING,
    )
    seed: int = option(
        0, "of everything random: initialisation, order, levels, noise", low=0, high=SEED_MAX, group=LEARNING
    )


@dataclass(frozen=True, kw_only=True)
class TrainConfig(LearningSettings):
    """Settings of a run; `training/RESULTS.md` says which runs made the shipped weights.

    Attributes:
        dataset: a name that `training.data.named` knows.
        warmup_steps: optimizer steps in which the learning rate rises; a third of the run at most.
        weight_decay: AdamW's.
        gradient_clip: largest norm of the whole gradient.
        ema_decay_max: the moving average's decay is min(this, (1+n)/(10+n)) after n steps.
        recipe: a name that `training.objectives.recipes` knows.
        warm_start: fingerprint of the model file whose weights it began with, "" for random ones.
        teacher: fingerprint of the model file whose velocity it learns, "" where it learns from the data.
        weak: fingerprint of the model file that guides the teacher, "" for none.
        autoguidance: its weight where no label is told, 0 and above.
        labelled_autoguidance: its weight where a label is told.
        interval_low, interval_high: the levels between which it guides.
        guidance: weight of the label in what the teacher says, 0 and above; 1: as it was trained.
        teacher_knows_labels: whether the teacher is told the labels that the network is not told.
        repeats: epochs in a row that share the teacher's pictures, levels, noise and velocity.
        model: the network.

    Raises:
        InvalidValueError: a setting outside its range; it names the field.
    """

    dataset: str = "mnist"
    warmup_steps: int = 250
    weight_decay: float = 0.01
    gradient_clip: float = 1.0
    ema_decay_max: float = 0.9995
    recipe: str = "level-maps"
    warm_start: str = ""
    teacher: str = ""
    weak: str = ""
    autoguidance: float = 0.0
    labelled_autoguidance: float = 0.0
    interval_low: float = 0.0
    interval_high: float = 1.0
    guidance: float = 1.0
    teacher_knows_labels: bool = False
    repeats: int = 1
    model: UNetConfig = field(default_factory=UNetConfig)

    def __post_init__(self) -> None:
        check_options(self)
        check_range("repeats", self.repeats, 1, math.inf)
        if self.recipe not in RECIPES:
            raise InvalidValueError("recipe", repr(self.recipe), " or ".join(RECIPES))
