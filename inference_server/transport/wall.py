"""The class wall: everybody's picture, small, for who has the wall's token.

A wall is no stream of the contract: "Over a WebSocket" in denoise.proto describes it. It looks at the board
five times a second and sends what has changed since; it has no session, no acknowledgements and no network
rows.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlencode

from google.protobuf.message import DecodeError
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from diffusion_toy.v1 import denoise_pb2 as pb
from inference_server.engine.session import Session
from inference_server.streams.board import Board, BoardPicture
from inference_server.streams.sessions import Sessions
from inference_server.streams.status import Status, StreamError, status_of
from inference_server.transport.bearer import BearerGuard
from inference_server.transport.websocket import peer_of

WALL_SUBPROTOCOL = "diffusion-toy.wall.v1"
WALLS_MAX = 8  # open at a time
PICTURES_MAX = 100  # on a wall
UPDATE_BYTES_MAX = 256 * 1024  # of pictures in one message; the others come with the next
UPDATE_S = 0.2
REQUEST_S = 10.0  # how long a wall may be open before its request comes
REQUEST_BYTES_MAX = 5 * 1024  # more than the longest token
REFUSAL = "the class wall has a token of its own, and {problem}; open the wall's link that the server printed"


class WallView:
    """What one wall has been sent, and so what it is to be sent next."""

    def __init__(self) -> None:
        self._sent: dict[Session, BoardPicture] = {}  # the one that was sent longest ago is the first
        self._others = 0

    def update(self, pictures: dict[Session, BoardPicture], others: int) -> pb.WallUpdate | None:
        """Return what has changed since the call before; None if nothing has.

        What has waited longest comes first, up to `UPDATE_BYTES_MAX` and at least one picture.

        Args:
            pictures: of all sessions that are to be seen; another object where it has changed.
            others: how many sessions there are beside these.
        """
        gone = [session for session in self._sent if session not in pictures]
        for session in gone:
            del self._sent[session]
        changed = [session for session in pictures if session not in self._sent]
        changed += [session for session, sent in self._sent.items() if pictures[session] is not sent]
        if not changed and not gone and others == self._others:
            return None
        self._others = others
        message = pb.WallUpdate(gone=[session.id for session in gone], others=others)
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
        self._stopping = asyncio.Event()

    def link(self, page: str, bearer_token: str | None) -> str:
        """Return the wall's address; in its fragment the wall's token, and the one that watching takes."""
        fields = {"wall": self._token, **({"token": bearer_token} if bearer_token else {})}
        return f"{page}wall#{urlencode(fields)}"

    def stop(self) -> None:
        """End all walls, since the server is shutting down."""
        self._stopping.set()

    async def serve(self, connection: ServerConnection, sessions: Sessions) -> tuple[Status, str] | None:
        """Serve a wall until it is closed.

        Args:
            connection: after its handshake.
            sessions: hold the client's address to its number of streams.

        Returns:
            The status and the text to close it with; None if the client has closed it, or is lost.
        """
        try:
            with sessions.counted(peer_of(connection)):
                await self._admit(connection)
                await self._show(connection)
        except ConnectionClosed:
            return None
        except Exception as error:
            return status_of(error)
        return Status.UNAVAILABLE, "the server is shutting down; try again in a moment"

    async def _admit(self, connection: ServerConnection) -> None:
        """Wait for the request.

        Raises:
            StreamError: it does not come, is none, or lacks the token.
        """
        try:
            async with asyncio.timeout(REQUEST_S):
                content = await connection.recv()
        except TimeoutError:
            raise StreamError(Status.DEADLINE_EXCEEDED, f"no request came within {REQUEST_S:g} s") from None
        if isinstance(content, str) or len(content) > REQUEST_BYTES_MAX:
            limit = f"a WallRequest is binary, and of at most {REQUEST_BYTES_MAX} bytes"
            raise StreamError(Status.INVALID_ARGUMENT, limit)
        try:
            request = pb.WallRequest.FromString(content)
        except DecodeError as error:
            raise StreamError(Status.INVALID_ARGUMENT, "the message is no WallRequest") from error
        self._guard.check(peer_of(connection), [request.token.encode()])
        if self._walls >= WALLS_MAX:
            said = f"{WALLS_MAX} walls are open, which is the limit; close one"
            raise StreamError(Status.RESOURCE_EXHAUSTED, said)

    async def _show(self, connection: ServerConnection) -> None:
        """Send what changes until the server stops.

        Raises:
            ConnectionClosed: the client is done or lost.
            StreamError: it has sent something more.
        """
        self._walls += 1
        self._board.look()
        more = asyncio.ensure_future(connection.recv())
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            view = WallView()
            while not stopping.done():
                pictures = self._board.pictures(PICTURES_MAX)
                update = view.update(pictures, max(len(self._board) - len(pictures), 0))
                if update is not None:
                    await connection.send(update.SerializeToString())
                await asyncio.wait((more, stopping), timeout=UPDATE_S, return_when=asyncio.FIRST_COMPLETED)
                if more.done():
                    more.result()
                    raise StreamError(Status.FAILED_PRECONDITION, "a wall sends one request and no more")
        finally:
            more.cancel()
            stopping.cancel()
            await asyncio.gather(more, stopping, return_exceptions=True)
            self._board.look_away()
            self._walls -= 1
