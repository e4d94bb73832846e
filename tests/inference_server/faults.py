"""What the tests of faults share: figures of a server, a relay that can break, viewers that look."""

from __future__ import annotations

import contextlib
import queue
import socket
import struct
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from diffusion_toy.contract import messages as m
from tests.client import Client
from tests.tools import ServerProcess, wait_for

CHUNK = 1 << 16
CHUNKS_ON_THEIR_WAY = 64  # then the relay reads no more, as a real network would not
GREETING_BYTES = 200
LONG = m.SettingsChange(num_time_steps=1000, steps_per_second=40)
ENDLESS = m.Start(seed=5, settings=LONG)
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close with a reset
SERIOUS = (" ERROR ", " CRITICAL ", "Traceback")


def gauges(metrics_port: int) -> dict[str, float]:
    """A server's metrics without labels, by name without prefix."""
    with urllib.request.urlopen(f"http://127.0.0.1:{metrics_port}/metrics", timeout=10) as reply:
        lines = reply.read().decode().splitlines()
    split = (line.rsplit(" ", 1) for line in lines if not line.startswith("#") and "{" not in line)
    return {name.removeprefix("diffusion_toy_"): float(value) for name, value in split}


def empty_house(metrics_port: int) -> bool:
    """Say whether a server has no session and nothing else of a client."""
    found = gauges(metrics_port)
    names = ("sessions", "detached_sessions", "watchers", "unacknowledged_frames", "demand_rows_per_second")
    return not any(found[name] for name in names)


def resident_mib(process_id: int) -> float:
    """The memory that a process occupies."""
    for line in Path(f"/proc/{process_id}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise AssertionError("no VmRSS")


def serious(server: ServerProcess) -> list[str]:
    """What the server has logged as an error."""
    return [line for line in list(server.log) if any(word in line for word in SERIOUS)]


class Relay:
    """One address in front of servers. A `with` block ends it.

    Attributes:
        target: port that new connections are relayed to.
        stalled: nothing is passed on to clients while set.

    Args:
        delay_s: how long everything takes, in either direction.
    """

    def __init__(self, target: int, delay_s: float = 0.0) -> None:
        self.target, self._delay_s = target, delay_s
        self.stalled = threading.Event()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.address = f"127.0.0.1:{self.port}"
        self._over = False
        self._client_bytes = 0  # passed on since the last cut
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *_: Any) -> None:
        self._over = True
        hang_up(self._listener, reset=True)
        self.stalled.clear()
        self.cut()

    @property
    def busy(self) -> bool:
        """A client has opened a stream: more has come from it than HTTP/2's greeting."""
        return self._client_bytes > GREETING_BYTES

    def cut(self) -> None:
        """Reset all connections, as a broken network does."""
        pairs, self._pairs, self._client_bytes = self._pairs, [], 0
        for pair in pairs:
            for end in pair:
                hang_up(end, reset=True)

    def _accept(self) -> None:
        while not self._over:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target), timeout=5)
                server.settimeout(None)
                for end in (client, server):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError:
                hang_up(client, reset=True)
                continue
            self._pairs.append((client, server))  # from now on another thread may cut it
            for source, sink, stalls in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._pump, args=(source, sink, stalls), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, stalls: bool) -> None:
        """Read one direction of a connection; another thread passes it on when its time has come."""
        on_its_way: queue.Queue[tuple[float, bytes]] = queue.Queue(CHUNKS_ON_THEIR_WAY)
        threading.Thread(target=self._deliver, args=(on_its_way, source, sink, stalls), daemon=True).start()
        data = b"-"
        while data:
            try:
                data = source.recv(CHUNK)
            except OSError:
                data = b""
            on_its_way.put((time.monotonic() + self._delay_s, data))

    def _deliver(
        self,
        on_its_way: queue.Queue[tuple[float, bytes]],
        source: socket.socket,
        sink: socket.socket,
        stalls: bool,
    ) -> None:
        with contextlib.suppress(OSError):
            while (item := on_its_way.get())[1]:
                time.sleep(max(item[0] - time.monotonic(), 0.0))
                while stalls and self.stalled.is_set():
                    time.sleep(0.01)
                sink.sendall(item[1])
                self._client_bytes += 0 if stalls else len(item[1])
        for end in (source, sink):
            hang_up(end)
        while item[1]:  # the other end is gone: let the reader come to its end
            item = on_its_way.get()


def hang_up(end: socket.socket, reset: bool = False) -> None:
    """End a connection, whoever else waits for it."""
    with contextlib.suppress(OSError):
        if reset:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        end.shutdown(socket.SHUT_RDWR)  # wakes who reads; a close alone would not
    if reset:
        end.close()


class Looker(Client):
    """A client that looks on in a thread of its own: when each frame came, its number and its step."""

    def __init__(self, address: str, start: m.Start) -> None:
        super().__init__(address)
        self.seen: list[tuple[float, int, int]] = []
        self.start(start)
        self._looking = threading.Thread(target=self._look, daemon=True)
        self._looking.start()

    def _look(self) -> None:
        try:
            for frame in self.frames():
                self.seen.append((time.monotonic(), frame.number, frame.step))
        except Exception:  # its end; whoever looks sees that no more came
            return

    def close(self) -> None:
        """End the session."""
        self.__exit__(None, None, None)

    @property
    def step(self) -> int:
        """The newest frame's."""
        return self.seen[-1][2] if self.seen else 0

    def interval_ms(self, since: float) -> float:
        """The median time between two frames since a moment."""
        times = [when for when, _, _ in list(self.seen) if when >= since]
        return float(np.median(np.diff(times))) * 1000 if len(times) > 2 else float("inf")

    def steps_between(self, begin: float, end: float) -> int:
        """How many steps its frames have shown in this time."""
        steps = [step for when, _, step in list(self.seen) if begin <= when <= end]
        return steps[-1] - steps[0] if steps else 0


def goes_on(looker: Looker) -> None:
    """Wait for 20 more steps; how evenly they come is for `tests/benchmarks/bench_neighbours.py`."""
    step = looker.step
    wait_for(lambda: looker.step >= step + 20, "somebody else's steps")


# --- neighbours that behave badly, until told that it is over ---


def slow(client: Client, over: threading.Event) -> None:
    """Draws three pictures a second."""
    client.start(ENDLESS)
    while not over.wait(0.3):
        client.frame()


def bursty(client: Client, over: threading.Event) -> None:
    """More commands than are allowed, all at once, again and again."""
    client.start(ENDLESS)
    while not over.wait(0.4):
        for _ in range(300):
            client.send(m.Inject(m.Disc(0.5, 0.5, 0.3), 5.0))


def silent(client: Client, over: threading.Event) -> None:
    """Opens a stream and says nothing."""
    over.wait()


def mute(client: Client, over: threading.Event) -> None:
    """Starts, and then says nothing."""
    client.send(ENDLESS)
    over.wait()


Neighbour = Callable[[Client, threading.Event], None]
BAD_NEIGHBOURS: tuple[Neighbour, ...] = (slow, bursty, silent, mute)
