"""The class wall: who sees it, and what is sent. No engine runs here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from diffusion_toy.contract import messages as m
from diffusion_toy.errors import InvalidValueError
from diffusion_toy.v1 import denoise_pb2 as pb
from inference_server.engine.frames import TickResult
from inference_server.engine.session import Session
from inference_server.ops.monitoring import Load, Metrics
from inference_server.streams.board import Board, BoardPicture
from inference_server.streams.delivery import Connection, Delivery
from inference_server.streams.lesson import NO_LESSON, Lesson
from inference_server.streams.sessions import Sessions
from inference_server.streams.tokens import Sealer
from inference_server.transport.bearer import BearerGuard
from inference_server.transport.page import Page
from inference_server.transport.security import ServerSecurity
from inference_server.transport.wall import PICTURES_MAX, UPDATE_BYTES_MAX, WALLS_MAX, Wall, WallView
from inference_server.transport.web_transport import WebConfig, WebTransport
from tests.inference_server.streams.frames import any_session
from tests.inference_server.streams.test_board import batch_of
from tests.inference_server.transport.web_port import HANGS_S, Web, ending

TOKEN = "the-token-of-the-wall"
SHAPE = (1, 28, 28)


@asynccontextmanager
async def walls(folder: Path, *, wall: bool = True) -> AsyncIterator[tuple[Web, Delivery, Board]]:
    """A page's port with a wall that is open."""
    (folder / "index.html").write_text("<!doctype html><title>toy</title>")
    board = Board()
    delivery = Delivery(asyncio.get_running_loop(), board)
    sessions = Sessions(delivery, m.Limits(), Sealer(b"k" * 32, 2**20), Metrics(Load), 32, wall=wall)
    made = Wall(board, TOKEN) if wall else None
    transport = WebTransport(
        WebConfig("localhost", 0), ServerSecurity(), BearerGuard(""), Page(folder), wall=made
    )
    port = await transport.start(sessions)
    try:
        yield Web(transport, sessions, port), delivery, board
    finally:
        await transport.stop(1.0)


def looks(web: Web, subprotocol: str = "diffusion-toy.wall.v1", origin: str | None = None) -> connect:
    address = f"ws://localhost:{web.port}/api/wall"
    return connect(address, subprotocols=[Subprotocol(subprotocol)], proxy=None, origin=origin)  # type: ignore[arg-type]


def told(connection: Connection) -> list[object]:
    """What is to be sent to a client beside its frames."""
    messages: list[object] = []
    while (message := connection.outbox.take_control()) is not None:
        messages.append(message)
    return messages


async def ask(socket: ClientConnection, token: str = TOKEN) -> None:
    await socket.send(pb.WallRequest(token=token).SerializeToString())


async def update(socket: ClientConnection) -> pb.WallUpdate:
    async with asyncio.timeout(HANGS_S):
        content = await socket.recv()
    assert isinstance(content, bytes)
    return pb.WallUpdate.FromString(content)


async def test_the_wall_shows_each_session_and_then_what_changes(tmp_path: Path) -> None:
    async with walls(tmp_path) as (web, delivery, _), looks(web) as socket:
        one, other, connection = any_session(), any_session(), Connection(4)
        one.name = "Ada"
        delivery.connect(one, connection)
        delivery.connect(other, Connection(4))
        delivery.publish(TickResult(batch_of(1, one, other, idle=True)))
        await ask(socket)
        first = await update(socket)
        assert [(p.session_id, p.name, p.x_t) for p in first.pictures] == [
            (one.id, "Ada", b"\xff"), (other.id, "", b"\xff"),
        ]  # fmt: skip
        delivery.publish(TickResult(batch_of(-1, other)))
        second = await update(socket)
        assert [(p.session_id, p.x_t) for p in second.pictures] == [(other.id, b"\x00")]
        delivery.disconnect(one, connection)
        assert list((await update(socket)).gone) == [one.id]


async def test_nobody_sees_the_wall_without_its_token_and_guessing_is_slowed_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference_server.transport.bearer.WRONG_PER_SECOND", 1e-6)
    monkeypatch.setattr("inference_server.transport.bearer.WRONG_AT_ONCE", 2.0)
    async with walls(tmp_path) as (web, _, board):
        for token in ("", "a-wrong-one"):
            async with looks(web) as socket:
                await ask(socket, token)
                code, reason = await ending(socket)
                assert code == 4016
                assert "the class wall has a token of its own" in reason
        codes: list[int] = []
        for _ in range(3):
            async with looks(web) as socket:
                await ask(socket, "a-wrong-one")
                codes.append((await ending(socket))[0])
        assert codes[-1] == 4008
        assert board._viewers == 0


async def test_there_is_no_wall_unless_it_was_asked_for(tmp_path: Path) -> None:
    async with walls(tmp_path, wall=False) as (web, _, _):
        assert (await web.get("/wall"))[0] == 404
        with pytest.raises(InvalidStatus) as caught:
            async with looks(web):
                pass
        assert caught.value.response.status_code == 404


async def test_the_wall_is_for_pages_of_this_server_alone(tmp_path: Path) -> None:
    async with walls(tmp_path) as (web, _, _):
        assert (await web.get("/wall"))[0] == 200
        assert (await web.get("/wall", host="evil.example"))[0] == 421
        with pytest.raises(InvalidStatus) as caught:
            async with looks(web, origin="https://evil.example"):
                pass
        assert caught.value.response.status_code == 403


async def test_what_is_no_request_for_the_wall_closes_it(tmp_path: Path) -> None:
    async with walls(tmp_path) as (web, _, _):
        for content in ("text", b"\xff\xff", b"x" * 6000):
            async with looks(web) as socket:
                await socket.send(content)
                assert (await ending(socket))[0] == 4003
        async with looks(web, "diffusion-toy.v1") as socket:
            assert (await ending(socket))[0] == 4003
        for content in ("text", b"\xff\xff", b"x" * 6000):
            async with looks(web) as socket:
                await ask(socket)
                await update(socket)
                await socket.send(content)
                assert (await ending(socket))[0] == 4003


async def test_all_who_run_a_session_are_told_what_a_wall_shows_the_class(tmp_path: Path) -> None:
    async with walls(tmp_path) as (web, delivery, _), looks(web) as socket, looks(web) as other:
        mine, driver, watcher = any_session(), Connection(4), Connection(4)
        delivery.connect(mine, driver)
        delivery.watch(mine, watcher)
        delivery.publish(TickResult(batch_of(1, mine, idle=True)))
        for wall in (socket, other):
            await ask(wall)
            assert (await update(wall)).lesson == pb.Lesson()
        await socket.send(pb.WallRequest(spotlight=mine.id).SerializeToString())
        assert (await update(other)).lesson.spotlight == mine.id
        await socket.send(pb.WallRequest(offer=pb.SeedOffer(seed=2**63 - 1)).SerializeToString())
        assert (await update(other)).lesson.offer == pb.SeedOffer(seed=2**63 - 1, number=1)
        assert web.sessions.lesson == Lesson(mine.id, 2**63 - 1, 1)
        assert told(driver) == [web.sessions.lesson]  # the newest alone
        assert told(watcher) == []
        await socket.send(pb.WallRequest(spotlight="").SerializeToString())
        await socket.send(pb.WallRequest(offer=pb.SeedOffer()).SerializeToString())
        async with asyncio.timeout(HANGS_S):
            while web.sessions.lesson != Lesson("", None, 2):
                await asyncio.sleep(0.01)


async def test_nobody_tells_the_class_anything_without_the_walls_token(tmp_path: Path) -> None:
    async with walls(tmp_path) as (web, _, _):
        for token in ("", "a-wrong-one"):
            async with looks(web) as socket:
                request = pb.WallRequest(token=token, offer=pb.SeedOffer(seed=1))
                await socket.send(request.SerializeToString())
                await socket.send(request.SerializeToString())
                assert (await ending(socket))[0] == 4016
        assert web.sessions.lesson == NO_LESSON


async def test_what_no_session_can_be_is_not_told(tmp_path: Path) -> None:
    async with walls(tmp_path) as (web, _, _), looks(web) as socket:
        await ask(socket)
        await update(socket)
        await socket.send(pb.WallRequest(spotlight="nobody").SerializeToString())
        await socket.send(pb.WallRequest(offer=pb.SeedOffer(seed=2**63)).SerializeToString())
        assert (await ending(socket))[0] == 4003
        assert web.sessions.lesson == NO_LESSON


async def test_a_flood_of_changes_is_read_no_faster_than_a_class_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inference_server.transport.wall.CHANGES_PER_SECOND", 1e-6)
    monkeypatch.setattr("inference_server.transport.wall.CHANGES_AT_ONCE", 3.0)
    async with walls(tmp_path) as (web, delivery, _), looks(web) as socket, looks(web) as other:
        for wall in (socket, other):
            await ask(wall)
            await update(wall)
        for seed in range(100):
            await socket.send(pb.WallRequest(offer=pb.SeedOffer(seed=seed)).SerializeToString())
        session = any_session()
        while (await update(other)).lesson.offer.number != 3:
            pass
        delivery.connect(session, Connection(4))
        delivery.publish(TickResult(batch_of(1, session, idle=True)))
        for wall in (socket, other):  # both go on
            while not (await update(wall)).pictures:
                pass
        assert web.sessions.lesson.offers == 3


async def test_so_many_walls_are_open_and_no_more_and_nobody_looks_when_all_are_closed(
    tmp_path: Path,
) -> None:
    async with walls(tmp_path) as (web, delivery, board):
        session = any_session()
        delivery.connect(session, Connection(4))
        delivery.publish(TickResult(batch_of(0, session, idle=True)))
        sockets = [await looks(web) for _ in range(WALLS_MAX)]
        for socket in sockets:
            await ask(socket)
            await update(socket)
        async with looks(web) as late:
            await ask(late)
            assert (await ending(late))[0] == 4008
        assert board._viewers == WALLS_MAX
        for socket in sockets:
            await socket.close()
        async with asyncio.timeout(HANGS_S):
            while board._viewers:
                await asyncio.sleep(0.01)


def test_a_message_has_only_so_many_bytes_and_what_waited_longest_comes_first() -> None:
    view, large = WallView(), bytes(UPDATE_BYTES_MAX // 2)
    sessions = [any_session() for _ in range(5)]
    shown: list[str] = []
    for _ in range(5):  # all change all the time
        pictures: dict[Session, BoardPicture] = {one: BoardPicture(large, SHAPE, 0) for one in sessions}
        message = view.update(pictures, 0, NO_LESSON)
        assert message is not None
        assert len(message.pictures) == 2
        shown += [one.session_id for one in message.pictures]
    assert shown == [one.id for one in sessions] * 2
    assert PICTURES_MAX * 28 * 28 < UPDATE_BYTES_MAX


def test_nothing_is_said_where_nothing_has_changed() -> None:
    view, picture = WallView(), BoardPicture(b"\0", (1, 1, 1), 0)
    assert view.update({}, 0, NO_LESSON) is not None  # tells the lesson
    assert view.update({}, 0, NO_LESSON) is None
    session = any_session()
    assert view.update({session: picture}, 0, NO_LESSON) is not None
    assert view.update({session: picture}, 0, NO_LESSON) is None
    assert view.update({session: picture}, 3, NO_LESSON) is not None
    assert view.update({session: picture}, 3, NO_LESSON.offering(7)) is not None
    assert view.update({session: picture}, 3, NO_LESSON.offering(7)) is None


def test_a_name_is_short_and_printable() -> None:
    assert m.Start(name="Zoë 🎈").name == "Zoë 🎈"
    for name in ("x" * 25, "a\nb", "\u202etxt"):
        with pytest.raises(InvalidValueError, match="at most 24 printable characters; shorten it"):
            m.Start(name=name)
