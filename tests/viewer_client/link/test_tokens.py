"""Servers that are not open to all: bearer tokens, over TLS and without."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest

from diffusion_toy.errors import InvalidValueError
from tests.authority import Authority
from tests.tools import wait_for
from tests.viewer_client.link.dialogue import has_token, live
from tests.viewer_client.link.resumable import End, Resumable, serving
from viewer_client.link.address import Endpoint
from viewer_client.link.status import Phase
from viewer_client.link.transport import RefusedError, list_models


def test_an_encrypted_server_lets_in_who_has_the_token(connect: Any, authority: Authority) -> None:
    ours, theirs = (authority.folder / name for name in ("ca.pem", "other.pem"))
    service = Resumable(bearer="secret")
    with serving(service, credentials=authority.credentials("good")) as numbers:
        address = f"localhost:{numbers.rpartition(':')[2]}"
        good = Endpoint(address, tls=True, ca_file=ours, token="secret")
        assert [model.name for model in list_models(good)] == ["mnist"]
        connection = connect(good)
        assert not live(connection).resumed
        has_token(connection)
        service.end = End(grpc.StatusCode.UNAVAILABLE)
        assert live(connection).resumed
        for endpoint, words in (
            (Endpoint(address, tls=True, ca_file=ours), "a bearer token is needed"),
            (
                Endpoint(address, tls=True, ca_file=theirs, token="secret"),
                "was not signed by the authority in",
            ),
            (Endpoint(address, token="secret"), "is encrypted: add --tls"),
        ):
            with pytest.raises(RefusedError, match=words):
                list_models(endpoint)


def test_without_the_bearer_token_it_is_refused_and_keeps_its_session(connect: Any) -> None:
    service = Resumable()
    with serving(service) as address:
        connection = connect(address)
        session = live(connection).session_id
        has_token(connection)
        service.bearer = "secret"
        service.end = End(grpc.StatusCode.UNAVAILABLE)
        wait_for(lambda: connection.status.phase is Phase.REFUSED, "the refusal")
        assert connection.status.sentence == "the server refuses this viewer: a bearer token is needed"
        service.bearer = ""
        connection.try_again()
        assert live(connection).session_id == session


def test_a_bad_endpoint_is_refused_and_a_token_is_never_shown(tmp_path: Path) -> None:
    certificate = tmp_path / "ca.pem"
    with pytest.raises(InvalidValueError, match=r"--tls-ca .*ca\.pem .*No such file"):
        Endpoint("host:1", tls=True, ca_file=certificate)
    certificate.write_text("nothing")
    with pytest.raises(InvalidValueError, match="PEM"):
        Endpoint("host:1", tls=True, ca_file=certificate)
    with pytest.raises(InvalidValueError, match="--tls-ca"):
        Endpoint("host:1", ca_file=certificate)
    with pytest.raises(InvalidValueError, match="--token") as refusal:
        Endpoint("host:1", token="se cret")
    assert "se cret" not in str(refusal.value)
    assert "secret" not in repr(Endpoint("host:1", token="secret"))
    assert Endpoint("host:1", token="secret").metadata == (("authorization", "Bearer secret"),)
    assert Endpoint("host:1").metadata is None
