"""The page's port: what it serves, to whom, and what it refuses. No engine runs here."""

from __future__ import annotations

import asyncio
import gzip
import logging
import socket
import ssl
from pathlib import Path

import pytest

from diffusion_toy.errors import InvalidValueError
from diffusion_toy.v1 import denoise_pb2 as pb
from inference_server.transport.addresses import ListenError
from inference_server.transport.bearer import WRONG_AT_ONCE, BearerGuard
from inference_server.transport.page import Page
from inference_server.transport.security import SecurityError, ServerSecurity
from inference_server.transport.web_origin import WebOrigins
from inference_server.transport.web_transport import WebConfig, WebTransport
from tests.inference_server.transport.test_security import certificate
from tests.inference_server.transport.web_port import HANGS_S, SCRIPT, ending, refused, web

TOKEN = "correct-horse-battery"


# --- files ---


async def test_the_page_is_served_with_the_headers_of_a_strict_page(folder: Path) -> None:
    async with web(folder) as page:
        status, headers, body = await page.get("/?a=b")
        assert (status, body) == (200, b"<!doctype html><title>toy</title>")
        assert headers["content-type"] == "text/html; charset=utf-8"
        assert headers["cache-control"] == "no-cache"
        policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
        assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert policy["script-src"] == policy["connect-src"] == "'self'"
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers
        for path in ("/nowhere", "/api/models", "/api/health"):  # errors too
            assert (await page.get(path))[1]["content-security-policy"] == headers["content-security-policy"]
        assert (await page.get("/wall"))[0] == 404


async def test_assets_are_kept_for_ever_and_compressed_for_who_takes_it(folder: Path) -> None:
    async with web(folder) as page:
        status, headers, body = await page.get("/assets/page-1a2b.js")
        assert (status, body) == (200, SCRIPT)
        assert headers["content-type"] == "text/javascript; charset=utf-8"
        assert "immutable" in headers["cache-control"]
        assert "content-encoding" not in headers
        _, headers, body = await page.get("/assets/page-1a2b.js", "Accept-Encoding: br, gzip")
        assert headers["content-encoding"] == "gzip"
        assert len(body) < len(SCRIPT) / 2
        assert gzip.decompress(body) == SCRIPT


async def test_a_large_file_arrives_whole_at_a_slow_reader(folder: Path) -> None:
    content = bytes(range(256)) * 20_000  # 5 MB, more than the sockets between take
    (folder / "large.bin").write_bytes(content)
    async with web(folder) as page:
        reader, writer = await asyncio.open_connection("127.0.0.1", page.port, limit=4096)
        writer.write(f"GET /large.bin HTTP/1.1\r\nHost: localhost:{page.port}\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.5)  # so that the server has written what it can
        async with asyncio.timeout(HANGS_S):
            assert await reader.read(-1) == content
        writer.close()


@pytest.mark.parametrize(
    "path",
    ["/secret", "/../secret", "/assets/../../secret", "/%2e%2e/secret", "/assets", "//secret", "/.", "/dist"],
)
async def test_nothing_but_the_pages_files_is_served(folder: Path, path: str) -> None:
    async with web(folder) as page:
        status, _, body = await page.get(path)
        assert status == 404
        assert b"secret" not in body


async def test_a_server_without_the_pages_files_says_so_and_serves_the_contract(tmp_path: Path) -> None:
    async with web(tmp_path / "nowhere") as page:
        assert any("missing" in warning for warning in page.transport.check())
        assert (await page.get("/"))[0] == 404
        assert (await page.get("/api/health"))[0] == 503


async def test_health_says_whether_it_serves(folder: Path) -> None:
    async with web(folder) as page:
        assert (await page.get("/api/health"))[::2] == (503, b"NOT_SERVING\n")
        await page.transport.set_serving(True)
        assert (await page.get("/api/health"))[::2] == (200, b"SERVING\n")


# --- who may ask ---

HOSTS = [
    "localhost",
    "localhost:1",
    "127.0.0.1",
    "[::1]:80",
    "192.168.0.9:8080",
    "toy.localhost",
    "box.example",
]


@pytest.mark.parametrize(
    "host", [*HOSTS, socket.gethostname(), socket.gethostname().upper(), "BOX.example:443"]
)
async def test_the_servers_own_names_and_any_address_are_known(folder: Path, host: str) -> None:
    async with web(folder, names=("box.example",)) as page:
        assert (await page.get(host=host))[0] == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "evil@localhost",
        "localhost:x",
        "[::1",
    ],
)
async def test_a_name_that_is_made_to_stand_for_this_machine_is_refused(folder: Path, host: str) -> None:
    async with web(folder) as page:
        for path in ("/", "/api/models", "/api/denoise", "/api/health"):
            status, _, body = await page.get(path, host=host)
            assert status == 421
            assert b"--web-host-name" in body


async def test_a_request_without_a_host_or_with_two_is_refused(folder: Path) -> None:
    async with web(folder) as page:
        assert (await page.ask(b"GET / HTTP/1.1\r\n\r\n"))[0] == 421
        assert (await page.ask(b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"))[0] == 421


@pytest.mark.parametrize("target", ["//[", "http://[/", "//[x]/api/denoise"])
async def test_a_target_that_is_no_address_is_the_clients_mistake(
    folder: Path, target: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with web(folder) as page:
        assert (await page.get(target))[0] == 400
    assert not caplog.records


async def test_a_header_that_is_repeated_counts_as_one_list(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with web(folder) as page:
        _, headers, _ = await page.get("/assets/page-1a2b.js", "Accept-Encoding: br", "Accept-Encoding: gzip")
        assert headers["content-encoding"] == "gzip"
        _, headers, _ = await page.get("/api/models", "Accept: text/html", "Accept: application/x-protobuf")
        assert headers["content-type"] == "application/x-protobuf"
    assert not caplog.records


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost", "http://localhost.evil.example", "file://"]
)
async def test_a_page_of_another_origin_may_not_use_the_server(folder: Path, origin: str) -> None:
    async with web(folder) as page:
        assert await refused(page, origin=origin) == 403
        assert (await page.get("/api/models", f"Origin: {origin}"))[0] == 403


async def test_a_page_of_the_server_or_of_an_origin_that_is_allowed_may(folder: Path) -> None:
    async with web(folder, origins=("https://School.example",)) as page:
        for origin in (f"http://localhost:{page.port}", "https://school.example", None):
            async with page.socket(origin=origin) as connection:
                assert connection.subprotocol == "diffusion-toy.v1"


def test_with_tls_a_page_of_http_may_not() -> None:
    plain, encrypted = WebOrigins(), WebOrigins(tls=True)
    assert plain.allows("http://box:8080", "box:8080")
    assert plain.allows("https://box:8080", "box:8080")  # encryption ended at a proxy
    assert encrypted.allows("https://box:8080", "box:8080")
    assert not encrypted.allows("http://box:8080", "box:8080")


@pytest.mark.parametrize(
    "origin", ["school.example", "https://", "ftp://a", "https://a/path", "https://a@b", "*"]
)
def test_an_origin_that_is_none_is_refused_at_the_start(origin: str) -> None:
    with pytest.raises(InvalidValueError, match="--web-origin"):
        WebOrigins(origins=[origin])


@pytest.mark.parametrize("name", ["http://box", "box:80", "", "a/b", "[", "[::1", "a]"])
def test_a_host_name_that_is_none_is_refused_at_the_start(name: str) -> None:
    with pytest.raises(InvalidValueError, match="--web-host-name"):
        WebOrigins(names=[name])


def test_other_addresses_need_protection_for_the_page_too(folder: Path) -> None:
    def check(host: str, security: ServerSecurity) -> list[str]:
        return WebTransport(WebConfig(host, 0), security, BearerGuard(""), Page(folder)).check()

    assert not check("localhost", ServerSecurity())
    with pytest.raises(SecurityError, match="--insecure"):
        check("0.0.0.0", ServerSecurity())
    assert check("0.0.0.0", ServerSecurity(insecure=True))


async def test_a_port_in_use_is_named(folder: Path) -> None:
    async with web(folder) as page:
        second = WebTransport(
            WebConfig("127.0.0.1", page.port), ServerSecurity(), BearerGuard(""), Page(folder)
        )
        with pytest.raises(ListenError, match=r"in use\); choose another --web-port"):
            second.check()


# --- the token ---


async def test_without_the_token_no_models_are_told_and_guessing_is_slowed_down(folder: Path) -> None:
    async with web(folder, ServerSecurity(bearer_token=TOKEN)) as page:
        assert (await page.get("/api/models"))[0] == 401
        assert (await page.get(f"/api/models?token={TOKEN}"))[0] == 401
        assert (await page.get("/api/models", f"Authorization: Bearer {TOKEN}"))[0] == 200
        codes = [
            (await page.get("/api/models", "Authorization: Bearer guess"))[0]
            for _ in range(int(WRONG_AT_ONCE) + 5)
        ]
        assert (codes[0], codes[-1]) == (401, 429)
        assert (await page.get())[0] == 200  # the page itself is no secret


@pytest.mark.parametrize("token", ["", "wrong", TOKEN + "x"])
async def test_a_stream_whose_first_message_lacks_the_token_is_closed(folder: Path, token: str) -> None:
    async with web(folder, ServerSecurity(bearer_token=TOKEN)) as page, page.socket() as connection:
        request = pb.DenoiseRequest(sequence=1, start=pb.Start(bearer_token=token))
        await connection.send(request.SerializeToString())
        code, reason = await ending(connection)
        assert code == 4016
        assert "bearer token" in reason
        assert TOKEN not in reason


async def test_the_token_is_in_no_log(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "inference_server"):
        async with web(folder, ServerSecurity(bearer_token=TOKEN)) as page, page.socket() as connection:
            await page.get(f"/?token={TOKEN}")
            request = pb.DenoiseRequest(start=pb.Start(model="x", bearer_token=TOKEN))
            await connection.send(request.SerializeToString())
            assert (await ending(connection))[0] == 4005  # it let us in
    assert TOKEN not in caplog.text


# --- TLS ---


async def test_tls_serves_https_and_wss_and_nothing_else(folder: Path, tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "server")
    trust = ssl.create_default_context(cafile=str(cert))
    trust_name = {"ssl": trust, "server_hostname": "localhost"}
    async with web(folder, ServerSecurity(cert, key)) as page:
        assert page.transport.announcement(terminal=False)[0].startswith("page: https://localhost:")
        async with page.socket(**trust_name, origin=f"https://localhost:{page.port}") as connection:
            await connection.send(pb.DenoiseRequest(start=pb.Start(model="x")).SerializeToString())
            assert (await ending(connection))[0] == 4005
        with pytest.raises((ConnectionError, IndexError, ValueError)):
            await page.get()  # without TLS


async def test_models_are_not_there_before_they_are_loaded(folder: Path) -> None:
    async with web(folder) as page:
        page.sessions.close("the server is loading its model")
        status, headers, body = await page.get("/api/models")
        assert status == 503
        assert b"loading" in body
        assert headers["cache-control"] == "no-store"
