"""The local server that `make play` opens and closes."""

from __future__ import annotations

import sys

import pytest

from tests.tools import HANGS_S, running_program
from viewer_client.play import LocalServer, ServerError

READY = "print('serving on 127.0.0.1:1', flush=True); import time; time.sleep(60)"


def command(code: str) -> tuple[str, ...]:
    return sys.executable, "-c", code


def test_what_it_does_not_know_is_refused_before_anything_is_started() -> None:
    for flag, status, said in (
        ("--help", 0, "Play on this machine"),
        ("--model", 2, "unrecognized arguments"),
    ):
        with running_program([sys.executable, "-m", "viewer_client.play", flag]) as program:
            assert said in program.finish(HANGS_S)
            assert program.process.returncode == status


def test_it_is_open_within_the_block_and_ends_with_it() -> None:
    with LocalServer(command(READY), start_s=20) as server:
        assert server.address == "127.0.0.1:1"
        assert not server.ended
    assert server.ended


def test_a_server_that_ends_at_once_is_explained_in_its_own_words() -> None:
    code = "import sys; sys.exit('error: no room')"
    with pytest.raises(ServerError, match=r"ended with status 1, it said:\n  error: no room"):
        LocalServer(command(code), start_s=20).__enter__()


def test_a_server_that_never_gets_ready_is_ended() -> None:
    server = LocalServer(command("import time; time.sleep(60)"), start_s=0.3)
    with pytest.raises(ServerError, match="not ready after"):
        server.__enter__()
    assert server.ended
