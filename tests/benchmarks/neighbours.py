"""Bad neighbours in a process of their own: `neighbours.py ADDRESS KIND NUMBER`, until stdin ends.

In the viewer's process they would slow the viewer down themselves, whatever the server does.
"""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import grpc

from diffusion_toy.contract import messages as m
from diffusion_toy.v1 import denoise_pb2 as pb
from diffusion_toy.v1 import denoise_pb2_grpc as pb_grpc
from tests.client import Client
from tests.inference_server.faults import BAD_NEIGHBOURS, ENDLESS, Neighbour

PERIOD_S = 1 / 60
PER_PERIOD = 8  # 480 commands a second, just below what one viewer may send
CALLS_AT_A_TIME = 16
LINEAR = m.SettingsChange(schedule=m.ScheduleName.LINEAR, num_time_steps=1000)
COSINE = m.SettingsChange(schedule=m.ScheduleName.COSINE, num_time_steps=1000)
PAUSED = m.Start(
    motion=m.Motion.PAUSED, settings=m.SettingsChange(num_time_steps=1000, steps_per_second=0.001)
)


def playing(client: Client, over: threading.Event) -> None:
    """Plays as everybody does: the control."""
    client.start(ENDLESS)
    while not over.is_set():
        client.frame()


def stepping(client: Client, over: threading.Event) -> None:
    """Is paused, at a speed that asks for nothing, and sends `Step` and empty `Configure`s all the time."""
    client.start(PAUSED)
    while not over.wait(2 * PERIOD_S):
        client.send(m.Step())
        client.send(m.Configure(m.SettingsChange()))


def sender(name: str, command: Callable[[int], m.Command]) -> Neighbour:
    """Return a neighbour that sends a command as fast as it may, and reads what comes."""

    def send(client: Client, over: threading.Event) -> None:
        client.start(ENDLESS)
        threading.Thread(target=client.read_to_the_end, daemon=True).start()
        number = 0
        while not over.wait(PERIOD_S):
            for _ in range(PER_PERIOD):
                number += 1
                client.send(command(number))

    send.__name__ = name
    return send


def watching(client: Client, over: threading.Event) -> None:
    """Watches a session that plays; the first of all starts it."""
    with _lock:
        if not _watched:
            _watched.append(client.start(ENDLESS).session_id)
        else:
            client.watch(_watched[0])
    while not over.is_set():
        client.frame()


def calling(client: Client, over: threading.Event) -> None:
    """Asks for the models, again and again."""
    stub = pb_grpc.DenoiseServiceStub(client._channel)
    while not over.is_set():
        with contextlib.suppress(grpc.RpcError):
            stub.ListModels(pb.ListModelsRequest())


def resetting(client: Client, over: threading.Event) -> None:
    """Opens streams and resets them."""
    stub = pb_grpc.DenoiseServiceStub(client._channel)
    while not over.is_set():
        stub.Denoise(iter(())).cancel()


_lock, _watched = threading.Lock(), list[str]()
SENDERS = (
    sender("injecting", lambda number: m.Inject(m.Disc(0.5, 0.5, 0.3), 5.0)),
    sender("jumping", lambda number: m.Jump(time_step=1000.0)),
    sender("restarting", lambda number: m.Restart(seed=number)),
    sender("configuring", lambda number: m.Configure(LINEAR if number % 2 else COSINE)),
    sender("erring", lambda number: m.Jump(step=10_000)),
)
NUMBERS: dict[str, int] = {one.__name__: 20 for one in (playing, *BAD_NEIGHBOURS, stepping, *SENDERS)}
NUMBERS |= {"watching": 60, "calling": CALLS_AT_A_TIME, "resetting": 4}
KINDS: dict[str, Neighbour] = {
    one.__name__: one for one in (playing, *BAD_NEIGHBOURS, stepping, *SENDERS, watching, calling, resetting)
}


@contextlib.contextmanager
def _clients(address: str, number: int) -> Iterator[list[Client]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(Client(address)) for _ in range(number)]


def main(address: str, kind: str, number: int) -> None:
    """Behave so until stdin ends."""
    over = threading.Event()

    def behave(client: Client) -> None:
        with contextlib.suppress(grpc.RpcError, AssertionError):  # sent away
            KINDS[kind](client, over)

    with _clients(address, number) as clients:
        for client in clients:
            threading.Thread(target=behave, args=(client,), daemon=True).start()
        sys.stdin.read()
        over.set()
        time.sleep(2 * PERIOD_S)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
