"""What one client may take: time, streams, bytes, capacity, and the way in."""

from __future__ import annotations

import contextlib
import re
import sys
import time
from pathlib import Path

import grpc
import pytest

from diffusion_toy.contract import messages as m
from diffusion_toy.v1 import denoise_pb2 as pb
from tests.client import Client
from tests.inference_server.faults import (
    ENDLESS,
    Looker,
)
from tests.inference_server.transport.test_security import certificate
from tests.tools import HANGS_S, ServerProcess, running_program, running_server, wait_for


def test_a_stream_that_is_silent_for_too_long_is_ended(flags: list[str]) -> None:
    with (
        running_server(*flags, "--idle", "1") as server,
        Client(server.address, acknowledge=False) as mute,
        Client(server.address) as silent,
        contextlib.closing(Looker(server.address, ENDLESS)) as lively,
    ):
        mute.start(ENDLESS)
        began = time.monotonic()
        code, text = mute.status()
        assert code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "nothing came from the client for 1 s" in text
        assert time.monotonic() - began > 0.9
        code, text = silent.status()
        assert code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert "no start came within 1 s" in text
        assert mute.token is not None
        with Client(server.address) as again:  # the session has waited
            assert again.resume(mute.token.token).session_id == mute.welcome.session_id  # type: ignore[union-attr]
        seen = len(lively.seen)
        wait_for(lambda: len(lively.seen) > seen + 10, "frames of who draws them")


def test_one_address_gets_so_many_streams_and_no_more(flags: list[str]) -> None:
    with running_server(*flags, "--streams-per-peer", "3") as server:
        with contextlib.ExitStack() as stack:
            for _ in range(3):
                stack.enter_context(Client(server.address)).start(ENDLESS)
            with Client(server.address) as late:
                late.send(ENDLESS)
                code, text = late.status()
                assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
                assert text.startswith("3 streams are open from this address")

        def fits() -> bool:
            with Client(server.address) as client, contextlib.suppress(grpc.RpcError):
                client.send(ENDLESS)
                return isinstance(client.read(), m.Welcome)
            return False

        wait_for(fits, "a free stream")


def test_too_large_a_message_ends_its_own_stream_only(flags: list[str]) -> None:
    # gRPC does not say whether the client or the server has ended a stream, so that its session may wait.
    with running_server(*flags, "--grace", "1") as server, Client(server.address) as bystander:
        bystander.start(ENDLESS)
        with Client(server.address) as client:
            limits = client.start(ENDLESS).limits
            picture = pb.Origin(pixels=bytes(limits.request_bytes))
            client.send_raw(pb.DenoiseRequest(sequence=2, restart=pb.Restart(origin=picture)))
            code, text = client.status()
            assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert "larger than max" in text
        step = bystander.frame().step
        bystander.frame(lambda frame: frame.step > step + 20 and frame.sessions == 1)


def test_tls_and_bearer_token_together_let_in_who_has_both(flags: list[str], tmp_path: Path) -> None:
    cert, key = certificate(tmp_path, "server")
    secret = tmp_path / "token"
    secret.write_text("correct-horse-battery\n")
    protection = ["--tls-cert", str(cert), "--tls-key", str(key), "--token-file", str(secret)]
    trust = grpc.ssl_channel_credentials(cert.read_bytes())
    bearer = (("authorization", "Bearer correct-horse-battery"),)
    with running_server(*flags, "--host", "0.0.0.0", *protection) as server:
        address = f"localhost:{server.port}"
        with Client(address, metadata=bearer, credentials=trust) as client:
            client.start(ENDLESS)
            assert client.frame(lambda frame: frame.number > 10).seed == 5
            client.half_close()
            assert client.status()[0] is grpc.StatusCode.OK
        for metadata, credentials, expected in (
            (None, trust, grpc.StatusCode.UNAUTHENTICATED),
            ((("authorization", "Bearer wrong"),), trust, grpc.StatusCode.UNAUTHENTICATED),
            (bearer, None, grpc.StatusCode.UNAVAILABLE),
            (bearer, grpc.ssl_channel_credentials(), grpc.StatusCode.UNAVAILABLE),
        ):
            with Client(address, metadata=metadata, credentials=credentials) as client:
                client.send(ENDLESS)
                assert client.status()[0] is expected
        command = [sys.executable, "-m", "viewer_client", "--server", address, "--list-models"]
        for more, said in (
            ([], f"error: {address} is encrypted: add --tls, or --tls-ca FILE for an authority of its own\n"),
            (
                ["--tls"],
                f"error: the certificate of {address} is not trusted; name the authority that signed it",
            ),
        ):
            with running_program([*command, *more]) as viewer:
                told = viewer.finish(HANGS_S)
                assert told.startswith(said)
                assert told.count("\n") == 1  # nothing of the library's
        assert not server.says("correct-horse")
        assert all(re.match(r"\d{4}-\d\d-\d\d ", line) for line in server.log)  # one line each, all of ours


def test_a_public_address_without_protection_is_refused(flags: list[str]) -> None:
    with pytest.raises(AssertionError, match="--insecure"):
        ServerProcess(*flags, "--host", "0.0.0.0")


def test_a_start_beyond_the_capacity_is_refused(flags: list[str]) -> None:
    with running_server(*flags, "--capacity", "150") as server, contextlib.ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(Client(server.address)).start()
        for _ in range(2):
            with Client(server.address) as late:
                late.send(m.Start())
                code, text = late.status()
                assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
                assert "it serves 2 sessions" in text
        slow = m.SettingsChange(steps_per_second=10)  # for which there is room
        stack.enter_context(Client(server.address)).start(m.Start(settings=slow))
