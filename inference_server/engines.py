"""The engines of a server: load the models, run each network once, measure what it manages."""

from __future__ import annotations

import logging
import os
import statistics
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from diffusion_toy.contract.messages import SettingsChange, Start
from diffusion_toy.errors import InvalidValueError
from diffusion_toy.model.checkpoint import LoadedModel, load_model
from diffusion_toy.predictors.make import PredictorOptions, make_predictor
from inference_server.engine.capacity import BUSY
from inference_server.engine.engine import Engine, EngineConfig

if TYPE_CHECKING:
    from pathlib import Path

    from inference_server.server import ServerConfig

log = logging.getLogger(__name__)

REQUEST_BYTES_LEAST = 64 * 1024
TOKEN_OVERHEAD_BYTES = 8 * 1024  # of a resume token beyond its state
CAPACITY_SIZES = (1, 8, 16, 32)  # sessions at which the engine is timed
CAPACITY_TICKS = 6


def engine_config(config: ServerConfig) -> EngineConfig:
    """Return what the flags mean for an engine."""
    return EngineConfig(
        slots=config.max_sessions,
        tick_rate_hz=config.tick_rate_hz,
        token_period_s=config.token_period_s,
        capacity=config.capacity or None,
    )


def predictor_options(config: ServerConfig) -> PredictorOptions:
    """Return what the flags mean for the network."""
    return PredictorOptions(
        kind=config.predictor,
        device=config.device,
        precision=config.precision,
        fixed_batch=config.fixed_batch,
        rows=2 * config.max_sessions,  # with guidance, a session takes two
        threads=config.threads or available_cores(),
        cache=config.cache,
    )


def available_cores() -> int:
    """Return how many cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


def measure_capacity(engine: Engine) -> None:
    """Time the engine's ticks at a few numbers of sessions; leaves no session behind.

    Where the operator has set the capacity, a single session shows that the engine works.
    """
    endless = SettingsChange(num_time_steps=1000)
    seconds: dict[int, float] = {}
    busy = False
    for count in CAPACITY_SIZES if engine.capacity.source != "given" else (1,):
        if count > engine.config.slots:
            break
        sessions = [engine.join(Start(seed=seed, settings=endless)) for seed in range(count)]
        times = []
        for _ in range(CAPACITY_TICKS):
            began = time.perf_counter()
            engine.tick()
            times.append(time.perf_counter() - began)
        seconds[count] = statistics.median(times)
        busy |= seconds[count] > BUSY * min(times)
        for session in sessions:
            engine.leave(session)
    engine.tick()
    engine.capacity.measured(seconds, time.perf_counter())
    if busy:
        log.warning("capacity was measured on a busy machine; it is corrected while the server runs")


def load_models(paths: Sequence[Path]) -> list[LoadedModel]:
    """The models of these files.

    Raises:
        CheckpointError: a file that is missing or damaged.
        InvalidValueError: two files of one name.
    """
    models: dict[str, LoadedModel] = {}
    for path in paths:
        model = load_model(path)
        if model.name in models:
            raise InvalidValueError("--model", path, "files of different names", "rename one of them")
        models[model.name] = model
    return list(models.values())


def make_engines(config: ServerConfig, models: Sequence[LoadedModel]) -> dict[str, Engine]:
    """An engine for each model, by its name, each having run real steps.

    Raises:
        InvalidValueError: no such device.
        PredictorError: the network cannot run here.
    """
    options = predictor_options(config)
    engines: dict[str, Engine] = {}
    for model in models:
        predictor = make_predictor(model, options)
        predictor.warm_up()
        engine = Engine(model, predictor, engine_config(config))
        engines[model.name] = engine
        log.info(
            "model %s on %s", model.name, predictor.description, extra={"fingerprint": model.fingerprint}
        )
    for engine in engines.values():
        engine.neighbours = [other for other in engines.values() if other is not engine]
        measure_capacity(engine)
        promised = engine.capacity.rows_per_second or 0.0
        log.info(
            "model %s: %.0f network rows a second (%s), admits %.0f sessions at %g steps a second",
            engine.model.name, promised, engine.capacity.source,
            max(1, promised // config.tick_rate_hz), config.tick_rate_hz,
        )  # fmt: skip
    return engines


def request_bytes(models: Sequence[LoadedModel]) -> int:
    """How large a request may be: room for a resume token, or a picture, of any of these models."""
    largest = 0
    for model in models:
        config = model.config
        pixels = config.height * config.width
        largest = max(largest, (2 * config.channels + 3) * 4 * pixels + config.channels * pixels)
    return max(REQUEST_BYTES_LEAST, largest + TOKEN_OVERHEAD_BYTES)
