"""A session that comes back when it is lost, in a thread of its own, so that the window never waits.

`Connection` opens streams (`transport`), tries again when the server is away, and goes on with the session
where it was. The window takes the newest frame, acknowledges it when it is drawn, and sends commands.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace

from grpc import StatusCode

from diffusion_toy.contract import messages as m
from diffusion_toy.errors import DiffusionToyError
from viewer_client.link.address import Endpoint
from viewer_client.link.backlog import ResumableSession
from viewer_client.link.failures import Failure
from viewer_client.link.inbox import Inbox
from viewer_client.link.status import FRAME_RATE_HZ, Phase, Retries, Statistics, Status, window_for
from viewer_client.link.transport import ANSWER_TIMEOUT_S, Stream, StreamEndedError, Transport

LEAVE_S = 1.0  # for the server to end a session that is over
PING_PERIOD_S = 2.0


class Connection:
    """A session that comes back when it is lost.

    Args:
        make_start: called in the connection's thread before each try. A start with a token and a seed
            branches; from its first token on, the branch goes on as a session of its own.
        clock: seconds, monotonic.

    Attributes:
        full: the last try was turned away because the server has no room.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        make_start: Callable[[], m.Start],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.endpoint, self._make_start, self._clock = endpoint, make_start, clock
        self.statistics = Statistics()
        self.full = False
        self._lock = threading.Lock()
        self._status = Status(Phase.CONNECTING, f"looking for {endpoint}")
        self._inbox = Inbox()
        self._transport: Transport | None = None
        self._stream: Stream | None = None
        self._counts = False  # what comes in on the stream counts: nobody has switched to another session
        self._resumable = ResumableSession()
        self._resuming = False  # the present try goes on with a session
        self._switching = False  # to another session, as it was asked to
        self._watching = False
        self._watched = False  # the session is there, or was
        self._live_since = 0.0
        self._farewell = ""  # of a server that shuts down
        self._next_ping = 0.0
        self._closing = threading.Event()
        self._wake = threading.Event()  # ends a wait between two tries
        self._thread = threading.Thread(target=self._run, name="connection", daemon=True)

    def open(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def close(self, *, keep_session: bool = False) -> None:
        """End the thread, and the session unless somebody is to go on with it."""
        self._closing.set()
        self._wake.set()
        with self._lock:
            leaving = self._stream is not None and self._counts and not keep_session
            if self._stream is not None and leaving:
                self._stream.finish()
        if self._thread.is_alive() and leaving:
            self._thread.join(LEAVE_S)
        with self._lock:
            if self._stream is not None:
                self._stream.cancel()
        if self._thread.is_alive():
            self._thread.join(ANSWER_TIMEOUT_S)

    # --- for the window; none of it waits ---

    @property
    def status(self) -> Status:
        """Return where the connection is now."""
        return self._status

    def try_again(self) -> None:
        """Try at once, also after a refusal."""
        self._wake.set()

    def take(self) -> list[m.Response]:
        """Return what has come in since the last call: at most one frame, the newest, at the end."""
        self._ping()
        with self._lock:
            return self._inbox.take()

    @property
    def recent(self) -> list[m.Frame]:
        """Return the newest frames of this stream, oldest first, also those that were never taken."""
        with self._lock:
            return self._inbox.recent

    @property
    def resume_token(self) -> m.ResumeToken | None:
        """Return the newest token, None before the first."""
        with self._lock:
            return self._resumable.backlog.newest

    def take_over(self, token: m.ResumeToken) -> None:
        """End the present session, and go on with the one of this token in its place."""
        with self._lock:
            self._resumable.backlog.clear()
            self._resumable.token(token)
            self._switching = self._counts
            if self._stream is not None and self._counts:
                self._stream.finish()
                self._counts = False  # nothing that still comes in
        self._wake.set()

    def send(self, command: m.Command, at_step: int | None = None, *, ahead: bool = False) -> int | None:
        """Send a command and return its sequence; None, and the command is dropped, without a session.

        A command that has a sequence arrives, if need be on a later stream of the same session. One that is
        sent `ahead` waits for its turn at the server: how long it takes to be applied is not measured.
        """
        with self._lock:
            stream = self._stream
            if stream is None or not self._counts or not self._status.live or self._watching:
                return None
            request = self._resumable.command(command, at_step)
            if isinstance(command, m.Inject) and at_step is None and not ahead:
                self.statistics.latency.sent(request.sequence, self._clock())
            stream.send(request)
            return request.sequence

    def drawn(self, frame: m.Frame) -> None:
        """Acknowledge a frame: it is on the screen."""
        with self._lock:
            if self._stream is not None and self._counts and self._inbox.may_acknowledge(frame):
                self._stream.send(m.Request(m.Acknowledge(frame.number)))

    def _ping(self) -> None:
        """Measure the round trip now and then, by a call that is answered at once."""
        now = self._clock()
        with self._lock:
            if self._transport is None or now < self._next_ping:
                return
            self._next_ping = now + PING_PERIOD_S
            self._transport.ping(lambda: self._pinged(now))

    def _pinged(self, sent: float) -> None:
        self.statistics.round_trip_ms = (self._clock() - sent) * 1000

    # --- the thread ---

    def _run(self) -> None:
        try:
            self._try_until_closed()
        finally:
            self._status = Status(Phase.CLOSED)

    def _try_until_closed(self) -> None:
        retries = Retries()
        while not self._closing.is_set():
            self._wake.clear()
            failure = self._try()
            if self._closing.is_set():
                break
            if self._switching:
                self._switching, self._status = False, Status(Phase.CONNECTING)
                continue
            if self._status.live:
                retries.lasted(self._clock() - self._live_since)
            delay_s = retries.next_s()
            with self._lock:
                if failure.new_session:
                    self._resumable.backlog.clear()
                phase = Phase.LOST if failure.again else Phase.REFUSED
                self._status = Status(phase, failure.sentence, retries.attempt)
            if failure.again:
                self._wake.wait(delay_s)
            else:
                self._wake.wait()
                retries = Retries()

    def _try(self) -> Failure:
        """Run one stream from start to end; return why it ended."""
        try:
            self._run_stream()
        except StreamEndedError as error:
            return self._explain(error)
        except DiffusionToyError as error:  # what it sent makes no sense
            sentence = f"{self.endpoint.address} sent what cannot be read: {error}"
            return Failure(sentence, again=False, new_session=True)
        over = self._watching
        return Failure("the session is over" if over else "the server ended the session", not over)

    def _explain(self, error: StreamEndedError) -> Failure:
        self.full = error.code is StatusCode.RESOURCE_EXHAUSTED
        failure = error.explain(self.endpoint, was_live=self._status.live, resuming=self._resuming)
        if failure.again and self._farewell:
            return replace(failure, sentence=self._farewell)
        if self._watched and error.code is StatusCode.NOT_FOUND:  # its owner may be about to return
            return replace(failure, again=True)
        return failure

    def _run_stream(self) -> None:
        self._resuming, self._farewell = False, ""
        with Transport(self.endpoint) as transport:
            round_trip_s = transport.measure_round_trip(self._clock)
            self.statistics.round_trip_ms = round_trip_s * 1000
            window = window_for(round_trip_s, FRAME_RATE_HZ, m.WINDOW_MAX)
            first = self._resumable.begin(self._make_start(), window)
            self._resuming = self._resumable.resuming
            with self._lock:
                if self._closing.is_set():  # `close` has found no stream to end
                    return
                stream = transport.open()
                stream.send(first)
                self._transport, self._stream, self._counts = transport, stream, True
                self._inbox.begin_stream()
                self.statistics.begin_stream()
                self._next_ping = self._clock() + PING_PERIOD_S
            try:
                for response in stream:
                    with self._lock:
                        self._receive(stream, response)
            finally:
                with self._lock:
                    self._transport = self._stream = None
                    self._counts = False
                stream.cancel()

    def _receive(self, stream: Stream, response: m.Response) -> None:
        """Take in a response; the lock is held."""
        match response:
            case m.Frame():
                if self._counts:
                    replaced = self._inbox.add_frame(response)
                    self.statistics.arrived(response, self._clock(), replaced=replaced)
            case m.Welcome():
                self._receive_welcome(stream, response)
            case m.ResumeToken():
                self._keep(response)
            case m.Moving():
                self._keep(response.resume_token)
                self._farewell = response.message
            case _:
                self._inbox.add_event(response)

    def _receive_welcome(self, stream: Stream, welcome: m.Welcome) -> None:
        again = self._resumable.welcomed(welcome.applied_sequence, resumed=welcome.resumed)
        if self._counts:
            for request in again:  # before any new command
                stream.send(request)
        self.statistics.resumed += self._resuming and welcome.resumed
        self._watching = self._watched = welcome.watching
        self._inbox.add_event(welcome)
        self._live_since = self._clock()
        self.full = False
        self._status = Status(Phase.LIVE)

    def _keep(self, token: m.ResumeToken) -> None:
        if self._counts:
            self._resumable.token(token)
