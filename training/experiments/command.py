"""`python -m training experiments`: what is said about diffusion, measured on this model."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import torch

from diffusion_toy.diffusion.schedule import make_schedule
from diffusion_toy.errors import InvalidValueError
from diffusion_toy.options import option
from diffusion_toy.predictors.eager import pick_device
from training.drawing.commandline import AddParser, NetworkOptions, add_command, progress_bar
from training.drawing.generation import make_pipeline
from training.evaluation.report import CONFIDENT
from training.evaluation.scoring import ScoringOptions, load_judge
from training.experiments.ablations import right_amounts, wrong_amounts, wrong_noise, wrong_rules
from training.experiments.initialisation import branches, few_steps
from training.experiments.results import Recognizer, Table
from training.experiments.setup import Setup, clear_digits
from training.runs.export import load_network

EXPERIMENTS = {
    "tips": right_amounts,
    "amounts": wrong_amounts,
    "kinds": wrong_noise,
    "rules": wrong_rules,
    "steps": few_steps,
    "branches": branches,
}
SCHEDULE = "cosine", 300  # that of the live toy


@dataclass(frozen=True, kw_only=True)
class ExperimentsOptions(ScoringOptions, NetworkOptions):
    """What `experiments` takes."""

    count: int = option(200, "pictures for each row", low=8, high=5000)
    only: tuple[str, ...] = option(
        tuple(EXPERIMENTS), "which to make", choices=EXPERIMENTS, several=True, metavar="NAME", told="all"
    )


def add_experiments(add_parser: AddParser) -> None:
    """Add the command `experiments` and its options."""
    help = "measure what is said about noise, time steps and samplers"
    add_command(add_parser, "experiments", help, ExperimentsOptions, run_experiments)


def run_experiments(options: ExperimentsOptions) -> int:
    """Run `experiments`: print a table of each as it is ready."""
    options.check_json()
    trained = load_network(options.checkpoint)
    network, dataset = trained.network, trained.dataset
    if not network.takes_labels:
        raise InvalidValueError("--checkpoint", options.checkpoint.name, "the networks that know labels")
    classifier, classifier_file, data = load_judge(options, trained, options.checkpoint)
    recognizer = Recognizer(classifier, data.test.images)
    digits = clear_digits(recognizer, data.test, options.count, options.seed)
    device, schedule = pick_device(options.device), make_schedule(*SCHEDULE)
    pipeline = make_pipeline(network, device, options.precision, options.predictor, schedule)
    setup = Setup(pipeline, recognizer, digits, data, options.seed)
    chosen = [EXPERIMENTS[name](setup) for name in EXPERIMENTS if name in options.only]
    tables: list[Table] = []
    began = time.perf_counter()
    with progress_bar(sum(experiment.steps for experiment in chosen)) as bar:
        for experiment in chosen:
            tables.append(experiment.run(bar.update))
            bar.write(f"{tables[-1]}\n")
            sys.stdout.flush()  # the next one may take minutes
    settings = {
        "checkpoint": options.checkpoint.name, "dataset": dataset, "classifier": classifier_file.name,
        "count": options.count, "confident_from": CONFIDENT, "seed": options.seed, "schedule": schedule.name,
        "time_steps": schedule.T, "precision": options.precision, "predictor": options.predictor,
        "torch": torch.__version__, "threads": torch.get_num_threads(),
        "seconds": round(time.perf_counter() - began),
    }  # fmt: skip
    print(", ".join(f"{name} {value}" for name, value in settings.items()))
    options.write_json({"settings": settings, "tables": [table.to_json() for table in tables]})
    if options.json:
        print(f"wrote {options.json}")
    return 0
