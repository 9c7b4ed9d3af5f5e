"""Exports: a model in the format of another program, as a download."""

from __future__ import annotations

import asyncio
import shutil
import zipfile
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from tinylm.http.api import Handlers
from tinylm.http.body import read_body
from tinylm.http.responses import Json
from tinylm.interchange.export import export, read_model
from tinylm.interchange.formats import FORMATS
from tinylm.serving.reading import parse
from tinylm.studio.refusals import as_api_errors, writing
from tinylm.studio.request_schemas import ExportRequest
from tinylm.studio.workspace import Workspace

KIND = "exports"
MAX_KEPT = 8
"""Exports that are kept, the newest: each can be made again."""


class Exports:
    """Routes about exports.

    Args:
        workspace: the folder of models, which keeps the exports as well.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._writing = asyncio.Lock()

    def handlers(self) -> dict[str, Handlers]:
        return {"/api/models/{id}/export": {"POST": self.make}, "/api/exports/{key}": {"GET": self.download}}

    async def make(self, request: Request) -> Response:
        folder = self._workspace.model(request.path_params["id"])
        asked = parse(ExportRequest, await read_body(request))
        async with self._writing:
            return Json(await asyncio.to_thread(self._make, folder, asked))

    async def download(self, request: Request) -> Response:
        file = next(self._workspace.entry(KIND, request.path_params["key"]).iterdir())
        return FileResponse(file, media_type="application/octet-stream", filename=file.name)

    @as_api_errors()
    def _make(self, folder: Path, asked: ExportRequest) -> dict[str, Any]:
        entry = self._workspace.free_entry(KIND)
        form = FORMATS.get(asked.to)
        target = entry / f"{folder.name}{Path(*form.files).suffix if form and form.is_file else ''}"
        with writing():
            self._remove_oldest()
            entry.mkdir()
            try:
                found = export(read_model(folder), asked.to, target, dtype=asked.dtype)
                file = target if target.is_file() else _packed(target)
            except BaseException:
                shutil.rmtree(entry, ignore_errors=True)
                raise
            checks = [f"{check.reader} reads the same model" for check in found.checks]
            return {"file": entry.name, "name": file.name, "bytes": file.stat().st_size, "dtype": found.dtype,
                    "notes": found.notes, "checks": checks}

    def _remove_oldest(self) -> None:
        kept = sorted(self._workspace.kept(KIND).iterdir(), key=lambda path: path.stat().st_mtime)
        for entry in kept[:max(0, len(kept) - MAX_KEPT + 1)]:
            shutil.rmtree(entry, ignore_errors=True)


def _packed(folder: Path) -> Path:
    """The folder as a .zip in its place."""
    path = folder.with_name(f"{folder.name}.zip")
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, f"{folder.name}/{file.relative_to(folder).as_posix()}")
    shutil.rmtree(folder)
    return path


def formats() -> list[dict[str, Any]]:
    """The formats of exports, for the page."""
    return [{"to": name, "about": form.about, "dtypes": list(form.dtypes), "default_dtype": form.dtypes[0]}
            for name, form in FORMATS.items()]
