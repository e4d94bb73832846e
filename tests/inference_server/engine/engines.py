"""What tests of the engine do to a session, and read of it. No thread, no socket, no clock."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from diffusion_toy.contract import messages as m
from diffusion_toy.model.checkpoint import LoadedModel
from diffusion_toy.predictors.eager import EagerPredictor
from inference_server.engine.admission import Admission
from inference_server.engine.engine import Engine, EngineConfig
from inference_server.engine.frames import TickResult
from inference_server.engine.pending import Pending, Skip
from inference_server.engine.session import Session

CPU = torch.device("cpu")


def engine_of(
    model: LoadedModel,
    config: EngineConfig,
    sizes: tuple[int, ...] = (),
    admission: Admission | None = None,
    clock: Callable[[], float] = lambda: 0.0,
) -> Engine:
    """Return an engine that runs the model's network in torch, eager and in float32.

    Its clock stands still, so that a test that is held up has no fewer commands applied.
    """
    predictor = EagerPredictor(model.network, model.config, CPU, sizes=sizes)
    return Engine(model, predictor, config, admission, clock=clock)


def start(**changes: object) -> m.Start:
    """A start of seed 1 with these settings."""
    settings = m.SettingsChange(**changes)  # type: ignore[arg-type]
    return m.Start(seed=1, settings=settings)


def send(engine: Engine, session: Session, *commands: m.Command | Skip, at_step: int | None = None) -> None:
    """Queue commands with the next sequences."""
    for command in commands:
        sequence = int(engine.controls.applied[session.slot]) + len(session.pending) + 1
        engine.submit(session, Pending(sequence, command, at_step))


def row_of(result: TickResult, session: Session) -> int:
    """The session's row in the frames of a tick."""
    assert result.frames is not None
    return result.frames.sessions.index(session)


def time_step(result: TickResult, session: Session) -> tuple[float, float]:
    """Least and greatest."""
    assert result.frames is not None
    readings = result.frames.readings_of(row_of(result, session))
    return readings.time_step_min, readings.time_step_max


def picture(engine: Engine, session: Session) -> torch.Tensor:
    """The session's x_t as it is now, (C, H, W)."""
    return torch.from_numpy(engine.state.x[session.slot].copy())


def whole_state(engine: Engine, session: Session) -> torch.Tensor:
    """The session's picture, level, gain and noise variance, (C + 3, H, W)."""
    return torch.from_numpy(engine.state.state[session.slot].copy())


def under(disc: m.Disc, height: int = 28, width: int = 28) -> torch.Tensor:
    """The pixels of a disc by the protocol's words, one by one: (H, W) bool."""
    side = min(height, width)
    inside = [
        [
            np.hypot(((column + 0.5) / width - disc.x) * width, ((row + 0.5) / height - disc.y) * height)
            <= disc.radius * side
            for column in range(width)
        ]
        for row in range(height)
    ]
    return torch.tensor(np.array(inside))


def applied(result: TickResult, session: Session) -> list[tuple[int, int]]:
    """The sequence and step of each command that the session's frame lists."""
    assert result.frames is not None
    commands = result.frames.applied_of_rows.get(row_of(result, session), ())
    return [(command.sequence, command.step) for command in commands]


def run_out(engine: Engine, limit: int = 1000) -> TickResult:
    """Tick until nothing happens any more; the result of the last tick."""
    for _ in range(limit):
        result = engine.tick()
        if engine.idle:
            return result
    raise AssertionError("the engine never rested")
