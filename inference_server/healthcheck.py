"""`python -m inference_server.healthcheck HOST:PORT`: whether a server is serving, as an exit status."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc


def main(argv: Sequence[str] | None = None) -> int:
    """Ask the gRPC health service; 0 if it says SERVING, 1 otherwise."""
    parser = argparse.ArgumentParser(
        prog="python -m inference_server.healthcheck",
        description="Ask a server whether it is serving; exit status 0 if so, 1 if not.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("address", nargs="?", default="127.0.0.1:50051", help="HOST:PORT of the server")
    parser.add_argument("--timeout", type=float, default=3.0, help="how long to wait for an answer, seconds")
    args = parser.parse_args(argv)
    try:
        with grpc.insecure_channel(args.address) as channel:
            request = health_pb2.HealthCheckRequest()
            reply = health_pb2_grpc.HealthStub(channel).Check(request, timeout=args.timeout)
    except grpc.RpcError as error:
        print(f"{args.address}: {error.code().name} ({error.details()})", file=sys.stderr)
        return 1
    print(health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status))
    return 0 if reply.status == health_pb2.HealthCheckResponse.SERVING else 1


if __name__ == "__main__":
    sys.exit(main())
