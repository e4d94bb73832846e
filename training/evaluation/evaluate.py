"""`python -m training evaluate` and `python -m training classifier`."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from diffusion_toy.contract.messages import SEED_MAX, check_range
from diffusion_toy.diffusion.samplers import RULES
from diffusion_toy.files import check_file
from diffusion_toy.options import REQUIRED, option
from training.drawing.commandline import (
    AddParser,
    DatasetOptions,
    DrawingOptions,
    add_command,
    guided_by_flags,
    pipeline_of,
    progress_bar,
    sampler_of,
)
from training.drawing.generation import labels_for
from training.evaluation.classifier import accuracy, save_classifier, train_classifier
from training.evaluation.report import HEAL_LEVELS, HEAL_RADII_PX, Evaluation, Report
from training.evaluation.scoring import ScoringOptions, load_judge
from training.runs.export import load_network


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(ScoringOptions, DrawingOptions):
    """What `evaluate` takes.

    Raises:
        InvalidValueError: a healing step longer than T.
    """

    sampler: str = "ddim"
    steps: int = 20
    count: int = option(10_000, "pictures for each row", low=100, high=10_000)
    labels: tuple[str, ...] = option(
        (),
        "a row for each: none, balanced (0, 1, 2, …), or one class",
        several=True,
        metavar="L",
        told="balanced none",
    )
    heal_count: int = option(
        0, "test images to brush and heal for each radius and level; 0: none", low=0, high=10_000
    )
    heal_radii: tuple[float, ...] = option(
        HEAL_RADII_PX, "of the brush", low=1, high=14, unit="pixels", several=True, metavar="PX"
    )
    heal_levels: tuple[float, ...] = option(
        HEAL_LEVELS, "to which the brush noises", low=0.001, high=1, several=True, metavar="U"
    )
    heal_stride: float = option(3, "time steps (of T) a healing step, 1…T")
    map_count: int = option(
        0, "test images whose v is predicted under level maps; 0: none", low=0, high=10_000
    )
    json: Path | None = option(None, "file to write all figures to, after each row")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_range("--heal-stride", self.heal_stride, 1, self.time_steps)


def add_evaluate(add_parser: AddParser) -> None:
    """Add the command `evaluate` and its options."""
    help = "score a model's pictures beside real ones"
    add_command(add_parser, "evaluate", help, EvaluateOptions, run_evaluate)


def run_evaluate(options: EvaluateOptions) -> int:
    """Run `evaluate`: score a model and print one table."""
    sampler = sampler_of(options)
    options.check_json()
    trained = load_network(options.checkpoint)
    network, dataset = trained.network, trained.dataset
    pipeline = pipeline_of(options, guided_by_flags(options, network, dataset, trained.label_names))
    choices = options.labels or (("balanced", "none") if network.takes_labels else ("none",))
    for choice in choices:
        labels_for(network, choice, 0)  # refuses a bad one before hours of work
    classifier, classifier_file, data = load_judge(options, trained, options.checkpoint)
    began = time.perf_counter()
    evaluation = Evaluation(classifier, data.training, data.test, options.count, options.seed)
    settings: dict[str, Any] = {
        "checkpoint": options.checkpoint.name, "dataset": dataset, "classifier": classifier_file.name,
        "classifier_test_accuracy": round(accuracy(classifier, data.test), 4),
        "sampler": options.sampler, "steps": options.steps,
        "eta": RULES[sampler.sampler].eta(sampler.eta), "guidance": options.guidance,
        "spacing": options.spacing, "schedule": pipeline.schedule.name, "time_steps": pipeline.schedule.T,
        "seed": options.seed, "precision": options.precision, "predictor": options.predictor,
        "heal_stride": options.heal_stride, "torch": torch.__version__,
    }  # fmt: skip
    if options.weak:
        settings |= {"weak": options.weak.name, "autoguidance": options.weak_weight}
    report = Report(settings, [evaluation.floor])
    healing = [
        (labelled, radius, level)
        for labelled in (False, True)
        for radius in options.heal_radii
        for level in options.heal_levels
        if options.heal_count
    ]
    with progress_bar(len(choices) * options.count * options.steps) as bar:
        for choice in choices:
            row = evaluation.generated(pipeline, choice, sampler, options.count, options.seed, bar.update)
            report.rows.append(row)
            options.write_json(report.to_json())  # hours may follow, and not come to their end
    with progress_bar(len(healing) * min(options.heal_count, len(data.test)), "img") as bar:
        for labelled, radius, level in healing:
            scores = evaluation.healed(
                pipeline,
                labelled,
                radius,
                level,
                options.heal_stride,
                options.heal_count,
                options.seed,
                bar.update,
            )
            report.healing.append(scores)
            options.write_json(report.to_json())
    modes = ((False, True) if network.takes_labels else (False,)) if options.map_count else ()
    with progress_bar(len(modes) * min(options.map_count, len(data.test)), "img") as bar:
        for labelled in modes:
            report.maps.append(
                evaluation.mapped(pipeline, labelled, options.map_count, options.seed, bar.update)
            )
    settings["seconds"] = round(time.perf_counter() - began)
    print(", ".join(f"{name} {value}" for name, value in settings.items()))
    print(f"\n{report}")
    options.write_json(report.to_json())
    if options.json:
        print(f"\nwrote {options.json}")
    return 0


@dataclass(frozen=True, kw_only=True)
class ClassifierOptions(DatasetOptions):
    """What `classifier` takes."""

    out: Path = option(REQUIRED, "the .safetensors file to write")
    epochs: int = option(12, "passes over the images", low=1, high=1000)
    seed: int = option(0, "of everything random", low=0, high=SEED_MAX)


def add_classifier(add_parser: AddParser) -> None:
    """Add the command `classifier` and its options."""
    help = "train the small classifier that `evaluate` asks"
    add_command(add_parser, "classifier", help, ClassifierOptions, run_classifier)


def run_classifier(options: ClassifierOptions) -> int:
    """Run `classifier`: train a classifier and write it."""
    check_file("--out", options.out, make_folder=True)
    splits = options.load()
    if splits.report:
        print(splits.report, flush=True)
    data, test, classes = splits.training, splits.test, len(splits.label_names)
    test_accuracy = 0.0
    with progress_bar(options.epochs * len(data), "img") as bar:
        for epoch, (classifier, loss) in enumerate(
            train_classifier(data, classes, options.epochs, options.seed), start=1
        ):
            bar.update(len(data))
            test_accuracy = accuracy(classifier, test)
            bar.write(f"epoch {epoch}/{options.epochs}: loss {loss:.4f}, test accuracy {test_accuracy:.4f}")
    classifier.label_names = splits.label_names
    save_classifier(options.out, classifier, options.dataset, test_accuracy)
    print(f"wrote {options.out} ({options.out.stat().st_size / 1e3:.0f} kB)")
    return 0
