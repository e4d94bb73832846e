"""Bindings that are refused, certificates that do not fit, secrets that are too short."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from inference_server.transport.addresses import ListenError, is_loopback
from inference_server.transport.security import (
    SECRET_BYTES_MAX,
    SecurityError,
    ServerSecurity,
    check_binding,
    grpc_credentials,
    read_secret,
    read_token,
)
from tests.tools import require_tool

TOKEN = "correct-horse-battery"
NOTHING = ServerSecurity()
LAN = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.168.7.9", 0))]


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A fresh self-signed certificate for localhost, and its key."""
    openssl = require_tool("openssl", "apt-get install openssl")
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    subprocess.run([*command, "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


# --- where a server may listen ---


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "localhost", "::1", "[::1]", "::ffff:127.0.0.1"])
def test_loopback_needs_nothing(host: str) -> None:
    assert check_binding(host, NOTHING) is None


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "", "10.1.2.3", "192.168.0.4", "8.8.8.8", "fd00::1", "[::]"]
)
def test_other_addresses_need_protection(host: str) -> None:
    with pytest.raises(SecurityError) as caught:
        check_binding(host, NOTHING)
    for said in (f"--host {host}", "--tls-cert and --tls-key", "--token-file", "--insecure"):
        assert said in str(caught.value)


def test_a_name_counts_as_what_it_resolves_to(monkeypatch: pytest.MonkeyPatch) -> None:
    loopback = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.1.1", 0))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: loopback)
    assert is_loopback("gpu-box")
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: loopback + LAN)
    assert not is_loopback("gpu-box")
    with pytest.raises(SecurityError, match="--host gpu-box is reachable"):
        check_binding("gpu-box", NOTHING)


@pytest.mark.parametrize("host", ["256.1.1.1", "a" * 70 + ".invalid"])
def test_an_unknown_name_is_refused(host: str) -> None:
    with pytest.raises(ListenError, match=f"cannot listen on {host}"):
        check_binding(host, NOTHING)


def test_what_protects_and_what_is_warned_of() -> None:
    tls = ServerSecurity(tls_cert=Path("c"), tls_key=Path("k"))
    assert check_binding("0.0.0.0", tls) is None
    readable = check_binding("0.0.0.0", ServerSecurity(bearer_token=TOKEN))
    assert readable is not None
    assert "without TLS" in readable
    assert TOKEN not in readable
    open_to_all = check_binding("0.0.0.0", ServerSecurity(insecure=True))
    assert open_to_all is not None
    assert "open to everyone" in open_to_all
    assert check_binding("127.0.0.1", ServerSecurity(insecure=True)) is None


# --- certificates ---


def test_no_tls_no_credentials() -> None:
    assert grpc_credentials(NOTHING) is None


@pytest.mark.parametrize("given", ["tls_cert", "tls_key"])
def test_a_certificate_and_its_key_come_together(given: str) -> None:
    with pytest.raises(SecurityError, match=r"--tls-\w+ needs --tls-\w+ as well"):
        ServerSecurity(**{given: Path("x.pem")})  # type: ignore[arg-type]


async def test_a_client_that_trusts_the_certificate_gets_through(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "a")
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
    port = server.add_secure_port("localhost:0", grpc_credentials(ServerSecurity(cert, key)))
    await server.start()
    trust = grpc.ssl_channel_credentials(cert.read_bytes())
    async with grpc.aio.secure_channel(f"localhost:{port}", trust) as channel:
        reply = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
    assert reply.status == health_pb2.HealthCheckResponse.SERVING
    await server.stop(None)


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    cert, _ = certificate(tmp_path, "a")
    _, key = certificate(tmp_path, "b")
    with pytest.raises(SecurityError, match=r"b\.key is not the key of --tls-cert .*a\.pem"):
        grpc_credentials(ServerSecurity(cert, key))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "a")
    with pytest.raises(SecurityError, match=r"--tls-cert nowhere\.pem cannot be read \(No such file"):
        grpc_credentials(ServerSecurity(Path("nowhere.pem"), key))
    with pytest.raises(SecurityError, match=r"--tls-key .* cannot be read"):
        grpc_credentials(ServerSecurity(cert, tmp_path))


def test_what_is_not_pem_is_named(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "a")
    with pytest.raises(SecurityError, match=r"--tls-cert .*a\.key has no certificate in PEM format"):
        grpc_credentials(ServerSecurity(key, key))
    with pytest.raises(SecurityError, match=r"--tls-key .*a\.pem has no private key in PEM format"):
        grpc_credentials(ServerSecurity(cert, cert))


def test_a_damaged_certificate_is_refused(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "a")
    lines = cert.read_text().splitlines()
    cert.write_text("\n".join([*lines[:2], *lines[3:]]))
    with pytest.raises(SecurityError, match="cannot be used"):
        grpc_credentials(ServerSecurity(cert, key))


def test_an_encrypted_key_is_refused_without_asking_for_its_password(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "a")
    locked = tmp_path / "locked.key"
    command = ["openssl", "pkey", "-in", key, "-aes256", "-passout", "pass:x", "-out", locked]
    subprocess.run(command, check=True, capture_output=True)
    with pytest.raises(SecurityError, match=r"locked\.key is encrypted; decrypt it: openssl pkey"):
        grpc_credentials(ServerSecurity(cert, locked))


# --- secrets from files ---


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\n\n"])
def test_a_secret_is_read_without_its_line_end(tmp_path: Path, end: bytes) -> None:
    (tmp_path / "secret").write_bytes(TOKEN.encode() + end)
    assert read_secret(tmp_path / "secret", "--token-file", minimum=16) == TOKEN.encode()
    assert read_token(tmp_path / "secret") == TOKEN


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"  \n", "is empty"),
        (b"short\n", "holds 5 bytes and at least 16 are needed"),
        (b"x" * (SECRET_BYTES_MAX + 1), "is larger than 4096 bytes"),
    ],
)
def test_a_bad_secret_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "secret").write_bytes(content)
    with pytest.raises(SecurityError) as caught:
        read_secret(tmp_path / "secret", "--resume-key-file", minimum=16)
    assert str(caught.value).startswith(f"--resume-key-file: {tmp_path / 'secret'} {said}")


def test_a_missing_secret_is_named(tmp_path: Path) -> None:
    with pytest.raises(SecurityError, match=r"--token-file: .*nowhere cannot be read"):
        read_token(tmp_path / "nowhere")


@pytest.mark.parametrize("content", ["zwei Wörter", "two words", "tab\there", "line\nline"])
def test_a_token_that_no_header_carries_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "secret").write_text(content, encoding="utf-8")
    with pytest.raises(SecurityError, match="characters that a header cannot carry"):
        ServerSecurity(bearer_token=read_token(tmp_path / "secret"))


def test_the_token_is_not_in_the_text_form() -> None:
    assert TOKEN not in repr(ServerSecurity(bearer_token=TOKEN))
