"""How a server is reached, and the true cause of what goes wrong on the way: addresses, TLS, proxies."""

from __future__ import annotations

import contextlib
import socket
import threading
from concurrent import futures

import grpc
import pytest

from diffusion_toy.contract import messages as m
from diffusion_toy.errors import InvalidValueError
from tests.authority import Authority
from tests.tools import free_port
from tests.viewer_client.link.resumable import Resumable, serving
from viewer_client.link import failures
from viewer_client.link.address import Endpoint, is_local, parse_address, proxy_variable
from viewer_client.link.connection import Connection
from viewer_client.link.transport import RefusedError, list_models

# --- addresses ---


@pytest.mark.parametrize("text", ["localhost", "localhost:", ":50051", "host:0", "host:99999", "host:x"])
def test_a_bad_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match="--server"):
        parse_address(text)


@pytest.mark.parametrize("text", ["::1:50051", "fe80::1%eth0:50051", "2001:db8::7:50051"])
def test_an_ipv6_address_without_brackets_is_answered_with_the_right_one(text: str) -> None:
    host, _, port = text.rpartition(":")
    with pytest.raises(InvalidValueError, match="without brackets") as refusal:
        parse_address(text)
    assert f"write [{host}]:{port}" in str(refusal.value)
    assert parse_address(f"[{host}]:{port}") == f"[{host}]:{port}"


@pytest.mark.parametrize("text", ["localhost:50051", "10.0.0.1:1", "[::1]:65535"])
def test_a_good_address_is_taken(text: str) -> None:
    assert parse_address(text) == text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.0.0.2", "[::1]", "localhost."])
def test_every_name_of_this_machine_for_itself_is_known(host: str) -> None:
    assert is_local(f"{host}:50051")


@pytest.mark.parametrize("host", ["10.0.0.1", "[::2]", "box", "localhost.example.org"])
def test_other_machines_are_not_this_one(host: str) -> None:
    assert not is_local(f"{host}:50051")


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_a_server_is_reached_by_ipv6() -> None:
    server = grpc.server(futures.ThreadPoolExecutor(1))
    try:
        port = server.add_insecure_port("[::1]:0")
    except RuntimeError:
        pytest.skip("no IPv6")
    server.start()
    try:
        with pytest.raises(RefusedError, match="is not Diffusion Toy's"):  # so it has answered
            list_models(Endpoint(parse_address(f"[::1]:{port}")))
    finally:
        server.stop(None).wait()


# --- TLS ---


def refusal_of(address: str, **ways: object) -> str:
    """What a viewer that cannot use a server says."""
    with pytest.raises(RefusedError) as refusal:
        list_models(Endpoint(address, **ways))  # type: ignore[arg-type]
    return str(refusal.value)


@pytest.mark.parametrize(
    ("name", "ca", "words"),
    [
        ("expired", "ca", "has expired"),
        ("future", "ca", "is not yet valid; check this machine's clock"),
        ("elsewhere", "ca", "was made for another host than localhost"),
        ("good", "other", "other.pem; name the right one with --tls-ca FILE"),
        ("good", None, "is not trusted; name the authority that signed it with --tls-ca FILE"),
        ("other", "ca", "was not signed by the authority in"),
    ],
)
def test_a_certificate_that_is_not_accepted_has_its_true_cause(
    authority: Authority, name: str, ca: str | None, words: str
) -> None:
    ca_file = None if ca is None else authority.folder / f"{ca}.pem"
    with serving(Resumable(), credentials=authority.credentials(name)) as address:
        local = f"localhost:{address.rpartition(':')[2]}"
        said = refusal_of(local, tls=True, ca_file=ca_file)
    assert said.startswith(f"the certificate of {local} ")
    assert words in said
    assert ("name the authority" in said) == (ca is None)  # not where it was named


def test_tls_at_a_plain_server_and_the_other_way_round_name_the_flag(authority: Authority) -> None:
    with serving(Resumable()) as address:
        assert refusal_of(address, tls=True).startswith(f"{address} speaks no TLS: leave out --tls")
    with serving(Resumable(), credentials=authority.credentials("good")) as address:
        assert refusal_of(address).startswith(f"{address} is encrypted: add --tls")
        local = f"localhost:{address.rpartition(':')[2]}"
        good = Endpoint(local, tls=True, ca_file=authority.folder / "ca.pem")
        assert [model.name for model in list_models(good)] == ["mnist"]


def test_a_server_that_hangs_up_and_speaks_no_tls_is_not_called_encrypted() -> None:
    with Listener(b"") as listener:
        assert (
            refusal_of(listener.address)
            == f"{listener.address} closes the connection at once; check the port"
        )


# --- proxies ---


class Listener:
    """Reads what it is sent up to an empty line, and answers the same to everybody; or passes it on.

    Attributes:
        asked: the first lines that have come in.
    """

    def __init__(self, answer: bytes | None) -> None:
        self.answer, self.asked = answer, list[str]()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._run)]

    def __enter__(self) -> Listener:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)  # which wakes who reads, as closing does not
            connection.close()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._open.append(connection)
            if self.answer == b"":
                connection.close()
                continue
            head = b""
            while b"\r\n\r\n" not in head and (more := connection.recv(4096)):
                head += more
            self.asked.append(head.partition(b"\r\n")[0].decode())
            if self.answer is not None:
                connection.sendall(self.answer)
                connection.close()
            else:
                self._pass_on(connection, int(self.asked[-1].split()[1].rpartition(":")[2]))

    def _pass_on(self, client: socket.socket, port: int) -> None:
        server = socket.create_connection(("127.0.0.1", port))
        self._open.append(server)
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for source, target in ((client, server), (server, client)):
            self._threads.append(threading.Thread(target=self._pump, args=(source, target)))
            self._threads[-1].start()

    @staticmethod
    def _pump(source: socket.socket, target: socket.socket) -> None:
        try:
            while piece := source.recv(65536):
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass


@pytest.fixture(autouse=True)
def no_proxy_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("grpc_proxy", "https_proxy", "http_proxy", "no_proxy", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def test_a_proxy_of_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Resumable()) as address, Listener(b"HTTP/1.1 403 Forbidden\r\n\r\n") as proxy:
        monkeypatch.setenv("http_proxy", f"http://{proxy.address}")
        name = f"LOCALHOST:{address.rpartition(':')[2]}"  # gRPC takes only the small name for this machine
        assert [model.name for model in list_models(Endpoint(name))] == ["mnist"]
        assert not proxy.asked


def test_a_proxy_that_is_asked_for_is_used() -> None:
    with serving(Resumable()) as address, Listener(None) as proxy:
        name = f"box.invalid:{address.rpartition(':')[2]}"  # which only the proxy has to know
        models = list_models(Endpoint(name, proxy=f"http://{proxy.address}"))
        assert [model.name for model in models] == ["mnist"]
        assert proxy.asked == [f"CONNECT {name} HTTP/1.1"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 403 Forbidden\r\n\r\n", "does not let you through to box.invalid:50051 (it answers 403)"),
        (b"HTTP/1.1 407 Who\r\n\r\n", "asks who you are: --proxy http://NAME:PASSWORD@HOST:PORT"),
        (b"HTTP/1.1 502 Bad Gateway\r\n\r\n", "does not reach box.invalid:50051 (it answers 502)"),
    ],
)
def test_what_a_proxy_refuses_is_said_of_the_proxy(answer: bytes, words: str) -> None:
    with Listener(answer) as proxy:
        said = refusal_of("box.invalid:50051", proxy=f"http://me:secret@{proxy.address}")
    assert said.startswith(f"the proxy {proxy.address} ")
    assert words in said
    assert "secret" not in said


def test_a_proxy_that_is_not_there_is_not_taken_for_the_server() -> None:
    proxy = f"127.0.0.1:{free_port()}"
    assert refusal_of("box.invalid:50051", proxy=f"http://{proxy}") == (
        f"no proxy at {proxy}; check --proxy, or leave it out"
    )


def test_an_unreached_server_says_that_the_environments_proxy_was_not_tried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid:3128")
    assert proxy_variable() == "HTTPS_PROXY"
    endpoint = Endpoint("box:50051")
    for details in ("connection timed out", "No route to host", "DNS resolution failed"):
        said = failures.explain(grpc.StatusCode.UNAVAILABLE, details, endpoint).sentence
        assert said.endswith("; the proxy that HTTPS_PROXY names was not tried: --proxy URL uses one")
    refused = failures.explain(grpc.StatusCode.UNAVAILABLE, "Connection refused", endpoint).sentence
    assert "proxy" not in refused  # the machine has answered


@pytest.mark.parametrize("text", ["proxy:3128", "https://proxy:3128", "http://proxy", "http://proxy:x"])
def test_what_is_no_http_proxy_is_refused(text: str) -> None:
    with pytest.raises(InvalidValueError, match="--proxy"):
        Endpoint("box:50051", proxy=text)


def test_a_proxys_password_is_never_shown() -> None:
    endpoint = Endpoint("box:50051", proxy="http://me:secret@proxy:3128")
    assert str(endpoint) == "box:50051 by the proxy proxy:3128"
    assert "secret" not in repr(endpoint)
    with pytest.raises(InvalidValueError) as refusal:
        Endpoint("box:50051", proxy="https://me:secret@proxy:3128")
    assert "secret" not in str(refusal.value)


def test_a_connection_says_what_it_tries() -> None:
    proxied = Connection(Endpoint("box:50051", proxy="http://me:secret@proxy:3128"), m.Start)
    assert proxied.status.sentence == "looking for box:50051 by the proxy proxy:3128"
    assert Connection(Endpoint("box:50051"), m.Start).status.sentence == "looking for box:50051"


def test_only_on_this_machine_a_server_is_to_be_started() -> None:
    code, details = grpc.StatusCode.UNAVAILABLE, "Connection refused"
    here, there = (failures.explain(code, details, Endpoint(one)).sentence for one in ("[::1]:5", "box:5"))
    assert here == "no server at [::1]:5; start one with: python -m inference_server"
    assert there == "no server at box:5; check the address, or start one on that machine"
