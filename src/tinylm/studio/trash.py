"""The trash of a studio: what is deleted lies in the hidden folder until it is restored, or removed for good.

    trash/KEY/about.json    the name that it had, and when it was deleted
    trash/KEY/model         the model folder, if there was one
    trash/KEY/run           the record of its run, if the studio had started it
"""

from __future__ import annotations

import json
import os
import shutil
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tinylm import model_folder
from tinylm.errors import TinyLMError
from tinylm.studio.cards import iso_date
from tinylm.studio.refusals import as_api_errors, writing
from tinylm.studio.run_records import RunRecords
from tinylm.studio.workspace import Workspace
from tinylm.system.files import patiently, write_atomically
from tinylm.system.untrusted import read_json

KIND, ABOUT, MODEL, RUN = "trash", "about.json", "model", "run"
MAX_ABOUT = 1 << 16


class Trash:
    """Deleted models by key.

    Args:
        workspace: where it is.
        records: of runs, which go with their models.
    """

    def __init__(self, workspace: Workspace, records: RunRecords) -> None:
        self._workspace, self._records = workspace, records

    @as_api_errors(409)
    def throw(self, name: str, folder: Path | None) -> str:
        """Moves a model and the record of its run into the trash. Returns its key. The record goes last: without it the
        model is whole.

        Args:
            folder: None: the run has made none.

        Raises:
            ApiError: a run is training into the folder, or it cannot be moved.
        """
        entry = self._workspace.free_entry(KIND)
        with writing():
            entry.mkdir()
            write_atomically(entry / ABOUT, json.dumps({"name": name, "date": iso_date(time.time())}))
            try:
                if folder is not None:
                    model_folder.move(folder, entry / MODEL)
            except TinyLMError:
                shutil.rmtree(entry, ignore_errors=True)
                raise
            with suppress(FileNotFoundError):
                patiently(os.rename, self._records.folder(name), entry / RUN)
        return entry.name

    @as_api_errors(409)
    def restore(self, key: str) -> str:
        """Moves a model back under its name, which must be free. Returns the name.

        Raises:
            ApiError: there is nothing under that key (404), or the name is taken (409).
        """
        entry = self._workspace.entry(KIND, key)
        name = str(read_json(entry / ABOUT, MAX_ABOUT)["name"])
        folder = self._workspace.new_model(name)
        with writing():
            if (entry / MODEL).is_dir():
                model_folder.move(entry / MODEL, folder)
            if (entry / RUN).is_dir():
                patiently(os.rename, entry / RUN, self._records.folder(folder.name))
        shutil.rmtree(entry, ignore_errors=True)
        return folder.name

    def remove(self, key: str) -> None:
        """Deletes for good. Raises: ApiError: there is nothing under that key (404)."""
        shutil.rmtree(self._workspace.entry(KIND, key), ignore_errors=True)

    def all(self) -> list[dict[str, Any]]:
        """The entries of the trash, the newest first."""
        found = []
        for entry in self._workspace.kept(KIND).iterdir():
            with suppress(TinyLMError, KeyError, TypeError):
                about = read_json(entry / ABOUT, MAX_ABOUT)
                found.append({"undo": entry.name, "name": str(about["name"]), "date": str(about["date"])})
        return sorted(found, key=lambda each: each["date"], reverse=True)
