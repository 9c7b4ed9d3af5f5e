"""Subtitles (SRT, WebVTT, SBV, MicroDVD, SubStation Alpha) and timed lyrics (LRC): the words, without times."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator

from tinylm.text.formats.extracted import Extracted, File, single

_TIME = r"(?:\d{1,3}:)?\d{1,2}:\d{2}[,.]\d{1,3}"
TIMES = re.compile(rf"\s*{_TIME}\s*(?:-->|,)\s*{_TIME}.*")
"""The line of a cue with its times."""
_TAGS = re.compile(r"</?[a-zA-Z][^<>]{0,200}>|<\d[\d:.]{4,20}>|\{\\[^{}]{0,200}\}|\{[a-zA-Z]:[^{}]{0,50}\}")
_NOTE = "read as subtitles: what is said, without numbers, times and tags"


def read_cues(file: File) -> Extracted:
    """The text of SRT, WebVTT and SBV."""
    return single(_joined(_said(file.text().removeprefix("\ufeff").split("\n"))), _NOTE)


def _said(lines: list[str]) -> Iterator[str]:
    """The lines below times, up to a blank line. Numbers, names and remarks come above the times, and are left out."""
    inside = False
    for line in lines:
        if TIMES.fullmatch(line):
            inside = True
        elif not line.strip():
            inside = False
        elif inside:
            yield html.unescape(_TAGS.sub("", line))


def _joined(lines: Iterable[str]) -> str:
    """A text with a line for each caption. Rolling captions repeat the line before, which is written once."""
    kept: list[str] = []
    for line in lines:
        line = line.strip()
        if line and (not kept or kept[-1] != line):
            kept.append(line)
    return "".join(f"{line}\n" for line in kept)


_FRAMES = re.compile(r"\s*\{\d+\}\{\d+\}(?:\{[a-zA-Z]:[^{}]*\})*")
_MOMENTS = re.compile(r"\s*(?:\[\d+:\d{2}(?:[.:]\d+)?\]\s*)+|\s*\[[a-z#]+:[^\]]*\]\s*$")


def read_frames(file: File) -> Extracted:
    """MicroDVD (.sub): a line for each cue, in which bars stand for line ends."""
    lines = (_FRAMES.sub("", line) for line in file.text().split("\n"))
    return single(_joined(part for line in lines for part in line.split("|")), _NOTE)


def read_lyrics(file: File) -> Extracted:
    """LRC: lines after the moments at which they are sung; lines such as [ar:Somebody] are about the song."""
    return single(_joined(_MOMENTS.sub("", line) for line in file.text().split("\n")),
                  "read as timed lyrics (LRC): what is "
                  "sung, without times")


def read_substation(file: File) -> Extracted:
    """The dialogue of an .ass or .ssa file: the last of its fields, which alone may hold commas."""
    said, fields = [], 10
    for line in file.text().split("\n"):
        key, _, rest = line.partition(":")
        if key == "Format":
            fields = rest.count(",") + 1  # of [Events], the last such line before the dialogue
        elif key == "Dialogue":
            words = rest.split(",", fields - 1)[-1]
            said += re.split(r"\\[Nn]", _TAGS.sub("", words).replace("\\h", " "))
    return single(_joined(said), _NOTE)
