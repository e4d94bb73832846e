"""`python -m training evaluate` and `python -m training classifier`."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch

from diffusion_toy.diffusion.samplers import RULES
from diffusion_toy.errors import InvalidValueError
from diffusion_toy.files import check_file, write_atomically
from training.data.named import DATASETS, FOLDER, load_splits
from training.drawing.commandline import (
    AddParser,
    add_drawing_flags,
    check_flags,
    guided_by_flags,
    pipeline_of,
    progress_bar,
    sampler_of,
)
from training.evaluation.classifier import (
    accuracy,
    check_classifier,
    load_classifier,
    save_classifier,
    shipped_classifier,
    train_classifier,
)
from training.evaluation.report import HEAL_LEVELS, HEAL_RADII_PX, Evaluation, Report
from training.runs.export import load_data_of, load_network


def add_evaluate(add_parser: AddParser) -> None:
    """Add the command `evaluate` and its flags."""
    p = add_parser("evaluate", help="score a model's pictures beside real ones")
    add_drawing_flags(p, sampler="ddim", steps=20)
    p.add_argument(
        "--data", type=Path, default=Path("data"), help="folder of the data set; downloaded there if missing"
    )
    p.add_argument(
        "--classifier", type=Path, default=argparse.SUPPRESS,
        help="the classifier whose features count (default: the one shipped for the model's data set)",
    )  # fmt: skip
    p.add_argument("--count", type=int, default=10_000, help="pictures for each row, 100…10000")
    p.add_argument(
        "--labels", nargs="+", default=argparse.SUPPRESS, metavar="L",
        help="a row for each: none, balanced (0, 1, 2, …), or one class (default: balanced none)",
    )  # fmt: skip
    p.add_argument(
        "--heal-count", type=int, default=0,
        help="test images to brush and heal for each radius and level, 0…10000; 0: none",
    )  # fmt: skip
    p.add_argument(
        "--heal-radii", type=float, nargs="+", default=list(HEAL_RADII_PX), metavar="PX",
        help="of the brush, pixels, 1…14",
    )  # fmt: skip
    p.add_argument(
        "--heal-levels", type=float, nargs="+", default=list(HEAL_LEVELS), metavar="U",
        help="to which the brush noises, above 0 up to 1",
    )  # fmt: skip
    p.add_argument("--heal-stride", type=float, default=3, help="time steps (of 300) a healing step, 1…300")
    p.add_argument(
        "--json", type=Path, default=argparse.SUPPRESS, help="file to write all figures to, after each row"
    )
    p.set_defaults(run=run_evaluate)


def run_evaluate(args: argparse.Namespace) -> int:
    """Run `evaluate`: score a model and print one table."""
    sampler = sampler_of(args)
    check_flags(
        ("--count", args.count, 100, 10_000), ("--heal-count", args.heal_count, 0, 10_000),
        ("--heal-stride", args.heal_stride, 1, args.time_steps),
        *(("--heal-radii", radius, 1, 14) for radius in args.heal_radii),
        *(("--heal-levels", level, 0.001, 1) for level in args.heal_levels),
    )  # fmt: skip
    if "json" in args:
        check_file("--json", args.json, make_folder=True)
    trained = load_network(args.checkpoint)
    network, dataset = trained.network, trained.dataset
    pipeline = pipeline_of(args, guided_by_flags(args, network, dataset))
    classes = network.config.num_classes
    choices: list[str] = getattr(args, "labels", ["balanced", "none"] if network.takes_labels else ["none"])
    for choice in choices:
        if choice != "none" and not network.takes_labels:
            raise InvalidValueError("--labels", repr(choice), "none: this network knows no labels")
        if choice not in ("none", "balanced") and not (choice.isdecimal() and int(choice) < classes):
            raise InvalidValueError("--labels", repr(choice), f"none, balanced, 0…{classes - 1}")
    classifier_file: Path = getattr(args, "classifier", shipped_classifier(dataset))
    classifier = load_classifier(classifier_file)
    data = load_data_of(trained, args.data, args.checkpoint)
    check_classifier(classifier, classifier_file, data)
    began = time.perf_counter()
    evaluation = Evaluation(classifier, data.training, data.test, args.count, args.seed)
    settings: dict[str, Any] = {
        "checkpoint": args.checkpoint.name, "dataset": dataset, "classifier": classifier_file.name,
        "classifier_test_accuracy": round(accuracy(classifier, data.test), 4),
        "sampler": args.sampler, "steps": args.steps,
        "eta": RULES[sampler.sampler].eta(sampler.eta), "guidance": args.guidance,
        "spacing": args.spacing, "schedule": pipeline.schedule.name, "time_steps": pipeline.schedule.T,
        "seed": args.seed, "precision": args.precision, "predictor": args.predictor,
        "heal_stride": args.heal_stride, "torch": torch.__version__,
    }  # fmt: skip
    if "weak" in args:
        settings |= {"weak": args.weak.name, "autoguidance": getattr(args, "autoguidance", 1.0)}
    report = Report(settings, [evaluation.floor])
    healing = [
        (labelled, radius, level)
        for labelled in (False, True)
        for radius in args.heal_radii
        for level in args.heal_levels
        if args.heal_count
    ]
    with progress_bar(len(choices) * args.count * args.steps) as bar:
        for choice in choices:
            row = evaluation.generated(pipeline, choice, sampler, args.count, args.seed, bar.update)
            report.rows.append(row)
            _write(report, args)  # hours may follow, and not come to their end
    with progress_bar(len(healing) * min(args.heal_count, len(data.test)), "img") as bar:
        for labelled, radius, level in healing:
            scores = evaluation.healed(
                pipeline, labelled, radius, level, args.heal_stride, args.heal_count, args.seed, bar.update
            )
            report.healing.append(scores)
            _write(report, args)
    settings["seconds"] = round(time.perf_counter() - began)
    print(", ".join(f"{name} {value}" for name, value in settings.items()))
    print(f"\n{report}")
    _write(report, args)
    if "json" in args:
        print(f"\nwrote {args.json}")
    return 0


def _write(report: Report, args: argparse.Namespace) -> None:
    if "json" in args:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(args.json, (json.dumps(report.to_json(), indent=1) + "\n").encode())


def add_classifier(add_parser: AddParser) -> None:
    """Add the command `classifier` and its flags."""
    p = add_parser("classifier", help="train the small classifier that `evaluate` asks")
    p.add_argument("--dataset", choices=[*DATASETS, FOLDER], default="mnist", help="what to train on")
    p.add_argument(
        "--data", type=Path, default=Path("data"), help="folder of the data set; downloaded there if missing"
    )
    p.add_argument("--image-size", type=int, default=28, help="of the pictures of a folder, pixels, 8…64")
    p.add_argument("--channels", type=int, choices=(1, 3), default=1, help="of the pictures of a folder")
    p.add_argument(
        "--out", type=Path, required=True, default=argparse.SUPPRESS, help="the .safetensors file to write"
    )
    p.add_argument("--epochs", type=int, default=12, help="passes over the images, 1…1000")
    p.add_argument("--seed", type=int, default=0, help="of everything random, 0…2^63−1")
    p.set_defaults(run=run_classifier)


def run_classifier(args: argparse.Namespace) -> int:
    """Run `classifier`: train a classifier and write it."""
    check_flags(
        ("--epochs", args.epochs, 1, 1000), ("--seed", args.seed, 0, 2**63 - 1),
        ("--image-size", args.image_size, 8, 64),
    )  # fmt: skip
    check_file("--out", args.out, make_folder=True)
    splits = load_splits(args.dataset, args.data, args.channels, args.image_size)
    if splits.report:
        print(splits.report, flush=True)
    data, test, classes = splits.training, splits.test, len(splits.label_names)
    test_accuracy = 0.0
    with progress_bar(args.epochs * len(data), "img") as bar:
        for epoch, (classifier, loss) in enumerate(
            train_classifier(data, classes, args.epochs, args.seed), start=1
        ):
            bar.update(len(data))
            test_accuracy = accuracy(classifier, test)
            bar.write(f"epoch {epoch}/{args.epochs}: loss {loss:.4f}, test accuracy {test_accuracy:.4f}")
    classifier.label_names = splits.label_names
    save_classifier(args.out, classifier, args.dataset, test_accuracy)
    print(f"wrote {args.out} ({args.out.stat().st_size / 1e3:.0f} kB)")
    return 0
