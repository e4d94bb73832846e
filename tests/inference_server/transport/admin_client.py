"""An operator's end of the administration service."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import grpc
import pytest

from diffusion_toy.v1 import admin_pb2 as pb
from diffusion_toy.v1 import admin_pb2_grpc as pb_grpc
from tests.tools import ServerProcess


def admin_port(server: ServerProcess) -> int:
    """Return where a server's administration listens."""
    return int(re.findall(r"administration listens on port (\d+)", "".join(server.log))[0])


@contextmanager
def administration(server: ServerProcess) -> Iterator[pb_grpc.AdministrationServiceStub]:
    """Connect to a server's administration for the length of a block."""
    with grpc.insecure_channel(f"127.0.0.1:{admin_port(server)}") as channel:
        yield pb_grpc.AdministrationServiceStub(channel)


def listed(admin: pb_grpc.AdministrationServiceStub) -> dict[str, pb.SessionInfo]:
    """Return the sessions of a server by their names, the oldest first."""
    return {one.session_id: one for one in admin.ListSessions(pb.ListSessionsRequest()).sessions}


def code_of(call: grpc.UnaryUnaryMultiCallable, request: object) -> tuple[grpc.StatusCode, str]:
    """Return the status and the text with which a call fails."""
    with pytest.raises(grpc.RpcError) as caught:
        call(request)
    assert isinstance(caught.value, grpc.Call)
    return caught.value.code(), caught.value.details() or ""
