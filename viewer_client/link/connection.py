"""One session over gRPC, in threads of its own, so that the window never waits.

`Connection` tries again by itself when the server is away, and goes on with the session where it was.
The window takes the newest frame, acknowledges it when it is drawn, and sends commands; nothing here
blocks it.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import grpc

from diffusion_toy.contract import messages as m
from diffusion_toy.contract import wire
from diffusion_toy.errors import DiffusionToyError
from diffusion_toy.v1 import denoise_pb2 as pb
from diffusion_toy.v1 import denoise_pb2_grpc as pb_grpc
from viewer_client.link.address import Endpoint, is_local
from viewer_client.link.backlog import ResumableSession
from viewer_client.link.failures import Failure, explain
from viewer_client.link.status import Phase, Retries, Statistics, Status, window_for

ANSWER_TIMEOUT_S = 5.0  # for a call that answers once
LEAVE_S = 1.0  # for the server to end a session that is over
PING_PERIOD_S = 2.0
FRAME_RATE_HZ = 60.0
EVENTS_WAITING = 256  # rejections and the like that nobody has taken; older ones go
FRAMES_KEPT = 32  # for those who look for a moment that two sessions have had
UNANSWERED_MAX = 4096  # injections whose landing is awaited
MESSAGE_BYTES_MAX = 16 * 1024 * 1024

Requests = queue.SimpleQueue[m.Request | None]  # None ends the stream


def channel_options(address: str) -> list[tuple[str, int]]:
    """A channel of one's own that gives up soon."""
    options: list[tuple[str, int]] = [
        ("grpc.enable_retries", 0),
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 5_000),
        ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
        ("grpc.min_reconnect_backoff_ms", 3_000),  # also how long a connection may take to come up
        ("grpc.use_local_subchannel_pool", 1),  # each try is a fresh one
    ]
    if is_local(address):
        options.append(("grpc.enable_http_proxy", 0))
    return options


def channel_credentials(endpoint: Endpoint) -> grpc.ChannelCredentials | None:
    """What TLS needs, None without it."""
    return grpc.ssl_channel_credentials(endpoint.root_certificates()) if endpoint.tls else None


def open_channel(endpoint: Endpoint) -> grpc.Channel:
    """A channel to this server; nothing is sent yet. Calls need `endpoint.metadata`."""
    options, credentials = channel_options(endpoint.address), channel_credentials(endpoint)
    if credentials is None:
        return grpc.insecure_channel(endpoint.address, options=options)
    return grpc.secure_channel(endpoint.address, credentials, options=options)


class RefusedError(DiffusionToyError):
    """The server cannot be used as asked for."""


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
        self._status = Status(Phase.CONNECTING)
        self._events: deque[m.Welcome | m.Rejected | m.Schedule] = deque(maxlen=EVENTS_WAITING)
        self._newest: m.Frame | None = None
        self._taken: m.Frame | None = None  # what may be acknowledged: of this stream, not an earlier one
        self._recent: deque[m.Frame] = deque(maxlen=FRAMES_KEPT)
        self._requests: Requests | None = None
        self._stub: pb_grpc.DenoiseServiceStub | None = None
        self._call: Any = None
        self._resumable = ResumableSession()
        self._asked_to_resume = False  # by the present try
        self._switching = False  # to another session, as it was asked to
        self._watching = False
        self._watched = False  # the session is there, or was
        self._live_since = 0.0
        self._farewell = ""  # of a server that shuts down
        self._unapplied: deque[tuple[int, float]] = deque(maxlen=UNANSWERED_MAX)
        self._last_number = 0
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
            streaming = self._requests is not None and not keep_session
            if self._requests is not None and not keep_session:
                self._requests.put(None)  # half-closes: the server need not keep the session
        if self._thread.is_alive() and streaming:
            self._thread.join(LEAVE_S)
        with self._lock:
            if self._call is not None:
                self._call.cancel()
        if self._thread.is_alive():
            self._thread.join(ANSWER_TIMEOUT_S)

    # --- for the window; none of it waits ---

    @property
    def status(self) -> Status:
        """Where the connection is now."""
        return self._status

    def try_again(self) -> None:
        """Try at once, also after a refusal."""
        self._wake.set()

    def take(self) -> list[m.Response]:
        """What has come in since the last call: at most one frame, the newest, at the end."""
        self._ping()
        with self._lock:
            responses: list[m.Response] = list(self._events)
            self._events.clear()
            if self._newest is not None:
                self._taken = self._newest
                responses.append(self._newest)
                self._newest = None
        return responses

    @property
    def recent(self) -> list[m.Frame]:
        """The newest frames of this stream, oldest first, also those that were never taken."""
        with self._lock:
            return list(self._recent)

    @property
    def resume_token(self) -> m.ResumeToken | None:
        """The newest one, None before the first."""
        with self._lock:
            return self._resumable.backlog.newest

    def take_over(self, token: m.ResumeToken) -> None:
        """End the present session, and go on with the one of this token in its place."""
        with self._lock:
            self._resumable.backlog.clear()
            self._resumable.token(token)
            self._switching = self._requests is not None
            if self._requests is not None:
                self._requests.put(None)
                self._requests = None  # nothing that still comes in counts
        self._wake.set()

    def send(self, command: m.Command, at_step: int | None = None, *, ahead: bool = False) -> int | None:
        """Send a command; its sequence, None while there is no session to touch (it is then dropped).

        A command that has a sequence arrives, if need be on a later stream of the same session. One that
        is sent `ahead` is to wait for its turn: how long it takes to land is not measured.
        """
        with self._lock:
            if self._requests is None or not self._status.live or self._watching:
                return None
            request = self._resumable.command(command, at_step)
            if isinstance(command, m.Inject) and not ahead:
                self._unapplied.append((request.sequence, self._clock()))
            self._requests.put(request)
            return request.sequence

    def drawn(self, frame: m.Frame) -> None:
        """The frame is on the screen: acknowledge it."""
        with self._lock:
            if self._requests is not None and frame is self._taken:
                self._requests.put(m.Request(m.Acknowledge(frame.number)))

    def _ping(self) -> None:
        """Measure the round trip now and then, by a call that is answered at once."""
        now = self._clock()
        with self._lock:
            stub = self._stub
            if stub is None or now < self._next_ping:
                return
            self._next_ping = now + PING_PERIOD_S
        call: Any = stub.ListModels.future(  # type: ignore[attr-defined]
            pb.ListModelsRequest(), timeout=ANSWER_TIMEOUT_S, metadata=self.endpoint.metadata
        )
        call.add_done_callback(lambda done: self._pinged(done, now))

    def _pinged(self, call: Any, sent: float) -> None:
        if not call.cancelled() and call.exception() is None:
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
            try:
                self._session()
                over = self._watching
                failure = Failure("the session is over" if over else "the server ended the session", not over)
            except grpc.RpcError as error:
                failure = self._explain(error)
            except DiffusionToyError as error:  # what it sent makes no sense
                sentence = f"{self.endpoint.address} sent what cannot be read: {error}"
                failure = Failure(sentence, again=False, new_session=True)
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

    def _explain(self, error: grpc.RpcError) -> Failure:
        """Why the try or the session has failed."""
        self.full = error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        failure = explain(
            error.code(),
            error.details() or "",
            self.endpoint.address,
            was_live=self._status.live,
            resuming=self._asked_to_resume,
        )
        if failure.again and self._farewell:
            return replace(failure, sentence=self._farewell)
        if self._watched and error.code() is grpc.StatusCode.NOT_FOUND:  # its owner may be about to return
            return replace(failure, again=True)
        return failure

    def _session(self) -> None:
        """One stream, from start to end.

        Raises:
            grpc.RpcError: there is none, or it ended with an error.
            DiffusionToyError: the server does not keep to the protocol.
        """
        requests: Requests = queue.SimpleQueue()
        self._asked_to_resume, self._farewell = False, ""
        with open_channel(self.endpoint) as channel:
            stub = pb_grpc.DenoiseServiceStub(channel)
            round_trip_s = self._measure_round_trip(stub)
            self.statistics.round_trip_ms = round_trip_s * 1000
            window = window_for(round_trip_s, FRAME_RATE_HZ, m.WINDOW_MAX)
            first = self._resumable.begin(self._make_start(), window)
            self._asked_to_resume = self._resumable.resuming
            requests.put(first)
            with self._lock:
                if self._closing.is_set():  # `close` has found no stream to end
                    return
                call = stub.Denoise(_messages(requests), metadata=self.endpoint.metadata)
                self._stub, self._call, self._requests = stub, call, requests
                self._unapplied.clear()  # what is sent again would count the time without a server
                self._newest = self._taken = None
                self._recent.clear()
                self._last_number = 0
                self._next_ping = self._clock() + PING_PERIOD_S
            try:
                self._receive(call)
            finally:
                requests.put(None)
                with self._lock:
                    self._stub = self._call = self._requests = None
                call.cancel()

    def _measure_round_trip(self, stub: pb_grpc.DenoiseServiceStub) -> float:
        """Seconds; also sees, before anything else is sent, that the server is one of ours."""
        metadata = self.endpoint.metadata
        stub.ListModels(pb.ListModelsRequest(), timeout=ANSWER_TIMEOUT_S, metadata=metadata)  # connects
        began = self._clock()
        stub.ListModels(pb.ListModelsRequest(), timeout=ANSWER_TIMEOUT_S, metadata=metadata)
        return self._clock() - began

    def _receive(self, call: Iterator[pb.DenoiseResponse]) -> None:
        model: m.ModelInfo | None = None
        for message in call:
            response = wire.response_from_proto(message, model)
            match response:
                case None:  # of a later release
                    continue
                case m.Frame():
                    self._take_frame(response)
                case m.Welcome():
                    model = response.model
                    self._take_welcome(response)
                case m.ResumeToken():
                    self._keep(response)
                case m.Moving():
                    self._keep(response.resume_token)
                    self._farewell = response.message
                case _:
                    with self._lock:
                        self._events.append(response)

    def _take_welcome(self, welcome: m.Welcome) -> None:
        with self._lock:
            again = self._resumable.welcomed(welcome.applied_sequence, resumed=welcome.resumed)
            if self._requests is not None:
                for request in again:  # before any new command
                    self._requests.put(request)
            self.statistics.resumed += self._asked_to_resume and welcome.resumed
            self._watching = self._watched = welcome.watching
            self._events.append(welcome)
            self._live_since = self._clock()
            self.full = False
            self._status = Status(Phase.LIVE)

    def _keep(self, token: m.ResumeToken) -> None:
        with self._lock:
            if self._requests is not None:
                self._resumable.token(token)

    def _take_frame(self, frame: m.Frame) -> None:
        now = self._clock()
        with self._lock:
            if self._requests is None:
                return
            skipped = max(frame.number - self._last_number - 1, 0) if self._last_number else 0
            if self._newest is not None:  # nobody has taken it; its applied commands are still to be told
                skipped += 1
                applied = (self._newest.applied + frame.applied)[-m.APPLIED_MAX :]
                frame = replace(frame, applied=applied)
            self._last_number = frame.number
            self.statistics.arrived(now, frame.step, skipped)
            while self._unapplied and self._unapplied[0][0] <= frame.applied_sequence:
                self.statistics.landing_ms.append((now - self._unapplied.popleft()[1]) * 1000)
            self._newest = frame
            self._recent.append(frame)


def _messages(requests: Requests) -> Iterator[pb.DenoiseRequest]:
    while (request := requests.get()) is not None:
        yield wire.request_to_proto(request)


def list_models(endpoint: Endpoint) -> list[m.ModelInfo]:
    """The models of a server.

    Raises:
        RefusedError: it cannot be asked, with the reason as one sentence.
    """
    with open_channel(endpoint) as channel:
        stub = pb_grpc.DenoiseServiceStub(channel)
        try:
            answer = stub.ListModels(
                pb.ListModelsRequest(), timeout=ANSWER_TIMEOUT_S, metadata=endpoint.metadata
            )
        except grpc.RpcError as error:
            sentence = explain(error.code(), error.details() or "", endpoint.address).sentence
            raise RefusedError(sentence) from error
    return [wire.model_from_proto(model) for model in answer.models]
