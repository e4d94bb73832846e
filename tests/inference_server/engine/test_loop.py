"""The loop: what it counts, and that nobody waits for one that is over."""

from __future__ import annotations

from pathlib import Path

import pytest

from diffusion_toy.contract import messages as m
from inference_server.engine.engine import EngineConfig
from inference_server.engine.loop import EngineLoop
from inference_server.engine.roster import Roster
from inference_server.ops.monitoring import Load, Metrics
from tests.inference_server.engine.engines import engine_of, send, start
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


def test_commands_count_as_applied_or_rejected_by_what_the_engine_did(tmp_path: Path) -> None:
    engine, metrics = engine_of(tiny_model(tmp_path), EngineConfig(2, capacity=120.0)), Metrics(Load)
    loop = EngineLoop(Roster([engine]), lambda _: None, lambda _: None, metrics)
    session, _ = engine.join(start()), engine.join(start())
    too_much = m.SettingsChange(label=1, guidance=2.0)  # twice the rows that it has
    send(engine, session, m.Back(), m.Jump(step=5), m.Configure(too_much), m.Inject(None, 3.0))
    loop.run_once()
    send(engine, session, m.Pause(), at_step=0)  # too late
    loop.run_once()

    def count(kind: str, outcome: str) -> float | None:
        labels = {"kind": kind, "outcome": outcome}
        return metrics.registry.get_sample_value("diffusion_toy_commands_total", labels)

    rejected = ("back", "jump", "configure", "pause")
    assert [count(kind, "rejected") for kind in rejected] == [1, 1, 1, 1]
    assert [count(kind, "applied") for kind in rejected] == [None] * 4
    assert (count("inject", "applied"), count("inject", "rejected")) == (1, None)
