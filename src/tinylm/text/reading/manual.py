"""The prose of Python's own manual, made from the help topics of `pydoc_data`: sentences, each once.

Help topics overlap: "compound statements" holds the whole of "if", "for" and others. They also hold grammar, tables and
code, and lines wrapped at 70 columns. `passages` keeps sentences, each paragraph once and in one line, so that what is
held out stands nowhere else, and what a model writes is English.

    topics -> blocks between blank lines -> paragraphs, none twice -> sections -> passages in a fixed, mixed order
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

COLUMNS = 70
"""The width at which Sphinx wraps the paragraphs of help topics."""
LONGEST_PASSAGE = 2_000
"""Characters after which a long section goes on in a new passage."""
FEWEST_WORDS = 5
"""A line of fewer words ("Note:", "New in version 3.3.") is no sentence worth learning."""

_BLANK_LINES = re.compile(r"\n(?:[ \t]*\n)+")
_UNDERLINE = re.compile(r"([^\w\s])\1*")
_BULLET = re.compile(r"(?:[*•-]|\d+\.|\[\d+\])\s")
_FIRST_CHUNK = re.compile(r"\w+-|\S+")
_SENTENCE = re.compile(r"[\w\"“*(\[].*\.\)?")
_CODE = re.compile(r"::=|>>>| = ")


def passages(topics: Mapping[str, str]) -> list[str]:
    """Splits help topics into passages of prose, each the length of a page or less.

    A paragraph that stands in several topics stays in the shortest of them. The order follows from each passage's
    sha256: the same on every machine with the same Python, and its last tenth is a sample of the whole manual.

    Args:
        topics: name -> text, as `pydoc_data.topics.topics` holds them.

    Returns:
        Each passage ends with a line end; a section's first passage begins with its title.
    """
    shortest_first = sorted(topics, key=lambda name: (len(topics[name]), name))
    found = [passage for section in _sections(topics[name] for name in shortest_first) for passage in _pages(section)]
    return sorted(found, key=lambda passage: hashlib.sha256(passage.encode()).digest())


def _sections(texts: Iterable[str]) -> Iterator[list[str]]:
    """Yields the title and the new paragraphs of each section that has new paragraphs."""
    seen: set[str] = set()
    for text in texts:
        section: list[str] = []
        for block in _BLANK_LINES.split(text.strip("\n")):
            title = _title(block)
            if title:
                yield from _worth_reading(section)
                section = [title]
                continue
            for paragraph in filter(_is_prose, unwrapped(block)):
                words = " ".join(paragraph.split())
                if words not in seen:
                    seen.add(words)
                    section.append(paragraph)
        yield from _worth_reading(section)


def _worth_reading(section: list[str]) -> list[list[str]]:
    return [section] if len(section) > 1 else []


def _title(block: str) -> str:
    """Returns the text of a block that is a heading, a line with its underline; else an empty string."""
    lines = block.splitlines()
    if len(lines) != 2 or len(lines[1]) < len(lines[0]) or not _UNDERLINE.fullmatch(lines[1]):
        return ""
    return lines[0]


def unwrapped(block: str) -> list[str]:
    """Joins the lines of a block that were one line before Sphinx wrapped them, and takes the indentation away.

    A line was wrapped if the first word of the next would not have fitted into 70 columns any more; words are wrapped
    at hyphens, too.
    """
    lines = block.splitlines()
    joined = [lines[0].strip()] if lines else []
    for before, line in pairwise(lines):
        text = line.strip()
        chunk = _FIRST_CHUNK.match(text)
        if chunk and len(before) + 1 + len(chunk[0]) > COLUMNS and not _BULLET.match(text):
            joined[-1] += ("" if re.search(r"\w-$", joined[-1]) else " ") + text
        else:
            joined.append(text)
    return joined


def _is_prose(line: str) -> bool:
    return len(line.split()) >= FEWEST_WORDS and bool(_SENTENCE.fullmatch(line)) and not _CODE.search(line)


def _pages(section: list[str]) -> Iterator[str]:
    """Yields a section in passages of some 2,000 characters, cut between paragraphs."""
    page: list[str] = []
    for paragraph in section:
        if sum(map(len, page)) >= LONGEST_PASSAGE and not _BULLET.match(paragraph):
            yield "\n\n".join(page) + "\n"
            page = []
        page.append(paragraph)
    yield "\n\n".join(page) + "\n"
