"""The models of a studio as they lie in its folder: their cards, their names, the trash, and what a page needs to run
one itself."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tinylm import model_folder
from tinylm.http.api import Handlers
from tinylm.http.body import read_body
from tinylm.http.errors import ApiError
from tinylm.http.responses import Json
from tinylm.inspection.structure import total_parameters
from tinylm.interchange.export import read_model
from tinylm.interchange.formats import FORMATS
from tinylm.interchange.html.export import page_facts, page_weights
from tinylm.interchange.source import Dtype, ExportedModel
from tinylm.serving.reading import parse
from tinylm.studio.cards import Cards
from tinylm.studio.histories import Histories
from tinylm.studio.refusals import as_api_errors, writing
from tinylm.studio.request_schemas import RenameRequest
from tinylm.studio.run_records import RunRecords
from tinylm.studio.runs import Runs
from tinylm.studio.trash import Trash
from tinylm.studio.workspace import Workspace
from tinylm.system.files import patiently


class Models:
    """Routes about models.

    Args:
        workspace: the folder.
        records: of runs that were started here.
        histories: of what runs have recorded.
        runs: tells the state of each.
    """

    def __init__(self, workspace: Workspace, records: RunRecords, histories: Histories, runs: Runs) -> None:
        self._workspace, self._records, self._histories, self._runs = workspace, records, histories, runs
        self._cards, self._trash = Cards(histories), Trash(workspace, records)
        self._moving = asyncio.Lock()

    def handlers(self) -> dict[str, Handlers]:
        return {"/api/models": {"GET": self.cards},
                "/api/models/{id}": {"PATCH": self.rename, "DELETE": self.delete},
                "/api/models/{id}/facts": {"GET": self.facts}, "/api/models/{id}/weights": {"GET": self.weights},
                "/api/trash": {"GET": self.trash}, "/api/trash/{key}": {"POST": self.restore, "DELETE": self.remove}}

    async def cards(self, _: Request) -> Response:
        return Json({"models": await asyncio.to_thread(self._all)})

    def _all(self) -> list[dict[str, Any]]:
        models = self._workspace.models()
        return [*(self._card(id, folder) for id, folder in models.items()),
                *(self._card_of_run(id) for id in sorted(self._records.names()) if id not in models)]

    def _card(self, id: str, folder: Path) -> dict[str, Any]:
        card = self._cards.of(id, folder)
        if "error" in card:
            return {**card, "state": "failed"}
        state = self._runs.state(id)
        return {**card, "state": state, **({"error": self._records.error(id)} if state == "failed" else {})}

    def _card_of_run(self, id: str) -> dict[str, Any]:
        """The card of a run that has not made a model yet, or never did."""
        record, state = self._records.read(id), self._runs.state(id)
        return {"id": id, "name": id, "text": record.text if record else "", "minutes": record and record.minutes,
                "has_weights": False, "in_browser": False, "has_chat": False, "baselines": {}, "state": state,
                **({"error": self._records.error(id)} if state == "failed" else {})}

    # ---- names and the trash

    async def rename(self, request: Request) -> Response:
        fields = parse(RenameRequest, await read_body(request))
        async with self._moving:
            return Json({"id": await asyncio.to_thread(self._rename, request.path_params["id"], fields.name)})

    @as_api_errors(409)
    def _rename(self, id: str, name: str) -> str:
        folder = self._workspace.model(id)
        if name.strip() == id:
            return id
        target = self._workspace.new_model(name)
        self._check_is_idle(id)
        model_folder.move(folder, target)
        self._histories.forget(folder)
        if id in self._records.names():
            with writing():
                patiently(os.rename, self._records.folder(id), self._records.folder(target.name))
        return target.name

    async def delete(self, request: Request) -> Response:
        async with self._moving:
            return Json({"undo": await asyncio.to_thread(self._delete, request.path_params["id"])})

    def _delete(self, id: str) -> str:
        folder = None if id in self._records.names() and id not in self._workspace.models() else (
            self._workspace.model(id))
        self._check_is_idle(id)
        if folder:
            self._histories.forget(folder)
        return self._trash.throw(id, folder)

    def _check_is_idle(self, id: str) -> None:
        if self._runs.state(id) == "training":
            raise ApiError(409, "The model is training at this moment. Stop the training first", code="is_training")

    async def trash(self, _: Request) -> Response:
        return Json({"trash": await asyncio.to_thread(self._trash.all)})

    async def restore(self, request: Request) -> Response:
        async with self._moving:
            return Json({"id": await asyncio.to_thread(self._trash.restore, request.path_params["key"])})

    async def remove(self, request: Request) -> Response:
        await asyncio.to_thread(self._trash.remove, request.path_params["key"])
        return Json({})

    # ---- for a page that runs the model itself

    async def facts(self, request: Request) -> Response:
        return Json(await asyncio.to_thread(_facts, self._workspace.model(request.path_params["id"])))

    async def weights(self, request: Request) -> Response:
        packed = await asyncio.to_thread(_weights, self._workspace.model(request.path_params["id"]))
        return Response(packed, media_type="application/octet-stream")


@as_api_errors(409)
def _facts(folder: Path) -> dict[str, Any]:
    model = read_model(folder)
    return page_facts(model, _dtype(model))


@as_api_errors(409)
def _weights(folder: Path) -> bytes:
    """The weights as the single file holds them, packed by gzip."""
    model = read_model(folder)
    return page_weights(model, _dtype(model))


def _dtype(model: ExportedModel) -> Dtype:
    return FORMATS["html"].default_dtype(total_parameters(model.config.model))
