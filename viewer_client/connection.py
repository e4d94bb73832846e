"""One session over gRPC, in threads of its own, so that the window never waits.

`Connection` tries again by itself when the server is away. The window takes the newest frame,
acknowledges it when it is drawn, and sends commands; nothing here blocks it.
"""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

import grpc

from diffusion_toy import messages as m
from diffusion_toy import wire
from diffusion_toy.errors import DiffusionToyError, InvalidValueError
from diffusion_toy.v1 import denoise_pb2 as pb
from diffusion_toy.v1 import denoise_pb2_grpc as pb_grpc

RETRY_FIRST_S, RETRY_MAX_S = 0.25, 4.0
CONNECT_TIMEOUT_S = 10.0
FRAME_RATE_HZ = 60.0
LATENCIES_KEPT = 512
UNANSWERED_MAX = 4096  # commands whose landing is still awaited
MESSAGE_BYTES_MAX = 16 * 1024 * 1024
CHANNEL_OPTIONS = [
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.enable_retries", 0),
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


class Phase(Enum):
    """Where a connection is."""

    CONNECTING = "connecting"
    LIVE = "live"
    LOST = "reconnecting"
    REFUSED = "refused"  # trying again would not help
    CLOSED = "closed"


@dataclass(frozen=True)
class Status:
    """The connection in words: `sentence` says what is wrong, `attempt` counts the tries."""

    phase: Phase
    sentence: str = ""
    attempt: int = 0


class RefusedError(DiffusionToyError):
    """The server can not be used as asked for."""


def parse_address(text: str) -> str:
    """Check `HOST:PORT` (IPv6 as `[::1]:50051`) and return it.

    Raises:
        InvalidValueError: not of that form, or the port is outside 1…65535.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not host or (":" in host and not host.startswith("[")):
        raise InvalidValueError("--server", repr(text), "the form HOST:PORT", "for example localhost:50051")
    if not port.isdecimal() or not 1 <= int(port) <= 65535:
        raise InvalidValueError("--server", repr(text), "the ports 1…65535", "for example localhost:50051")
    return text


def explain(error: grpc.RpcError, address: str) -> tuple[str, bool]:
    """What an ended stream means, in one sentence, and whether to try again."""
    code, details = error.code(), error.details() or ""
    lowered = details.lower()
    match code:
        case grpc.StatusCode.UNIMPLEMENTED:
            return f"{address} is a gRPC server, but not Diffusion Toy's; check the address", True
        case grpc.StatusCode.UNAVAILABLE if "refused" in lowered:
            return f"no server at {address}; start one with: python -m inference_server", True
        case grpc.StatusCode.UNAVAILABLE if any(
            w in lowered for w in ("name resolution", "dns", "domain name", "resolve")
        ):
            return f"the host of {address} is not known; check its spelling", True
        case grpc.StatusCode.UNAVAILABLE if any(
            w in lowered for w in ("http1", "http/1", "settings frame", "trailing data", "http response")
        ):
            return f"{address} answers, but does not speak gRPC; check the port", True
        case grpc.StatusCode.UNAVAILABLE if "try again" in lowered or "restarting" in lowered:
            return details, True  # our own server's words
        case grpc.StatusCode.UNAVAILABLE:
            return f"the connection to {address} broke", True
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"{address} does not answer; check the address and the firewall", True
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return details, True
        case (
            grpc.StatusCode.INVALID_ARGUMENT | grpc.StatusCode.NOT_FOUND | grpc.StatusCode.FAILED_PRECONDITION
        ):
            return details, False
        case _:
            return f"the server ended the session ({code.name.lower()}: {details})", True


class Statistics:
    """Figures of a connection; `landing_ms` are times from a command to the first frame with it."""

    def __init__(self) -> None:
        self.frames = 0
        self.superseded = 0
        self.landing_ms: deque[float] = deque(maxlen=LATENCIES_KEPT)
        self._arrivals: deque[float] = deque(maxlen=60)
        self._steps: deque[tuple[float, int]] = deque(maxlen=60)

    def arrived(self, now: float, step: int, skipped: int) -> None:
        """A frame has come in."""
        self.frames += 1
        self.superseded += skipped
        if self._steps and step < self._steps[-1][1]:
            self._steps.clear()
        self._steps.append((now, step))

    def steps_per_second(self, now: float) -> float:
        """Over the last second of frames; 0 while the session rests."""
        recent = [entry for entry in self._steps if now - entry[0] < 1.0]
        if len(recent) < 2 or recent[-1][0] == recent[0][0]:
            return 0.0
        return (recent[-1][1] - recent[0][1]) / (recent[-1][0] - recent[0][0])

    def landing_quantile_ms(self, q: float) -> float | None:
        """A quantile (0…1) of the recent command-to-frame times, None without any."""
        ordered = sorted(self.landing_ms)
        return ordered[min(int(q * len(ordered)), len(ordered) - 1)] if ordered else None


class Connection:
    """A session that comes back when it is lost.

    Args:
        address: HOST:PORT.
        make_start: called in the connection's thread before each try.
        clock: seconds, monotonic.
    """

    def __init__(
        self, address: str, make_start: Callable[[], m.Start], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.address, self._make_start, self._clock = address, make_start, clock
        self.statistics = Statistics()
        self._lock = threading.Lock()
        self._status = Status(Phase.CONNECTING)
        self._responses: deque[m.Welcome | m.Rejected | m.Schedule] = deque(maxlen=256)
        self._newest: m.Frame | None = None
        self._requests: queue.SimpleQueue[m.Request | None] | None = None
        self._sequence = itertools.count(1)
        self._unlanded: deque[tuple[int, float]] = deque(maxlen=UNANSWERED_MAX)
        self._last_number = 0
        self._call: grpc.Call | None = None
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="connection", daemon=True)

    def open(self) -> None:
        """Begin to connect."""
        self._thread.start()

    def close(self) -> None:
        """End the session and the thread."""
        self._closing.set()
        with self._lock:
            if self._requests is not None:
                self._requests.put(None)
            if self._call is not None:
                self._call.cancel()
        self._thread.join(2.0)

    @property
    def status(self) -> Status:
        """Where the connection is now."""
        return self._status

    # --- for the window ---

    def send(self, command: m.Command) -> int | None:
        """Send a command; its sequence, None while there is no connection (it is then dropped)."""
        with self._lock:
            if self._requests is None or self._status.phase is not Phase.LIVE:
                return None
            sequence = next(self._sequence)
            self._unlanded.append((sequence, self._clock()))
            self._requests.put(m.Request(command, sequence))
            return sequence

    def drawn(self, frame: m.Frame) -> None:
        """The frame is on the screen: acknowledge it."""
        with self._lock:
            if self._requests is not None:
                self._requests.put(m.Request(m.Acknowledge(frame.number)))

    def take(self) -> list[m.Response]:
        """What has come in since the last call: at most one frame, the newest, at the end."""
        with self._lock:
            responses: list[m.Response] = list(self._responses)
            self._responses.clear()
            if self._newest is not None:
                responses.append(self._newest)
                self._newest = None
        return responses

    # --- the thread ---

    def _run(self) -> None:
        attempt, delay = 0, RETRY_FIRST_S
        while not self._closing.is_set():
            was_live = False
            try:
                was_live = self._session()
                sentence, again = "the server ended the session", True
            except grpc.RpcError as error:
                was_live = self._status.phase is Phase.LIVE
                sentence, again = explain(error, self.address)
            except DiffusionToyError as error:  # what it sent makes no sense
                sentence, again = f"{self.address} sent what cannot be read: {error}", False
            if self._closing.is_set():
                break
            if not again:
                self._status = Status(Phase.REFUSED, sentence)
                return
            attempt, delay = (1, RETRY_FIRST_S) if was_live else (attempt + 1, delay)
            self._status = Status(Phase.LOST, sentence, attempt)
            self._closing.wait(delay)
            delay = min(delay * 2, RETRY_MAX_S)
        self._status = Status(Phase.CLOSED)

    def _session(self) -> bool:
        """One stream, from start to end; True if it was ever live."""
        requests: queue.SimpleQueue[m.Request | None] = queue.SimpleQueue()
        self._sequence = itertools.count(1)
        requests.put(m.Request(self._make_start(), next(self._sequence)))
        with grpc.insecure_channel(self.address, options=CHANNEL_OPTIONS) as channel:
            ready = grpc.channel_ready_future(channel)
            self._wait_until_ready(ready)
            call = pb_grpc.DenoiseServiceStub(channel).Denoise(_messages(requests))
            with self._lock:
                self._call, self._requests = call, requests
                self._unlanded.clear()
                self._last_number = 0
            try:
                return self._receive(call)
            finally:
                requests.put(None)
                with self._lock:
                    self._call = self._requests = None

    def _wait_until_ready(self, ready: grpc.Future) -> None:
        """Give up early with the stream's own error: it says more than a time-out does."""
        until = self._clock() + 1.0
        while self._clock() < until and not self._closing.is_set():
            try:
                ready.result(timeout=0.1)
                return
            except grpc.FutureTimeoutError:
                continue
        ready.cancel()

    def _receive(self, call: Iterator[pb.DenoiseResponse]) -> bool:
        model: m.ModelInfo | None = None
        for message in call:
            response = wire.response_from_proto(message, model)
            match response:
                case None:
                    continue
                case m.Frame():
                    self._take_frame(response)
                case m.Welcome():
                    model = response.model
                    with self._lock:
                        self._responses.append(response)
                    self._status = Status(Phase.LIVE)
                case _:
                    with self._lock:
                        self._responses.append(response)
        return model is not None

    def _take_frame(self, frame: m.Frame) -> None:
        now = self._clock()
        with self._lock:
            skipped = max(frame.number - self._last_number - 1, 0) if self._last_number else 0
            self._last_number = frame.number
            self.statistics.arrived(now, frame.step, skipped)
            while self._unlanded and self._unlanded[0][0] <= frame.landed_sequence:
                self.statistics.landing_ms.append((now - self._unlanded.popleft()[1]) * 1000)
            self._newest = frame


def _messages(requests: queue.SimpleQueue[m.Request | None]) -> Iterator[pb.DenoiseRequest]:
    while (request := requests.get()) is not None:
        yield wire.request_to_proto(request)


def list_models(address: str) -> list[m.ModelInfo]:
    """The models of a server.

    Raises:
        RefusedError: it cannot be asked, with the reason as one sentence.
    """
    with grpc.insecure_channel(address, options=CHANNEL_OPTIONS) as channel:
        try:
            answer = pb_grpc.DenoiseServiceStub(channel).ListModels(
                pb.ListModelsRequest(), timeout=CONNECT_TIMEOUT_S
            )
        except grpc.RpcError as error:
            raise RefusedError(explain(error, address)[0]) from error
    return [wire.model_from_proto(model) for model in answer.models]
