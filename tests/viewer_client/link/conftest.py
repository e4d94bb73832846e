"""Connections that are closed at the end, and servers that do not do what they should."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent import futures
from typing import Any

import grpc
import pytest

from diffusion_toy.contract import messages as m
from diffusion_toy.v1 import denoise_pb2_grpc as pb_grpc
from tests.viewer_client.link.dialogue import Faulty
from viewer_client.link.address import Endpoint
from viewer_client.link.connection import Connection


@pytest.fixture
def connect() -> Iterator[Any]:
    opened: list[Connection] = []

    def opener(server: str | Endpoint, start: m.Start | None = None) -> Connection:
        endpoint = server if isinstance(server, Endpoint) else Endpoint(server)
        connection = Connection(endpoint, lambda: start or m.Start())
        opened.append(connection)
        connection.open()
        return connection

    yield opener
    for connection in opened:
        connection.close()


@pytest.fixture
def faulty() -> Iterator[Any]:
    servers: list[grpc.Server] = []

    def serve(servicer: Faulty | None) -> str:
        server = grpc.server(futures.ThreadPoolExecutor(2))
        if servicer is not None:
            pb_grpc.add_DenoiseServiceServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return f"127.0.0.1:{port}"

    yield serve
    for server in servers:
        server.stop(None).wait()
