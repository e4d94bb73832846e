"""What a stream tells is a recipe: the same seed and commands at the same steps are the same pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import torch

from diffusion_toy.contract import messages as m
from inference_server.engine.engine import EngineConfig
from inference_server.engine.frames import TickResult
from inference_server.engine.pending import Pending
from tests.client import Client
from tests.inference_server.engine.engines import applied, engine_of, whole_state
from tests.models import tiny_flags, tiny_model
from tests.tools import ServerProcess, running_server

DISC = m.Disc(0.4, 0.6, 0.3)
Recipe = list[tuple[m.Command, int]]  # commands in their order, and before which step each was applied


# --- in the engine ---

TOUCHES: dict[int, list[m.Command]] = {  # by tick
    0: [m.Play()],
    3: [m.Inject(DISC, 40.0, m.NoiseKind.LAPLACE)],
    7: [m.Inject(None, 5.0), m.Configure(m.SettingsChange(label=4, guidance=2.0))],
    9: [m.Configure(m.SettingsChange(steps_per_second=20.0))],
    17: [m.Inject(m.Disc(0.2, 0.2, 0.2), 90.0, rule=m.InjectionRule.NAIVE)],
    20: [m.Pause()],
    22: [m.Step(disc=DISC)],
    25: [m.Step(m.Motion.FORWARD), m.Step()],
    30: [m.Back(), m.Inject(None, 30.0, m.NoiseKind.SMOOTH)],
    33: [m.Configure(m.SettingsChange(sampler=m.Sampler.DPMPP, stride=20, steps_per_second=60.0))],
    34: [m.Play()],
    40: [m.Inject(DISC, 100.0)],
    45: [m.Restart(seed=8), m.Inject(None, 12.0)],
    55: [m.Jump(step=4), m.Play()],
    60: [m.Configure(m.SettingsChange(sampler=m.Sampler.SDE_DPMPP))],
    70: [m.Pause()],
}


def stepped(result: TickResult) -> list[tuple[int, bytes]]:
    """If the one session takes a step in this tick: which, and from what picture."""
    if result.frames is None or not result.frames.stepping:
        return []
    return [(int(result.frames.steps[0]), result.frames.pixels[0].tobytes())]


def test_a_session_is_repeated_to_the_bit_from_what_its_frames_list(tmp_path: Path) -> None:
    start = m.Start(seed=5, settings=m.SettingsChange(stride=3), motion=m.Motion.PAUSED)
    engine = engine_of(tiny_model(tmp_path), EngineConfig(2))
    session = engine.join(start, 1)
    sent: dict[int, m.Command] = {}
    recipe: Recipe = []
    steps = []
    for tick in range(75):
        for command in TOUCHES.get(tick, []):
            sequence = len(sent) + 2
            sent[sequence] = command
            engine.submit(session, Pending(sequence, command))
        result = engine.tick()
        steps += stepped(result)
        if result.frames is not None:
            recipe += [(sent[sequence], step) for sequence, step in applied(result, session)]
    assert len(recipe) == len(sent)
    assert len(steps) > 40

    again = engine_of(tiny_model(tmp_path), EngineConfig(2))
    twin = again.join(start, 1)
    for sequence, (command, step) in enumerate(recipe, 2):
        again.submit(twin, Pending(sequence, command, at_step=step))
    repeated = []
    while not again.idle:
        repeated += stepped(again.tick())
    assert repeated == steps
    assert torch.equal(whole_state(again, twin), whole_state(engine, session))


# --- over the wire, in company ---


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    flags = tiny_flags(tmp_path_factory.mktemp("model"))
    with running_server(*flags, "--fixed-batch", "4", "--grace", "30") as process:
        yield process


SLOWLY = m.Start(seed=5, settings=m.SettingsChange(num_time_steps=120, steps_per_second=4.0))


class Recorder:
    """Somebody who runs a session and notes what its frames tell."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.sent: dict[int, m.Command] = {}
        self.steps: dict[int, int] = {}  # by sequence
        self.frames: dict[int, m.Frame] = {}  # by step, the last of each

    def send(self, command: m.Command, at_step: int | None = None) -> int:
        sequence = self.client.send(command, at_step)
        self.sent[sequence] = command
        return sequence

    def until(self, condition: Callable[[m.Frame], bool]) -> m.Frame:
        """Read frames until one meets the condition."""

        def noted(frame: m.Frame) -> bool:
            self.steps.update((command.sequence, command.step) for command in frame.applied)
            self.frames[frame.step] = frame
            return condition(frame)

        return self.client.frame(noted)

    @property
    def recipe(self) -> Recipe:
        return [(command, self.steps[sequence]) for sequence, command in sorted(self.sent.items())]


def test_a_recorded_session_is_repeated_to_the_bit_in_other_company(server: ServerProcess) -> None:
    with Client(server.address) as client:
        client.start(SLOWLY)
        first = Recorder(client)
        first.until(lambda frame: frame.step >= 4)
        first.send(m.Configure(m.SettingsChange(steps_per_second=60.0)))
        for step in (15, 30, 30, 60):
            first.until(lambda frame, step=step: frame.step >= step)  # type: ignore[misc]
            first.send(m.Inject(DISC, 30.0 + step))
        end = first.until(lambda frame: frame.idle)
        assert len(first.steps) == len(first.sent) == 5
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(Client(server.address)).start(m.Start(settings=m.SettingsChange(label=3)))
        client = stack.enter_context(Client(server.address))
        client.start(SLOWLY)
        second = Recorder(client)
        for command, step in first.recipe:  # long before the fourth step
            second.send(command, step)
        again = second.until(lambda frame: frame.idle)
        assert second.steps == first.steps
    assert (again.step, again.seed) == (end.step, end.seed)
    both = sorted(first.frames.keys() & second.frames.keys())
    assert len(both) > 20
    for step in both:
        ours, theirs = first.frames[step], second.frames[step]
        np.testing.assert_array_equal(ours.x_t, theirs.x_t)
        np.testing.assert_array_equal(ours.x0_hat, theirs.x0_hat)
        assert (ours.level_map is None) == (theirs.level_map is None)
        if ours.level_map is not None and theirs.level_map is not None:
            np.testing.assert_array_equal(ours.level_map, theirs.level_map)


def test_a_client_that_has_missed_frames_learns_what_was_applied_meanwhile(
    server: ServerProcess,
) -> None:
    with Client(server.address, acknowledge=False) as client, Client(server.address) as watcher:
        welcome = client.start(m.Start(window=1, motion=m.Motion.PAUSED))
        token = client.next_token()
        watcher.send(m.Start(watch=welcome.session_id))
        watcher.welcome = welcome
        watcher.frame()
        sequences = [client.send(m.Step()) for _ in range(5)]
        seen = Recorder(watcher)
        seen.until(lambda frame: frame.applied_sequence == sequences[-1])
        assert seen.steps == {sequence: sequence - 2 for sequence in sequences}
        client.break_off()
        client.status()
        with Client(server.address) as again:
            again.resume(token.token)
            first = again.frame()
            assert [(one.sequence, one.step) for one in first.applied] == [*seen.steps.items()]
            again.send(m.Step(), sequence=sequences[-1] + 1)
            later = Recorder(again)
            later.until(lambda frame: frame.step == 6)
            assert later.steps == {sequences[-1] + 1: 5}
