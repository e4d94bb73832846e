"""The page's port: handshakes and messages that are no stream of the contract."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from inference_server.transport import web_transport
from inference_server.transport.websocket import REASON_BYTES_MAX, close_reason
from tests.inference_server.transport.web_port import HANGS_S, ending, refused, web


@pytest.mark.parametrize("content", ["text", b"\xff" * 100])
async def test_what_is_no_message_of_the_contract_is_refused(folder: Path, content: str | bytes) -> None:
    async with web(folder) as page, page.socket() as connection:
        await connection.send(content)
        assert (await ending(connection))[0] == 4003


async def test_a_message_beyond_the_limit_is_refused_in_pieces_too(folder: Path) -> None:
    async with web(folder) as page:
        for content in (bytes(2**17), [bytes(2**14)] * 8):
            async with page.socket() as connection:
                with suppress(ConnectionClosed):
                    await connection.send(content)
                assert (await ending(connection))[0] == 1009


async def test_a_websocket_of_another_protocol_is_refused(folder: Path) -> None:
    async with web(folder) as page:
        assert await refused(page, subprotocols=None) == 400
        assert await refused(page, subprotocols=[Subprotocol("chat")]) == 400
        assert (await page.get("/api/denoise"))[0] == 426


async def test_compression_is_off(folder: Path) -> None:
    async with web(folder) as page, page.socket(compression="deflate") as connection:
        assert connection.response is not None
        assert "Sec-WebSocket-Extensions" not in connection.response.headers


async def test_a_handshake_that_does_not_come_is_not_waited_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_transport, "HANDSHAKE_S", 0.3)
    async with web(folder) as page:
        for begun in (
            b"",
            b"GET / HTTP/1.1\r\n",
            b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 20,
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", page.port)
            writer.write(begun)
            async with asyncio.timeout(HANGS_S):
                with suppress(ConnectionResetError):
                    assert await reader.read() == b""
            writer.close()


async def test_one_address_begins_so_many_handshakes_and_no_more(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_transport, "HANDSHAKES_PER_PEER", 3)
    async with web(folder) as page:
        silent = [await asyncio.open_connection("127.0.0.1", page.port) for _ in range(3)]
        with pytest.raises((ConnectionError, IndexError, ValueError)):  # hung up on, without an answer
            await page.get()
        for _, writer in silent:
            writer.close()
            await writer.wait_closed()
        async with asyncio.timeout(HANGS_S):
            while True:
                try:
                    assert (await page.get())[0] == 200
                    break
                except (ConnectionError, IndexError, ValueError):
                    await asyncio.sleep(0.01)


async def test_streams_that_are_open_do_not_count_as_handshakes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_transport, "HANDSHAKES_PER_PEER", 2)
    async with web(folder) as page, page.socket(), page.socket(), page.socket(), page.socket():
        assert (await page.get())[0] == 200


@pytest.mark.parametrize(
    "request_",
    [
        b"\x16\x03\x01\x00\x50" + bytes(80),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST / HTTP/1.1\r\n\r\n",
        b"\xff" * 9000,
    ],
)
async def test_bytes_that_are_no_request_end_their_connection_without_a_line_in_the_log(
    folder: Path, request_: bytes, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_transport, "HANDSHAKE_S", 0.5)  # which the first waits for: it may go on
    async with web(folder) as page:
        async with asyncio.timeout(HANGS_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", page.port)
            writer.write(request_)
            with suppress(ConnectionResetError):
                await reader.read()
            writer.close()
        assert (await page.get())[0] == 200
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_a_reason_is_cut_to_what_a_close_frame_has_room_for() -> None:
    assert close_reason("as it is") == "as it is"
    long = close_reason("ü…" * 100)
    assert len(long.encode()) <= REASON_BYTES_MAX
    assert long.endswith("…")
