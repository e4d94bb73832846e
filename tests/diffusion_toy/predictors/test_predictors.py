"""Every predictor gives what the network in torch, eager and in float32, gives."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from diffusion_toy.errors import InvalidValueError
from diffusion_toy.model.checkpoint import LoadedModel, load_model
from diffusion_toy.model.config import SHAPES, UNetConfig, weight_shapes
from diffusion_toy.model.unet import UNet
from diffusion_toy.predictors import program_cache
from diffusion_toy.predictors.base import Precision, Predictor, PredictorError, warm_up
from diffusion_toy.predictors.compiled import CompiledPredictor
from diffusion_toy.predictors.eager import EagerPredictor
from diffusion_toy.predictors.make import PredictorOptions, make_predictor
from diffusion_toy.predictors.openvino import OpenVinoPredictor
from diffusion_toy.predictors.padded import parts_of, shared_out
from tests.models import TINY, random_network, write_model
from tests.tools import ROOT, SHIPPED_MODEL

CPU = torch.device("cpu")
Inputs = tuple[np.ndarray, np.ndarray, np.ndarray]


def inputs(rows: int, config: UNetConfig = TINY) -> Inputs:
    rng = np.random.default_rng(rows)
    x = rng.standard_normal((rows, config.channels, config.height, config.width), np.float32)
    return x, rng.random((rows, config.height, config.width), np.float32), np.arange(rows) % 11


def expected(network: torch.nn.Module, batch: Inputs) -> np.ndarray:
    with torch.no_grad():
        v: np.ndarray = network(*map(torch.from_numpy, batch)).numpy()
        return v


def openvino_of(
    network: UNet,
    precision: Precision = Precision.FLOAT32,
    sizes: tuple[int, ...] = (1, 4),
    threads: int = 1,
) -> Predictor:
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    return OpenVinoPredictor(network.config, weights, precision, sizes, threads)


MAKERS: dict[str, Callable[[UNet], Predictor]] = {
    "openvino": openvino_of,
    "openvino, two threads": lambda network: openvino_of(network, threads=2),
    "openvino, padded in between": lambda network: openvino_of(network, sizes=(4,), threads=3),
    "eager": lambda network: EagerPredictor(network, network.config, CPU),
    "eager, padded": lambda network: EagerPredictor(network, network.config, CPU, sizes=(1, 4)),
}


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("rows", [1, 3, 4, 5, 9])
def test_any_number_of_rows_gives_what_the_network_gives(kind: str, rows: int) -> None:
    network, batch = random_network(), inputs(rows)
    predictor = MAKERS[kind](network)
    warm_up(predictor)
    np.testing.assert_allclose(predictor(*batch), expected(network, batch), atol=2e-4)
    assert predictor.description


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("picture", [(1, 28, 28), (3, 16, 32)])
def test_openvino_builds_every_shape_of_the_network(shape: str, picture: tuple[int, int, int]) -> None:
    channels, height, width = picture
    kinds = {name: value for name, value in SHAPES[shape].items() if not name.endswith("width")}
    narrow = {"base_width": 16, "mid_width": 32, "embedding_width": 16, "attention_heads": 2}
    config = UNetConfig(channels, height, width, **{**narrow, **kinds})
    network, batch = random_network(config), inputs(2, config)
    np.testing.assert_allclose(openvino_of(network)(*batch), expected(network, batch), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_names_and_shapes_of_the_weights_are_the_networks(shape: str) -> None:
    config = UNetConfig(**SHAPES[shape])
    assert weight_shapes(config) == {k: tuple(v.shape) for k, v in UNet(config).state_dict().items()}


def test_bfloat16_is_as_close_as_torchs() -> None:
    model = load_model(SHIPPED_MODEL)
    batch = inputs(4, model.config)
    predictor = OpenVinoPredictor(model.config, model.weights, Precision.BFLOAT16, (4,), threads=1)
    error = predictor(*batch) - expected(model.network, batch)
    assert np.sqrt(np.mean(error**2)) < 0.02  # v has a standard deviation of 1; torch's bfloat16 gives 0.007


def test_padding_changes_nothing_where_there_is_one_batch_size() -> None:
    predictor = openvino_of(random_network(), sizes=(4,))
    x, u, labels = inputs(4)
    alone = predictor(x[:1], u[:1], labels[:1]).copy()
    np.testing.assert_array_equal(alone, predictor(x, u, labels)[:1])


@pytest.mark.timeout(900)  # 25 runs of a C++ compiler
def test_compiled_is_the_same_network() -> None:
    network, batch = random_network(), inputs(3)
    predictor = CompiledPredictor(network, network.config, CPU, sizes=(4,))
    np.testing.assert_allclose(predictor(*batch), expected(network, batch), atol=1e-4)


def test_a_batch_is_cut_and_padded_as_it_is_fastest() -> None:
    sizes = (1, 2, 4, 8, 16, 32)
    assert parts_of(1, sizes) == (1,)
    assert parts_of(7, sizes) == (8,)
    assert parts_of(17, sizes) == (16, 1)
    assert parts_of(65, sizes) == (32, 32, 1)
    assert parts_of(3, (8,)) == (8,)
    assert all(sum(parts_of(rows, sizes)) >= rows for rows in range(1, 200))


def test_a_batch_is_shared_out_evenly_among_threads() -> None:
    sizes = (1, 2, 3, 4, 6, 8, 12, 16)
    assert shared_out(1, sizes, 2) == ((1, 1),)
    assert shared_out(8, sizes, 2) == ((4, 4), (4, 4))
    assert shared_out(9, sizes, 2) == ((5, 6), (4, 4))
    assert shared_out(12, (8,), 2) == ((8, 8), (4, 8))  # in whole batches
    assert shared_out(5, sizes, 16) == ((1, 1),) * 5
    for rows in range(1, 200):
        for threads in (1, 2, 3, 8):
            assert sum(taken for taken, _ in shared_out(rows, sizes, threads)) == rows


def test_threads_change_no_bit() -> None:
    network, batch = random_network(), inputs(9)
    alone = openvino_of(network, sizes=(1, 2, 4), threads=1)
    together = openvino_of(network, sizes=(1, 3), threads=4)
    for predictor in (alone, together):
        warm_up(predictor)
    np.testing.assert_array_equal(alone(*batch), together(*batch))


@pytest.fixture
def model(tmp_path: Path) -> LoadedModel:
    return load_model(write_model(tmp_path / "m.safetensors"))


def test_a_fixed_batch_is_float32_and_the_default_is_openvino_on_a_cpu(model: LoadedModel) -> None:
    fixed = make_predictor(model, PredictorOptions(device="cpu", fixed_batch=8))
    assert "OpenVINO" in fixed.description
    assert fixed.description.endswith("with batches of 8")
    assert "float32" in fixed.description
    eager = make_predictor(model, PredictorOptions("eager", "cpu", "float32"))
    assert "torch" in eager.description


def test_an_unknown_predictor_and_one_that_does_not_fit_the_device_are_refused(model: LoadedModel) -> None:
    with pytest.raises(InvalidValueError, match=r"--predictor tensorflow .* openvino"):
        make_predictor(model, PredictorOptions("tensorflow"))
    if not torch.cuda.is_available():
        with pytest.raises(InvalidValueError, match="--device cuda"):
            make_predictor(model, PredictorOptions(device="cuda"))


def test_a_cache_that_cannot_be_written_is_said_and_gone_on_without(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    network = random_network()
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    with caplog.at_level(logging.WARNING):
        predictor = OpenVinoPredictor(
            TINY, weights, Precision.FLOAT32, (1,), 1, cache=tmp_path / "file" / "cache"
        )
    assert "--cache-dir" in caplog.text
    assert predictor(*inputs(1)).shape == (1, 1, 28, 28)


def test_a_cache_keeps_programs_and_finds_them_again(tmp_path: Path) -> None:
    network = random_network()
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    kept = []
    for _ in range(2):  # the second time, other graphs have been made in this process before
        warm_up(OpenVinoPredictor(TINY, weights, Precision.FLOAT32, (1,), 1, cache=tmp_path / "cache"))
        kept.append(list((tmp_path / "cache").iterdir()))
    assert len(kept[0]) == 1
    assert kept[0] == kept[1]


def test_a_cache_does_not_grow_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for day, name in enumerate(["b", "a", "c"]):  # by when they were last read
        (tmp_path / f"{name}.blob").write_bytes(bytes(100))
        os.utime(tmp_path / f"{name}.blob", (day, 0))
    monkeypatch.setattr(program_cache, "CACHE_BYTES", 250)
    assert program_cache.usable_cache(tmp_path) == tmp_path
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["a", "c"]


def test_a_damaged_cache_costs_a_compilation_and_no_more(tmp_path: Path) -> None:
    network = random_network()
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    for damage in (b"", b"nonsense"):
        warm_up(OpenVinoPredictor(TINY, weights, Precision.FLOAT32, (1,), 1, cache=tmp_path))
        (blob,) = tmp_path.glob("*.blob")
        blob.chmod(0o600)
        blob.write_bytes(blob.read_bytes()[:1000] + damage)
        predictor = OpenVinoPredictor(TINY, weights, Precision.FLOAT32, (1,), 1, cache=tmp_path)
        np.testing.assert_allclose(predictor(*inputs(1)), expected(network, inputs(1)), atol=2e-4)


@pytest.mark.parametrize(
    ("flags", "said"), [({"sse2"}, "no AVX2"), ({"sse2", "avx2"}, "node Softmax"), (set(), "node")]
)
def test_a_graph_that_cannot_be_compiled_is_one_sentence_with_the_way_out(
    monkeypatch: pytest.MonkeyPatch, flags: set[str], said: str
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("Exception from src/core.cpp:1:\nno descriptors for node Softmax\n\n")

    monkeypatch.setattr("diffusion_toy.predictors.processor.cpu_flags", lambda: frozenset(flags))
    predictor = openvino_of(random_network())
    monkeypatch.setattr(predictor, "_core", SimpleNamespace(compile_model=fail))
    with pytest.raises(PredictorError) as error:
        predictor.warm_up_first()
    assert said in str(error.value)
    assert ("AVX2" in str(error.value)) == (flags == {"sse2"})
    assert "--predictor eager" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_batch_waits_for_no_program_that_only_makes_it_faster() -> None:
    network, batch = random_network(), inputs(9)
    predictor = openvino_of(network, sizes=(1, 4, 8))
    predictor.warm_up_first()
    assert list(predictor.further_sizes) == [8]
    predictor(*inputs(4))
    assert not predictor.wanted_sizes
    before = predictor(*batch).copy()
    predictor(*inputs(8))
    assert list(predictor.wanted_sizes) == [8]
    predictor.warm_up_size(8)
    np.testing.assert_allclose(predictor(*batch), before, atol=1e-5)
    assert not predictor.further_sizes
    assert not predictor.wanted_sizes


def test_a_picture_of_one_level_is_the_same_to_the_bit_beside_one_of_many() -> None:
    predictor = openvino_of(random_network(), sizes=(2,))
    x, u, labels = inputs(2)
    u[0] = 0.3
    beside = predictor(x, u, labels)[0].copy()
    u[1] = 0.7
    np.testing.assert_array_equal(predictor(x, u, labels)[0], beside)


def test_the_light_way_needs_no_torch_and_calls_nobody(tmp_path: Path) -> None:
    path = write_model(tmp_path / "m.safetensors")
    home = tmp_path / "home"
    home.mkdir()
    program = f"""
import sys
def watch(event, arguments):
    if event in ("socket.connect", "socket.getaddrinfo", "os.fork", "subprocess.Popen"):
        print(event, arguments, file=sys.stderr)
sys.addaudithook(watch)
from pathlib import Path
import numpy as np
from diffusion_toy.model.checkpoint import load_model
from diffusion_toy.predictors.make import PredictorOptions, make_predictor
model = load_model(Path({str(path)!r}))
predictor = make_predictor(model, PredictorOptions(device="cpu", fixed_batch=1, threads=1))
predictor(np.zeros((1, 1, 28, 28), np.float32), np.zeros((1, 28, 28), np.float32), np.zeros(1, np.int64))
sys.exit("torch" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "HOME": str(home)},
        capture_output=True, text=True, timeout=170,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert not list(home.iterdir())  # where OpenVINO's telemetry would keep its number for this user


FREED_PROGRAM = """
import gc, os, pathlib, signal, sys
from diffusion_toy.model.checkpoint import load_model
from diffusion_toy.predictors.openvino import OpenVinoPredictor

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
model = load_model(pathlib.Path(sys.argv[1]))

def made():
    predictor = OpenVinoPredictor(model.config, model.weights, sizes=(1,), threads=1)
    predictor.warm_up_first()
    return predictor

first, second = made(), made()
del first
third = made()
del second, third
gc.collect()
try:
    os.kill(os.getpid(), signal.SIGINT)
except KeyboardInterrupt:
    print("interrupted")
"""


def test_a_signal_finds_its_stack_after_a_program_is_gone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", FREED_PROGRAM, str(SHIPPED_MODEL)],
        cwd=ROOT, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "interrupted\n"), done.stderr
