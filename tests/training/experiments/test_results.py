"""The figures that the experiments are made of."""

from __future__ import annotations

import json

import pytest
import torch

from tests.tools import SAMPLE
from training.data.named import load_dataset
from training.evaluation.classifier import classify_images, load_classifier, shipped_classifier
from training.experiments.results import (
    Proportion,
    Recognition,
    Recognizer,
    Table,
    excess_kurtosis,
    mean_correlation,
    mean_measures,
    neighbour_correlation,
    outcomes,
)


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [  # of the literature (Newcombe 1998, table I, method 3), and both ends
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (20, 20, 0.8389, 1.0),
    ],
)
def test_a_share_has_wilsons_interval(hits: int, count: int, low: float, high: float) -> None:
    assert Proportion(hits, count).interval == pytest.approx((low, high), abs=1e-4)


def test_more_cases_make_the_interval_narrower_and_it_holds_the_share() -> None:
    widths = []
    for count in (10, 100, 1000):
        share = Proportion(count * 7 // 10, count)
        low, high = share.interval
        assert low < share.value < high
        widths.append(high - low)
    assert widths == sorted(widths, reverse=True)


@pytest.mark.parametrize(("hits", "count"), [(1, 0), (0, 0), (3, 2), (-1, 2)])
def test_a_share_of_nothing_is_refused(hits: int, count: int) -> None:
    with pytest.raises(ValueError, match=f"{hits} of {count} cases"):
        Proportion(hits, count)


def test_a_picture_is_the_same_digit_another_or_none() -> None:
    recognition = Recognition(torch.tensor([0, 1, 1, 0, 0]), torch.tensor([True, True, False, False, True]))
    assert outcomes(recognition, torch.zeros(5, dtype=torch.long)) == {
        "n": 5,
        "same digit": Proportion(2, 5),
        "another digit": Proportion(1, 5),
        "no clear digit": Proportion(2, 5),
    }


def test_a_digit_is_clear_where_the_classifier_is_sure_and_nothing_else_is_a_digit() -> None:
    known, test = (load_dataset("mnist", SAMPLE, train=train) for train in (True, False))
    classifier = load_classifier(shipped_classifier("mnist"))
    recognizer = Recognizer(classifier, known.images)  # its bounds are of other pictures than it is tried on
    recognition, found = recognizer(test.images), classify_images(classifier, test.images)
    sure = found.confidence >= 0.99
    assert not (recognition.clear & ~sure).any()
    assert recognition.clear[sure].float().mean() > 0.95
    assert torch.equal(recognition.classes, found.classes)
    blank, noise = torch.zeros(3, 1, 28, 28), torch.randint(0, 256, (3, 1, 28, 28))
    others = torch.cat([blank, blank + 128, blank + 255, noise, 255 - test.images[:9]]).to(torch.uint8)
    assert classify_images(classifier, others).confidence.amax() > 0.99  # it knows nothing but digits
    assert not recognizer(others).clear.any()


def test_strokes_tell_ink_blur_and_speckle_apart() -> None:
    plain = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    half, grey = plain.clone(), plain + 128
    half[..., :4] = 255
    board = ((torch.arange(8)[:, None] + torch.arange(8)) % 2 * 255).to(torch.uint8)[None, None]
    assert mean_measures(plain) == {"ink": 0, "grey": 0, "roughness": 0}
    assert mean_measures(half) == {"ink": 0.5, "grey": 0, "roughness": pytest.approx(1 / 14)}
    assert mean_measures(grey) == {"ink": 1, "grey": 1, "roughness": 0}
    assert mean_measures(board)["roughness"] == 1


def test_the_shape_of_noise_is_told_by_its_kurtosis_and_its_neighbours() -> None:
    signs = torch.randint(0, 2, (50, 1, 28, 28)) * 2.0 - 1
    normal = torch.randn(50, 1, 28, 28)
    assert excess_kurtosis(signs) == -2
    assert excess_kurtosis(normal) == pytest.approx(0, abs=0.1)
    assert neighbour_correlation(normal) == pytest.approx(0, abs=0.03)
    assert neighbour_correlation(normal[..., :1].expand(-1, -1, -1, 28)) == pytest.approx(1)


def test_pictures_correlate_with_themselves_and_not_with_noise() -> None:
    one = torch.randint(0, 256, (1, 1, 28, 28), dtype=torch.uint8)
    assert mean_correlation(one.repeat(3, 1, 1, 1)) == pytest.approx(1)
    assert mean_correlation(torch.cat([one, 255 - one])) == pytest.approx(-1)
    assert mean_correlation(torch.randint(0, 256, (9, 1, 28, 28), dtype=torch.uint8)) == pytest.approx(
        0, abs=0.05
    )


def test_a_table_is_printed_and_written_with_its_intervals() -> None:
    table = Table("a", "A title", [{"t": 5, "seen": Proportion(9, 10), "by": -0.25, "asked": None}])
    text = str(table)
    assert text.startswith("## A title\n\n| t | seen")
    assert "| 5 | 0.90 (0.60–0.98) | −0.250 | –     |" in text
    row = json.loads(json.dumps(table.to_json()))["rows"][0]
    assert row["seen"] == {
        "hits": 9, "count": 10, "share": 0.9,
        "low": pytest.approx(0.596, abs=1e-3), "high": pytest.approx(0.982, abs=1e-3),
    }  # fmt: skip
    assert (row["t"], row["by"], row["asked"]) == (5, -0.25, None)
