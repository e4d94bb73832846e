"""The statuses of `streams.status` as gRPC's."""

from __future__ import annotations

import grpc

from inference_server.streams.status import Status


def grpc_code(status: Status) -> grpc.StatusCode:
    """Return gRPC's code for a status; the names are the same."""
    return grpc.StatusCode[status.name]
