"""Progress of a person through the exercises: a small file among the user's caches. It may be deleted at any time, and
nothing but these commands reads it."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tinylm.system.files import write_atomically
from tinylm.text.dataset import cache_folder


@dataclass(frozen=True)
class Progress:
    """Exercises that were solved, and the hints that were given.

    Attributes:
        solved: numbers of exercises, in the order of solving.
        hints: by number, how many hints were given.
    """

    solved: tuple[str, ...] = ()
    hints: dict[str, int] = field(default_factory=dict)

    @classmethod
    def read(cls) -> Progress:
        """Reads what is known; nothing where there is no file, or not one of ours."""
        path = progress_file()
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError):
            if path is not None:
                known = json.loads(path.read_text(encoding="utf-8"))
                return cls(tuple(map(str, known["solved"])), {str(k): int(v) for k, v in known["hints"].items()})
        return cls()

    def with_solved(self, number: str) -> Progress:
        return self if number in self.solved else Progress((*self.solved, number), self.hints)

    def with_hints(self, number: str, count: int) -> Progress:
        return Progress(self.solved, {**self.hints, number: count})

    def write(self) -> bool:
        """Writes it, where it can be written: an answer is checked without, too. True if it was written."""
        path = progress_file()
        with suppress(OSError):
            if path is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                write_atomically(path, json.dumps({"solved": self.solved, "hints": self.hints}, indent=2) + "\n")
                return True
        return False


def progress_file() -> Path | None:
    """The file, whether it is there or not; None without a home folder."""
    folder = cache_folder()
    return folder / "lesson.json" if folder else None
