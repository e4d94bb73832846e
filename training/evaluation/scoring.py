"""What the commands that score a model share: the classifier that is asked, the data, the file of figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from diffusion_toy.files import check_file, write_atomically
from diffusion_toy.options import option
from training.data.images import Splits
from training.drawing.commandline import DataOptions
from training.evaluation.classifier import Classifier, check_classifier, load_classifier, shipped_classifier
from training.runs.export import TrainedNetwork, load_data_of


@dataclass(frozen=True, kw_only=True)
class ScoringOptions(DataOptions):
    """Who is asked what pictures show, and where the figures go."""

    classifier: Path | None = option(
        None,
        "the classifier that says what a picture shows",
        told="the one shipped for the model's data set",
    )
    json: Path | None = option(None, "file to write all figures to")

    def check_json(self) -> None:
        """Refuse a file of figures that cannot be written, before any work.

        Raises:
            InvalidValueError: it cannot.
        """
        if self.json is not None:
            check_file("--json", self.json, make_folder=True)

    def write_json(self, figures: Mapping[str, Any]) -> None:
        """Write the figures that there are by now, where a file is asked for."""
        if self.json is not None:
            self.json.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.json, (json.dumps(figures, indent=1) + "\n").encode())


class Judge(NamedTuple):
    """A classifier, the file that it is from, and the data that both it and the network were trained on."""

    classifier: Classifier
    file: Path
    data: Splits


def load_judge(options: ScoringOptions, trained: TrainedNetwork, checkpoint: Path) -> Judge:
    """Read the classifier and the data for scoring the network of the file `checkpoint`.

    Raises:
        CheckpointError: no such classifier, or a damaged one.
        DataError: the data cannot be read.
        InvalidValueError: the classifier, the data and the network do not go together.
    """
    file = options.classifier or shipped_classifier(trained.dataset)
    classifier = load_classifier(file)
    data = load_data_of(trained, options.data, checkpoint)
    check_classifier(classifier, file, data)
    return Judge(classifier, file, data)
