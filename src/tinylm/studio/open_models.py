"""Models that are loaded to be questioned: each has one thread, since hooks are set on the model itself."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from starlette.requests import Request

from tinylm import model_folder
from tinylm.errors import TinyLMError
from tinylm.http.errors import ApiError, overloaded
from tinylm.http.request_log import RequestContext
from tinylm.http.responses import cancel_on_disconnect
from tinylm.lm import LanguageModel
from tinylm.serving.model_registry import ModelRegistry, ServedModel
from tinylm.studio.refusals import refusal
from tinylm.studio.workspace import Workspace

Result = TypeVar("Result")
MAX_WAITING = 8
"""Questions that wait for one model; further ones are refused."""


class OpenModels:
    """Loaded models by id.

    Args:
        workspace: the folder of models.
        registry: loads them, and anew when a run has improved them.
    """

    def __init__(self, workspace: Workspace, registry: ModelRegistry) -> None:
        self._workspace, self._registry = workspace, registry
        self._threads: dict[str, ThreadPoolExecutor] = {}
        self._waiting = Counter[str]()

    async def get(self, request: Request) -> ServedModel:
        """The model that a path names, until the request has ended.

        Raises:
            ApiError: there is none (404), or it has no weights yet (409).
        """
        id = request.path_params["id"]
        folder = self._workspace.model(id)
        if error := await asyncio.to_thread(model_folder.unfinished_error, folder):
            raise ApiError(409, f"The model cannot be asked yet: {error.what}", code="no_weights")
        served = await self._registry.get(id)
        RequestContext.of(request.scope).cleanup.callback(served.release)
        return served

    async def ask(self, request: Request, question: Callable[[LanguageModel], Result]) -> Result:
        """Answers a question in the model's thread, one after another.

        Raises:
            ApiError: too many wait already (429), or the question cannot be answered (400).
            ClientGone: the client has left. A question that has begun is answered to the end.
        """
        served = await self.get(request)
        if self._waiting[served.id] >= MAX_WAITING:
            raise overloaded(f"{MAX_WAITING} questions wait for this model already. Try again in a moment")
        thread = self._threads.setdefault(served.id, ThreadPoolExecutor(1, "tinylm-question"))
        self._waiting[served.id] += 1
        future = asyncio.get_running_loop().run_in_executor(thread, question, served.lm)
        future.add_done_callback(lambda _: self._waiting.subtract([served.id]))
        try:
            async with cancel_on_disconnect(request.receive, RequestContext.of(request.scope).deadline):
                return await future
        except TinyLMError as error:
            raise refusal(error) from None

    def close(self, error: ApiError | None = None) -> None:
        """Ends what is under way."""
        self._registry.close(error)
        for thread in self._threads.values():
            thread.shutdown(wait=False, cancel_futures=True)

    def join(self, seconds: float) -> None:
        """Waits up to `seconds` for each model that still writes."""
        self._registry.join(seconds)
