"""A gRPC or WebSocket server that does nothing: the same message to every stream, 60 times a second.

Every message waits for an acknowledgement, and all streams send together, as ours do after a tick.
Prints its port.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import time
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from websockets.asyncio.server import ServerConnection
from websockets.asyncio.server import serve as serve_web
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

METHOD = ("diffusion_toy.v1.DenoiseService", "Denoise")


class Metronome:
    """Wakes everybody who waits for the next beat."""

    def __init__(self, rate_hz: float) -> None:
        self._period_s = 1 / rate_hz
        self._beat: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """For ever."""
        loop, due = asyncio.get_running_loop(), time.perf_counter()
        while True:
            due = max(due + self._period_s, time.perf_counter())
            await asyncio.sleep(due - time.perf_counter())
            beat, self._beat = self._beat, loop.create_future()
            beat.set_result(None)

    async def beat(self) -> None:
        """Wait for the next beat."""
        await asyncio.shield(self._beat)


async def serve(message: bytes, rate_hz: float) -> None:
    """Serve over both until SIGTERM."""
    metronome = Metronome(rate_hz)

    async def web_stream(connection: ServerConnection) -> None:
        try:
            await connection.recv()  # the start
            while True:
                await metronome.beat()
                await connection.send(message)
                await connection.recv()
        except ConnectionClosed:
            return

    async def stream(_requests: Any, context: Any) -> None:
        await context.read()  # the start
        while True:
            await metronome.beat()
            await context.write(message)
            if await context.read() is grpc.aio.EOF:
                return

    handler = grpc.stream_stream_rpc_method_handler(stream)  # without serializers: bytes
    service, method = METHOD
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {method: handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    beating = asyncio.create_task(metronome.run())
    web = await serve_web(
        web_stream, "127.0.0.1", 0, compression=None, subprotocols=[Subprotocol("diffusion-toy.v1")]
    )
    print(f"serving on 127.0.0.1:{port}")
    print(f"page: http://127.0.0.1:{web.sockets[0].getsockname()[1]}/", flush=True)
    await stop.wait()
    web.close()
    beating.cancel()
    await server.stop(0.5)


def main() -> None:
    """Serve."""
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    p.add_argument("--message", type=Path, required=True, help="file with a serialised message")
    p.add_argument("--rate", type=float, default=60.0, help="messages a second to each stream")
    p.add_argument("--port", type=int, default=0, help="always a free one")
    args = p.parse_args()
    asyncio.run(serve(args.message.read_bytes(), args.rate))


if __name__ == "__main__":
    main()
