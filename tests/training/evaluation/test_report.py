"""The classifier, and the table that it makes of real pictures, of noise and of a model's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from diffusion_toy.contract.messages import Sampler
from diffusion_toy.diffusion.sampling import SamplingPlan
from diffusion_toy.errors import CheckpointError, InvalidValueError
from tests.models import random_network, write_model
from tests.tools import SAMPLE
from training import __main__ as command
from training.data.images import ImageSet, to_unit_range
from training.data.named import load_dataset
from training.drawing.generation import brush_and_heal, brush_mask, generate, labels_of, make_pipeline
from training.evaluation.classifier import (
    Classifier,
    accuracy,
    classify_images,
    load_classifier,
    save_classifier,
    shipped_classifier,
    train_classifier,
)
from training.evaluation.report import Evaluation

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def training() -> ImageSet:
    return load_dataset("mnist", SAMPLE, train=True)


@pytest.fixture(scope="module")
def test_split() -> ImageSet:
    return load_dataset("mnist", SAMPLE, train=False)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return load_classifier(shipped_classifier("mnist"))


@pytest.fixture(scope="module")
def evaluation(classifier: Classifier, training: ImageSet, test_split: ImageSet) -> Evaluation:
    return Evaluation(classifier, training, test_split, 512)


def test_the_shipped_classifier_knows_the_digits_and_is_small(
    classifier: Classifier, test_split: ImageSet
) -> None:
    assert accuracy(classifier, test_split) >= 0.99
    assert shipped_classifier("mnist").stat().st_size < 500_000
    found = classify_images(classifier, test_split.images)
    assert found.features.shape == (128, 128)
    torch.testing.assert_close(found.probabilities.sum(1), torch.ones(128))


def test_a_classifier_learns_the_sample_and_survives_the_disk(
    training: ImageSet, test_split: ImageSet, tmp_path: Path
) -> None:
    *_, (small, loss) = train_classifier(training, 10, epochs=6, seed=0)
    assert loss < 1.5
    assert accuracy(small, test_split) > 0.5
    path = tmp_path / "deep" / "c.safetensors"
    save_classifier(path, small, "mnist", 0.5)
    again = load_classifier(path)
    assert torch.equal(
        classify_images(again, test_split.images).features,
        classify_images(small, test_split.images).features,
    )


def test_bad_classifier_files_are_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist; make one with: python -m training"):
        load_classifier(tmp_path / "none.safetensors")
    whole = shipped_classifier("mnist").read_bytes()
    for name, content in (("cut", whole[:-100]), ("text", b"hello"), ("model", None)):
        path = tmp_path / f"{name}.safetensors"
        if content is None:
            write_model(path)
        else:
            path.write_bytes(content)
        with pytest.raises(CheckpointError, match="damaged or of another version"):
            load_classifier(path)


def test_images_of_another_size_are_refused(classifier: Classifier) -> None:
    with pytest.raises(InvalidValueError, match="images"):
        classify_images(classifier, torch.zeros(2, 1, 32, 32, dtype=torch.uint8))


def test_real_pictures_are_the_floor_and_noise_is_far_above(
    evaluation: Evaluation, training: ImageSet
) -> None:
    floor = evaluation.floor
    assert floor.ratio == 1
    assert floor.class_accuracy is not None
    assert floor.class_accuracy > 0.99
    assert min(floor.precision, floor.recall, floor.confident) > 0.7
    assert floor.nearest == 0  # they are training images
    noise = torch.randint(0, 256, training.images.shape, dtype=torch.uint8)
    row = evaluation.scores("noise", noise)
    assert row.ratio > 10
    assert row.precision < 0.1
    assert row.class_accuracy is None
    assert row.nearest > 50


def test_one_class_alone_shows_in_the_balance_and_the_recall(
    evaluation: Evaluation, training: ImageSet
) -> None:
    ones = training.images[training.labels == 1]
    row = evaluation.scores("ones", ones)
    assert row.total_variation > 0.8
    assert row.recall < evaluation.floor.recall - 0.3
    assert row.confident > 0.9  # which is why confidence alone says nothing


def test_pictures_do_not_depend_on_how_many_are_drawn() -> None:
    pipeline, sampler = make_pipeline(random_network(), CPU), SamplingPlan(Sampler.DDPM, 3)
    few = generate(pipeline, labels_of("balanced", 3, 10), sampler, 5)
    many = generate(pipeline, labels_of("balanced", 130, 10), sampler, 5)
    assert few.dtype == torch.uint8
    assert (few.int() - many[:3].int()).abs().max() <= 1
    other = generate(pipeline, labels_of("balanced", 3, 10), sampler, 6)
    assert not torch.equal(few, other)


def test_a_brush_changes_only_what_is_under_it(test_split: ImageSet) -> None:
    images = test_split.images[:4]
    labels = torch.full((4,), 10)
    healed = brush_and_heal(make_pipeline(random_network(), CPU), images, labels, 6.0, 0.85, 50, 0)
    mask = brush_mask(28, 28, 6.0)
    assert int(mask.sum()) == pytest.approx(np.pi * 36, rel=0.05)
    clean = to_unit_range(images)
    assert torch.equal(healed[:, :, ~mask], clean[:, :, ~mask])
    assert not torch.allclose(healed[:, :, mask], clean[:, :, mask])


def test_evaluate_prints_one_table_and_writes_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = write_model(tmp_path / "tiny.safetensors", dataset="mnist")
    flags = ["evaluate", "--checkpoint", model, "--data", SAMPLE, "--count", 100, "--steps", 2,
             "--heal-count", 5, "--heal-radii", 6, "--heal-levels", 0.5, "--heal-stride", 50,
             "--map-count", 5, "--json", tmp_path / "deep" / "scores.json"]  # fmt: skip
    assert command.main([str(flag) for flag in flags]) == 0
    said = capsys.readouterr().out
    for words in ("real training images", "labelled", "unlabelled", "× floor", "identical", "sampler ddim"):
        assert words in said
    content = json.loads((tmp_path / "deep" / "scores.json").read_text())
    assert [row["name"] for row in content["rows"]] == ["real training images", "labelled", "unlabelled"]
    assert content["rows"][2]["class_accuracy"] is None
    assert [row["untouched"] for row in content["healing"]] == [True, True]
    assert [row["name"] for row in content["maps"]] == ["unlabelled", "labelled"]
    assert all(len(row["errors"]) == 4 for row in content["maps"])
    assert content["settings"]["steps"] == 2


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--count", "50"], "--count 50 is outside 100…10000"),
        (["--steps", "0"], "--steps 0 is outside 1…300"),
        (["--labels", "none", "12"], "--labels '12' is outside none, balanced, 0…9"),
        (["--sampler", "dpmpp", "--eta", "0.5"], "use --sampler ddim"),
        (["--heal-radii", "0"], "--heal-radii 0 is outside 1…14"),
        (["--heal-levels", "1.5"], "--heal-levels 1.5 is outside 0.001…1"),
        (["--guidance", "9"], "--guidance 9 is outside 0…8"),
    ],
)
def test_bad_flags_of_evaluate_end_with_one_sentence(
    flags: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_model(tmp_path / "tiny.safetensors")
    assert command.main(["evaluate", "--checkpoint", str(model), "--data", str(SAMPLE), *flags]) == 2
    assert said in capsys.readouterr().err


def test_a_data_set_without_a_shipped_classifier_says_how_to_make_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_model(tmp_path / "tiny.safetensors")
    assert command.main(["evaluate", "--checkpoint", str(model), "--data", str(SAMPLE)]) == 1
    assert "make one with: python -m training classifier" in capsys.readouterr().err
