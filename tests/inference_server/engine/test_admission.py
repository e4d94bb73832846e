"""Who is admitted: the engines of one device share it, and what is promised is never exceeded."""

from __future__ import annotations

from pathlib import Path

import pytest

from diffusion_toy.contract import messages as m
from inference_server.engine.admission import Admission
from inference_server.engine.capacity import Capacity
from inference_server.engine.engine import Engine, EngineConfig
from inference_server.engine.errors import ServerFullError
from tests.inference_server.engine.engines import engine_of, send, start
from tests.models import tiny_model


def two_engines(folder: Path, *, slots: int = 8) -> tuple[Admission, Engine, Engine]:
    """Engines on one device, of which the second is twice as fast."""
    admission, model = Admission(), tiny_model(folder)
    slow, fast = (
        engine_of(model, EngineConfig(slots, capacity=rows), admission=admission) for rows in (120, 240)
    )
    return admission, slow, fast


def test_engines_of_one_device_share_what_it_can_do(tmp_path: Path) -> None:
    admission, slow, fast = two_engines(tmp_path)
    slow.join(start())
    fast.join(start())
    fast.join(start())
    assert admission.load == pytest.approx(60 / 120 + 120 / 240)
    for engine in (slow, fast):
        with pytest.raises(ServerFullError, match="serves 3 sessions"):
            engine.join(start())


def test_the_figures_say_what_is_promised_and_what_is_asked_for(tmp_path: Path) -> None:
    admission, slow, fast = two_engines(tmp_path)
    guided = slow.join(start(label=1, guidance=3.0, steps_per_second=30.0))
    first, second = admission.figures(0.0)
    given = m.CapacityInfo(120, m.CapacitySource.GIVEN, None)
    assert (first.capacity, first.demand, first.load) == (given, 60, 0.5)
    assert (second.demand, second.load) == (0, 0)
    send(slow, guided, m.Configure(m.SettingsChange(guidance=1.0)))
    slow.tick()
    assert admission.load == 0.25
    slow.leave(guided)
    slow.leave(guided)
    assert (admission.load, admission.num_sessions) == (0, 0)
    assert fast.share.demand == 0


def test_a_session_of_one_engine_gives_way_to_a_newcomer_of_another(tmp_path: Path) -> None:
    admission, slow, fast = two_engines(tmp_path)
    waiting = slow.join(start())
    slow.join(start())
    with pytest.raises(ServerFullError):
        fast.join(start())
    slow.detach(waiting)
    fast.join(start())
    assert slow.find(waiting.id) is None
    assert admission.load <= 1


def test_nobody_gives_way_where_it_would_not_help(tmp_path: Path) -> None:
    admission, slow, fast = two_engines(tmp_path, slots=1)
    slow.detach(slow.join(start(steps_per_second=30.0)))
    fast.join(start())
    with pytest.raises(ServerFullError):  # there is no slot, and the other engine's are of no use
        fast.join(start(steps_per_second=1.0))
    assert admission.num_sessions == 2


def test_what_is_said_to_be_admitted_is_never_more_than_the_seats() -> None:
    assert Capacity(100_000.0, 60.0, 64).sessions_at(60.0) == 64
    assert Capacity(150.0, 60.0, 64).sessions_at(60.0) == 2
    assert Capacity(10.0, 60.0, 64).sessions_at(60.0) == 1
