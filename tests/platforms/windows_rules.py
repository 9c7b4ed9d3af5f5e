"""Windows' rules for files, kept on Linux: what Windows refuses is refused here, with the error that Python has there.

- A flush of a handle that was opened for reading fails.
- No folder can be opened.
- Rename, replacement and removal fail while something at or below the path, or the target, is open, memory-mapped or
  a working folder, in any process.
- Nothing is renamed onto something that is there, not even a folder onto an empty one; only a file replaces a file.
- A lock file goes when its lock is released.

`install()` makes the rules hold in this process, `environment()` in those that are started with it; what any of them
has open is in use for all.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import FileLock

START = "import sys; sys.path.append({!r}); import windows_rules; windows_rules.install()\n"
"""The module `sitecustomize`, which Python imports at its start."""
MARK = "KEEPS_WINDOWS_RULES_OF"
"""The variable by which processes under the rules are known; its value is the process of the test."""
SOURCE = Path(__file__).parents[2] / "src"


def environment(folder: Path, encoding: str) -> dict[str, str]:
    """The environment of processes under the rules, whose standard streams have this encoding.

    Args:
        folder: gets the module by which they begin.
    """
    (folder / "sitecustomize.py").write_text(START.format(str(Path(__file__).parent)), encoding="utf-8")
    return {**os.environ, "PYTHONPATH": os.pathsep.join((str(folder), str(SOURCE))), "PYTHONIOENCODING": encoding,
            "PYTHONUTF8": "0", "OMP_NUM_THREADS": "1", MARK: str(os.getpid())}


def install() -> None:
    """Makes the rules hold in this process, for good."""
    for owner, name, rule in changes():
        setattr(owner, name, rule)


def changes() -> list[tuple[Any, str, Any]]:
    """Owners, names and values of the attributes that make the rules hold in this process."""
    return [*((os, name, rule) for name, rule in _rules().items()),
            (shutil, "_use_fd_functions", False),  # Windows has no descriptors of folders
            (FileLock, "_release", _remover_of_lock_files())]


def in_use(path: str) -> str | None:
    """The first thing at or below the path that a process of the test has open or mapped; None if there is none."""
    below = os.path.join(path, "")
    return next((each for process in _processes() for each in _used(process) if each == path or each.startswith(below)),
                None)


def _processes() -> Iterator[str]:
    """Folders of the test's process and of all that keep the rules."""
    for number in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):  # it has ended, or is another user's
            if number == os.environ.get(MARK) or _keeps_the_rules(f"/proc/{number}"):
                yield f"/proc/{number}"


def _keeps_the_rules(process: str) -> bool:
    with open(f"{process}/environ", "rb") as environ:
        return f"{MARK}={os.environ.get(MARK)}".encode() in environ.read()


def _used(process: str) -> Iterator[str]:
    with suppress(OSError):
        yield os.readlink(f"{process}/cwd")
        for handle in os.listdir(f"{process}/fd"):
            with suppress(OSError):
                yield os.readlink(f"{process}/fd/{handle}")
        with open(f"{process}/maps", encoding="utf-8", errors="replace") as maps:
            yield from (line.split(maxsplit=5)[5].rstrip("\n") for line in maps if "/" in line)


def _refuse(number: int, path: str, why: str) -> OSError:
    return OSError(number, f"{os.strerror(number)} (Windows' rules: {why})", path)


def _check_unused(path: Any, dir_fd: int | None = None) -> None:
    """Links are not followed: it is the name that is renamed or removed."""
    above = os.readlink(f"/proc/self/fd/{dir_fd}") if dir_fd is not None else ""
    name = os.path.join(above, os.fsdecode(path))
    whole = os.path.join(os.path.realpath(os.path.dirname(name) or "."), os.path.basename(name))
    if used := in_use(whole):
        raise _refuse(errno.EACCES, whole, f"{used} is in use")


def _rules() -> dict[str, Callable[..., Any]]:
    real = {name: getattr(os, name) for name in ("fsync", "open", "rename", "replace", "unlink", "rmdir")}

    def fsync(handle: Any) -> None:
        number = handle if isinstance(handle, int) else handle.fileno()
        if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise _refuse(errno.EBADF, f"descriptor {number}", "it is open for reading")
        real["fsync"](number)

    def open_(path: Any, flags: int, *more: Any, **named: Any) -> int:
        unnamed = flags & os.O_TMPFILE == os.O_TMPFILE  # filelock's, on Linux only
        if "dir_fd" not in named and os.path.isdir(path) and not unnamed:
            raise _refuse(errno.EACCES, os.fsdecode(path), "a folder")
        return real["open"](path, flags, *more, **named)

    def rename(source: Any, target: Any, **named: Any) -> None:
        _check_unused(source)
        if os.path.lexists(target):
            raise _refuse(errno.EEXIST, os.fsdecode(target), "it is there")
        real["rename"](source, target, **named)

    def replace(source: Any, target: Any, **named: Any) -> None:
        if os.path.isdir(target):
            raise _refuse(errno.EACCES, os.fsdecode(target), "a folder")
        _check_unused(source)
        _check_unused(target)
        real["replace"](source, target, **named)

    def removing(name: str) -> Callable[..., None]:
        def remove(path: Any, *, dir_fd: int | None = None) -> None:
            _check_unused(path, dir_fd)
            real[name](path, dir_fd=dir_fd)

        return remove

    return {"fsync": fsync, "open": open_, "rename": rename, "replace": replace, "unlink": removing("unlink"),
            "remove": removing("unlink"), "rmdir": removing("rmdir")}


def _remover_of_lock_files() -> Callable[[Any], None]:
    release = FileLock._release

    def release_and_remove(lock: Any) -> None:
        release(lock)
        with suppress(OSError):
            os.unlink(lock.lock_file)

    return release_and_remove


if sys.platform != "linux":
    raise ImportError("the rules look into /proc")
