"""The experiments: what they do to pictures, and the command that makes their tables."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from diffusion_toy.contract.messages import InjectionRule, NoiseKind, Sampler
from diffusion_toy.diffusion.counter_noise import Purpose
from diffusion_toy.diffusion.process import alpha, q_sample, sigma, velocity
from diffusion_toy.diffusion.sampling import SamplingPlan, heal, step_noise
from diffusion_toy.diffusion.schedule import make_schedule
from diffusion_toy.errors import InvalidValueError
from tests.models import random_network, write_model
from tests.tools import SAMPLE
from training import __main__ as command
from training.data.images import ImageSet, to_unit_range
from training.data.named import load_splits
from training.drawing.generation import generate, ignored, make_pipeline
from training.evaluation.classifier import load_classifier, shipped_classifier
from training.experiments.ablations import LINE, even, injected, right_amounts, scribbled, wrong_amounts
from training.experiments.initialisation import (
    BRANCHES,
    agreement,
    branches,
    chance_total_variation,
    few_steps,
)
from training.experiments.results import Proportion, Recognizer, excess_kurtosis, neighbour_correlation
from training.experiments.setup import DDIM, Condition, Setup, clear_digits, denoise, levels_of

COUNT = 8
SCHEDULE = make_schedule("cosine", 300)


@pytest.fixture(scope="module")
def setup() -> Setup:
    """A tiny network of no use, on the schedule of the live toy."""
    data = load_splits("mnist", SAMPLE)
    recognizer = Recognizer(load_classifier(shipped_classifier("mnist")), data.test.images)
    pipeline = make_pipeline(random_network(), torch.device("cpu"), schedule=SCHEDULE)
    return Setup(pipeline, recognizer, clear_digits(recognizer, data.test, COUNT, 0), data, 0)


class Knowing(nn.Module):
    """Knows the only picture there is: its x̂0 is that one, whatever it is shown."""

    def __init__(self, x0: Tensor) -> None:
        super().__init__()
        self.x0 = x0

    def forward(self, x: Tensor, u: Tensor, _labels: Tensor) -> Tensor:
        a, s = alpha(u)[:, None], sigma(u)[:, None]
        eps = torch.where(s > 0, (x - a * self.x0) / s.clamp(min=1e-6), 0.0)
        return velocity(self.x0, eps, u[:, None])


@pytest.fixture
def short(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> Setup:
    """A network that knows one of the digits, on a schedule of 12 time steps."""
    monkeypatch.setattr("training.experiments.ablations.TIMES", (4, 12))
    monkeypatch.setattr(
        "training.experiments.initialisation.STEPS", {Sampler.DDPM: (12, 3), Sampler.DPMPP: (4,)}
    )
    monkeypatch.setattr("training.experiments.initialisation.BRANCH_TIMES", (8, 5))
    forward = Knowing(setup.clean[:1])
    schedule = make_schedule("cosine", 12)
    return replace(setup, pipeline=replace(setup.pipeline, forward=forward, schedule=schedule))


def case_of(setup: Setup, x: Tensor, t: float, eta: float = 1.0) -> Condition:
    rows = slice(0, len(x))
    return Condition({}, x, even(t), setup.no_labels[rows], setup.seeds[rows], eta)


def test_only_clear_digits_are_experimented_with(setup: Setup) -> None:
    recognition = setup.recognizer(setup.digits.images)
    assert torch.equal(recognition.classes, setup.digits.labels)
    assert recognition.clear.all()
    images = setup.data.test.images[:64].clone()
    images[::2] = 0  # a blank page is no digit
    some = ImageSet(images, torch.arange(64) + 100)
    with pytest.raises(InvalidValueError, match=r"--count 1 is outside 1…0"):
        clear_digits(setup.recognizer, some, 1, 0)
    some = ImageSet(images, setup.data.test.labels[:64])
    assert clear_digits(setup.recognizer, some, 28, 0).images.flatten(1).amax(1).all()
    with pytest.raises(InvalidValueError, match=r"--count 200 is outside 1…1\d\d, the clear digits"):
        clear_digits(setup.recognizer, setup.data.test, 200, 0)


def test_denoising_is_what_heal_does(setup: Setup) -> None:
    u = levels_of(SCHEDULE, 4.0)
    x = q_sample(setup.clean, u, step_noise(setup.seeds, (1, 28, 28), Purpose.INJECTION)(0))
    ours = denoise(setup.pipeline, [case_of(setup, x, 4)], ignored)[0]
    network, shape = setup.pipeline.forward, setup.pipeline.shape
    theirs = heal(
        network, x, u.expand(COUNT, 28, 28), setup.no_labels, 10, SCHEDULE, 1.0, 1.0,
        step_noise(setup.seeds, shape),
    )  # fmt: skip
    expected = ((theirs.clamp(-1, 1) + 1) * 127.5).round()
    assert (ours.float() - expected).abs().max() <= 1


def test_cases_of_any_length_are_denoised_together_and_counted(setup: Setup) -> None:
    x = torch.randn(COUNT, 1, 28, 28, generator=torch.Generator().manual_seed(1))
    cases = [case_of(setup, x, 5), case_of(setup, x[:3], 2), case_of(setup, x[:2], 5, DDIM)]
    steps: list[int] = []
    together = denoise(setup.pipeline, cases, steps.append)
    assert sum(steps) == 5 * COUNT + 2 * 3 + 5 * 2
    for case, images in zip(cases, together, strict=True):
        alone = denoise(setup.pipeline, [case], ignored)[0]
        assert (images.int() - alone.int()).abs().max() <= 1
    assert not torch.equal(together[2], together[0][:2])  # DDIM is another way


def test_a_network_that_knows_the_picture_brings_it_back_from_pure_noise(short: Setup) -> None:
    x = torch.randn(3, 1, 28, 28)
    images = denoise(short.pipeline, [case_of(short, x, short.pipeline.schedule.T)], ignored)[0]
    assert torch.equal(images, short.digits.images[:1].expand(3, -1, -1, -1))


def test_small_injections_add_up_to_the_level_of_a_large_one_and_to_gaussian_noise(setup: Setup) -> None:
    u = levels_of(SCHEDULE, 150)
    shapes = {}
    for parts in (1, 30):
        x = injected(setup, NoiseKind.SIGN, 150, parts)
        z = (x - alpha(u) * setup.clean) / sigma(u)
        assert float(z.square().mean()) == pytest.approx(1, abs=0.06)
        shapes[parts] = excess_kurtosis(z)
    assert shapes[1] == pytest.approx(-2, abs=1e-3)
    assert abs(shapes[30]) < 0.3


def test_constant_noise_stays_constant_however_small_the_parts(setup: Setup) -> None:
    u = levels_of(SCHEDULE, 150)
    z = (injected(setup, NoiseKind.CONSTANT, 150, 30) - alpha(u) * setup.clean) / sigma(u)
    assert neighbour_correlation(z) == pytest.approx(1, abs=1e-3)


def test_a_scribble_is_told_alike_by_every_rule_and_is_really_what_the_rule_makes_of_it(setup: Setup) -> None:
    told, really, touched = {}, {}, None
    for rule in InjectionRule:
        x, told[rule], really[rule] = scribbled(SCHEDULE, setup.clean, setup.seeds, LINE, rule)
        touched = told[rule] > 0
        untouched = torch.from_numpy(~touched)
        assert torch.equal(x[..., untouched], setup.clean[..., untouched])
        assert torch.equal(x, setup.clean) == (rule is InjectionRule.LIE)
    assert touched is not None
    for rule in InjectionRule:
        np.testing.assert_array_equal(told[rule], told[InjectionRule.TRUTH])
    assert told[InjectionRule.TRUTH].max() == 60  # four dabs of 15 over each other
    np.testing.assert_allclose(really[InjectionRule.TRUTH], told[InjectionRule.TRUTH], atol=0.01)
    assert not really[InjectionRule.LIE].any()
    deep = told[InjectionRule.TRUTH] == 60
    assert (really[InjectionRule.NAIVE][deep] > 65).all()


def test_wrong_amounts_hold_the_noise_that_their_rows_say(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Condition] = []
    monkeypatch.setattr("training.experiments.ablations.denoising", lambda *args: seen.extend(args[-1]))
    wrong_amounts(setup)
    assert len(seen) == 16
    for case in seen:
        really = case.cells["really t"]
        assert isinstance(really, int)
        u = levels_of(SCHEDULE, really)
        spread = float((case.x - alpha(u) * setup.clean).std())
        assert spread == pytest.approx(float(sigma(u)), abs=0.04)
        assert case.steps == case.cells["told t"]


def test_a_table_has_a_row_for_each_case_below_the_untouched_digits(short: Setup) -> None:
    experiment = right_amounts(short)
    steps: list[int] = []
    rows = experiment.run(steps.append).rows
    assert sum(steps) == experiment.steps == 2 * (4 + 12) * COUNT
    assert [row["noised to t"] for row in rows] == ["real digits, untouched", 4, 12, 4, 12]
    assert rows[0]["same digit"] == Proportion(COUNT, COUNT)
    same = int((short.digits.labels == short.digits.labels[0]).sum())
    for row in rows[1:]:
        assert row["same digit"] == Proportion(same, COUNT)
        assert row["another digit"] == Proportion(COUNT - same, COUNT)


def test_few_steps_have_a_row_each_and_count_their_steps(short: Setup) -> None:
    steps: list[int] = []
    experiment = few_steps(short)
    rows = experiment.run(steps.append).rows
    assert sum(steps) == experiment.steps
    names = [row["pictures"] for row in rows]
    assert names[:5] == ["real test digits", "DDPM", "DDPM", "DPM-Solver++", "DDPM, linear"]
    assert names[-2:] == ["DDIM, begun with 1.2 × the noise", "DDPM, linear, begun with real digits noised"]
    assert [row["steps"] for row in rows[:5]] == [None, 12, 3, 4, 12]
    label = int(short.digits.labels[0])
    asked = sum(1 for i in range(COUNT) if i % 10 == label)
    for row in rows[1:]:
        assert row["a clear digit"] == Proportion(COUNT, COUNT)
        if row["network told"] == "a class":
            assert row["the one asked for"] == Proportion(asked, COUNT)
            assert row["class TV"] is None
        else:
            assert row["class TV"] == pytest.approx(0.9, abs=0.05)  # one class and no other


def test_the_strength_of_what_is_begun_with_matters_and_is_1_unless_given(setup: Setup) -> None:
    sampler = SamplingPlan(Sampler.DDIM, 3)
    drawn = [
        generate(setup.pipeline, setup.no_labels, sampler, 0, ignored, *strength)
        for strength in ((), (1.0,), (0.5,))
    ]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_class_balance_of_few_pictures_is_off_by_chance_alone() -> None:
    shares = torch.full((10,), 0.1, dtype=torch.float64)
    few, many = (chance_total_variation(shares, count, 0) for count in (50, 800))
    assert few == pytest.approx(0.17, abs=0.02)
    assert many == pytest.approx(few / 4, abs=0.01)


def test_branches_of_a_network_that_knows_one_picture_agree(short: Setup) -> None:
    steps: list[int] = []
    experiment = branches(short)
    rows = experiment.run(steps.append).rows
    assert sum(steps) == experiment.steps
    assert [row["branched at t"] for row in rows[1:-1]] == [8, 5]
    for row in rows[1:-1]:
        assert row["all 8 the same digit"] == Proportion(2, 2)
        assert row["correlation"] == pytest.approx(1)
    assert isinstance(rows[0]["largest group"], float)
    assert rows[0]["largest group"] < 0.9


def test_agreement_counts_the_largest_group(setup: Setup) -> None:
    test = setup.data.test
    ones, sevens = (test.images[test.labels == digit][:BRANCHES] for digit in (1, 7))
    images = torch.cat([ones, ones[:5], sevens[:3], ones[:4], sevens[:4]])
    groups = images.reshape(3, BRANCHES, 1, 28, 28)
    row = agreement({}, setup.recognizer(images), groups)
    assert row["all 8 the same digit"] == Proportion(1, 3)
    assert row["more than half the same"] == Proportion(2, 3)
    assert row["largest group"] == pytest.approx((8 + 5 + 4) / 24)
    assert torch.equal(to_unit_range(ones), to_unit_range(images[:BRANCHES]))


def test_the_command_prints_the_tables_that_were_asked_for_and_writes_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_model(tmp_path / "tiny.safetensors", dataset="mnist")
    monkeypatch.setattr("training.experiments.ablations.SCRIBBLES", {"a short line": LINE[:2]})
    flags = ["experiments", "--checkpoint", model, "--data", SAMPLE, "--count", 8, "--only", "rules",
             "--json", tmp_path / "deep" / "figures.json"]  # fmt: skip
    assert command.main([str(flag) for flag in flags]) == 0
    said = capsys.readouterr().out
    for words in ("a short line", "naive", "same digit", "count 8", "schedule cosine"):
        assert words in said
    content = json.loads((tmp_path / "deep" / "figures.json").read_text())
    assert content["settings"]["time_steps"] == 300
    assert [table["name"] for table in content["tables"]] == ["rules"]
    rows = content["tables"][0]["rows"]
    assert len(rows) == 4
    assert rows[1]["told t"] == rows[1]["really t"]
    assert rows[2]["told t"] < rows[2]["really t"]
    assert (rows[3]["really t"], rows[3]["same digit"]["count"]) == (0, 8)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--count", "7"], "--count 7 is outside 8…5000"),
        (["--count", "500"], "the clear digits of the test split"),
        (["--seed", "-1"], "--seed -1 is outside 0…"),
    ],
)
def test_bad_flags_end_with_one_sentence(
    flags: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_model(tmp_path / "tiny.safetensors", dataset="mnist")
    assert command.main(["experiments", "--checkpoint", str(model), "--data", str(SAMPLE), *flags]) == 2
    captured = capsys.readouterr().err
    assert said in captured
    assert captured.count("\n") == 1


def test_a_data_set_without_a_shipped_classifier_says_how_to_make_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = write_model(tmp_path / "tiny.safetensors")
    assert command.main(["experiments", "--checkpoint", str(model), "--data", str(SAMPLE)]) == 1
    assert "make one with: python -m training classifier" in capsys.readouterr().err
