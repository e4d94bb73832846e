"""The engines of a server: load the models, and make what runs each of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

from diffusion_toy.errors import InvalidValueError, MissingExtraError
from diffusion_toy.model.checkpoint import LoadedModel, load_model
from diffusion_toy.predictors.make import PredictorOptions, make_predictor
from diffusion_toy.predictors.processor import available_cores
from inference_server.engine.admission import Admission
from inference_server.engine.engine import Engine, EngineConfig

if TYPE_CHECKING:
    from pathlib import Path

    from inference_server.options import ServerOptions

log = logging.getLogger(__name__)

TOKEN_PERIOD_S = 1.0  # between two resume tokens of a session, as the contract says
REQUEST_BYTES_LEAST = 64 * 1024
TOKEN_OVERHEAD_BYTES = 8 * 1024  # of a resume token beyond its state


def engine_config(config: ServerOptions) -> EngineConfig:
    """Return what the flags mean for an engine."""
    return EngineConfig(
        slots=config.max_sessions,
        tick_rate_hz=config.tick_rate_hz,
        token_period_s=TOKEN_PERIOD_S,
        capacity=config.capacity or None,
    )


def predictor_options(config: ServerOptions) -> PredictorOptions:
    """Return what the flags mean for the network."""
    return PredictorOptions(
        kind=config.predictor,
        device=config.device,
        precision=config.precision,
        fixed_batch=config.fixed_batch,
        rows=2 * config.max_sessions,  # with guidance, a session takes two
        threads=config.threads or available_cores(),
        cache=None if config.no_cache else config.cache or default_cache(),
    )


def default_cache() -> Path:
    """Return the folder in which compiled programs are kept unless the user names another.

    Raises:
        MissingExtraError: platformdirs is not installed.
    """
    try:
        from platformdirs import user_cache_path
    except ModuleNotFoundError as error:
        raise MissingExtraError("platformdirs", "server") from error
    return user_cache_path("diffusion-toy") / "openvino"


def load_models(paths: Sequence[Path]) -> list[LoadedModel]:
    """Return the models of these files.

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


def make_engines(config: ServerOptions, models: Sequence[LoadedModel], admission: Admission) -> list[Engine]:
    """Return an engine for each model; no network has been compiled yet, see `Preparation`.

    Args:
        config: how they run.
        models: what they serve.
        admission: of the device that they share.

    Raises:
        InvalidValueError: no such device.
        PredictorError: the network cannot run here.
    """
    options = predictor_options(config)
    engines: list[Engine] = []
    for model in models:
        predictor = make_predictor(model, options)
        engines.append(Engine(model, predictor, engine_config(config), admission))
        log.info(
            "model %s on %s", model.name, predictor.description, extra={"fingerprint": model.fingerprint}
        )
    return engines


def request_bytes(models: Sequence[LoadedModel]) -> int:
    """How large a request may be: room for a resume token, or a picture, of any of these models."""
    largest = 0
    for model in models:
        config = model.config
        pixels = config.height * config.width
        largest = max(largest, (2 * config.channels + 3) * 4 * pixels + config.channels * pixels)
    return max(REQUEST_BYTES_LEAST, largest + TOKEN_OVERHEAD_BYTES)
