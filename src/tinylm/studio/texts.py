"""Texts that a person has given to the studio: written to the disk as they come, read once, and described."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tinylm.errors import TinyLMError
from tinylm.http.api import Handlers
from tinylm.http.body import save_body
from tinylm.http.errors import ApiError
from tinylm.http.responses import Json
from tinylm.studio.mending import mend
from tinylm.studio.refusals import as_api_errors, without_options, writing
from tinylm.studio.workspace import Workspace
from tinylm.system.files import legal_name, patiently, write_atomically
from tinylm.system.folders import temporary_folder
from tinylm.system.untrusted import read_json
from tinylm.text.corpus import Corpus, open_corpus

KIND = "texts"
ABOUT, MAX_ABOUT = ".about.json", 1 << 20
"""What was read of a text, beside it: no text has a name that begins with a dot."""
MAX_TEXT_BYTES, MAX_TEXTS, FREE_BYTES = 1 << 30, 1000, 1 << 29
"""Bytes of a text and texts that are kept, at most; and the bytes of the disk that a text leaves free."""
FIRST_CHARACTERS, MIN_REPEATED = 400, 20
"""Characters that are shown of a text's beginning, and characters from which on a line counts as repeated."""


class Texts:
    """Routes about texts.

    Args:
        workspace: where they are kept.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def handlers(self) -> dict[str, Handlers]:
        return {"/api/texts": {"GET": self.list_texts, "POST": self.upload},
                "/api/texts/{key}": {"DELETE": self.delete}}

    async def list_texts(self, _: Request) -> Response:
        return Json({"texts": await asyncio.to_thread(self._all)})

    async def upload(self, request: Request) -> Response:
        """Takes a text, whole or not at all."""
        name = legal_name(request.query_params.get("name", "")) or "text"
        folder = self._workspace.kept(KIND)
        if len(os.listdir(folder)) >= MAX_TEXTS:
            raise ApiError(409, f"{MAX_TEXTS:,} texts are kept already. Remove some", code="too_many_texts")
        most = min(MAX_TEXT_BYTES, shutil.disk_usage(folder).free - FREE_BYTES)
        entry = self._workspace.free_entry(KIND)
        with writing(), temporary_folder(entry) as temporary:
            await save_body(request, temporary / name, max(0, most))
            about = await asyncio.to_thread(_describe, temporary / name, entry.name)
            write_atomically(temporary / ABOUT, json.dumps(about))
            patiently(os.rename, temporary, entry)
        return Json(about)

    async def delete(self, request: Request) -> Response:
        """Forgets a text. A model that was made of it has its own."""
        entry = self._workspace.entry(KIND, request.path_params["key"])
        await asyncio.to_thread(shutil.rmtree, entry, ignore_errors=True)
        return Json({})

    def _all(self) -> list[dict[str, Any]]:
        folders = sorted(self._workspace.kept(KIND).glob("[0-9a-f]*"), key=lambda path: path.stat().st_mtime)
        return [read_json(folder / ABOUT, MAX_ABOUT) for folder in folders if (folder / ABOUT).is_file()]

    def source(self, keys: Iterable[str]) -> Path:
        """The file or the folder that a run reads for these texts, under a name that a person knows. The same texts
        give the same path, so that their ids are found again.

        Raises:
            ApiError: there is no such text.
        """
        return make_source(self._workspace, [file_of(self._workspace.entry(KIND, key)) for key in keys])


def file_of(entry: Path) -> Path:
    """The text in the folder of its key."""
    return next(path for path in entry.iterdir() if path.name != ABOUT)


def make_source(workspace: Workspace, files: list[Path]) -> Path:
    """A folder with a link to each file, or a copy, which stays when the texts are forgotten."""
    name = files[0].name if len(files) == 1 else f"{files[0].stem} and {len(files) - 1} more"
    entry = workspace.named_entry("sources", [f"{path.parent.name}/{path.name}" for path in files])
    if entry.is_dir():
        return entry / name
    with writing(), temporary_folder(entry) as temporary:
        folder = temporary if len(files) == 1 else temporary / name
        folder.mkdir(exist_ok=True)
        for path in files:
            target = _free_name(folder, path)
            try:
                os.link(path, target)
            except OSError:  # a disk without links
                shutil.copyfile(path, target)
        patiently(os.rename, temporary, entry)
    return entry / name


def _free_name(folder: Path, path: Path) -> Path:
    """The name of a text in a folder that may have one of that name already: `diary (2).txt`."""
    taken = {other.casefold() for other in os.listdir(folder)}
    names = (path.name, *(f"{path.stem} ({number}){path.suffix}" for number in range(2, MAX_TEXTS + 1)))
    return folder / next(name for name in names if name.casefold() not in taken)


@as_api_errors()
def _describe(path: Path, key: str) -> dict[str, Any]:
    """The facts of a text, which is read for them. Raises: ApiError: it is no text."""
    try:
        mended, corpus = mend(path), open_corpus(path)
        repeated, first, notes = _repeated_share(corpus), _first_characters(corpus), corpus.notes()
    except TinyLMError as error:
        raise TinyLMError(_by_name(error.what, path), where=path.name, remedy=_by_name(error.remedy, path)) from None
    stats = corpus.stats()
    return {"text": key, "name": path.name, "characters": stats.characters, "bytes": stats.bytes,
            "documents": stats.documents, "odd_bytes": mended.odd_bytes, "encoding": mended.encoding,
            "repeated_share": repeated, "first": first,
            "notes": [without_options(_by_name(note, path)) for note in notes]}


def _by_name(sentence: str, path: Path) -> str:
    """The sentence with the name that a person gave to the file, and not the path that is ours."""
    return sentence.replace(f"{path.parent}{os.sep}", "")


def _first_characters(corpus: Corpus) -> str:
    first = ""
    for piece in corpus.pieces():
        first += piece.text[:FIRST_CHARACTERS - len(first)]
        if len(first) >= FIRST_CHARACTERS:
            break
    return first


def _repeated_share(corpus: Corpus) -> float:
    """The share of the characters that stand in a line which the text had before."""
    seen: set[int] = set()
    total = repeated = 0
    for piece in corpus.pieces():
        for line in piece.text.splitlines():
            total += len(line)
            bare = line.strip()
            if len(bare) >= MIN_REPEATED:
                repeated += len(line) * (hash(bare) in seen)
                seen.add(hash(bare))
    return repeated / max(1, total)
