"""Files that a person named and a command makes: whole or not at all, and in the place of an earlier one of their kind
alone, which is known by a mark in its beginning."""

from __future__ import annotations

import os
from pathlib import Path

from tinylm.errors import TinyLMError
from tinylm.system.files import fsync, place_file, write_atomically, write_remedy
from tinylm.system.folders import check_writable, flush_all, temporary_folder
from tinylm.system.paths import given_path

BEGINNING = 2000
"""Bytes of a file among which its mark is looked for."""


def check_file_free(target: Path, mark: str, *, what: str, option: str, force: bool) -> None:
    """Raises TinyLMError when no page can have this place: its name does not end in .html, or something is there that
    is no earlier one, or may not be replaced.

    Args:
        mark: what the beginning of an earlier one holds.
        what: the kind of file, for a message.
        option: the argument that names the place, for a message.

    >>> check_file_free(Path("book.txt"), "tinylm", what="export", option="OUT", force=True)
    Traceback (most recent call last):
    tinylm.errors.TinyLMError: book.txt: this export is one file, whose name ends in .html. Choose OUT so, ...
    """
    if target.is_dir():
        raise TinyLMError(f"is a folder, and this {what} is one file", where=str(target),
                          remedy=f"Give {option} a name that ends in .html")
    if target.suffix.lower() != ".html":
        raise TinyLMError(f"this {what} is one file, whose name ends in .html", where=str(target),
                          remedy=f"Choose {option} so, for example {target.name}.html")
    if not target.exists():
        return
    with target.open("rb") as file:
        if mark.encode() not in file.read(BEGINNING):
            raise TinyLMError(f"this file is no earlier {what}", where=str(target), remedy=f"Choose another {option}")
    if not force:
        raise TinyLMError(f"there is an {what} already", where=str(target),
                          remedy=f"Choose another {option}, or give --force to replace it")


def put_file(written: Path, target: Path, *, option: str, force: bool) -> None:
    """Renames a file that is whole to its place.

    Raises:
        TinyLMError: another process has put something there.
        OSError: it could not be renamed.
    """
    try:
        place_file(written, target, force=force)
    except FileExistsError:
        raise TinyLMError("another process has put a file here meanwhile", where=str(target),
                          remedy=f"Choose another {option}") from None


def write_marked_file(out: str | Path, text: str, mark: str, *, what: str, option: str, force: bool) -> Path:
    """Writes a page to a place that a person named. Returns its path. Arguments: as `check_file_free`.

    Raises:
        TinyLMError: the place is not free, or cannot be written.

    >>> write_marked_file("seen.html", "<!-- mark -->", "mark", what="explanation", option="--html", force=False).name
    'seen.html'
    """
    target = Path(os.path.abspath(given_path(out)))
    check_writable(target, option)
    try:
        check_file_free(target, mark, what=what, option=option, force=force)
        with temporary_folder(target) as temporary:
            write_atomically(temporary / target.name, text)
            flush_all(temporary)
            put_file(temporary / target.name, target, option=option, force=force)
        fsync(target.parent)
    except OSError as error:
        raise TinyLMError(f"could not be written ({error.strerror})", where=str(target),
                          remedy=f"{write_remedy(error)}, or choose another {option}") from None
    return target
