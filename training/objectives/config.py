"""What decides a training run; frozen and written into every checkpoint."""

from __future__ import annotations

from dataclasses import dataclass, field

from diffusion_toy.errors import InvalidValueError
from diffusion_toy.model.unet import UNetConfig
from training.objectives.recipes import RECIPES

PRECISIONS = ("float32", "bfloat16")


@dataclass(frozen=True)
class TrainConfig:
    """Settings of a run; `training/RESULTS.md` says which runs made the shipped weights.

    Attributes:
        dataset: a name that `training.data.named` knows.
        epochs: passes over the training images; the learning rate reaches 0 at their end.
        batch_size: images a step.
        learning_rate: AdamW's peak rate, after `warmup_steps` of linear rise.
        warmup_steps: optimizer steps.
        weight_decay: AdamW's.
        gradient_clip: largest norm of the whole gradient.
        ema_decay_max: the moving average's decay is min(this, (1+n)/(10+n)) after n steps.
        recipe: a name that `training.objectives.recipes` knows.
        flips: whether every other picture is mirrored.
        unlabelled_share: of the images that are shown without their label, 0…1.
        map_share: of the images whose level differs from pixel to pixel, 0…1.
        precision: of the network's matrix products; `bfloat16` under autocast.
        compiled: whether the network runs through `torch.compile`; faster after a minute or two.
        warm_start: fingerprint of the model file whose weights it began with, "" for random ones.
        seed: of initialisation, order, levels and noise, 0…2⁶³−1.
        teacher: fingerprint of the model file whose velocity it learns, "" where it learns from the data.
        weak: fingerprint of the model file that guides the teacher, "" for none.
        autoguidance: its weight where no label is told, 0 and above.
        labelled_autoguidance: its weight where a label is told.
        interval_low, interval_high: the levels between which it guides.
        repeats: epochs in a row that share the teacher's pictures, levels, noise and velocity.
        model: the network.
    """

    dataset: str = "mnist"
    epochs: int = 24
    batch_size: int = 128
    learning_rate: float = 2e-3
    warmup_steps: int = 250
    weight_decay: float = 0.01
    gradient_clip: float = 1.0
    ema_decay_max: float = 0.9995
    recipe: str = "level-maps"
    flips: bool = False
    unlabelled_share: float = 0.5
    map_share: float = 0.5
    precision: str = "float32"
    compiled: bool = False
    warm_start: str = ""
    seed: int = 0
    teacher: str = ""
    weak: str = ""
    autoguidance: float = 0.0
    labelled_autoguidance: float = 0.0
    interval_low: float = 0.0
    interval_high: float = 1.0
    repeats: int = 1
    model: UNetConfig = field(default_factory=UNetConfig)

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "repeats"):
            if getattr(self, name) < 1:
                raise InvalidValueError(name, getattr(self, name), "1 and above")
        for name in ("unlabelled_share", "map_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidValueError(name, getattr(self, name), "0…1")
        if not 0 < self.learning_rate < 1:
            raise InvalidValueError("learning_rate", self.learning_rate, "0…1, both excluded")
        if not 0 <= self.seed < 2**63:
            raise InvalidValueError("seed", self.seed, "0…2^63−1")
        if self.recipe not in RECIPES:
            raise InvalidValueError("recipe", repr(self.recipe), " or ".join(RECIPES))
        if self.precision not in PRECISIONS:
            raise InvalidValueError("precision", repr(self.precision), " or ".join(PRECISIONS))
