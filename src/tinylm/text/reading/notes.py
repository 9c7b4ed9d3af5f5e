"""Notes: sentences for people about how files were read, each once for all files of which it is true."""

from __future__ import annotations

import re
from pathlib import PurePath

_NUMBERS = re.compile(r"\d[\d,]*")


class Notes:
    """Collects pairs (file, sentence), without repetition."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, str]] = {}

    def add(self, where: str, sentence: str) -> None:
        """Adds a sentence about a file. Sentences that differ only in numbers and the file's name count as the same."""
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
