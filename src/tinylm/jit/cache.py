"""The folder of compiled code: NUMBA_CACHE_DIR, beside the source, the user's cache folder, or, where none of these can
be written, a temporary folder that is the user's alone.

Machine code from there is run, so a temporary folder that somebody else could have written is never used.

What is not there may have come with the package: pip compiles the kernels while it builds tinylm (setup.py), for the
processor that it runs on.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from numba.core.caching import (
    CompileResultCacheImpl,
    IndexDataCacheFile,
    InTreeCacheLocator,
    IPythonCacheLocator,
    UserProvidedCacheLocator,
    UserWideCacheLocator,
)

CACHE_DIR = "NUMBA_CACHE_DIR"
ADVICE = f"Set {CACHE_DIR} to a folder of yours, and it is kept there"
INSTALLED = Path(__file__).parent / "machine_code"
"""The folder of what was compiled when the package was built. Nothing is written to it later."""


class _HomeLocator(UserWideCacheLocator):
    """The user's cache folder. A relative one, as where there is no home, is below the working folder: an error."""

    def ensure_cache_path(self) -> None:
        if not os.path.isabs(self._cache_path):
            raise OSError("there is no home")
        super().ensure_cache_path()
        if not _is_owned(os.stat(self._cache_path), others_may_not=stat.S_IWOTH):
            raise OSError("it belongs to somebody else")


class _TemporaryLocator(UserWideCacheLocator):
    """The temporary folder of `private_folder`."""

    def __init__(self, function: Any, file: str) -> None:
        super().__init__(function, file)
        folder = private_folder()
        self._cache_path = os.path.join(folder, self.get_suitable_cache_subpath(file)) if folder else ""

    @classmethod
    def from_function(cls, function: Any, file: str) -> Any:
        return super().from_function(function, file) if private_folder() else None


class CacheLocators(CompileResultCacheImpl):
    """The folders in which numba may keep a kernel. It takes the first that can be written."""

    _locator_classes = (UserProvidedCacheLocator, InTreeCacheLocator, _HomeLocator, IPythonCacheLocator,
                        _TemporaryLocator)


def installed_files(own: CompileResultCacheImpl) -> IndexDataCacheFile:
    """The files of one kernel that came with the package, if any did. They hold for this source, numba, Python and
    processor, as others do.

    Args:
        own: numba's names for the files of the kernel.
    """
    return IndexDataCacheFile(str(INSTALLED), own.filename_base, own.locator.get_source_stamp())


@cache
def private_folder() -> Path | None:
    """A temporary folder that only this user can enter, made if need be; None where there can be none."""
    with suppress(OSError):
        folder = _temporary_path()
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        if folder.parent != Path.cwd() and is_private(folder):
            return folder
    return None


def _temporary_path() -> Path:
    """Raises: OSError: there is no folder for temporary files."""
    return Path(tempfile.gettempdir(), f"tinylm-compiled-{os.geteuid() if hasattr(os, 'geteuid') else 'own'}")


def is_private(folder: Path) -> bool:
    """True if this user made the folder, nobody else can enter it, and nobody else can put another in its place."""
    above, own = os.stat(folder.parent), os.lstat(folder)
    is_fixed = bool(above.st_mode & stat.S_ISVTX) or not above.st_mode & 0o022
    return stat.S_ISDIR(own.st_mode) and (os.name == "nt" or (is_fixed and _is_owned(own)))


def _is_owned(found: os.stat_result, others_may_not: int = 0o077) -> bool:
    """True if this user owns a folder, and its mode has none of these bits."""
    return not hasattr(os, "geteuid") or (found.st_uid == os.geteuid() and not found.st_mode & others_may_not)


# ---- what a person is told


def is_permanent(folder: str | None) -> bool:
    """True if a folder outlives a restart of the machine, for all that is known."""
    return folder is not None and not _is_temporary(folder)


def _is_temporary(folder: str) -> bool:
    try:
        return Path(folder).is_relative_to(_temporary_path())
    except OSError:
        return False


def folder_note(folder: str | None) -> str:
    """A sentence for a person about the folder of compiled code; empty where all is as they would expect.

    Args:
        folder: where a kernel is kept; None: nowhere.
    """
    asked = os.environ.get(CACHE_DIR, "")
    refused = bool(asked) and (folder is None or not Path(os.path.abspath(folder)).is_relative_to(
        os.path.abspath(asked)))
    cannot = f"{CACHE_DIR}, {asked}, cannot be written" if refused else ""
    if folder is None:
        return f"{cannot or 'no folder for compiled code can be written'}: it is not kept. {ADVICE}"
    if _is_temporary(folder):
        reason = cannot or "neither the program's own folder nor a cache folder at home can be written"
        return f"{reason}: compiled code is kept in {private_folder()} for now. {ADVICE}"
    return f"{cannot}: compiled code is kept in {folder} instead" if cannot else ""


_FOUND = set[Any]()
"""Kernels that were found compiled: what is there once is not looked for again."""


def is_compiled(compiled: Any) -> bool:
    """True if this kernel is compiled, by an earlier program or with the package, for any arguments: by this numba,
    from this source, for this processor."""
    if compiled not in _FOUND and any(_holds(index, compiled) for index in getattr(compiled._cache, "places", ())):
        _FOUND.add(compiled)
    return compiled in _FOUND


def _holds(index: IndexDataCacheFile, compiled: Any) -> bool:
    processor = compiled.targetctx.codegen().magic_tuple()
    try:
        return any(key[1] == processor for key in index._load_index())
    except Exception:  # a file that was cut short, in whatever way unpickling then fails
        return False


def is_kept(compiled: Any) -> bool:
    """True if other programs find what this one compiles."""
    return compiled._cache.cache_path is not None


def announcement(compiled: Any, what: str) -> list[str]:
    """Lines that announce a long compilation, on the first use on a machine; and what a person should know of the
    folder where compiled code is kept. Each line comes once in a program.

    Args:
        what: is compiled. How long that takes nobody knows beforehand: seconds here, minutes on a small board.
    """
    folder, is_new = compiled._cache.cache_path, not is_compiled(compiled)
    lines = [f"note       {note}"] if (note := folder_note(folder)) and (is_new or CACHE_DIR in os.environ) else []
    if is_new:
        often = ", once" if is_permanent(folder) else "" if is_kept(compiled) else ", each time anew"
        lines.append(f"compiling  {what}{often}")
    return list(filter(_is_new_line, lines))


def announce(compiled: Any, what: str) -> None:
    """Prints `announcement` on stderr."""
    for line in announcement(compiled, what):
        print(line, file=sys.stderr, flush=True)


_PRINTED = set[str]()


def _is_new_line(line: str) -> bool:
    is_first = line not in _PRINTED
    _PRINTED.add(line)
    return is_first


def warn_not_kept(folder: str, error: OSError) -> None:
    """Prints on stderr that a kernel could not be written; once for a folder."""
    line = f"note       compiled code could not be kept in {folder} ({error.strerror}). {ADVICE}"
    if _is_new_line(line):
        print(line, file=sys.stderr, flush=True)
