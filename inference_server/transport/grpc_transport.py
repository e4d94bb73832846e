"""gRPC as a transport: its server, health, reflection, credentials and keep-alive pings."""

from __future__ import annotations

from collections.abc import Callable

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection, reflection_pb2_grpc

from diffusion_toy.v1 import denoise_pb2, denoise_pb2_grpc
from inference_server.streams.sessions import Sessions
from inference_server.transport.addresses import (
    authority,
    cannot_listen,
    is_loopback,
    usable_addresses,
)
from inference_server.transport.bearer import BearerGuard
from inference_server.transport.grpc_bearer import BearerInterceptor
from inference_server.transport.grpc_health import BoundedHealth
from inference_server.transport.grpc_reflection import BoundedReflection
from inference_server.transport.grpc_service import DenoiseService
from inference_server.transport.proxies import NO_PROXIES, TrustedProxies
from inference_server.transport.security import (
    ServerSecurity,
    certificate_warning,
    check_binding,
    grpc_credentials,
)

SERVICE_NAME = denoise_pb2.DESCRIPTOR.services_by_name["DenoiseService"].full_name
PING_MIN_MS = 5_000  # clients may ping this often without being sent away
PING_EVERY_MS, PING_TIMEOUT_MS = 10_000, 20_000  # a reader may stall for a quarter of a minute
# The last finds a peer that hangs while its kernel still answers; the keep-alive timeout alone does not.
PINGS = (
    ("grpc.http2.min_ping_interval_without_data_ms", PING_MIN_MS),
    ("grpc.keepalive_time_ms", PING_EVERY_MS),
    ("grpc.keepalive_timeout_ms", PING_TIMEOUT_MS),
    ("grpc.http2.ping_timeout_ms", PING_TIMEOUT_MS),
)
# Of a stream that is not read, gRPC takes 64 KiB ahead. With its probes of the bandwidth it would take 5 MiB.
READ_AHEAD = (("grpc.http2.bdp_probe", 0),)


class GrpcTransport:
    """Serves sessions over gRPC.

    Args:
        host: where to listen, a name or an address.
        port: TCP port; 0 takes a free one.
        security: certificate and bearer token.
        guard: knows the token.
        on_refused: called for each call without the token.
        proxies: whose word on a client's address is believed.
    """

    name = "gRPC"
    _server: grpc.aio.Server

    def __init__(
        self,
        host: str,
        port: int,
        security: ServerSecurity,
        guard: BearerGuard,
        on_refused: Callable[[], object] = lambda: None,
        proxies: TrustedProxies = NO_PROXIES,
    ) -> None:
        self._host, self._port, self._security, self._guard = host, port, security, guard
        self._on_refused, self._proxies = on_refused, proxies
        self._health = BoundedHealth(proxies)

    def check(self) -> list[str]:
        """See that it can be started; see `Transport.check`."""
        warnings = [check_binding(self._host, self._security), certificate_warning(self._security)]
        usable_addresses(self._host, self._port)
        return [warning for warning in warnings if warning is not None]

    async def start(self, sessions: Sessions) -> int:
        """Listen and serve; see `Transport.start`."""
        await self.set_serving(False)
        credentials = grpc_credentials(self._security)
        addresses = usable_addresses(self._host, self._port)
        options = [
            ("grpc.so_reuseport", 0),
            ("grpc.max_receive_message_length", sessions.limits.request_bytes),
            *PINGS,
            *READ_AHEAD,
        ]
        interceptors = []
        if self._security.bearer_token:
            interceptors.append(BearerInterceptor(self._guard, self._on_refused, self._proxies))
        server = self._server = grpc.aio.server(interceptors=interceptors, options=options)
        denoise_pb2_grpc.add_DenoiseServiceServicer_to_server(DenoiseService(sessions, self._proxies), server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        names = (SERVICE_NAME, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection_pb2_grpc.add_ServerReflectionServicer_to_server(
            BoundedReflection(names, self._proxies), server
        )
        # One by one: gRPC itself is content if any of a name's addresses is free, beside another server.
        for address in addresses:
            where = authority(address, self._port)
            try:
                if credentials is None:
                    self._port = server.add_insecure_port(where)
                else:
                    self._port = server.add_secure_port(where, credentials)
            except RuntimeError as error:  # somebody was faster than we since the check
                await server.stop(None)
                raise cannot_listen(self._host, self._port, "Address already in use") from error
        await server.start()
        return self._port

    async def set_serving(self, serving: bool) -> None:
        """Answer health checks for the server as a whole and for its service."""
        states = health_pb2.HealthCheckResponse
        for name in ("", SERVICE_NAME):
            await self._health.set(name, states.SERVING if serving else states.NOT_SERVING)

    async def stop(self, drain_s: float) -> None:
        """End in good order; see `Transport.stop`."""
        await self._server.stop(drain_s)

    def announcement(self, *, terminal: bool) -> list[str]:
        """Return the address, and how others join."""
        lines = [f"serving on {authority(self._host, self._port)}"]
        if not is_loopback(self._host):
            flags = " --tls" if self._security.tls_cert else ""
            if token := self._security.bearer_token:
                flags += f" --token {token if terminal else 'TOKEN'}"
            lines.append(f"join with: python -m viewer_client --server THIS-MACHINE:{self._port}{flags}")
        return lines
