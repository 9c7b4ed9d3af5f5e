"""The models that can be asked: loaded when they are first asked for, and anew when their folder has changed.

A request keeps the weights that it began with. Where a folder cannot be read any more, the weights from before go on.
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
from tinylm.config.schema import Storage
from tinylm.errors import TinyLMError, did_you_mean
from tinylm.http.errors import ApiError, unavailable
from tinylm.http.limits import Limits
from tinylm.lm import LanguageModel
from tinylm.serving.scheduler import Scheduler
from tinylm.system.paths import given_path
from tinylm.system.untrusted import quoted

AGAIN = 2.0
"""Seconds until a folder that could not be read is tried once more, if nothing in it has changed."""
Fingerprint = tuple[tuple[int, int, int], ...]


@dataclass
class Served:
    """A model that is ready to be asked, as its folder was at one moment. Whoever asks it releases it afterwards."""

    id: str
    lm: LanguageModel
    scheduler: Scheduler
    fingerprint: Fingerprint
    users: int = 0
    is_retired: bool = False

    def release(self) -> None:
        self.users -= 1
        self._end_if_unused()

    def retire(self) -> None:
        """Nobody else will ask it."""
        self.is_retired = True
        self._end_if_unused()

    def _end_if_unused(self) -> None:
        if self.is_retired and self.users == 0:
            self.scheduler.end()

    @property
    def version(self) -> str:
        """Other weights, other letters."""
        return "tinylm-" + hashlib.sha256(repr(self.fingerprint).encode()).hexdigest()[:12]


@dataclass
class _Slot:
    """What is known of a folder."""

    served: Served | None = None
    failed: tuple[Fingerprint | None, float, str] | None = None
    loading: asyncio.Lock = field(default_factory=asyncio.Lock)


class Shelf:
    """
    Args:
        place: a model folder, or a folder of such. A model's id is the name of its folder.
        limits: how many models are kept, and what their schedulers take.
        tell: what is said to whoever keeps the server.
        storage: how the weights are kept (`LanguageModel.load`).

    Raises:
        TinyLMError: there is no model.
    """

    def __init__(self, place: str | Path, limits: Limits, tell: Callable[[str], None],
                 storage: Storage = "fp32") -> None:
        self._place, self._limits, self._tell, self._storage = given_path(place), limits, tell, storage
        self._slots: dict[str, _Slot] = {}  # the one that was asked last comes last
        waiting = [error for path in self._all().values() if (error := model_folder.unfinished(path))]
        if not self.folders() and waiting:
            raise waiting[0]
        for error in waiting:
            tell(f"passed over {error}")
        if not self.folders():
            what = "is no model folder, and holds none" if self._place.is_dir() else "there is no such folder"
            raise TinyLMError(what, where=str(place), remedy="Make a model with `tinylm train SOURCE --out FOLDER`")

    def folders(self) -> dict[str, Path]:
        """Folders of the models that can be asked, by id; a run that has no weights yet is left out."""
        return {id: path for id, path in self._all().items() if not model_folder.is_unfinished(path)}

    def _all(self) -> dict[str, Path]:
        if (self._place / model_folder.CONFIG).is_file():
            name = self._place.resolve().name
            return {name if _is_text(name) else "model": self._place}
        try:
            inside = sorted(self._place.iterdir())
        except OSError:
            return {}
        return {path.name: path for path in inside
                if not path.name.startswith(".") and (path / model_folder.CONFIG).is_file() and _is_text(path.name)}

    def ids(self) -> list[str]:
        """Those that could be asked, and those that are loaded though their folder is being replaced."""
        return sorted({*self.folders(), *(id for id, slot in self._slots.items() if slot.served)})

    def loaded(self) -> list[Served]:
        return [slot.served for slot in self._slots.values() if slot.served]

    def created(self, id: str) -> int:
        """Unix seconds; 0 while its folder is being replaced."""
        try:
            return int((self._folder(id) / model_folder.WEIGHTS).stat().st_mtime)
        except OSError:
            return 0

    async def get(self, id: str) -> Served:
        """The model as it is now, until it is released.

        Raises:
            ApiError: there is none of that name, or it cannot be read and never was.
        """
        slot = self._slots.pop(id, None)
        if slot is None:
            if id not in self.folders():
                raise self.unknown(id)
            slot = _Slot()
        self._slots[id] = slot
        if not self._is_current(id, slot):
            async with slot.loading:
                if not self._is_current(id, slot):
                    await self._load(id, slot)
        if slot.served is None:
            assert slot.failed is not None
            raise unavailable(f"The model {quoted(id)!r} cannot be read at the moment: {slot.failed[2]}")
        slot.served.users += 1
        return slot.served

    def end(self, error: ApiError | None = None) -> None:
        """Ends what is under way: with an error at once, else when it is done."""
        for served in self.loaded():
            served.scheduler.end(error)

    def join(self, seconds: float) -> None:
        """Waits until nothing computes any more."""
        for served in self.loaded():
            served.scheduler.join(seconds)

    def _folder(self, id: str) -> Path:
        """Of a known id: never made of what a client has sent."""
        return self._place if (self._place / model_folder.CONFIG).is_file() else self._place / id

    def unknown(self, id: str) -> ApiError:
        remedy = did_you_mean(id, self.ids()[:20])
        return ApiError(404, f"There is no model {quoted(id)!r}. {quoted(remedy)}", param="model",
                        code="model_not_found")

    def _is_current(self, id: str, slot: _Slot) -> bool:
        """Whether nothing would be gained by reading its folder."""
        now = fingerprint(self._folder(id))
        if slot.served is not None and now in (None, slot.served.fingerprint):
            return True
        return slot.failed is not None and slot.failed[0] == now and time.monotonic() - slot.failed[1] < AGAIN

    async def _load(self, id: str, slot: _Slot) -> None:
        folder = self._folder(id)
        now = fingerprint(folder)
        try:
            lm = await asyncio.to_thread(_read, folder, self._storage)
        except Exception as error:
            what = quoted(error.what) if isinstance(error, TinyLMError) else "it could not be loaded"
            slot.failed = now, time.monotonic(), what
            goes_on = "; the weights from before go on" if slot.served else ""
            self._tell(f"model      {id}: {quoted(error)}{goes_on}")
            return
        if now is None or fingerprint(folder) != now:  # it changed meanwhile: its files may not belong together
            slot.failed = now, 0.0, "its folder is changing"
            return
        before, slot.failed = slot.served, None
        slot.served = Served(id, lm, Scheduler(lm.generator, self._limits), now)
        if before is not None:
            before.retire()
            self._tell(f"model      {id} has changed: new requests have its new weights")
        self._make_room()

    def _make_room(self) -> None:
        """The models that were asked longest ago leave, each when its last request is done."""
        loaded = self.loaded()
        for served in loaded[:max(0, len(loaded) - self._limits.models)]:
            served.retire()
            del self._slots[served.id]


def fingerprint(folder: Path) -> Fingerprint | None:
    """Other files, other numbers; none while one of them is missing."""
    try:
        found = [(folder / name).stat() for name in (model_folder.CONFIG, model_folder.TOKENIZER, model_folder.WEIGHTS)]
    except OSError:
        return None
    return tuple((each.st_ino, each.st_mtime_ns, each.st_size) for each in found)


def _read(folder: Path, storage: Storage) -> LanguageModel:
    lm = LanguageModel.load(folder, storage=storage)
    lm.batch()  # lays the weights out
    return lm


def _is_text(name: str) -> bool:
    """A name on the disk may be bytes that are no text."""
    return name.isprintable() and name.encode(sys.getfilesystemencoding(), "surrogateescape").decode(
        "utf-8", "replace") == name
