"""Texts: one folder of documents out of all sources, with the table of what they are.

A document is a piece of about `PIECE` bytes of one source. Half of them have their lines wrapped, as books do, and the
others a line a paragraph, as notes and chats do; a third has curly quotes. Which, follows from the document's digest,
as its number does: the documents stand in an order that mixes the sources.
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
WIDTH = 72


def write_texts(folder: Path, *, typeset: bool = True) -> None:
    """Writes FOLDER/texts (to train on), FOLDER/held-out (to judge by) and FOLDER/SOURCES.json."""
    seen, table, documents = Seen(), [], []
    for name in ("texts", "held-out"):
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / name).mkdir(parents=True)
    for source in SOURCES:  # those held out come first, so that a text in both is only there
        files, digest = fetch(source.package, folder / "packages")
        pieces = list(_pieces(source, files, seen))
        if source.held_out:
            (folder / "held-out" / f"{source.name}.txt").write_text(_wrapped("\n\n".join(pieces)), encoding="utf-8")
        else:
            pieces = _share(pieces, source.most)
            documents += [_typeset(piece) if typeset else piece for piece in pieces]
        table.append(_row(source, digest, pieces))
    documents.sort(key=_digest)
    for number, document in enumerate(documents):
        (folder / "texts" / f"{number:05}.txt").write_text(document + "\n", encoding="utf-8")
    (folder / "SOURCES.json").write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


def _pieces(source: Source, files: Path, seen: Seen) -> Iterator[str]:
    for paragraphs in source.reader(files):
        held: list[str] = []
        for paragraph in cleaned(paragraphs, seen, prose=source.prose):
            held.append(paragraph)
            if sum(map(len, held)) >= PIECE:
                yield "\n\n".join(held)
                held = []
        if held:
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
    return _wrapped(text) if draw // 3 % 2 == 0 else text


def _wrapped(text: str) -> str:
    return "\n\n".join("\n".join(textwrap.fill(line, WIDTH, break_long_words=False, break_on_hyphens=False)
                                 for line in paragraph.split("\n")) for paragraph in text.split("\n\n"))


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
