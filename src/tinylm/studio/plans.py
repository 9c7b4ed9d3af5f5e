"""Plans: what a run would do, asked of `tinylm plan` in a process of its own, which ends when nobody waits for it."""

from __future__ import annotations

import asyncio
import json
import os
from asyncio.subprocess import DEVNULL, PIPE
from contextlib import suppress

from starlette.requests import Request
from starlette.responses import Response

from tinylm.http.api import Handlers
from tinylm.http.body import read_body
from tinylm.http.errors import ApiError, server_error
from tinylm.http.request_log import RequestContext
from tinylm.http.responses import Json, cancel_on_disconnect
from tinylm.serving.reading import parse
from tinylm.studio.request_schemas import PlanRequest
from tinylm.studio.texts import Texts
from tinylm.system.processes import NO_WINDOW, tinylm_command


class Plans:
    """Routes about plans.

    Args:
        texts: to be planned for.
    """

    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._measuring = asyncio.Lock()  # two that measure the machine at once would measure each other

    def handlers(self) -> dict[str, Handlers]:
        return {"/api/plan": {"POST": self.plan}}

    async def plan(self, request: Request) -> Response:
        fields = parse(PlanRequest, await read_body(request))
        source = await asyncio.to_thread(self._texts.source, fields.texts)
        async with cancel_on_disconnect(request.receive, RequestContext.of(request.scope).deadline), self._measuring:
            output = await _output(tinylm_command("plan", str(source), f"--minutes={fields.minutes:g}", "--json"))
        return Json(json.loads(output))


async def _output(command: list[str]) -> bytes:
    """The output of a command of tinylm. Raises: ApiError: it ended with an error."""
    child = await asyncio.create_subprocess_exec(*command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE,
                                                 creationflags=NO_WINDOW,
                                                 env={**os.environ, "PYTHONIOENCODING": "utf-8"})
    try:
        output, errors = await child.communicate()
    finally:
        with suppress(ProcessLookupError):  # it has ended
            child.kill()
    if child.returncode == 0:
        return output
    lines = errors.decode("utf-8", "replace").splitlines()
    said = next((line for line in reversed(lines) if line.startswith("tinylm: ")), "")
    raise ApiError(400, said.removeprefix("tinylm: "), code="refused") if said else server_error()
