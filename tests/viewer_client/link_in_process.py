"""A link to a session of a server within the process, which counts its delays in ticks.

It is to `TickedServer` what `Connection` is to a real server: the inbox and the numbering of commands are
those of the viewer, the transport and the threads are left out.
"""

from __future__ import annotations

from collections import deque

from diffusion_toy.contract import messages as m
from diffusion_toy.contract import wire
from inference_server.streams.status import Status as Ended
from inference_server.streams.stream import BrokenStreamError
from tests.in_process import TICK_RATE_HZ, InProcess, TickedServer
from viewer_client.link.backlog import ResumableSession
from viewer_client.link.inbox import Inbox
from viewer_client.link.status import Phase, Statistics, Status


class LinkInProcess:
    """One session, and the way to it.

    Attributes:
        start: what it was opened with.
        late: how many ticks a command takes to the server; frames come back at once.
        at_a_time: how many commands arrive in a tick at most.
        sent: all commands, with their `at_step`.
        applied: by the commands' sequences, the step at which each was applied.
        rejected: the sequences of the commands that the server has refused.
        ended: the link was closed; `kept` if the session was not to end with it.
        full: the server had no room.
    """

    def __init__(self, server: TickedServer, start: m.Start, late: int = 2) -> None:
        self.start, self.late, self.at_a_time = start, late, 1000
        self.statistics = Statistics()
        self.statistics.round_trip_ms = late * 1000 / TICK_RATE_HZ
        self.status = Status(Phase.CONNECTING)
        self.sent: list[tuple[m.Command, int | None]] = []
        self.applied: dict[int, int] = {}
        self.rejected: list[int] = []
        self.ended = self.kept = self.full = False
        self._server, self._inbox, self._resumable = server, Inbox(), ResumableSession()
        self._welcome: m.Welcome | None = None
        self._last_sequence = 0
        self._on_its_way: deque[tuple[int, m.Request]] = deque()  # from which tick on it may arrive
        self._stream = self._begin(start)

    def _begin(self, start: m.Start) -> InProcess:
        self._inbox.begin_stream()
        self._on_its_way.clear()
        stream = self._server.open()
        stream.send(self._resumable.begin(start, m.WINDOW_MAX))
        return stream

    # --- as a viewer sees it ---

    @property
    def recent(self) -> list[m.Frame]:
        return self._inbox.recent

    @property
    def resume_token(self) -> m.ResumeToken | None:
        return self._resumable.backlog.newest

    def take(self) -> list[m.Response]:
        return self._inbox.take()

    def send(self, command: m.Command, at_step: int | None = None, *, ahead: bool = False) -> int | None:
        if not self.status.live:
            return None
        self.sent.append((command, at_step))
        request = self._resumable.command(command, at_step)
        self._on_its_way.append((self._server.ticks + self.late, request))
        self._last_sequence = request.sequence
        return request.sequence

    def try_again(self) -> None:
        raise AssertionError("nothing here is lost for want of another try")

    def drawn(self, frame: m.Frame) -> None:
        if self._inbox.may_acknowledge(frame):
            self._stream.send(m.Request(m.Acknowledge(frame.number)))

    def take_over(self, token: m.ResumeToken) -> None:
        self._stream.end(None)
        self._resumable.backlog.clear()
        self._resumable.token(token)
        self.status = Status(Phase.CONNECTING)
        self._stream = self._begin(self.start)

    def close(self, *, keep_session: bool = False) -> None:
        """Close the link; a thread of its own may do so, and the next `deliver` tells the server."""
        self.kept = keep_session
        self.ended = True

    # --- what a test does and sees ---

    def lose(self, sentence: str) -> None:
        """Break the connection."""
        self.status = Status(Phase.LOST, sentence, 1)
        self._stream.end(BrokenStreamError())

    def come_back(self) -> None:
        """Connect again after a loss; the session is resumed, if the server still has it."""
        self.status = Status(Phase.CONNECTING)
        self._stream = self._begin(self.start)

    @property
    def step(self) -> int:
        """Return the step of the newest frame, 0 before the first."""
        return self.recent[-1].step if self.recent else 0

    @property
    def idle(self) -> bool:
        """Say whether the newest frame is that of an idle session."""
        return bool(self.recent) and self.recent[-1].idle

    @property
    def under_way(self) -> bool:
        """Say whether no frame shows the last command yet."""
        return not self.recent or self.recent[-1].applied_sequence < self._last_sequence

    def deliver(self) -> None:
        """Hand the server the commands whose time has come; called before its tick."""
        if self.ended and self.status.live:
            self.status = Status(Phase.CLOSED)
            self._stream.end(BrokenStreamError() if self.kept else None)
        left = self.at_a_time
        while self.status.live and self._on_its_way and self._on_its_way[0][0] <= self._server.ticks and left:
            left -= 1
            self._stream.send(self._on_its_way.popleft()[1])

    def collect(self) -> None:
        """Take in what the server has sent; called after its tick."""
        for message in self._stream.arrived():
            response = wire.response_from_proto(message, self._welcome.model if self._welcome else None)
            match response:
                case m.Frame():
                    self.applied.update({one.sequence: one.step for one in response.applied})
                    self._inbox.add_frame(response)
                case m.Welcome():
                    for request in self._resumable.welcomed(
                        response.applied_sequence, resumed=response.resumed
                    ):
                        self._stream.send(request)
                    self._welcome, self.status = response, Status(Phase.LIVE)
                    self._inbox.add_event(response)
                case m.ResumeToken():
                    self._resumable.token(response)
                case m.Rejected():
                    self.rejected.append(response.sequence)
                    self._inbox.add_event(response)
                case m.Schedule():
                    self._inbox.add_event(response)
        failure = self._server.ended(self._stream)
        if failure is not None and not self.ended:
            status, sentence = failure
            self.full = status is Ended.RESOURCE_EXHAUSTED
            self.status = Status(Phase.LOST, sentence, 1)
