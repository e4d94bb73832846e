"""What a server refuses behind HAProxy, with the configuration that is shipped: the viewer learns why."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from diffusion_toy.contract import messages as m
from tests.client import Client
from tests.deploy.balancer import running_balancer
from tests.models import flags_of, write_model
from tests.tools import ServerProcess, free_port, running_server, wait_for
from viewer_client.link.address import Endpoint
from viewer_client.link.connection import Connection
from viewer_client.link.status import Phase

pytestmark = pytest.mark.timeout(900)


class Place:
    """A place for one server at a time, with a key of its own, and a balancer before it."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._port, self._starts = folder, free_port(), 0
        self.address = ""

    @contextmanager
    def balanced(self) -> Iterator[None]:
        """Run the balancer for the length of a block."""
        (self._folder / "key").write_text("a secret that outlives a server\n")
        with running_balancer(self._folder, [self._port]) as self._balancer:
            self.address = self._balancer.address
            yield

    @contextmanager
    def server(self, *flags: str, model_seed: int = 0) -> Iterator[ServerProcess]:
        """Run a server whose model has weights of this seed; yields it when the balancer knows of it."""
        model = write_model(self._folder / "tiny.safetensors", seed=model_seed)
        shared = [*flags_of(model), "--resume-key-file", str(self._folder / "key")]
        with running_server(*shared, *flags, port=self._port) as server:
            self._starts += 1
            wait_for(lambda: self._balancer.log().count("is UP") == self._starts, "the server to be known")
            yield server


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    with place.balanced():
        yield place


@contextmanager
def viewer(address: str, start: m.Start) -> Iterator[Connection]:
    """A viewer's connection; it has ended by the end of the block."""
    connection = Connection(Endpoint(address), lambda: start)
    connection.open()
    try:
        yield connection
    finally:
        connection.close()


def welcomes(connection: Connection) -> list[m.Welcome]:
    return [response for response in connection.take() if isinstance(response, m.Welcome)]


def trouble(connection: Connection) -> str:
    """Wait until the connection has failed, and return what it says."""
    wait_for(lambda: connection.status.phase in (Phase.LOST, Phase.REFUSED), "the failure")
    return connection.status.sentence


def test_a_viewer_begins_anew_after_its_model_was_retrained(place: Place) -> None:
    with place.server(model_seed=1):
        connection = Connection(Endpoint(place.address), m.Start)
        connection.open()
        wait_for(lambda: welcomes(connection), "the first session")
        wait_for(lambda: connection.resume_token is not None, "a token")
    try:
        with place.server(model_seed=2):
            connection.try_again()
            found: list[m.Welcome] = []
            wait_for(lambda: found.extend(welcomes(connection)) or found, "a new session")
            assert not found[0].resumed
    finally:
        connection.close()


def test_a_token_of_another_model_is_refused_with_the_reason(place: Place) -> None:
    with place.server(model_seed=1), Client(place.address) as client:
        client.start()
        token = client.next_token().token
    with place.server(model_seed=2):
        with viewer(place.address, m.Start(resume_token=token)) as connection:
            assert "the session was made with the model tiny" in trouble(connection)
            assert connection.status.phase is Phase.REFUSED
        with Client(place.address) as client:
            client.send(m.Start(resume_token=token), sequence=0)
            client.read_to_the_end()
            assert client.refusal is not None
            assert client.refusal.code == grpc.StatusCode.NOT_FOUND.value[0]


def test_a_model_that_is_not_there_is_named(place: Place) -> None:
    with place.server(), viewer(place.address, m.Start(model="no")) as connection:
        assert trouble(connection) == "there is no model 'no'; there is: tiny"
        assert connection.status.phase is Phase.REFUSED


def test_a_full_server_says_that_it_is_full(place: Place) -> None:
    with place.server("--max-sessions", "1"), Client(place.address) as first:
        first.start()
        with viewer(place.address, m.Start()) as second:
            assert "full" in trouble(second)
            assert second.full
