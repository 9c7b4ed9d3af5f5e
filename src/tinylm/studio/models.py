"""The models of a studio: their cards, and what the page needs to run one itself."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tinylm.http.api import Handlers
from tinylm.http.responses import Json
from tinylm.inspection.structure import total_parameters
from tinylm.interchange.export import read_model
from tinylm.interchange.formats import FORMATS
from tinylm.interchange.html.export import page_facts, page_weights
from tinylm.studio.cards import Cards
from tinylm.studio.refusals import as_api_errors
from tinylm.studio.workspace import Workspace


class Models:
    """Routes about models as they lie in the folder.

    Args:
        workspace: the folder.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._cards = Cards(lambda _id, _folder: "ready")

    def handlers(self) -> dict[str, Handlers]:
        return {"/api/models": {"GET": self.cards}, "/api/models/{id}/facts": {"GET": self.facts},
                "/api/models/{id}/weights": {"GET": self.weights}}

    async def cards(self, _: Request) -> Response:
        return Json({"models": await asyncio.to_thread(self._all)})

    def _all(self) -> list[dict[str, Any]]:
        return [self._cards.of(id, folder) for id, folder in self._workspace.models().items()]

    async def facts(self, request: Request) -> Response:
        folder = self._workspace.model(request.path_params["id"])
        return Json(await asyncio.to_thread(_facts, folder))

    async def weights(self, request: Request) -> Response:
        folder = self._workspace.model(request.path_params["id"])
        return Response(await asyncio.to_thread(_weights, folder), media_type="application/octet-stream")


@as_api_errors(409)
def _facts(folder: Path) -> dict[str, Any]:
    model = read_model(folder)
    return page_facts(model, FORMATS["html"].default_dtype(total_parameters(model.config.model)))


@as_api_errors(409)
def _weights(folder: Path) -> bytes:
    """The weights as the single file holds them, packed by gzip."""
    model = read_model(folder)
    return page_weights(model, FORMATS["html"].default_dtype(total_parameters(model.config.model)))
