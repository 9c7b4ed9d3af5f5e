"""The Markdown of the lesson: docs/lesson of the repository, which a wheel brings along inside the package
(setup.py)."""

from __future__ import annotations

from pathlib import Path

from tinylm.errors import TinyLMError

_IN_THE_WHEEL = Path(__file__).parents[1] / "lesson"
_IN_THE_REPOSITORY = Path(__file__).parents[4] / "docs" / "lesson"
CONTENTS, GLOSSARY = "README.md", "glossary.md"


def lesson_folder() -> Path:
    """The folder of the Markdown. Raises: TinyLMError: the package was put together without."""
    for folder in (_IN_THE_WHEEL, _IN_THE_REPOSITORY):
        if (folder / GLOSSARY).is_file():
            return folder
    raise TinyLMError("the pages of the lesson are not in this installation", where=str(_IN_THE_WHEEL),
                      remedy="Install tinylm again")


def page_text(name: str) -> str:
    """The Markdown of a page, given the name of its file.

    >>> page_text("02-counting.md").startswith("# ")
    True
    """
    return (lesson_folder() / name).read_text(encoding="utf-8")
