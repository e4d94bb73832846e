"""Serving model files as they are now, without a restart: all of them, or none where one is no good."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from functools import partial

from diffusion_toy.errors import DiffusionToyError, InvalidValueError
from diffusion_toy.model.checkpoint import LoadedModel
from inference_server.engine.admission import Admission
from inference_server.engine.engine import Engine
from inference_server.engine.loop import EngineLoop
from inference_server.engine.roster import ModelChanges, Roster
from inference_server.engines import load_models, make_engines, request_bytes
from inference_server.options import ServerOptions
from inference_server.preparation import Preparation
from inference_server.streams.status import Status, StreamError

log = logging.getLogger(__name__)


class Reloading:
    """Loads model files beside those that are served, and then switches to them.

    Args:
        options: which files, and how they are served.
        request_bytes: how large a request may be; it cannot change while the server listens.
        admission: of the device.
        roster: the engines; changed here.
        engine_loop: ticks them.
        preparation: compiles and measures them.
    """

    def __init__(
        self,
        options: ServerOptions,
        request_bytes: int,
        admission: Admission,
        roster: Roster,
        engine_loop: EngineLoop,
        preparation: Preparation,
    ) -> None:
        self._options, self._request_bytes, self._admission = options, request_bytes, admission
        self._roster, self._loop, self._preparation = roster, engine_loop, preparation

    async def reload(self) -> tuple[Sequence[LoadedModel], ModelChanges]:
        """Read all files, make new engines ready for those that have changed, and serve with them.

        Sessions go on with the weights they began with.

        Returns:
            The models that are served now, and what has changed.

        Raises:
            StreamError: FAILED_PRECONDITION where a file cannot be served; nothing has changed.
        """
        made: list[Engine] = []
        try:
            models = await asyncio.to_thread(load_models, self._options.model_files)
            self._check_size(models)
            engines = {(engine.info.name, engine.info.fingerprint): engine for engine in self._roster.serving}
            new = [model for model in models if (model.name, model.fingerprint) not in engines]
            for model in new:
                made.append(await self._ready_engine(model))  # noqa: PERF401 (one that fails leaves the others)
        except BaseException as error:
            for engine in made:
                self._loop.post(engine.share.close)
            if isinstance(error, DiffusionToyError):
                text = f"{error}. Nothing has changed; the models are served as before"
                raise StreamError(Status.FAILED_PRECONDITION, text) from error
            raise
        engines |= {(engine.info.name, engine.info.fingerprint): engine for engine in made}
        order = [engines[model.name, model.fingerprint] for model in models]
        changes = await asyncio.wrap_future(self._loop.call(partial(self._roster.switch, order)))
        log.info(
            "an operator reloads the models: added %s, changed %s, removed %s",
            *(", ".join(names) or "none" for names in (changes.added, changes.changed, changes.removed)),
        )
        return models, changes

    def _check_size(self, models: Sequence[LoadedModel]) -> None:
        """Refuse models whose pictures and resume tokens do not fit into a request.

        Raises:
            InvalidValueError: naming the first of them.
        """
        for model in models:
            if (needed := request_bytes([model])) > self._request_bytes:
                limit = f"the {self._request_bytes} that this server was started with"
                remedy = "restart the server to serve larger pictures"
                raise InvalidValueError(f"model {model.name}", f"{needed} bytes a request", limit, remedy)

    async def _ready_engine(self, model: LoadedModel) -> Engine:
        """Return an engine of a model that has been compiled and measured, beside those that serve.

        Raises:
            DiffusionToyError: it cannot be run.
        """
        making = self._loop.call(partial(make_engines, self._options, [model], self._admission))
        (engine,) = await asyncio.wrap_future(making)
        try:
            await asyncio.shield(asyncio.wrap_future(self._preparation.prepare(engine)))
        except BaseException:
            self._loop.post(engine.share.close)
            raise
        return engine
