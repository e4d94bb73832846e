"""Servers that are restarted, killed or fail under load: everybody is back, and nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

import numpy as np
import pytest

from diffusion_toy.contract import messages as m
from tests.client import Client
from tests.inference_server.faults import Relay, serious
from tests.models import shared_flags
from tests.tools import HANGS_S, SHIPPED_MODEL, running_server, wait_for
from viewer_client.link.address import Endpoint
from viewer_client.load import generator, scripted_input
from viewer_client.load.generator import LoadOptions, Viewer, run_load
from viewer_client.load.report import Report, Tally

VIEWERS = 3  # that step, and as many that paint
BACK_S = 2.0
STEP_S = 0.25  # between two commands of one who steps
SEEN_S = 2.0  # of everybody, after the engine is back
SETTLE_S = 1.2  # after a restart, before the next one
DRIFT_MAX = {"float32": 0.005, "bfloat16": 0.25}  # of any pixel
WHO: ContextVar[str] = ContextVar("WHO", default="paints")


@pytest.fixture(scope="module")
def flags(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    return [*shared_flags(tmp_path_factory.mktemp("shared")), "--one-of-several"]


@dataclass
class Steps:
    """Sessions that take one step for each command, so that the step counts what was applied.

    Attributes:
        wrong: (step, applied) of frames at rest in which a command was lost, or applied twice.
        applied: of each viewer's newest frame.
        viewers: all of them.
    """

    wrong: list[tuple[int, int]] = field(default_factory=list)
    applied: dict[int, int] = field(default_factory=dict)
    viewers: list[Viewer] = field(default_factory=list)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    found, frame, moves = Steps(), Tally.frame, scripted_input.moves

    def step_by_step(rng: Random, num_labels: int) -> Iterator[tuple[float, m.Command]]:
        if WHO.get() == "paints":
            yield from moves(rng, num_labels)
        while True:
            yield STEP_S, m.Step()

    def seen(self: Tally, now: float, number: int, step: int, applied_sequence: int, idle: bool) -> None:
        frame(self, now, number, step, applied_sequence, idle)
        if WHO.get() == "steps":
            found.applied[id(self)] = applied_sequence
            if idle and step != applied_sequence - 1:  # the start has a number too
                found.wrong.append((step, applied_sequence))

    def viewer(*arguments: Any) -> Viewer:
        found.viewers.append(Viewer(*arguments))
        return found.viewers[-1]

    monkeypatch.setattr(generator, "Viewer", viewer)
    monkeypatch.setattr(generator, "moves", step_by_step)
    monkeypatch.setattr(generator, "IDLE_S", 3600.0)  # nobody begins anew
    monkeypatch.setattr(Tally, "frame", seen)
    return found


async def crowd(address: str, seconds: float) -> tuple[Report, Report]:
    """Viewers who paint, and viewers who step."""

    async def some(who: str, start: m.Start) -> Report:
        WHO.set(who)
        return await run_load(LoadOptions(Endpoint(address), VIEWERS, seconds, warm_up_s=0.5, start=start))

    change = m.SettingsChange(num_time_steps=1000)
    return await asyncio.gather(
        some("paints", m.Start(settings=change)),
        some("steps", m.Start(settings=change, motion=m.Motion.PAUSED)),
    )


def check(reports: tuple[Report, Report], steps: Steps, rounds: int, back_s: float = BACK_S) -> None:
    """Everybody was back in time, and no command was lost or applied twice."""
    slowest = 0.0
    for report in reports:
        assert report.viewers_with_frames == VIEWERS
        assert report.lost == 0
        assert report.resumed >= VIEWERS * rounds
        assert not report.rejections
        assert report.back_s_max is not None
        slowest = max(slowest, report.back_s_max)
    assert slowest < back_s
    assert not steps.wrong
    assert len(steps.applied) == VIEWERS
    assert min(steps.applied.values()) > 1 + rounds
    applied = sorted(steps.applied.values())
    print(f"{rounds} rounds: back within {slowest:.2f} s, applied {applied}, errors {reports[1].errors}")


@pytest.mark.timeout(400)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
@pytest.mark.parametrize("rounds", [3, pytest.param(20, marks=pytest.mark.slow)])
async def test_rolling_restarts_under_load_lose_nothing(
    flags: list[str], steps: Steps, number: signal.Signals, rounds: int
) -> None:
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(running_server(*flags)) for _ in range(2)]
        relay = stack.enter_context(Relay(servers[0].port))

        def roll() -> None:
            time.sleep(1.5)
            for _ in range(rounds):
                old, new = servers
                relay.target = new.port
                old.process.send_signal(number)
                status = old.process.wait(20)
                assert status == (0 if number is signal.SIGTERM else -number)
                assert not serious(old)
                time.sleep(SETTLE_S)
                servers[:] = new, stack.enter_context(running_server(*flags))
            time.sleep(0.5)

        rolling = asyncio.create_task(asyncio.to_thread(roll))
        viewing = asyncio.create_task(crowd(relay.address, 3600.0))
        await rolling
        for viewer in steps.viewers:
            await viewer.leave()
        reports = await viewing
        assert not serious(servers[0])
    check(reports, steps, rounds)


FAULTY = """
import sys, time
from inference_server import __main__ as command
from inference_server.engine.engine import Engine

tick, due = Engine.tick, None

def faulty(self):
    global due
    if due is None and len(self.sessions) == 6 and self.share.capacity.rows_per_second is not None:
        due = time.monotonic() + 2
    if due is not None and 0 < due < time.monotonic():
        due = -1
        raise RuntimeError("injected")
    return tick(self)

Engine.tick = faulty
sys.exit(command.main())
"""


def resumed(steps: Steps, times: int) -> bool:
    """Say whether viewers have gone on with their sessions so often."""
    return sum(viewer._tally.resumed for viewer in steps.viewers) >= times


async def test_an_engine_that_fails_under_load_loses_nothing(flags: list[str], steps: Steps) -> None:
    with running_server(*flags, command=[sys.executable, "-c", FAULTY]) as server:
        viewing = asyncio.create_task(crowd(server.address, 3600.0))
        back = partial(server.says, "the engine is back")
        await asyncio.to_thread(wait_for, back, "the engine's return")
        everybody = partial(resumed, steps, 2 * VIEWERS)
        await asyncio.to_thread(wait_for, everybody, "everybody's return")
        await asyncio.sleep(SEEN_S)
        for viewer in steps.viewers:
            await viewer.leave()
        reports = await viewing
        assert server.process.poll() is None
    check(reports, steps, 1, back_s=HANGS_S)


# --- what company does to a picture ---


def last_picture(address: str, company: int) -> np.ndarray:
    """The end of one session among so many others."""
    endless = m.Start(seed=5, settings=m.SettingsChange(num_time_steps=1000))
    with contextlib.ExitStack() as stack:
        for _ in range(company):
            stack.enter_context(Client(address)).start(endless)
        client = stack.enter_context(Client(address))
        client.start(m.Start(seed=3, settings=m.SettingsChange(stride=3, label=2)))
        return client.frame(lambda frame: frame.idle).x_t


@pytest.mark.slow
def test_company_moves_a_picture_a_little_and_with_a_fixed_batch_not_at_all() -> None:
    flags = ["--model", str(SHIPPED_MODEL), "--threads", "1", "--capacity", "1000000"]
    for precision in ("float32", "bfloat16"):
        with running_server(*flags, "--precision", precision) as server:
            alone, among = last_picture(server.address, 0), last_picture(server.address, 5)
        difference = np.abs(alone.astype(np.float64) - among)
        rms = float(np.sqrt((difference**2).mean()))
        print(f"{precision}: drift {difference.max():.2g} at most, {rms:.2g} rms, of pictures in −1…1")
        assert difference.max() < DRIFT_MAX[precision]
    with running_server(*flags, "--fixed-batch", "8") as server:
        np.testing.assert_array_equal(last_picture(server.address, 0), last_picture(server.address, 5))
