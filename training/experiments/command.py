"""`python -m training experiments`: what is said about diffusion, measured on this model."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import torch

from diffusion_toy.diffusion.schedule import make_schedule
from diffusion_toy.errors import InvalidValueError
from diffusion_toy.files import check_file, write_atomically
from diffusion_toy.predictors.eager import pick_device
from training.drawing.commandline import AddParser, add_network_flags, check_flags, progress_bar
from training.drawing.generation import make_pipeline
from training.evaluation.classifier import check_classifier, load_classifier, shipped_classifier
from training.evaluation.report import CONFIDENT
from training.experiments.ablations import right_amounts, wrong_amounts, wrong_noise, wrong_rules
from training.experiments.initialisation import branches, few_steps
from training.experiments.results import Recognizer, Table
from training.experiments.setup import Setup, clear_digits
from training.runs.export import load_data_of, load_network

EXPERIMENTS = {
    "tips": right_amounts,
    "amounts": wrong_amounts,
    "kinds": wrong_noise,
    "rules": wrong_rules,
    "steps": few_steps,
    "branches": branches,
}
SCHEDULE = "cosine", 300  # that of the live toy


def add_experiments(add_parser: AddParser) -> None:
    """Add the command `experiments` and its flags."""
    p = add_parser("experiments", help="measure what is said about noise, time steps and samplers")
    add_network_flags(p)
    p.add_argument(
        "--data", type=Path, default=Path("data"), help="folder of the data set; downloaded there if missing"
    )
    p.add_argument(
        "--classifier", type=Path, default=argparse.SUPPRESS,
        help="who says what a picture shows (default: the one shipped for the model's data set)",
    )  # fmt: skip
    p.add_argument("--count", type=int, default=200, help="pictures for each row, 8…5000")
    p.add_argument(
        "--only", nargs="+", choices=list(EXPERIMENTS), default=argparse.SUPPRESS, metavar="NAME",
        help=f"which to make, of: {', '.join(EXPERIMENTS)} (default: all)",
    )  # fmt: skip
    p.add_argument("--json", type=Path, default=argparse.SUPPRESS, help="file to write all figures to")
    p.set_defaults(run=run_experiments)


def run_experiments(args: argparse.Namespace) -> int:
    """Run `experiments`: print a table of each as it is ready."""
    check_flags(("--count", args.count, 8, 5000), ("--seed", args.seed, 0, 2**63 - 1))
    if "json" in args:
        check_file("--json", args.json, make_folder=True)
    trained = load_network(args.checkpoint)
    network, dataset = trained.network, trained.dataset
    if not network.takes_labels:
        raise InvalidValueError("--checkpoint", args.checkpoint.name, "the networks that know labels")
    classifier_file: Path = getattr(args, "classifier", shipped_classifier(dataset))
    classifier = load_classifier(classifier_file)
    data = load_data_of(trained, args.data, args.checkpoint)
    check_classifier(classifier, classifier_file, data)
    recognizer = Recognizer(classifier, data.test.images)
    digits = clear_digits(recognizer, data.test, args.count, args.seed)
    device, schedule = pick_device(args.device), make_schedule(*SCHEDULE)
    pipeline = make_pipeline(network, device, args.precision, args.predictor, schedule)
    setup = Setup(pipeline, recognizer, digits, data, args.seed)
    chosen = [EXPERIMENTS[name](setup) for name in EXPERIMENTS if name in getattr(args, "only", EXPERIMENTS)]
    tables: list[Table] = []
    began = time.perf_counter()
    with progress_bar(sum(experiment.steps for experiment in chosen)) as bar:
        for experiment in chosen:
            tables.append(experiment.run(bar.update))
            bar.write(f"{tables[-1]}\n")
            sys.stdout.flush()  # the next one may take minutes
    settings = {
        "checkpoint": args.checkpoint.name, "dataset": dataset, "classifier": classifier_file.name,
        "count": args.count, "confident_from": CONFIDENT, "seed": args.seed, "schedule": schedule.name,
        "time_steps": schedule.T, "precision": args.precision, "predictor": args.predictor,
        "torch": torch.__version__, "threads": torch.get_num_threads(),
        "seconds": round(time.perf_counter() - began),
    }  # fmt: skip
    print(", ".join(f"{name} {value}" for name, value in settings.items()))
    if "json" in args:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        content = {"settings": settings, "tables": [table.to_json() for table in tables]}
        write_atomically(args.json, (json.dumps(content, indent=1) + "\n").encode())
        print(f"wrote {args.json}")
    return 0
