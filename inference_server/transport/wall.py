"""The class wall: everybody's picture, small, for who has the wall's token.

A wall is no stream of the contract: "Over a WebSocket" in denoise.proto describes it. It looks at the board
five times a second and sends what has changed since; it has no session, no acknowledgements and no network
rows. Who has it open may also tell the class something: see `Lesson`.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

from google.protobuf.message import DecodeError
from websockets.exceptions import ConnectionClosed

from diffusion_toy.rate import TokenBucket
from diffusion_toy.v1 import denoise_pb2 as pb
from inference_server.engine.session import Session
from inference_server.streams.board import Board, BoardPicture
from inference_server.streams.conversation import lesson_to_proto
from inference_server.streams.lesson import Lesson
from inference_server.streams.sessions import Sessions
from inference_server.streams.status import Status, StreamError, status_of
from inference_server.transport.bearer import BearerGuard
from inference_server.transport.web_connection import Connection

WALL_SUBPROTOCOL = "diffusion-toy.wall.v1"
WALLS_MAX = 8  # open at a time
PICTURES_MAX = 100  # on a wall
UPDATE_BYTES_MAX = 256 * 1024  # of pictures in one message; the others come with the next
UPDATE_S = 0.2
REQUEST_S = 10.0  # how long a wall may be open before its request comes
REQUEST_BYTES_MAX = 5 * 1024  # more than the longest token
CHANGES_PER_SECOND, CHANGES_AT_ONCE = 4.0, 8.0  # of the lesson, by all walls together
REFUSAL = "the class wall has a token of its own, and {problem}; open the wall's link that the server printed"


class WallView:
    """What one wall has been sent, and so what it is to be sent next."""

    def __init__(self) -> None:
        self._sent: dict[Session, BoardPicture] = {}  # the one that was sent longest ago is the first
        self._others = 0
        self._lesson: Lesson | None = None

    def update(
        self, pictures: dict[Session, BoardPicture], others: int, lesson: Lesson
    ) -> pb.WallUpdate | None:
        """Return what has changed since the call before; None if nothing has.

        What has waited longest comes first, up to `UPDATE_BYTES_MAX` and at least one picture.

        Args:
            pictures: of all sessions that are to be seen; another object where it has changed.
            others: how many sessions there are beside these.
            lesson: what the class is told.
        """
        gone = [session for session in self._sent if session not in pictures]
        for session in gone:
            del self._sent[session]
        changed = [session for session in pictures if session not in self._sent]
        changed += [session for session, sent in self._sent.items() if pictures[session] is not sent]
        news = lesson != self._lesson
        if not changed and not gone and not news and others == self._others:
            return None
        self._others, self._lesson = others, lesson
        message = pb.WallUpdate(gone=[session.id for session in gone], others=others)
        if news:
            message.lesson.CopyFrom(lesson_to_proto(lesson))
        room = UPDATE_BYTES_MAX
        for session in changed:
            picture = pictures[session]
            room -= len(picture.x_t)
            if room < 0 and message.pictures:
                break
            self._sent.pop(session, None)
            self._sent[session] = picture
            channels, height, width = picture.shape
            message.pictures.add(
                session_id=session.id,
                name=session.name,
                channels=channels,
                height=height,
                width=width,
                x_t=picture.x_t,
                time_step=picture.time_step,
            )
        return message


class Wall:
    """Serves walls.

    Args:
        board: where the pictures come from.
        token: what a wall has to know.
    """

    def __init__(self, board: Board, token: str) -> None:
        self._board, self._token = board, token
        self._guard = BearerGuard(token, REFUSAL)
        self._walls = 0
        self._changes = TokenBucket(CHANGES_PER_SECOND, CHANGES_AT_ONCE)
        self._stopping = asyncio.Event()

    def link(self, page: str, bearer_token: str | None) -> str:
        """Return the wall's address; in its fragment the wall's token, and the one that watching takes."""
        fields = {"wall": self._token, **({"token": bearer_token} if bearer_token else {})}
        return f"{page}wall#{urlencode(fields)}"

    def stop(self) -> None:
        """End all walls, since the server is shutting down."""
        self._stopping.set()

    async def serve(self, connection: Connection, sessions: Sessions) -> tuple[Status, str] | None:
        """Serve a wall until it is closed.

        Args:
            connection: after its handshake.
            sessions: hold the client's address to its number of streams.

        Returns:
            The status and the text to close it with; None if the client has closed it, or is lost.
        """
        try:
            with sessions.counted(connection.client):
                await self._admit(connection)
                await self._show(connection, sessions)
        except ConnectionClosed:
            return None
        except Exception as error:
            return status_of(error)
        return Status.UNAVAILABLE, "the server is shutting down; try again in a moment"

    async def _admit(self, connection: Connection) -> None:
        """Wait for the first request.

        Raises:
            StreamError: it does not come, is none, or lacks the token.
        """
        try:
            async with asyncio.timeout(REQUEST_S):
                request = _request(await connection.recv())
        except TimeoutError:
            raise StreamError(Status.DEADLINE_EXCEEDED, f"no request came within {REQUEST_S:g} s") from None
        self._guard.check(connection.client, [request.token.encode()])
        if self._walls >= WALLS_MAX:
            said = f"{WALLS_MAX} walls are open, which is the limit; close one"
            raise StreamError(Status.RESOURCE_EXHAUSTED, said)

    async def _next(self, connection: Connection) -> pb.WallRequest:
        """Wait for a further request, and until it is its turn: what comes faster is not read.

        Raises:
            ConnectionClosed: the client is done or lost.
            StreamError: it is none.
        """
        request = _request(await connection.recv())
        await asyncio.sleep(self._changes.reserve(asyncio.get_running_loop().time()))
        return request

    def _change(self, request: pb.WallRequest, sessions: Sessions) -> None:
        """Tell the class what a request asks for.

        Raises:
            InvalidValueError: a seed that no session can have.
        """
        lesson = sessions.lesson
        match request.WhichOneof("change"):
            case "spotlight" if not request.spotlight or self._board.shows(request.spotlight):
                sessions.teach(lesson.with_spotlight(request.spotlight))
            case "offer":
                seed = request.offer.seed if request.offer.HasField("seed") else None
                sessions.teach(lesson.offering(seed))

    async def _show(self, connection: Connection, sessions: Sessions) -> None:
        """Send what changes, and take what the class is to be told, until the server stops.

        Raises:
            ConnectionClosed: the client is done or lost.
            StreamError, InvalidValueError: it has sent what is no request.
        """
        self._walls += 1
        self._board.look()
        more = asyncio.ensure_future(self._next(connection))
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            view = WallView()
            while not stopping.done():
                pictures = self._board.pictures(PICTURES_MAX)
                others = max(len(self._board) - len(pictures), 0)
                update = view.update(pictures, others, sessions.lesson)
                if update is not None:
                    await connection.send(update.SerializeToString())
                await asyncio.wait((more, stopping), timeout=UPDATE_S, return_when=asyncio.FIRST_COMPLETED)
                if more.done():
                    self._change(more.result(), sessions)
                    more = asyncio.ensure_future(self._next(connection))
        finally:
            more.cancel()
            stopping.cancel()
            await asyncio.gather(more, stopping, return_exceptions=True)
            self._board.look_away()
            self._walls -= 1


def _request(content: str | bytes) -> pb.WallRequest:
    """Return the request that a message is.

    Raises:
        StreamError: it is none.
    """
    if isinstance(content, str) or len(content) > REQUEST_BYTES_MAX:
        limit = f"a WallRequest is binary, and of at most {REQUEST_BYTES_MAX} bytes"
        raise StreamError(Status.INVALID_ARGUMENT, limit)
    try:
        return pb.WallRequest.FromString(content)
    except DecodeError as error:
        raise StreamError(Status.INVALID_ARGUMENT, "the message is no WallRequest") from error
