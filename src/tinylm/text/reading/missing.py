"""Errors for sources that are no path to a file or folder: what they are instead, and what to do."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from tinylm.errors import TinyLMError, command, nearest, shell
from tinylm.system.paths import given_path, is_web_address

_SHOWN = 40
"""Characters shown of a text that was given as a path."""


def not_a_source(source: object, call: str = "tinylm.train") -> TinyLMError:
    """The error for an object that is neither a path nor a name, such as a list of texts.

    Args:
        call: the function that was called, for the remedy.
    """
    kind = type(source).__name__
    if isinstance(source, bytes | bytearray):
        remedy = f"Decode it first: {call}(texts=[data.decode()])"
    elif name := getattr(source, "name", None):
        remedy = f"Give the path of the file: {call}({str(name)!r})"
    elif isinstance(source, list | tuple) and source and all(map(_is_path, source)):
        remedy = "Put the files into one folder, and give the path of that"
    else:
        remedy = f"Give texts that are in memory as texts: {call}(texts=[...])"
    return TinyLMError(f"a source is a path or the name of a built-in text, and this is of type {kind}", where="source",
                       remedy=remedy)


def _is_path(given: object) -> bool:
    return isinstance(given, os.PathLike) or (isinstance(given, str) and not is_a_text(given) and os.path.exists(given))


def as_strings(text: object) -> str:
    """The remedy for an object that was given instead of a text, such as a row of a data set."""
    if isinstance(text, bytes | bytearray):
        return "Decode each: texts=[data.decode() for data in ...]"
    if isinstance(text, Mapping) and (fields := [name for name, value in text.items() if isinstance(value, str)]):
        name = "text" if "text" in fields else fields[0]
        return f"Take the text out of each: texts=[row[{name!r}] for row in ...]"
    return "Leave it out" if text is None else "Give a list of strings: texts=[...]"


def missing(source: str, built_in: Iterable[str]) -> TinyLMError:
    """The error for a source that names no file or folder."""
    if is_web_address(source):
        return _on_the_web(source.strip().strip("'\""))
    if is_a_text(source):
        return TinyLMError("a source is a path or the name of a built-in text, and this is a text itself",
                           where=repr(source.strip()[:_SHOWN] + "..."),
                           remedy="Save it in a file, or in Python: tinylm.train(texts=[...])")
    if os.name != "nt" and (drive := re.match(r"([A-Za-z]):[\\/](.*)", source)):
        below = drive[2].replace("\\", "/")
        return TinyLMError("is a path of Windows, and this is another system", where=source,
                           remedy=f"Under WSL it is /mnt/{drive[1].lower()}/{below}")
    if any(mark in source for mark in "*?"):
        return TinyLMError("is a pattern that fits no file, or that nobody has replaced by the files", where=source,
                           remedy="Give one file, or put the files into a folder and give that")
    path = given_path(source)
    names = sorted(os.listdir(path.parent)) if path.parent.is_dir() and os.access(path.parent, os.R_OK) else []
    alike = [name for name in names if name.lower() == path.name.lower()]
    close = [str(path.with_name(name)) for name in alike or nearest(path.name, names)] or nearest(source, built_in)
    remedy = f"Did you mean {close[0]!r}?" if close else f"Give a path, or a built-in text: {', '.join(built_in)}"
    if not close and re.fullmatch(r"[\w-]+/[\w.-]+", source) and not path.suffix:
        remedy += ". tinylm downloads nothing: a data set of a hub has to be fetched first"
    return TinyLMError("there is no such file or folder", where=source or "an empty name", remedy=remedy)


def is_a_text(source: str) -> bool:
    """True for a string of several lines or many words, as no path is."""
    return bool(re.search("[\r\n]", source.strip())) or len(source.split()) > 12


def _on_the_web(address: str) -> TinyLMError:
    from urllib.parse import unquote, urlsplit

    address = address if "://" in address else f"https://{address}"
    parts = urlsplit(address)
    name = unquote(Path(parts.path).name)
    if parts.scheme.lower() not in ("http", "https", "ftp"):
        remedy = f"Fetch it first with a program for {parts.scheme}://, then give the file"
    elif name:
        remedy = f"Fetch it first: {shell(['curl', '-L', '-o', name, address])}, then: {command('train', Path(name))}"
    else:
        remedy = f"Fetch it first: {shell(['curl', '-L', '-o', 'page.html', address])}, then: " \
                 f"{command('train', 'page.html')}"
    return TinyLMError("is an address on the web, and tinylm downloads nothing", where=address, remedy=remedy)
