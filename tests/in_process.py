"""A server within the process: the real engine and the real sessions behind a stream of two queues.

`InProcess` is the stream, without gRPC or socket. `TickedServer` is everything between it and the engine, in
one thread and on a clock that only its ticks move, so that a test decides what happens when.
"""

from __future__ import annotations

import asyncio

import numpy as np
from numpy.typing import NDArray

from diffusion_toy.contract import messages as m
from diffusion_toy.contract import wire
from diffusion_toy.diffusion.process import alpha, sigma
from diffusion_toy.model.checkpoint import LoadedModel, ModelMetadata
from diffusion_toy.model.config import UNetConfig
from diffusion_toy.v1 import denoise_pb2 as pb
from inference_server.engine.engine import Engine, EngineConfig
from inference_server.engine.loop import EngineLoop
from inference_server.engine.roster import Roster
from inference_server.ops.monitoring import Load, Metrics
from inference_server.streams.delivery import Delivery
from inference_server.streams.sessions import Sessions
from inference_server.streams.status import Status
from inference_server.streams.stream import BrokenStreamError
from inference_server.streams.tokens import Sealer

TICK_RATE_HZ = 60.0
QUIET_TURNS = 8  # of the event loop without a message, after which none is on its way
TURNS_MAX = 100_000  # which only a stream that never falls silent reaches

Shape = tuple[int, int, int]


class InProcess:
    """A `Stream` in two queues.

    Attributes:
        peer: the client's address.
        traffic: how many messages have gone in and out.
    """

    def __init__(self, peer: str = "here") -> None:
        self.peer = peer
        self._requests: asyncio.Queue[pb.DenoiseRequest | BrokenStreamError | None] = asyncio.Queue()
        self._responses: asyncio.Queue[pb.DenoiseResponse] = asyncio.Queue()
        self.traffic = 0

    # --- the server's end ---

    async def read(self) -> pb.DenoiseRequest | None:
        request = await self._requests.get()
        self.traffic += 1
        if isinstance(request, BrokenStreamError):
            raise request
        return request

    async def write(self, message: pb.DenoiseResponse) -> None:
        kept = pb.DenoiseResponse()
        kept.CopyFrom(message)  # the server changes its message afterwards
        self._responses.put_nowait(kept)
        self.traffic += 1

    @property
    def waiting(self) -> int:
        """Return how many requests have not been read."""
        return self._requests.qsize()

    # --- the client's ---

    def send(self, request: m.Request) -> None:
        self._requests.put_nowait(wire.request_to_proto(request))

    def end(self, how: BrokenStreamError | None) -> None:
        """Close the client's side in good order (None), or break the connection."""
        self._requests.put_nowait(how)

    async def receive(self) -> pb.DenoiseResponse:
        """Wait for the next response."""
        return await self._responses.get()

    def arrived(self) -> list[pb.DenoiseResponse]:
        """Return the responses that are there, without waiting."""
        responses = []
        while not self._responses.empty():
            responses.append(self._responses.get_nowait())
        return responses


class GaussianPredictor:
    """The best predictor there is for data whose pixels are Gaussian, with a mean picture for each class.

    It works pixel by pixel, so that a row's result depends, bit for bit, on nothing else in the batch, and it
    takes no time. Without a class the data is less certain: the mean is grey, the deviation larger.

    Args:
        shape: of a picture, (C, H, W).
        num_classes: how many classes there are.
    """

    device = None
    description = "exact, for Gaussian data"

    def __init__(self, shape: Shape, num_classes: int) -> None:
        means = np.random.default_rng(0).uniform(-0.6, 0.6, (num_classes, *shape))
        self._means = np.concatenate([means, np.zeros((1, *shape))]).astype(np.float32)
        self._variances = np.array([0.1] * num_classes + [0.5], np.float32)

    def __call__(
        self, x: NDArray[np.float32], u: NDArray[np.float32], labels: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        a, s = alpha(u)[:, None], sigma(u)[:, None]
        mean, variance = self._means[labels], self._variances[labels, None, None, None]
        # The conditional expectation of jointly Gaussian x0 and x: both estimates are linear in x − a·mean.
        surplus = (x - a * mean) / (a**2 * variance + s**2)
        x0_hat = mean + a * variance * surplus
        v: NDArray[np.float32] = a * (s * surplus) - s * x0_hat
        return v

    further_sizes = ()
    wanted_sizes = ()

    def warm_up_first(self) -> None:
        pass

    def warm_up_size(self, size: int) -> None:
        pass


class _TickedClock(asyncio.SelectorEventLoop):
    """An event loop whose time stands still unless it is set."""

    now = 0.0

    def time(self) -> float:
        return self.now


_servers: list[TickedServer] = []  # those that are to be closed


def close_servers() -> None:
    """End the servers that a test has made."""
    while _servers:
        _servers.pop().close()


class TickedServer:
    """The sessions of one engine. Nothing happens between two ticks, and no time passes.

    Attributes:
        engine: the engine, in NumPy.
        ticks: how many there have been.

    Args:
        shape: of the pictures, (C, H, W); height and width are multiples of 4.
        slots: how many sessions there is room for.
        tokens: sessions get resume tokens, about one a second.
    """

    def __init__(self, shape: Shape = (1, 28, 28), slots: int = 16, *, tokens: bool = True) -> None:
        channels, height, width = shape
        config = UNetConfig(channels=channels, height=height, width=width)
        metadata = ModelMetadata(config, "gaussian", tuple("0123456789"))
        model = LoadedModel({}, metadata, None, "gaussian", "0" * 16)
        period_s = 1.0 if tokens else 0.0
        self.engine = Engine(
            model,
            GaussianPredictor(shape, config.num_classes),
            EngineConfig(slots, TICK_RATE_HZ, token_period_s=period_s),
            clock=lambda: 0.0,  # a tick has time for all commands, also where a test is held up
        )
        self.ticks = 0
        self._clock = _TickedClock()
        metrics, self._failures = Metrics(Load), list[BaseException]()
        delivery = Delivery(self._clock)
        self._sessions = Sessions(delivery, m.Limits(), Sealer(b"k" * 32, 2**20), metrics, slots + 16)
        roster = Roster([self.engine])
        self._loop = EngineLoop(roster, delivery.publish, self._failures.append, metrics)
        self._sessions.open(roster, self._loop)
        self._streams: dict[InProcess, asyncio.Task[tuple[Status, str] | None]] = {}
        _servers.append(self)

    def open(self) -> InProcess:
        """Return a new stream, which the server serves until it ends."""
        stream = InProcess()
        self._streams[stream] = self._clock.create_task(self._sessions.serve(stream))
        return stream

    def ended(self, stream: InProcess) -> tuple[Status, str] | None:
        """Return the status and the text a stream has ended with; None while it goes on, or in good order."""
        task = self._streams[stream]
        return task.result() if task.done() else None

    def tick(self) -> None:
        """Let the requests in, tick once, and let the responses out."""
        self.ticks += 1
        self._clock.now = self.ticks / TICK_RATE_HZ
        self._clock.run_until_complete(self._settle())
        if not self._loop.run_once():
            self.engine.skip_ticks(1)
        self._clock.run_until_complete(self._settle())
        assert not self._failures

    def close(self) -> None:
        """End every stream and the event loop; a second time does nothing."""
        if self._clock.is_closed():
            return
        for task in self._streams.values():
            task.cancel()
        self._clock.run_until_complete(asyncio.gather(*self._streams.values(), return_exceptions=True))
        self._clock.close()

    async def _settle(self) -> None:
        """Wait until all messages that were on their way have come."""
        quiet, before = 0, -1
        for _ in range(TURNS_MAX):
            traffic = sum(stream.traffic for stream in self._streams)
            quiet = quiet + 1 if traffic == before else 0
            if quiet == QUIET_TURNS:
                return
            before = traffic
            await asyncio.sleep(0)
        raise AssertionError("the streams never fall silent")
