"""What the server takes in of streams and addresses. Time is passed in; nothing waits."""

from __future__ import annotations

import pytest

from diffusion_toy.contract import messages as m
from diffusion_toy.contract import wire
from inference_server.streams import intake
from inference_server.streams.intake import Intake, PeerRate, cost_of
from inference_server.streams.status import Status, StreamError

SECONDS, NEIGHBOURS = 10.0, 20


def test_a_viewer_is_read_at_once_beside_twenty_who_send_all_they_can() -> None:
    whole = Intake(m.Limits())
    floods = [whole.stream(0.0) for _ in range(NEIGHBOURS)]
    viewer = whole.stream(0.0)
    next_of = [0.0] * NEIGHBOURS  # when each flood sends its next message: as soon as the last was read
    taken, waits = 0, list[float]()
    for tick in range(int(60 * SECONDS)):
        now = tick / 60
        for number, flood in enumerate(floods):
            while next_of[number] <= now:
                next_of[number] = max(next_of[number], now) + flood.request_wait_s(now)
                taken += 1
        waits.append(viewer.request_wait_s(now))  # it paints all the time
    assert max(waits) == 0
    at_once = NEIGHBOURS * intake.SURE_AT_ONCE + intake.SHARED_PER_SECOND
    most = at_once + SECONDS * (NEIGHBOURS * intake.SURE_PER_SECOND + intake.SHARED_PER_SECOND)
    assert taken <= most + NEIGHBOURS
    assert max(next_of) - min(next_of) < 1, "they do not take turns"


def test_what_costs_the_server_more_counts_for_more() -> None:
    linear, label = m.SettingsChange(schedule=m.ScheduleName.LINEAR), m.SettingsChange(label=1)
    costly = m.Restart(), m.Jump(step=1), m.Configure(linear), m.Configure(m.SettingsChange(num_time_steps=9))
    for command in costly:
        assert cost_of(wire.request_to_proto(m.Request(command, 1))) == intake.COSTLY
    for command in (m.Inject(None, 1.0), m.Pause(), m.Step(), m.Configure(label)):
        assert cost_of(wire.request_to_proto(m.Request(command, 1))) == 1
    whole = Intake(m.Limits())
    flood, viewer = whole.stream(0.0), whole.stream(0.0)
    sure = int(intake.SURE_AT_ONCE / intake.COSTLY)
    assert all(flood.request_wait_s(0.0, intake.COSTLY) == 0 for _ in range(sure))
    shared = int(intake.SHARED_PER_SECOND / intake.COSTLY)
    assert all(flood.request_wait_s(0.0, intake.COSTLY) == 0 for _ in range(shared))
    assert flood.request_wait_s(0.0, intake.COSTLY) > 0
    assert viewer.request_wait_s(0.0) == 0


def test_refusals_are_slowed_down_and_in_the_end_close_the_stream() -> None:
    stream = Intake(m.Limits()).stream(0.0)
    now, answered = 0.0, 0

    def err_on() -> None:
        nonlocal now, answered
        while answered < 100_000:
            now += stream.refusal_wait_s(now, "jump.step 9 is outside 0…3")
            answered += 1

    with pytest.raises(StreamError, match=r"refused commands came faster.*jump\.step") as caught:
        err_on()
    assert caught.value.status is Status.RESOURCE_EXHAUSTED
    assert answered == intake.REFUSED_AT_ONCE + intake.REFUSED_IN_A_ROW_MAX
    assert answered <= intake.REFUSED_AT_ONCE + intake.REFUSED_PER_SECOND * (now + 1)


def test_who_errs_now_and_then_is_never_sent_away() -> None:
    stream = Intake(m.Limits()).stream(0.0)
    assert all(stream.refusal_wait_s(second / 10, "why") == 0 for second in range(20_000))


def test_each_address_has_a_rate_of_its_own() -> None:
    rate = PeerRate("calls", 2.0, 4.0)
    for _ in range(4):
        rate.check("192.0.2.1", 0.0)
    with pytest.raises(StreamError, match="more than 2 calls a second"):
        rate.check("192.0.2.1", 0.0)
    rate.check("192.0.2.2", 0.0)
    rate.check("192.0.2.1", 0.5)


def test_only_so_many_addresses_are_remembered() -> None:
    rate = PeerRate("calls", 2.0, 4.0)
    for number in range(3 * intake.ADDRESSES_MAX):
        rate.check(str(number), 0.0)
    assert len(rate._buckets) == intake.ADDRESSES_MAX


def test_watchers_share_a_rate_and_are_counted() -> None:
    whole = Intake(m.Limits())
    now = sent = 0.0
    while now < SECONDS:
        now += whole.watched.reserve(now)
        sent += 1
    assert sent <= intake.WATCHED_AT_ONCE + intake.WATCHED_PER_SECOND * SECONDS + 2
    held = [whole.watcher() for _ in range(intake.WATCHERS_MAX)]
    for one in held:
        one.__enter__()
    with pytest.raises(StreamError, match="which is the limit"), whole.watcher():
        pass
    held[0].__exit__(None, None, None)
    with whole.watcher():
        pass
