"""Several futures of one moment: a resume token is branched while its session lives on."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import grpc
import numpy as np
import pytest

from diffusion_toy.contract import messages as m
from tests.client import Client
from tests.models import tiny_flags
from tests.tools import ServerProcess, running_server

BRANCHES = 5
PLACES = 1 + BRANCHES
DISC = m.Disc(0.4, 0.6, 0.3)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One that is full with a session and its branches; each row of its network is computed alike."""
    flags = tiny_flags(tmp_path_factory.mktemp("model"))
    with running_server(*flags, "--fixed-batch", "8", "--max-sessions", str(PLACES)) as process:
        yield process


def token_of_rest(client: Client, sequence: int) -> bytes:
    """The token of the state in which this command has let the session rest."""
    while (token := client.next_token()).sequence < sequence:
        pass
    return token.token


def branch(client: Client, token: bytes, seed: int) -> m.Frame:
    """Begin a branch; its first frame."""
    client.send(m.Start(resume_token=token, seed=seed), sequence=0)
    welcome = client.read()
    assert isinstance(welcome, m.Welcome)
    client.sequence = welcome.applied_sequence
    return client.frame()


def test_a_token_is_branched_many_times_while_its_session_lives_on(server: ServerProcess) -> None:
    with contextlib.ExitStack() as stack:
        original = stack.enter_context(Client(server.address))
        original.start(m.Start(seed=5, settings=m.SettingsChange(stride=5, label=2)))
        original.frame(lambda frame: frame.step >= 10)
        original.send(m.Inject(DISC, 60.0))
        pause = original.send(m.Pause())
        here = original.frame(lambda frame: frame.applied_sequence == pause)
        token = token_of_rest(original, pause)

        seeds = [5, *range(100, 100 + BRANCHES - 1)]  # the first is the session's own
        branches = [stack.enter_context(Client(server.address)) for _ in seeds]
        for client, seed in zip(branches, seeds, strict=True):
            frame = branch(client, token, seed)
            np.testing.assert_array_equal(frame.x_t, here.x_t)
            assert (frame.step, frame.seed, frame.idle) == (here.step, seed, True)
            assert frame.settings == here.settings
        everybody = [original, *branches]
        names = {client.welcome.session_id for client in everybody if client.welcome is not None}
        assert len(names) == PLACES

        with Client(server.address) as late:
            late.send(m.Start(resume_token=token, seed=9), sequence=0)
            code, text = late.status()
            assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert f"serves {PLACES} sessions" in text

        for client in everybody:
            client.send(m.Step())
            client.send(m.Step())
        futures = [client.frame(lambda frame: frame.step == here.step + 2).x_t for client in everybody]
        np.testing.assert_array_equal(futures[0], futures[1])  # of the same seed
        different = {picture.tobytes() for picture in futures}
        assert len(different) == PLACES - 1
        assert not np.array_equal(futures[0], here.x_t)


def test_the_token_of_a_rest_comes_at_once_and_is_of_this_very_state(server: ServerProcess) -> None:
    with Client(server.address) as original, Client(server.address) as twin:
        original.start(m.Start(seed=5))
        original.frame(lambda frame: frame.step >= 5)
        for command in (m.Pause(), m.Step(), m.Step(disc=DISC), m.Back(), m.Step(m.Motion.FORWARD, DISC)):
            sequence = original.send(command)
            here = original.frame(lambda frame, sequence=sequence: frame.applied_sequence == sequence)
            if not here.idle:
                here = original.frame(lambda frame: frame.idle)
            token = token_of_rest(original, sequence)
        frame = branch(twin, token, 7)
        assert frame.step == here.step
        np.testing.assert_array_equal(frame.x_t, here.x_t)
        assert frame.level_map is not None
        assert here.level_map is not None
        np.testing.assert_array_equal(frame.level_map, here.level_map)
