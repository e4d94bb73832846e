"""Who is admitted: the engines of one device share it, and what is promised is never exceeded."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from diffusion_toy.contract import messages as m
from inference_server.engine.admission import REST_S, Admission
from inference_server.engine.capacity import Capacity
from inference_server.engine.engine import Engine, EngineConfig
from inference_server.engine.errors import ServerFullError
from inference_server.engine.session import Displaced, Session
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


# --- who gives way ---


def pause(engine: Engine, *sessions: Session) -> None:
    for session in sessions:
        send(engine, session, m.Pause())
    engine.tick()


def crowd(engine: Engine, peer: str, count: int) -> list[Session]:
    return [engine.join(start(), peer=peer) for _ in range(count)]


def seats(engine: Engine) -> Counter[str]:
    return Counter(session.peer for session in engine.sessions.values())


@pytest.fixture
def small(tmp_path: Path) -> Engine:
    """An engine with four seats."""
    return engine_of(tiny_model(tmp_path), EngineConfig(4))


def test_a_seat_at_rest_gives_way_and_its_client_is_told_where_to_go_on(small: Engine) -> None:
    sessions = crowd(small, "class", 4)
    pause(small, sessions[1])
    at_rest = small.snapshots([sessions[1]])[0]
    with pytest.raises(ServerFullError):
        small.join(start(), peer="class")  # it has not rested for long
    for session in sessions:
        pause(small, session)
    small.skip_ticks(int(REST_S * small.tick_rate_hz))
    send(small, sessions[0], m.Play())
    small.tick()
    newcomer = small.join(start(), peer="class")
    assert small.find(sessions[1].id) is None  # who has rested longest
    told = small.tick()
    (event,) = [event for event in told.events if isinstance(event.message, Displaced)]
    assert event.session is sessions[1] is told.ended[0]
    snapshot = event.message.snapshot  # type: ignore[union-attr]
    assert (snapshot.session_id, snapshot.step) == (at_rest.session_id, at_rest.step)
    np.testing.assert_array_equal(snapshot.state, at_rest.state)
    small.leave(newcomer)
    assert small.restore(snapshot, peer="class").id == sessions[1].id


def test_who_comes_back_to_rest_takes_no_place_of_somebody_who_rests(small: Engine) -> None:
    """Else paused viewers would push each other out, one a minute, for ever."""
    sessions = crowd(small, "class", 4)
    pause(small, *sessions)
    snapshot = small.snapshots(sessions[:1])[0]
    small.skip_ticks(int(REST_S * small.tick_rate_hz))
    small.join(start(), peer="class")
    with pytest.raises(ServerFullError):
        small.restore(snapshot, peer="class")


def test_one_address_has_all_seats_while_nobody_waits_and_then_a_fair_share(small: Engine) -> None:
    crowd(small, "greedy", 4)
    crowd(small, "home", 2)  # though everybody plays
    assert seats(small) == {"greedy": 2, "home": 2}
    for peer in ("greedy", "home"):
        with pytest.raises(ServerFullError):
            small.join(start(), peer=peer)
    small.join(start(), peer="school")
    assert sorted(seats(small).values()) == [1, 1, 2]


def test_the_addresses_of_one_network_of_ipv6_have_one_share(small: Engine) -> None:
    for number in range(4):
        small.join(start(), peer=f"2001:db8::{number}")
    small.join(start(), peer="2001:db8:0:1::1")
    small.join(start(), peer="2001:db8:0:1::2")
    with pytest.raises(ServerFullError):
        small.join(start(), peer="2001:db8::5")
    theirs = [one for one in small.sessions.values() if one.peer.startswith("2001:db8::")]
    assert (len(theirs), len(small.sessions)) == (2, 4)


def test_who_opens_streams_without_end_takes_no_place_of_somebody_at_rest(small: Engine) -> None:
    honest = crowd(small, "home", 1)
    pause(small, *honest)
    crowd(small, "greedy", 3)
    small.skip_ticks(int(REST_S * small.tick_rate_hz))
    small.tick()  # of those who play
    with pytest.raises(ServerFullError):
        small.join(start(), peer="greedy")
    assert small.detach(honest[0])  # nor of somebody whose connection has just broken
    with pytest.raises(ServerFullError):
        small.join(start(), peer="greedy")
    assert seats(small) == {"home": 1, "greedy": 3}


def test_a_class_behind_one_address_fits(small: Engine) -> None:
    assert seats(small) == {}
    crowd(small, "school", 4)
    assert seats(small) == {"school": 4}


def test_sessions_at_rest_do_not_hold_capacity_for_ever(tmp_path: Path) -> None:
    engine = engine_of(tiny_model(tmp_path), EngineConfig(16, capacity=120))
    slow = [engine.join(start(steps_per_second=1.0), peer=f"home {n}") for n in range(6)]
    pause(engine, *slow)
    with pytest.raises(ServerFullError):
        engine.join(start(), peer="another")
    assert len(engine.sessions) == 6  # nobody has given way in vain
    engine.skip_ticks(int(REST_S * engine.tick_rate_hz))
    engine.join(start(), peer="another")
    assert len(engine.sessions) == 4  # three times 20 rows for 60
    assert engine.share.load <= 1
