"""Paths as people give them: with `~` for home, in pasted quotes, as file:// addresses, with backslashes."""

from __future__ import annotations

import os
import re
from pathlib import Path

IN_MEMORY = "texts in memory"
"""Stands for a path where a program gave its texts."""


def given_path(given: str | Path) -> Path:
    """The path that a person means. `~` is the home folder. Where nothing has the name as it was typed, spaces and
    quotes around it are taken off, a file:// address becomes its path, and backslashes are read as slashes or as marks
    of a shell, and variables such as $HOME become their values, if a file or folder has the name that is left.
    Otherwise the path is as it was given.
    """
    path = Path(os.path.expanduser(given))
    if _exists(path):
        return path
    return next((meant for meant in _meant(str(given)) if _exists(meant)), path)


def is_web_address(text: str) -> bool:
    """True for https://..., www. ... and the like."""
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
    except (OSError, ValueError):  # too long a name, or a NUL in it
        return False
