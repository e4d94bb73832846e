"""`python -m inference_server.ops.healthcheck HOST:PORT`: whether a server is serving, as an exit status."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from diffusion_toy.console import packages_of

with packages_of("server"):
    import grpc

CERTIFICATE_VARIABLE = "DIFFUSION_TOY_TLS_CERT"  # the server's own
STRAIGHT = ("grpc.enable_http_proxy", 0)  # whatever proxy the environment names


def main(argv: Sequence[str] | None = None) -> int:
    """Ask the gRPC health service; 0 if it says SERVING, 1 otherwise."""
    parser = argparse.ArgumentParser(
        prog="python -m inference_server.ops.healthcheck",
        description="Ask a server whether it is serving; exit status 0 if so, 1 if not.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("address", nargs="?", default="127.0.0.1:50051", help="HOST:PORT of the server")
    parser.add_argument("--timeout", type=float, default=3.0, help="how long to wait for an answer, seconds")
    parser.add_argument(
        "--tls-ca",
        type=Path,
        default=os.environ.get(CERTIFICATE_VARIABLE) or None,
        metavar="FILE",
        help="encrypt, and trust what is in this PEM file; without it the server's own certificate, if "
        f"{CERTIFICATE_VARIABLE} names it",
    )
    parser.add_argument(
        "--tls-name", default="localhost", metavar="HOST", help="the host that the certificate is for"
    )
    args = parser.parse_args(argv)
    with packages_of("server"):
        from grpc_health.v1 import health_pb2, health_pb2_grpc
    try:
        with _channel(args.address, args.tls_ca, args.tls_name) as channel:
            request = health_pb2.HealthCheckRequest()
            reply = health_pb2_grpc.HealthStub(channel).Check(request, timeout=args.timeout)
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    except grpc.RpcError as error:
        print(f"{args.address}: {error.code().name} ({error.details()})", file=sys.stderr)
        return 1
    print(health_pb2.HealthCheckResponse.ServingStatus.Name(reply.status))
    return 0 if reply.status == health_pb2.HealthCheckResponse.SERVING else 1


def _channel(address: str, tls_ca: Path | None, tls_name: str) -> grpc.Channel:
    if tls_ca is None:
        return grpc.insecure_channel(address, [STRAIGHT])
    options = [STRAIGHT, ("grpc.ssl_target_name_override", tls_name)]
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(tls_ca.read_bytes()), options)


if __name__ == "__main__":
    sys.exit(main())
