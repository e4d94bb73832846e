"""The administration service over gRPC, on the loopback address."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeAlias

import grpc
from grpc_reflection.v1alpha import reflection

from diffusion_toy.v1 import admin_pb2 as pb
from diffusion_toy.v1 import admin_pb2_grpc as pb_grpc
from inference_server.engine.roster import ModelChanges
from inference_server.streams.administration import Administration, Order
from inference_server.streams.status import status_of
from inference_server.transport.addresses import ListenError, authority
from inference_server.transport.grpc_status import grpc_code

HOST = "127.0.0.1"  # whoever reaches the port may do all of this
SERVICE_NAME = pb.DESCRIPTOR.services_by_name["AdministrationService"].full_name
ORDERS = {
    pb.MOVE_ORDER_UNSPECIFIED: Order.YOUNGEST,
    pb.MOVE_ORDER_YOUNGEST: Order.YOUNGEST,
    pb.MOVE_ORDER_LONGEST_AT_REST: Order.LONGEST_AT_REST,
}

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class AdministrationService(pb_grpc.AdministrationServiceServicer):
    """Answers what admin.proto describes.

    Args:
        administration: does what concerns sessions.
        reload: serves the model files as they are now.
        drain: makes the server stop as SIGTERM does, without waiting for it.
    """

    def __init__(
        self,
        administration: Administration,
        reload: Callable[[], Awaitable[ModelChanges]],
        drain: Callable[[], None],
    ) -> None:
        self._administration, self._reload, self._drain = administration, reload, drain

    async def ListSessions(
        self, request: pb.ListSessionsRequest, context: Context
    ) -> pb.ListSessionsResponse:
        """List the sessions, the oldest first."""
        try:
            rows = await self._administration.sessions()
        except Exception as error:
            await abort(context, error)
        return pb.ListSessionsResponse(
            sessions=[
                pb.SessionInfo(
                    session_id=row.session_id,
                    model=row.model,
                    peer=row.peer,
                    attached=row.attached,
                    rest_seconds=row.rest_s,
                    rows_per_second=row.rows_per_second,
                    fingerprint=row.fingerprint,
                )
                for row in rows
            ]
        )

    async def EndSession(self, request: pb.EndSessionRequest, context: Context) -> pb.EndSessionResponse:
        """End one session."""
        try:
            await self._administration.end(request.session_id)
        except Exception as error:
            await abort(context, error)
        return pb.EndSessionResponse()

    async def MoveSessions(
        self, request: pb.MoveSessionsRequest, context: Context
    ) -> pb.MoveSessionsResponse:
        """Send the clients of some sessions elsewhere."""
        if request.order not in ORDERS:
            known = ", ".join(pb.MoveOrder.keys())
            text = f"order is {request.order}; it must be one of {known}"
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, text)
        try:
            moved = await self._administration.move(request.count, ORDERS[request.order])
        except Exception as error:
            await abort(context, error)
        return pb.MoveSessionsResponse(session_ids=moved)

    async def Drain(self, request: pb.DrainRequest, context: Context) -> pb.DrainResponse:
        """Stop the server; the answer comes before it has stopped."""
        self._drain()
        return pb.DrainResponse()

    async def ReloadModels(
        self, request: pb.ReloadModelsRequest, context: Context
    ) -> pb.ReloadModelsResponse:
        """Serve the model files as they are now."""
        try:
            changes = await self._reload()
        except Exception as error:
            await abort(context, error)
        return pb.ReloadModelsResponse(added=changes.added, changed=changes.changed, removed=changes.removed)


async def abort(context: Context, error: Exception) -> NoReturn:
    """End a call with the status and the text of an error."""
    status, details = status_of(error)
    await context.abort(grpc_code(status), details)
    raise AssertionError("abort raises")


class AdminServer:
    """A gRPC server for operators, with reflection.

    Args:
        administration, reload: what it serves.
        drain: makes the server stop as SIGTERM does, without waiting for it.
        port: TCP port on the loopback address; 0 takes a free one.
    """

    _server: grpc.aio.Server

    def __init__(
        self,
        administration: Administration,
        reload: Callable[[], Awaitable[ModelChanges]],
        drain: Callable[[], None],
        port: int,
    ) -> None:
        self._service, self._port = AdministrationService(administration, reload, drain), port

    async def start(self) -> int:
        """Listen and serve, and return the TCP port in use.

        Raises:
            ListenError: the port is taken.
        """
        server = self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        pb_grpc.add_AdministrationServiceServicer_to_server(self._service, server)
        reflection.enable_server_reflection((SERVICE_NAME, reflection.SERVICE_NAME), server)
        try:
            port: int = server.add_insecure_port(authority(HOST, self._port))
        except RuntimeError as error:
            await server.stop(None)
            raise ListenError(
                f"cannot listen on {HOST}:{self._port} (Address already in use); choose another --admin-port"
            ) from error
        await server.start()
        return port

    async def stop(self, drain_s: float) -> None:
        """Accept nothing more, and give the present calls this time, seconds, to end."""
        await self._server.stop(drain_s)
