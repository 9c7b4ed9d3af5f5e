"""Sentences for people about how files were read, told once for files of which the same is true."""

from __future__ import annotations

import re
from pathlib import PurePath

_NUMBERS = re.compile(r"\d[\d,]*")


class Notes:
    """Collects (file, sentence), each once however often it is added."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, str]] = {}

    def add(self, where: str, sentence: str) -> None:
        """Sentences that differ in nothing but numbers and the file's name are taken for the same."""
        self._groups.setdefault(_NUMBERS.sub("0", sentence.replace(where, "")), {})[where] = sentence

    def sentences(self) -> list[str]:
        """A sentence for each group: about its first file, and how many others are alike."""
        told = []
        for group in self._groups.values():
            (where, sentence), *others = group.items()
            names = ", ".join(PurePath(name).name for name, _ in others[:3]) + ", .." * (len(others) > 3)
            alike = f"; {len(others):,} other{'s' * (len(others) > 1)} likewise ({names})" if others else ""
            told.append(f"{PurePath(where).name}: {sentence}{alike}")
        return told
