"""The loop's ends: nobody waits for one that is over."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference_server.engine.engine import EngineConfig
from inference_server.engine.loop import EngineLoop
from inference_server.engine.roster import Roster
from inference_server.ops.monitoring import Load, Metrics
from tests.inference_server.engine.engines import engine_of
from tests.models import tiny_model


@pytest.mark.parametrize("fails", [False, True])
def test_a_call_to_a_loop_that_has_ended_is_answered(tmp_path: Path, fails: bool) -> None:
    engine = engine_of(tiny_model(tmp_path), EngineConfig(2))
    failures: list[BaseException] = []
    loop = EngineLoop(Roster([engine]), lambda _: None, failures.append, Metrics(Load))
    if fails:
        loop.post(lambda: 1 / 0)  # type: ignore[arg-type]
    else:
        loop.stop()
    loop.run()
    assert [type(failure) for failure in failures] == [ZeroDivisionError] * fails
    assert loop.call(lambda: 5).result(1) == 5
