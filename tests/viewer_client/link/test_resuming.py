"""Sessions go on where they were when their stream breaks, and end when they should."""

from __future__ import annotations

import time
from typing import Any

import grpc
import pytest

from diffusion_toy.contract import messages as m
from diffusion_toy.contract import wire
from diffusion_toy.v1 import denoise_pb2 as pb
from tests.inference_server.faults import Relay
from tests.tools import wait_for
from tests.viewer_client.frames import WELCOME
from tests.viewer_client.link.dialogue import Faulty, frames_of, has_applied, has_token, live, send
from tests.viewer_client.link.resumable import End, Resumable, serving
from viewer_client.link import transport
from viewer_client.link.status import Phase


@pytest.mark.parametrize("moving", [False, True])
def test_after_a_broken_stream_the_session_goes_on_and_no_command_is_lost(connect: Any, moving: bool) -> None:
    service = Resumable()
    with serving(service) as address:
        connection = connect(address, m.Start(seed=5))
        session = live(connection).session_id
        sent = send(connection, 3)
        has_applied(service, session, sent)
        has_token(connection)
        service.deaf = True
        sent += send(connection, 4)  # on their way when the stream breaks
        time.sleep(0.05)
        service.deaf = False
        service.end = End(grpc.StatusCode.UNAVAILABLE, "the server is restarting", moving)
        welcome = live(connection)
        assert (welcome.session_id, welcome.resumed) == (session, True)
        assert connection.statistics.resumed == 1
        has_applied(service, session, sent)
        sent += send(connection, 2)
        has_applied(service, session, sent)
    assert sent == list(range(2, 11))
    assert service.starts[1].sequence == 0
    assert isinstance(start := service.starts[1].body, m.Start)
    assert start.seed is None


def test_another_server_behind_the_same_address_goes_on_with_the_session(connect: Any) -> None:
    first, second = Resumable(), Resumable()
    with serving(first) as address:
        connection = connect(address)
        session = live(connection).session_id
        has_token(connection)
        last = frames_of(connection, 1)[-1]
        first.deaf = True
        sent = send(connection, 3)
    with serving(second, int(address.rpartition(":")[2])):
        assert live(connection).resumed
        has_applied(second, session, sent)
        frame = frames_of(connection, 3)[-1]
        assert frame.step > last.step - 20
        assert frame.number < frame.step  # numbers begin again, steps do not


def test_a_server_that_hangs_is_noticed_though_its_kernel_still_answers(
    connect: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "SILENCE_MS", 500)
    monkeypatch.setattr(transport, "PING_TIMEOUT_MS", 500)
    with serving(Resumable()) as address, Relay(int(address.rpartition(":")[2])) as relay:
        connection = connect(relay.address)
        assert not live(connection).resumed
        relay.stalled.set()
        wait_for(lambda: connection.status.phase is Phase.LOST, "the silence to be noticed")
        relay.stalled.clear()
        relay.cut()
        assert live(connection).session_id


def test_a_farewell_is_shown_while_there_is_no_server(connect: Any) -> None:
    service = Resumable()
    with serving(service) as address:
        connection = connect(address)
        live(connection)
        service.end = End(grpc.StatusCode.UNAVAILABLE, "back in a minute", moving=True)
        wait_for(lambda: connection.statistics.resumed == 1, "the return")
        sentences = set()
        service.end = End(grpc.StatusCode.UNAVAILABLE, "back in a minute", moving=True)
        service.refusal = grpc.StatusCode.UNAVAILABLE  # until it is really back

        def seen() -> bool:
            sentences.add(connection.status.sentence)
            return connection.status.attempt >= 3

        wait_for(seen, "some tries")
        assert "back in a minute" in sentences
        service.refusal = None
        assert live(connection).resumed


@pytest.mark.parametrize("code", [grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAUTHENTICATED])
def test_when_the_token_is_refused_a_new_session_begins(connect: Any, code: grpc.StatusCode) -> None:
    service = Resumable(refusal=code)
    with serving(service) as address:
        connection = connect(address, m.Start(seed=5))
        session = live(connection).session_id
        send(connection, 2)
        has_token(connection)
        service.end = End(grpc.StatusCode.UNAVAILABLE)
        welcome = live(connection)
        assert welcome.session_id != session
        assert not welcome.resumed
        assert connection.statistics.resumed == 0
        has_applied(service, welcome.session_id, send(connection, 1))
    bodies = [first.body for first in service.starts]
    assert [isinstance(b, m.Start) and (b.seed, bool(b.resume_token)) for b in bodies] == [
        (5, False),
        (None, True),
        (5, False),
    ]


def test_without_a_token_a_lost_session_begins_anew(connect: Any) -> None:
    service = Resumable(tokens=False)
    with serving(service) as address:
        connection = connect(address, m.Start(seed=5))
        session = live(connection).session_id
        send(connection, 1)
        service.end = End(grpc.StatusCode.UNAVAILABLE)
        welcome = live(connection)
        assert welcome.session_id != session
        assert send(connection, 1) == [2]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (grpc.StatusCode.ABORTED, "another window has taken over this session"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "nothing was done in it for a long time"),
    ],
)
def test_what_only_the_user_can_undo_waits_for_the_user(
    connect: Any, code: grpc.StatusCode, words: str
) -> None:
    service = Resumable()
    with serving(service) as address:
        connection = connect(address)
        session = live(connection).session_id
        has_token(connection)
        service.end = End(code, "as it is")
        wait_for(lambda: connection.status.phase is Phase.REFUSED, "the refusal")
        assert words in connection.status.sentence
        assert connection.send(m.Pause()) is None
        time.sleep(0.1)
        assert len(service.starts) == 1
        connection.try_again()
        assert live(connection).session_id == session


def test_a_session_that_was_left_for_another_says_nothing_more(connect: Any) -> None:
    service = Resumable()
    with serving(service) as address:
        left, other = connect(address), connect(address)
        names = [live(one).session_id for one in (left, other)]
        has_token(other)
        other.close(keep_session=True)
        has_token(left)
        left.take_over(other.resume_token)
        assert left.send(m.Pause()) is None
        welcome = live(left)  # tokens of the old session that still came in would have led back to it
        assert (welcome.session_id, welcome.resumed) == (names[1], True)
        wait_for(lambda: names[0] in service.left, "the old session to be ended")


def test_closing_ends_the_session_instead_of_leaving_it_to_wait(connect: Any) -> None:
    service = Resumable()
    with serving(service) as address:
        connection = connect(address)
        session = live(connection).session_id
        connection.close()
        assert service.left == [session]
        assert connection.status.phase is Phase.CLOSED


def test_one_who_watches_sends_nothing_and_comes_back_to_watch(connect: Any) -> None:
    service = Resumable()
    with serving(service) as address:
        connection = connect(address, m.Start(watch="them"))
        assert live(connection).watching
        frames_of(connection, 12)  # and a token
        assert connection.send(m.Pause()) is None
        service.end = End(grpc.StatusCode.UNAVAILABLE)
        assert live(connection).watching
        assert [isinstance(s.body, m.Start) and s.body.watch for s in service.starts] == ["them", "them"]
        service.end = End(grpc.StatusCode.OK)
        wait_for(lambda: connection.status.phase is Phase.REFUSED, "the end")
        assert connection.status.sentence == "the session is over"


def test_one_who_watches_waits_for_an_owner_who_is_about_to_return(faulty: Any, connect: Any) -> None:
    welcome = wire.welcome_to_proto(WELCOME)
    welcome.watching = True
    service = Faulty([pb.DenoiseResponse(welcome=welcome)], grpc.StatusCode.UNAVAILABLE, "restarting")
    connection = connect(faulty(service), m.Start(watch="them"))
    assert live(connection).watching
    service.responses, service.code, service.text = [], grpc.StatusCode.NOT_FOUND, "there is no session"
    wait_for(lambda: connection.status.sentence == "there is no session", "a try")
    assert connection.status.phase is Phase.LOST
