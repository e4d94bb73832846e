"""What is kept so that nothing is lost with a stream, and what is sent again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from diffusion_toy.contract import messages as m
from viewer_client.link.backlog import Backlog, ResumableSession


def inject(sequence: int, at_step: int | None = None) -> m.Request:
    return m.Request(m.Inject(None, 1.0), sequence, at_step)


def token(sequence: int) -> m.ResumeToken:
    return m.ResumeToken(b"t%d" % sequence, sequence)


def sequences(requests: list[m.Request]) -> list[int]:
    return [request.sequence for request in requests]


def test_what_is_above_the_applied_sequence_is_sent_again_in_order() -> None:
    backlog = Backlog()
    for sequence in (2, 3, 5):
        backlog.sent(inject(sequence, at_step=10 * sequence))
    assert backlog.resend(2) == [inject(3, at_step=30), inject(5, at_step=50)]
    assert backlog.resend(5) == []
    assert sequences(backlog.resend(0)) == [2, 3, 5]  # all are kept: no token has them


def test_what_is_in_a_token_is_not_kept() -> None:
    backlog = Backlog()
    for sequence in (2, 3, 4):
        backlog.sent(inject(sequence))
    backlog.token(token(3))
    assert backlog.newest == token(3)
    assert sequences(backlog.resend(0)) == [4]


def test_the_oldest_go_when_there_are_too_many_and_are_counted() -> None:
    backlog = Backlog(limit=3)
    for sequence in range(2, 8):
        backlog.sent(inject(sequence))
    assert sequences(backlog.resend(0)) == [5, 6, 7]
    assert (backlog.dropped, len(backlog)) == (3, 3)


def test_clearing_forgets_the_session() -> None:
    backlog = Backlog()
    backlog.sent(inject(2))
    backlog.token(token(1))
    backlog.clear()
    assert backlog.newest is None
    assert backlog.resend(0) == []


@given(st.lists(st.sampled_from(("command", "apply", "token", "break")), max_size=60))
def test_whenever_streams_break_every_command_is_applied_once_and_in_order(events: list[str]) -> None:
    """Against a server that has applied some of what was sent, and goes on from the token it made last."""
    client, server, on_the_way, in_token = ResumableSession(), [1], [], [1]
    client.begin(m.Start(), 4)
    client.welcomed(1, resumed=False)
    client.token(token(1))
    sent = 1

    def apply(count: int) -> None:
        for sequence in on_the_way[:count]:
            if sequence > server[-1]:  # as the protocol demands
                server.append(sequence)
        del on_the_way[:count]

    for event in [*events, "break"]:
        match event:
            case "command":
                sent = client.command(m.Pause()).sequence
                on_the_way.append(sent)
            case "apply":
                apply(1)
            case "token":
                in_token = list(server)
                client.token(token(server[-1]))
            case "break":
                server = list(in_token)
                assert client.begin(m.Start(), 4).sequence == 0
                on_the_way = sequences(client.welcomed(server[-1], resumed=True))
    apply(len(on_the_way))
    assert server == list(range(1, sent + 1))


def test_a_stream_begins_with_the_token_if_there_is_one() -> None:
    resumable, start = ResumableSession(), m.Start(seed=5)
    assert resumable.begin(start, 8) == m.Request(m.Start(seed=5, window=8), 1)
    assert not resumable.resuming
    resumable.welcomed(1, resumed=False)
    assert resumable.command(m.Pause()).sequence == 2
    resumable.token(token(2))
    assert resumable.begin(start, 6) == m.Request(m.Start(resume_token=b"t2", window=6), 0)
    assert resumable.resuming


def test_numbers_go_on_where_the_session_does() -> None:
    resumable = ResumableSession()
    resumable.begin(m.Start(), 4)
    resumable.welcomed(1, resumed=False)
    resumable.token(token(1))
    assert [resumable.command(m.Pause()).sequence for _ in range(3)] == [2, 3, 4]
    resumable.begin(m.Start(), 4)
    assert sequences(resumable.welcomed(3, resumed=True)) == [4]
    assert resumable.command(m.Pause()).sequence == 5


def test_a_server_that_does_not_resume_gets_a_session_from_the_beginning() -> None:
    resumable = ResumableSession()
    resumable.begin(m.Start(), 4)
    resumable.welcomed(1, resumed=False)
    resumable.command(m.Pause())
    resumable.token(token(1))
    resumable.begin(m.Start(), 4)
    assert resumable.welcomed(0, resumed=False) == []
    assert resumable.backlog.newest is None
    assert resumable.command(m.Pause()).sequence == 2


def test_one_who_watches_never_takes_the_session_over() -> None:
    resumable, start = ResumableSession(), m.Start(watch="s")
    resumable.begin(start, 4)
    resumable.token(token(3))
    assert resumable.begin(start, 4) == m.Request(m.Start(watch="s", window=4), 1)
    assert not resumable.resuming
