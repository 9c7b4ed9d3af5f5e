"""The studio's server: from a folder to a page that a browser opens, and to its end."""

from __future__ import annotations

import asyncio
import secrets
import signal
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tinylm.http.log import Log
from tinylm.http.server import BindOptions, Server, url_of
from tinylm.serving.limits import Limits
from tinylm.serving.model_registry import ModelRegistry
from tinylm.studio.app import StudioApi, build_app
from tinylm.studio.open_models import OpenModels
from tinylm.studio.workspace import Workspace

LIMITS = Limits(connections=64, read_seconds=120.0, grace=3.0, models=2)
"""A person with a page or two, who may send a long text."""
KEY_BYTES, JOIN_SECONDS = 24, 2.0


def studio(folder: Path, port: int, ready: Callable[[str], None]) -> int:
    """Serves the studio of a folder, to this machine alone, until a signal stops it. Runs go on. Returns the exit code:
    130 after Ctrl-C, else 0.

    Args:
        port: 0: any that is free.
        ready: called with the address of the page, its token in it, when the server accepts requests.

    Raises:
        TinyLMError: no such folder, or a port that is taken.
    """
    workspace = Workspace(folder)
    options = BindOptions(port=port, key=secrets.token_urlsafe(KEY_BYTES))
    sockets = options.listen()
    try:
        return asyncio.run(_serve(workspace, options, sockets, ready))
    finally:
        for bound in sockets:
            bound.close()


async def _serve(workspace: Workspace, options: BindOptions, sockets: list[socket.socket],
                 ready: Callable[[str], None]) -> int:
    log, url = Log(), url_of(sockets)
    access = options.access(sockets)._replace(cookie=f"tinylm-{url.rpartition(':')[2]}")
    models = OpenModels(workspace, ModelRegistry(workspace.root, LIMITS, log))
    app = build_app(StudioApi(workspace, models, LIMITS), LIMITS, access, log)
    server = Server(app, LIMITS, log, on_start=partial(ready, f"{url}/?token={options.key}"), on_stop=models.close)
    try:
        await server.serve(sockets)
    finally:
        models.close()
        models.join(JOIN_SECONDS)
        log.flush()
    return 130 if server.stopped_by == signal.SIGINT else 0
