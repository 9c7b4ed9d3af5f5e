"""Texts: one folder of documents out of all sources, with the table of what they are.

A document is a piece of about `PIECE` characters of one source. Half of them have their lines wrapped, as books do;
the others have a line a paragraph, with or without an empty line between, as letters and notes do. A third has curly
quotes. All this follows from the document's digest, as its number does: the documents stand in an order that mixes the
sources.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path

from bases.cleaning import Seen, cleaned
from bases.packages import fetch
from bases.sources import SOURCES, Source

PIECE = 16_000
HELD_OUT_CHARACTERS = 120_000
"""Characters of each text to judge by: its beginning."""
WIDTH = 72
TEXTS, HELD_OUT, SOURCES_TABLE = "texts", "held-out", "SOURCES.json"


def write_texts(folder: Path) -> None:
    """Writes FOLDER/texts (to train on), FOLDER/held-out (to judge by) and FOLDER/SOURCES.json."""
    seen, table, documents = Seen(), [], []
    for name in (TEXTS, HELD_OUT):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
    for source in SOURCES:  # those held out come first, so that a text in both is only there
        files, digest = fetch(source.package, folder / "packages")
        pieces = list(_pieces(source, files, seen))
        if source.held_out:
            text = _wrapped("\n\n".join(pieces))[:HELD_OUT_CHARACTERS]
            (folder / HELD_OUT / f"{source.name}.txt").write_text(text, encoding="utf-8")
        else:
            pieces = _share(pieces, source.most)
            documents += map(_typeset, pieces)
        table.append(_row(source, digest, pieces))
    documents.sort(key=_digest)
    for number, document in enumerate(documents):
        (folder / TEXTS / f"{number:05}.txt").write_text(document + "\n", encoding="utf-8")
    (folder / SOURCES_TABLE).write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


def _pieces(source: Source, files: Path, seen: Seen) -> Iterator[str]:
    held: list[str] = []
    for paragraphs in source.reader(files):
        for paragraph in cleaned(paragraphs, seen, prose=source.prose):
            held.append(paragraph)
            if sum(map(len, held)) >= PIECE:
                yield "\n\n".join(held)
                held = []
    yield "\n\n".join(held)


def _share(pieces: list[str], most: int) -> list[str]:
    """Pieces of at most `most` bytes in all, drawn evenly."""
    taken, size = [], 0
    for piece in sorted(pieces, key=_digest):
        size += len(piece.encode())
        if size > most:
            break
        taken.append(piece)
    return taken


def _typeset(text: str) -> str:
    draw = int(_digest(text)[:8], 16)
    text = _curly(text) if draw % 3 == 0 else text
    return (_wrapped(text), text, _wrapped(text), text.replace("\n\n", "\n"))[draw // 3 % 4]


def _wrapped(text: str) -> str:
    return "\n\n".join(textwrap.fill(paragraph, WIDTH, break_long_words=False, break_on_hyphens=False)
                       for paragraph in text.split("\n\n"))


def _curly(text: str) -> str:
    """The text with quotation marks that open and close.

    >>> _curly('"It\\'s late," she said.')
    '“It’s late,” she said.'
    """
    text = re.sub(r'(^|[\s(\[—-])"', r"\1“", text)
    text = re.sub(r"(^|[\s(\[—“-])'", r"\1‘", text)
    return text.replace('"', "”").replace("'", "’")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _row(source: Source, digest: str, pieces: list[str]) -> dict[str, object]:
    text = "\n\n".join(pieces)
    return {"name": source.name, "package": str(source.package), "package_sha256": digest, "licence": source.licence,
            "age": source.age, "held_out": source.held_out, "bytes": len(text.encode()), "text_sha256": _digest(text)}
