"""Whose a request is that a proxy passes on: `X-Forwarded-For` is believed from known proxies alone."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from diffusion_toy.errors import InvalidValueError
from diffusion_toy.options import parse
from inference_server.options import PREFIX, ServerOptions
from inference_server.transport import web_transport
from inference_server.transport.make import make_transports
from inference_server.transport.proxies import NO_PROXIES, TrustedProxies
from tests.inference_server.transport.web_port import web

PROXIES = TrustedProxies.parse("10.0.0.7, 10.1.0.0/16,fd00::/8,")


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.7", ["192.0.2.1"], "192.0.2.1"),
        ("10.0.0.7", ["6.6.6.6, 192.0.2.1"], "192.0.2.1"),  # who forges stands before what a proxy adds
        ("10.0.0.7", ["6.6.6.6", "192.0.2.1"], "192.0.2.1"),
        ("10.0.0.7", ["6.6.6.6, 192.0.2.1,10.1.2.3"], "192.0.2.1"),  # two proxies
        ("10.0.0.7", ["10.1.2.3, 10.1.2.4"], "10.1.2.3"),  # a client beside them
        ("10.0.0.7", [], "10.0.0.7"),
        ("10.0.0.7", ["", " , "], "10.0.0.7"),
        ("10.0.0.7", ["6.6.6.6, unknown"], "10.0.0.7"),
        ("10.0.0.7", ["6.6.6.6, unknown, 10.1.2.3"], "10.1.2.3"),
        ("10.0.0.7", ["192.0.2.1:5678"], "192.0.2.1"),
        ("10.0.0.7", ["[2001:db8::1]:5678"], "2001:db8::1"),
        ("10.0.0.7", ["2001:DB8:0::1"], "2001:db8::1"),
        ("10.0.0.7", ["::ffff:192.0.2.1"], "192.0.2.1"),
        ("fd00::5", ["192.0.2.1"], "192.0.2.1"),
        ("10.0.0.8", ["192.0.2.1"], "10.0.0.8"),
        ("192.0.2.9", ["10.0.0.7"], "192.0.2.9"),
        ("unix:", ["192.0.2.1"], "unix:"),
    ],
)
def test_the_client_is_the_last_address_that_no_known_proxy_has(
    peer: str, forwarded: list[str], client: str
) -> None:
    assert PROXIES.client(peer, forwarded) == client
    assert NO_PROXIES.client(peer, forwarded) == peer


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("balancer", "balancer is outside addresses and networks"),
        ("10.0.0.0/33", "10.0.0.0/33 is outside addresses and networks"),
        ("10.0.0.7;10.0.0.8", "with commas between"),
        ("10.0.0.7/24", "write 10.0.0.0/24 for the network, or 10.0.0.7 for this address alone"),
        ("fd00::7/8", "write fd00::/8 for the network, or fd00::7 for this address alone"),
        ("0.0.0.0/0", "0.0.0.0/0 is outside networks of 1…32 bits; everybody could claim any address"),
        ("10.0.0.7,::/0", "::/0 is outside networks of 1…128 bits"),
    ],
)
def test_what_is_no_proxy_is_refused_with_the_remedy(given: str, words: str) -> None:
    for how in (["--trusted-proxies", given], []):
        environment = {} if how else {f"{PREFIX}TRUSTED_PROXIES": given}
        options = parse(ServerOptions, argparse.ArgumentParser(), how, prefix=PREFIX, environment=environment)
        with pytest.raises(InvalidValueError, match="--trusted-proxies") as caught:
            make_transports(options, lambda: None)
        assert words in str(caught.value)


async def test_requests_behind_a_proxy_count_for_the_client_and_not_for_the_proxy(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_transport, "HANDSHAKES_PER_PEER", 0)  # nobody else is let in
    here = TrustedProxies.parse("127.0.0.0/8,::1")
    async with web(folder, proxies=here) as page:
        status, _, said = await page.get("/", "X-Forwarded-For: 192.0.2.1")
        assert (status, b"this address has begun too many requests" in said) == (429, True)
    monkeypatch.setattr(web_transport, "HANDSHAKES_PER_PEER", 1)
    async with web(folder, proxies=here) as page, page.socket():
        assert (await page.get("/", "X-Forwarded-For: 192.0.2.1"))[0] == 200
