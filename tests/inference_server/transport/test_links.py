"""What the server prints: addresses that others can open, and a QR code of the first."""

from __future__ import annotations

import pytest

from inference_server.transport import links
from inference_server.transport.bearer import BearerGuard
from inference_server.transport.links import own_addresses, page_links, qr_code, with_token
from inference_server.transport.page import Page
from inference_server.transport.security import ServerSecurity
from inference_server.transport.web_transport import WebConfig, WebTransport

TOKEN = "a/token+with=signs&more"
LAN = ["192.168.0.7", "10.0.0.3"]


def test_the_whole_network_is_told_the_addresses_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "own_addresses", lambda: LAN)
    for host in ("0.0.0.0", "::", ""):
        assert page_links(host, 80, [], tls=False) == ["http://192.168.0.7:80/", "http://10.0.0.3:80/"]
    assert page_links("0.0.0.0", 80, ["box"], tls=True)[0] == "https://box:80/"
    assert page_links("127.0.0.1", 80, [], tls=False) == ["http://127.0.0.1:80/"]
    assert page_links("::1", 80, [], tls=False) == ["http://[::1]:80/"]


def test_without_a_network_there_is_still_an_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "own_addresses", list)
    assert page_links("0.0.0.0", 80, [], tls=False) == ["http://localhost:80/"]


def test_own_addresses_are_none_of_the_loopback() -> None:
    assert not [address for address in own_addresses() if address.startswith("127.")]


def test_the_token_is_in_the_fragment_where_no_request_has_it() -> None:
    link = with_token("http://box/", TOKEN)
    assert link == "http://box/#token=a%2Ftoken%2Bwith%3Dsigns%26more"
    assert with_token("http://box/", "") == "http://box/"


def test_a_qr_code_is_small_enough_for_a_terminal() -> None:
    lines = qr_code(with_token("http://192.168.100.100:65535/", "x" * 32))
    assert 10 < len(lines) <= 24


def announcement(host: str, *, terminal: bool) -> str:
    security = ServerSecurity(bearer_token="x" * 20)
    transport = WebTransport(WebConfig(host, 8080), security, BearerGuard(""), Page())
    return "\n".join(transport.announcement(terminal=terminal))


def test_only_a_terminal_is_shown_the_token_and_a_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "own_addresses", lambda: LAN)
    shown, kept = (announcement("0.0.0.0", terminal=terminal) for terminal in (True, False))
    assert f"page: http://192.168.0.7:8080/#token={'x' * 20}\n" in shown
    assert "▄" in shown
    assert kept.startswith("page: http://192.168.0.7:8080/ (add #token= and the token to it)\n")
    assert "xxxx" not in kept
    assert "▄" not in kept
    assert "▄" not in announcement("127.0.0.1", terminal=True)  # of no use to others
