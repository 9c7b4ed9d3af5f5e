"""The registry of models: each is loaded when a request first names it, and anew when its folder has changed.

A request keeps the weights that it began with. Where a folder cannot be read any more, the weights loaded before stay.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tinylm import model_folder
from tinylm.config.schema import WeightDtype
from tinylm.errors import TinyLMError, did_you_mean
from tinylm.http.errors import ApiError, unavailable
from tinylm.lm import LanguageModel
from tinylm.serving.limits import Limits
from tinylm.serving.scheduler import Scheduler
from tinylm.system.untrusted import quoted

RETRY_SECONDS = 2.0
"""Seconds until a folder that could not be read is tried once more, if nothing in it has changed."""
Fingerprint = tuple[tuple[int, int, int], ...]


@dataclass
class ServedModel:
    """A loaded model with its scheduler. A request that got it from the registry calls `release` afterwards.

    Attributes:
        id: the name of its folder.
        fingerprint: the state of the folder that it was loaded from.
        users: requests that hold it.
        is_retired: True once no further request gets it; its scheduler ends with the last user.
    """

    id: str
    lm: LanguageModel
    scheduler: Scheduler
    fingerprint: Fingerprint
    users: int = 0
    is_retired: bool = False

    def release(self) -> None:
        self.users -= 1
        self._close_if_unused()

    def retire(self) -> None:
        """Closes the scheduler once the requests that hold the model are done."""
        self.is_retired = True
        self._close_if_unused()

    def _close_if_unused(self) -> None:
        if self.is_retired and self.users == 0:
            self.scheduler.close()

    @property
    def version(self) -> str:
        """An identifier of the weights: it changes when they change."""
        return "tinylm-" + hashlib.sha256(repr(self.fingerprint).encode()).hexdigest()[:12]


@dataclass
class _Entry:
    """The state of one model folder: the loaded model, the last failure (fingerprint, time, sentence), a lock."""

    served: ServedModel | None = None
    failed: tuple[Fingerprint | None, float, str] | None = None
    loading: asyncio.Lock = field(default_factory=asyncio.Lock)


class ModelRegistry:
    """The models of a folder.

    Args:
        folder: a model folder, or a folder of model folders. A model's id is the name of its folder.
        limits: how many models are kept, and what their schedulers take.
        log: takes a line for the operator.
        weight_dtype: how the weights are kept (`LanguageModel.load`).
    """

    def __init__(self, folder: str | Path, limits: Limits, log: Callable[[str], None],
                 weight_dtype: WeightDtype = "fp32") -> None:
        self._root, self._limits, self._log = model_folder.model_path(folder), limits, log
        self._weight_dtype = weight_dtype
        self._entries: dict[str, _Entry] = {}  # in the order of their last requests

    def check_not_empty(self) -> None:
        """Raises: TinyLMError: there is no model."""
        waiting = [error for path in model_folders(self._root).values()
                   if (error := model_folder.unfinished_error(path))]
        if not self.folders() and waiting:
            raise waiting[0]
        for error in waiting:
            self._log(f"passed over {error}")
        if not self.folders():
            what = "is no model folder, and holds none" if self._root.is_dir() else "there is no such folder"
            raise TinyLMError(what, where=str(self._root),
                              remedy="Make a model with `tinylm train SOURCE --out FOLDER`")

    def folders(self) -> dict[str, Path]:
        """Model folders by id. A run that has no weights yet is left out."""
        return {id: path for id, path in model_folders(self._root).items() if not model_folder.is_unfinished(path)}

    def ids(self) -> list[str]:
        """Ids of all models: those with a folder, and loaded ones whose folder is being replaced."""
        return sorted({*self.folders(), *(id for id, entry in self._entries.items() if entry.served)})

    def loaded(self) -> list[ServedModel]:
        return [entry.served for entry in self._entries.values() if entry.served]

    def created(self, id: str) -> int:
        """The time of a model's weights in Unix seconds; 0 while its folder is being replaced."""
        try:
            return int((self._folder(id) / model_folder.WEIGHTS).stat().st_mtime)
        except OSError:
            return 0

    def answers(self, id: str) -> bool:
        """True if a model has a chat format; False while its folder cannot be read."""
        entry = self._entries.get(id)
        try:
            config = entry.served.lm.config if entry and entry.served else model_folder.read_config(self._folder(id))
        except TinyLMError:
            return False
        return bool(config.data.chat_format)

    async def get(self, id: str) -> ServedModel:
        """The model as its folder is now. The caller releases it.

        Raises:
            ApiError: no model has that id (404), or its folder cannot be read and never was (503).
        """
        entry = self._entries.pop(id, None)
        if entry is None:
            if id not in self.folders():
                raise self.unknown(id)
            entry = _Entry()
        self._entries[id] = entry
        if not self._is_current(id, entry):
            async with entry.loading:
                if not self._is_current(id, entry):
                    await self._load(id, entry)
        if entry.served is None:
            assert entry.failed is not None
            raise unavailable(f"The model {quoted(id)!r} cannot be read at the moment: {entry.failed[2]}")
        entry.served.users += 1
        return entry.served

    def close(self, error: ApiError | None = None) -> None:
        """Ends all jobs: with an error at once, else when they are done."""
        for served in self.loaded():
            served.scheduler.close(error)

    def join(self, seconds: float) -> None:
        """Waits up to `seconds` for the thread of each model."""
        for served in self.loaded():
            served.scheduler.join(seconds)

    def _folder(self, id: str) -> Path:
        """The folder of a known id. A path is never made of an id that a client has sent."""
        return self._root if (self._root / model_folder.CONFIG).is_file() else self._root / id

    def unknown(self, id: str) -> ApiError:
        remedy = did_you_mean(id, self.ids()[:20])
        return ApiError(404, f"There is no model {quoted(id)!r}. {quoted(remedy)}", param="model",
                        code="model_not_found")

    def _is_current(self, id: str, entry: _Entry) -> bool:
        """True if the folder need not be read: unchanged since it was loaded, or since a failure of a moment ago."""
        now = fingerprint(self._folder(id))
        if entry.served is not None and now in (None, entry.served.fingerprint):
            return True
        return (entry.failed is not None and entry.failed[0] == now
                and time.monotonic() - entry.failed[1] < RETRY_SECONDS)

    async def _load(self, id: str, entry: _Entry) -> None:
        folder = self._folder(id)
        now = fingerprint(folder)
        try:
            lm = await asyncio.to_thread(_read, folder, self._weight_dtype)
        except Exception as error:
            what = quoted(error.what) if isinstance(error, TinyLMError) else "it could not be loaded"
            entry.failed = now, time.monotonic(), what
            goes_on = "; the weights from before go on" if entry.served else ""
            self._log(f"model      {id}: {quoted(error)}{goes_on}")
            return
        if now is None or fingerprint(folder) != now:  # it changed while it was read: its files may not belong together
            entry.failed = now, 0.0, "its folder is changing"
            return
        before, entry.failed = entry.served, None
        entry.served = ServedModel(id, lm, Scheduler(lm.generator, self._limits), now)
        if before is not None:
            before.retire()
            self._log(f"model      {id} has changed: new requests have its new weights")
        self._evict()

    def _evict(self) -> None:
        """Retires the models beyond the limit whose last requests are the longest ago."""
        loaded = self.loaded()
        for served in loaded[:max(0, len(loaded) - self._limits.models)]:
            served.retire()
            del self._entries[served.id]


def model_folders(root: Path) -> dict[str, Path]:
    """Model folders by id, the name of the folder: those in `root`, or `root` itself if it is one."""
    if (root / model_folder.CONFIG).is_file():
        name = root.resolve().name
        return {name if is_id(name) else "model": root}
    try:
        inside = sorted(root.iterdir())
    except OSError:
        return {}
    return {path.name: path for path in inside if not path.name.startswith(".")
            and (path / model_folder.CONFIG).is_file() and is_id(path.name)}


def fingerprint(folder: Path) -> Fingerprint | None:
    """Inode, time and size of a model's files; None while one of them is missing."""
    try:
        found = [(folder / name).stat() for name in (model_folder.CONFIG, model_folder.TOKENIZER, model_folder.WEIGHTS)]
    except OSError:
        return None
    return tuple((each.st_ino, each.st_mtime_ns, each.st_size) for each in found)


def _read(folder: Path, weight_dtype: WeightDtype) -> LanguageModel:
    lm = LanguageModel.load(folder, weight_dtype=weight_dtype)
    lm.batch()  # lays the weights out
    return lm


def is_id(name: str) -> bool:
    """True if a name on the disk can be an id: if it is printable text, and not bytes of another encoding."""
    return name.isprintable() and name.encode(sys.getfilesystemencoding(), "surrogateescape").decode(
        "utf-8", "replace") == name
