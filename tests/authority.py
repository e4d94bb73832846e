"""An authority that signs certificates for this machine, good ones and bad ones."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import grpc

PAST, NOW, FUTURE, FAR = "20240101000000Z", "20240201000000Z", "20390101000000Z", "20400101000000Z"
CONFIGURATION = """[ca]
default_ca = d
[d]
database = index
serial = serial
new_certs_dir = .
certificate = ca.pem
private_key = ca.key
default_md = sha256
policy = p
unique_subject = no
[p]
commonName = supplied
"""


@dataclass(frozen=True)
class Authority:
    """Signs certificates for this test's servers."""

    folder: Path
    openssl: str

    def _run(self, *arguments: str) -> None:
        subprocess.run([self.openssl, *arguments], check=True, capture_output=True, cwd=self.folder)

    def self_signed(self, name: str, host: str) -> None:
        self._run(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{host}",
            "-out", f"{name}.pem", "-keyout", f"{name}.key",
        )  # fmt: skip

    def sign(self, name: str, host: str, start: str, end: str) -> None:
        (self.folder / "ca.cnf").write_text(
            f"{CONFIGURATION}[x]\nsubjectAltName=DNS:{host}\n", encoding="utf-8"
        )
        (self.folder / "index").touch()
        self._run(
            "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-subj", f"/CN={name}", "-out", f"{name}.csr", "-keyout", f"{name}.key",
        )  # fmt: skip
        self._run(
            "ca", "-batch", "-notext", "-config", "ca.cnf", "-extensions", "x", "-rand_serial",
            "-in", f"{name}.csr", "-out", f"{name}.pem", "-startdate", start, "-enddate", end,
        )  # fmt: skip

    def credentials(self, name: str) -> grpc.ServerCredentials:
        key, certificate = ((self.folder / f"{name}.{suffix}").read_bytes() for suffix in ("key", "pem"))
        return grpc.ssl_server_credentials([(key, certificate)])
