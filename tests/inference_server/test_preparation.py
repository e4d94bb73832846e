"""What is made ready while a server serves: its other models, and large batches."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from diffusion_toy.model.checkpoint import LoadedModel, load_model
from diffusion_toy.predictors.base import PredictorError
from inference_server.engine import calibration
from inference_server.engine.admission import Admission
from inference_server.engine.engine import Engine, EngineConfig
from inference_server.engine.loop import EngineLoop
from inference_server.engine.roster import Roster
from inference_server.ops.monitoring import Load, Metrics
from inference_server.preparation import Preparation
from tests.in_process import GaussianPredictor
from tests.models import write_model
from tests.tools import wait_for

HANGS_S = 60.0  # what comes at all comes long before


class Compiled(GaussianPredictor):
    """Takes as long to compile as the test likes, and says where it was compiled."""

    def __init__(self, model: LoadedModel, compile: Callable[[], object]) -> None:
        super().__init__((1, 28, 28), 10)
        self._compile, self.further_sizes = compile, (16, 32)
        self.wanted_sizes: tuple[int, ...] = ()
        self.threads: list[str] = []
        self.largest = 0

    def __call__(self, x: np.ndarray, u: np.ndarray, labels: np.ndarray) -> np.ndarray:
        self.largest = max(self.largest, len(x))
        return super().__call__(x, u, labels)

    def warm_up_first(self) -> None:
        self.threads.append(threading.current_thread().name)
        self._compile()

    def warm_up_size(self, size: int) -> None:
        self.threads.append(threading.current_thread().name)
        self.further_sizes = tuple(other for other in self.further_sizes if other != size)
        self.wanted_sizes = ()


@contextmanager
def prepared(
    folder: Path, compile_second: Callable[[], object]
) -> Iterator[tuple[Preparation, list[Engine], list[Exception]]]:
    """A preparation in the background, of two engines that are ticked."""
    admission = Admission()
    engines = []
    for name, compile_it in (("first", lambda: None), ("second", compile_second)):
        model = load_model(write_model(folder / f"{name}.safetensors"))
        engines.append(Engine(model, Compiled(model, compile_it), EngineConfig(40), admission))
    failures: list[Exception] = []
    roster = Roster(engines)
    loop = EngineLoop(roster, lambda _: None, failures.append, Metrics(Load))  # type: ignore[arg-type]
    thread = threading.Thread(target=loop.run)
    preparation = Preparation(roster, failures.append)
    preparation.make_first_ready()
    thread.start()
    preparation.start(loop)
    try:
        yield preparation, engines, failures
    finally:
        preparation.stop()
        loop.stop()
        thread.join()


def test_the_first_model_is_ready_at_once_and_the_second_when_it_is_compiled(tmp_path: Path) -> None:
    go_on = threading.Event()
    with prepared(tmp_path, lambda: go_on.wait(HANGS_S)) as (preparation, (first, second), failures):
        try:
            assert preparation.ready(first).done()
            assert first.share.capacity.rows_per_second is not None
            assert not preparation.ready(second).done()
            assert second.share.capacity.rows_per_second is None
        finally:
            go_on.set()
        preparation.ready(second).result(HANGS_S)
        assert second.share.capacity.rows_per_second is not None
    assert not failures


def test_programs_for_large_batches_are_compiled_once_there_are_such_and_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibration, "SHARE", math.inf)  # no tick takes too long, however busy the machine is
    with prepared(tmp_path, lambda: None) as (preparation, engines, failures):
        preparation.ready(engines[1]).result(HANGS_S)
        predictors: list[Compiled] = [engine.predictor for engine in engines]  # type: ignore[misc]
        for predictor in predictors:
            assert predictor.largest == 32
            predictor.largest = 0
        predictors[0].wanted_sizes = (16,)
        wait_for(lambda: predictors[0].largest == 32, "another measurement")
        assert [predictor.further_sizes for predictor in predictors] == [(32,), (16, 32)]
        assert not engines[0].sessions
    assert not failures
    main, background = threading.current_thread().name, "preparation"
    assert [predictor.threads for predictor in predictors] == [[main, background], [background]]


def test_a_model_that_cannot_be_run_ends_the_wait_for_it(tmp_path: Path) -> None:
    def fail() -> None:
        raise PredictorError("no such layer")

    with prepared(tmp_path, fail) as (preparation, (_, second), failures):
        with pytest.raises(PredictorError, match="no such layer"):
            preparation.ready(second).result(HANGS_S)
        assert [str(failure) for failure in failures] == ["no such layer"]


def test_it_can_be_stopped_before_it_is_done(tmp_path: Path) -> None:
    began = threading.Event()
    go_on = threading.Event()

    def compile_slowly() -> None:
        began.set()
        go_on.wait(HANGS_S)

    with prepared(tmp_path, compile_slowly) as (preparation, (_, second), failures):
        assert began.wait(HANGS_S)
        stopping = threading.Thread(target=preparation.stop)
        stopping.start()
        wait_for(preparation._stopping.is_set, "the stop")
        assert not preparation.ready(second).done()
        go_on.set()
        stopping.join(HANGS_S)
        assert not stopping.is_alive()
        assert second.predictor.further_sizes == (16, 32)
        assert preparation.ready(second).result(0) is None  # nobody waits for it in vain
    assert not failures


def further(folder: Path, compile_it: Callable[[], object]) -> Engine:
    """Return an engine that comes while the others serve."""
    model = load_model(write_model(folder / "further.safetensors"))
    return Engine(model, Compiled(model, compile_it), EngineConfig(40))


def test_a_model_that_comes_later_is_compiled_and_measured_beside_the_others(tmp_path: Path) -> None:
    with prepared(tmp_path, lambda: None) as (preparation, _, failures):
        engine = further(tmp_path, lambda: None)
        preparation.prepare(engine).result(HANGS_S)
        assert engine.share.capacity.rows_per_second is not None
        assert preparation.ready(engine).done()
    assert engine.predictor.threads == ["preparation"]  # type: ignore[attr-defined]
    assert not failures


def test_one_that_cannot_be_run_is_told_to_who_asked_and_ends_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        raise PredictorError("no such layer")

    with prepared(tmp_path, lambda: None) as (preparation, _, failures):
        with pytest.raises(PredictorError, match="no such layer"):
            preparation.prepare(further(tmp_path, fail)).result(HANGS_S)
        preparation.prepare(further(tmp_path, lambda: None)).result(HANGS_S)
    assert not failures
