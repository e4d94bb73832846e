"""Write the Python stubs of proto/ below a folder: `python proto/generate.py .`

The proto path equals the Python import path, so what protoc writes needs no patching.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

PROTO = Path(__file__).resolve().parent


def generate(out: Path) -> None:
    """Generate `*_pb2.py`, `*_pb2_grpc.py` and their `.pyi` below `out`.

    Raises:
        RuntimeError: protoc found a mistake (it has printed which).
    """
    # protoc looks for its plugins on PATH; those of this environment come first
    os.environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    status = protoc.main(
        [
            "protoc",
            f"-I{PROTO}",
            f"-I{Path(grpc_tools.__file__).parent / '_proto'}",
            *(f"--{kind}_out={out}" for kind in ("python", "grpc_python", "mypy", "mypy_grpc")),
            *(str(path) for path in sorted(PROTO.glob("**/*.proto"))),
        ]
    )
    if status:
        raise RuntimeError(f"protoc ended with status {status}")


if __name__ == "__main__":
    generate(Path(sys.argv[1]))
