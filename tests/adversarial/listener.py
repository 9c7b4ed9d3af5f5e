"""A listener to everything that Python does while a model is read: no code of the model may run, nothing may be written
but what is asked for, and no connection be opened. An audit hook cannot be removed, which is why the attacks are
programs of their own."""

from __future__ import annotations

import os
import pickle
import shutil
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tinylm

MOST_SECONDS = 1.0
QUIET = {"os.listdir", "os.scandir", "object.__getattr__", "sys._getframe", "array.__new__", "builtins.id",
         "fcntl.flock"}
"""What reading a folder may do, besides opening its files to read them; and locking a file that is open."""
LISTS = {"pathlib.Path.glob", "os.scandir", "os.listdir"}
WRITES = {"open", "os.mkdir", "os.rmdir", "os.remove", "os.rename", "os.utime", "os.chmod", "shutil.rmtree",
          "pathlib.Path.glob", "pathlib.Path.rglob"}
"""What writing a folder does."""
PACKAGE = Path(tinylm.__file__).parent

Attack = Callable[[Path], None]


class Listener:
    """Remembers what Python reports while `folder` is set.

    Args:
        writable: a folder in which the program may write.
    """

    def __init__(self, writable: Path | None = None) -> None:
        self.folder: Path | None = None
        self.writable = writable
        self.heard: list[str] = []

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        folder = self.folder
        if folder is None or event in QUIET:
            return
        self.folder = None  # what is done here is not the reader's doing
        if not ((event == "open" and _reads(arguments, folder)) or (event in LISTS and _lists(arguments, folder))
                or (event in WRITES and self.writable and _lies_in(arguments, self.writable))):
            self.heard.append(f"{event}{tuple(str(argument)[:100] for argument in arguments)}")
        self.folder = folder


def _reads(arguments: tuple[Any, ...], folder: Path) -> bool:
    """Is this file one of the folder, opened to read it?"""
    path, _, flags = arguments
    changes = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    return isinstance(path, str) and Path(path).parent == folder and not flags & changes


def _lists(arguments: tuple[Any, ...], folder: Path) -> bool:
    """Are these the names in the folder, in a folder in it (has a run left checkpoints?), or in tinylm's own package
    (which bases are there to choose?)?"""
    if not isinstance(arguments[0], str | Path):
        return False
    listed = Path(arguments[0])
    return folder in (listed, listed.parent) or PACKAGE in listed.parents


def _lies_in(arguments: tuple[Any, ...], writable: Path) -> bool:
    """Do all these paths lie in the folder that may be written in?"""
    paths = [Path(argument) for argument in arguments if isinstance(argument, str | Path) and os.sep in str(argument)]
    return bool(paths) and all(path == writable or writable in path.parents for path in paths)


def attack_all(attacks: Sequence[tuple[Path, str, Attack]], load: Callable[[Path], str], scratch: Path,
               writable: Path | None = None) -> dict[str, Any]:
    """Makes each attack on a copy of a sound folder, and loads it.

    Args:
        attacks: the sound folder, what is done to it in words, and the attack.
        load: returns "" when the model is there, else an error of tinylm's.
        scratch: holds all folders, and nothing else is written in it.
        writable: a folder elsewhere, in which `load` may write.

    Returns:
        The number of folders, how many of them loaded, and what happened that must not.
    """
    folder, listener = scratch / "attack", Listener(writable)
    sys.path.insert(0, str(folder))
    for base in {base for base, _, _ in attacks}:
        assert load(base) == "", load(base)
    assert load(scratch)
    sys.addaudithook(listener)
    _check_hearing(listener, scratch)
    failures, loaded = [], 0
    for base, name, attack in attacks:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(base, folder)
        attack(folder)
        os.chdir(folder)
        before, began = _listing(scratch), time.process_time()
        listener.folder = folder
        try:
            loaded += load(folder) == ""
        except BaseException as error:
            failures.append(f"{name}: {type(error).__name__}: {str(error)[:200]}")
        listener.folder = None
        seconds = time.process_time() - began
        os.chdir(scratch)
        failures += [f"{name}: {heard}" for heard in listener.heard]
        listener.heard.clear()
        if seconds > MOST_SECONDS:
            failures.append(f"{name}: took {seconds:.1f} s")
        if _listing(scratch) != before:
            failures.append(f"{name}: something was written: {set(_listing(scratch)) ^ set(before)}")
    return {"folders": len(attacks), "loaded": loaded, "failures": failures}


def _listing(folder: Path) -> list[tuple[str, int, int]]:
    paths = sorted(folder.rglob("*"))
    return [(str(path), path.lstat().st_size, path.lstat().st_mtime_ns) for path in paths]


def _check_hearing(listener: Listener, scratch: Path) -> None:
    """Silence proves something only of a listener who hears."""
    pickled = pickle.dumps(Path)
    listener.folder = scratch
    pickle.loads(pickled)
    socket.socket().close()
    (scratch / "written").touch()
    exec("pass")
    listener.folder = None
    missing = {"pickle.find_class", "socket.__new__", "open", "exec"} - {heard.partition("(")[0]
                                                                         for heard in listener.heard}
    assert not missing, missing
    listener.heard.clear()
