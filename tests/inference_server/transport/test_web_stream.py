"""Sessions over the page's port, beside gRPC, with a bearer token: a real server."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator

import grpc
import pytest

from diffusion_toy.contract import messages as m
from diffusion_toy.v1 import denoise_pb2 as pb
from tests.client import Client, WebClient
from tests.inference_server.faults import serious
from tests.models import tiny_flags
from tests.tools import ServerProcess, running_server, wait_for

TOKEN = "a-token-of-more-than-sixteen"
ENDLESS = m.Start(seed=5, settings=m.SettingsChange(num_time_steps=1000))
LASTING = m.Start(settings=m.SettingsChange(num_time_steps=1000, steps_per_second=8))  # two minutes
STREAMS = 2  # from one address


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("server")
    (folder / "token").write_text(TOKEN)
    flags = [*tiny_flags(folder), "--web-port", "0"]
    flags += ["--streams-per-peer", str(STREAMS), "--token-file", str(folder / "token")]
    with running_server(*flags) as process:
        yield process
        assert not serious(process)
        assert not process.says(TOKEN)


def over_web(server: ServerProcess) -> WebClient:
    return WebClient(server.page, bearer_token=TOKEN)


def over_grpc(server: ServerProcess) -> Client:
    return Client(server.address, metadata=(("authorization", f"Bearer {TOKEN}"),))


def models(server: ServerProcess, **headers: str) -> tuple[str, bytes]:
    """Return the kind and the content of the list of models."""
    request = urllib.request.Request(f"{server.page}/api/models", headers=headers)
    with urllib.request.urlopen(request, timeout=20) as reply:
        return reply.headers["Content-Type"], reply.read()


def test_models_are_listed_as_json_or_in_binary(server: ServerProcess) -> None:
    kind, content = models(server, Authorization=f"Bearer {TOKEN}")
    assert kind == "application/json"
    assert json.loads(content)["models"][0]["labelNames"] == list("0123456789")
    kind, content = models(server, Authorization=f"Bearer {TOKEN}", Accept="application/x-protobuf")
    assert kind == "application/x-protobuf"
    assert pb.ListModelsResponse.FromString(content).models[0].name == "tiny"
    with pytest.raises(urllib.error.HTTPError) as caught:
        models(server)
    with caught.value as answer:
        assert answer.code == 401


def test_the_token_of_the_first_message_opens_the_stream(server: ServerProcess) -> None:
    with over_web(server) as client:
        client.start(ENDLESS)
        assert client.frame().seed == 5
    with WebClient(server.page) as stranger:
        stranger.send(ENDLESS)
        assert stranger.status()[0] is grpc.StatusCode.UNAUTHENTICATED


def test_streams_of_one_address_are_counted_over_both_transports(server: ServerProcess) -> None:
    with over_grpc(server) as first, over_web(server) as second:
        for client in (first, second):
            client.start(ENDLESS)
        for late in (over_grpc(server), over_web(server)):
            with late:
                late.send(ENDLESS)
                code, text = late.status()
            assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert f"{STREAMS} streams are open" in text


@pytest.mark.parametrize(("close_code", "waits"), [(1000, False), (1001, True), (4000, True)])
def test_a_page_that_is_left_keeps_its_session_and_one_that_is_done_ends_it(
    server: ServerProcess, close_code: int, waits: bool
) -> None:
    with over_grpc(server) as onlooker:
        onlooker.start(LASTING)
        wait_for(lambda: onlooker.frame().sessions == 1, "the sessions before to be over")
        with over_web(server) as client:
            client.start(ENDLESS)
            token = client.next_token().token
            client.close(close_code)
            client.read_to_the_end()
        if not waits:
            wait_for(lambda: onlooker.frame().sessions == 1, "its session to be over")
            return
        assert onlooker.frame(lambda frame: frame.number > 5).sessions == 2
        with over_web(server) as again:
            assert again.resume(token).resumed
            assert again.frame().sessions == 2  # its own, not one made of the token
            again.half_close()
            again.read_to_the_end()
