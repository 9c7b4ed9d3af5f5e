"""The server of models: from a model folder to a socket that answers, and to its end."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Sequence
from functools import partial

from tinylm.config.schema import WeightDtype
from tinylm.errors import TinyLMError
from tinylm.http.log import Log
from tinylm.http.server import BindOptions, Server, url_of
from tinylm.serving.app import build_app
from tinylm.serving.limits import Limits
from tinylm.serving.model_registry import ModelRegistry


def serve(run: str, options: BindOptions, limits: Limits, ready: Callable[[str, Sequence[str]], None],
          weight_dtype: WeightDtype = "fp32") -> int:
    """Serves models until a signal stops the server. Returns the exit code: 130 after Ctrl-C, else 0.

    Args:
        run: a model folder, or a folder of model folders.
        options: where to listen, and who may ask.
        limits: what a request may ask for.
        ready: called with the address and the ids of the models, when the server accepts requests.
        weight_dtype: how the weights are kept (`LanguageModel.load`).

    Raises:
        TinyLMError: no model, no such address, a port that is taken, or a key that is missing or too short.
    """
    sockets = options.listen()
    try:
        return asyncio.run(_serve(run, options, limits, weight_dtype, sockets, ready))
    finally:
        for bound in sockets:
            bound.close()


async def _serve(run: str, options: BindOptions, limits: Limits, weight_dtype: WeightDtype,
                 sockets: list[socket.socket], ready: Callable[[str, Sequence[str]], None]) -> int:
    log = Log()
    registry = ModelRegistry(run, limits, log, weight_dtype)
    registry.check_not_empty()
    await _warm_up(registry)
    app = build_app(registry, limits, options.access(sockets), log, lambda: server.n_connections)
    server = Server(app, limits, log, on_start=partial(ready, url_of(sockets), registry.ids()),
                    on_stop=registry.close)
    try:
        await server.serve(sockets)
    finally:
        registry.close()
        registry.join(2.0)
        log.flush()
    return 130 if server.stopped_by == signal.SIGINT else 0


async def _warm_up(registry: ModelRegistry) -> None:
    """Loads a model and lets it write a token, so that whatever has to be compiled is compiled before anybody waits."""
    folders = registry.folders()
    newest = sorted(folders, key=registry.created, reverse=True)
    for id in newest:
        try:
            served = await registry.get(id)
            job = served.scheduler.submit(served.lm.generator.requests("", max_tokens=1, beams=1), streams=False)
            await job.updates()
            served.release()
            return
        except Exception as error:
            if id == newest[-1]:
                raise TinyLMError(str(error), where=str(folders[id])) from None
