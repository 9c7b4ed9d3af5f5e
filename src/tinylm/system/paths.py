"""Paths as people give them: with `~` for home, in pasted quotes, as file:// addresses, with backslashes."""

from __future__ import annotations

import os
import re
from pathlib import Path

IN_MEMORY = "texts in memory"
"""The name of a text that a program gave as strings, which has no path."""


def given_path(given: str | Path) -> Path:
    """Finds the path that a person means. `~` is the home folder. Where no file or folder has the name as typed, these
    readings are tried, and the first that exists is taken: without surrounding spaces and quotes; a file:// address as
    its path; with the values of variables such as $HOME; with backslashes as a shell's escapes, or as slashes.

    Returns:
        the path as it was given (with `~` expanded) where none of them exists.
    """
    path = Path(os.path.expanduser(given))
    if _exists(path):
        return path
    return next((meant for meant in _meant(str(given)) if _exists(meant)), path)


def is_web_address(text: str) -> bool:
    """True for a web address: https://..., www. ... and the like.

    >>> is_web_address("https://example.org/a.txt"), is_web_address("runs/book")
    (True, False)
    """
    return bool(re.match(r"(?!file:)[a-z][a-z0-9+.-]+://|www\.[\w-]+\.|"
                         r"[\w-]+(\.[\w-]+)*\.(com|org|net|io|edu)/", text.strip().strip("'\""), re.I))


def _meant(given: str) -> list[Path]:
    bare = given.strip()
    bare = bare[1:-1].strip() if len(bare) > 1 and bare[0] + bare[-1] in ("''", '""', "“”", "‘’", "<>") else bare
    if bare.lower().startswith("file:"):
        from urllib.parse import urlsplit  # these bring half of an HTTP client with them
        from urllib.request import url2pathname

        bare = url2pathname(urlsplit(bare).path)
    names = [bare, os.path.expandvars(bare), re.sub(r"\\(.)", r"\1", bare), bare.replace("\\", "/")]
    return [Path(os.path.expanduser(name)) for name in names if name and "\0" not in name]


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # the name is too long, or has a NUL
        return False
