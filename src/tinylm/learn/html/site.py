"""The folder of the lesson: a page of HTML for each page of Markdown, which opens from the disk, written whole or not
at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tinylm.errors import TinyLMError
from tinylm.learn.html.page import GENERATOR, Example, contents_page, glossary_page, lesson_page
from tinylm.learn.html.snapshots import take_snapshots
from tinylm.learn.html.subject import Subject
from tinylm.learn.pages import PAGES
from tinylm.system.files import fsync, write_atomically, write_remedy
from tinylm.system.folders import check_writable, flush_all, move_into_place, temporary_folder
from tinylm.system.marked_file import BEGINNING
from tinylm.system.paths import given_path

if TYPE_CHECKING:
    from tinylm.lm import LanguageModel

INDEX = "index.html"
BUILT_IN = {"hello": ("hello , how are", 200), "animals": ("the cat says", 400)}
"""The lesson's own texts: a sentence, and the epochs of a run."""
WATCHED = "hello"
"""The text of whose run there are snapshots."""


def write_lesson(out: str | Path, run: str | Path | None = None, text: str = "") -> Path:
    """Writes the lesson. Returns the path of its first page.

    Args:
        out: a folder. An earlier lesson that is there is replaced, and nothing else.
        run: a model folder, from which the pictures are made; None: from models of the built-in texts, trained now.
        text: a sentence for that model.

    Raises:
        TinyLMError: the place holds something else, or cannot be written; or there is no such model.
    """
    folder = Path(os.path.abspath(given_path(out)))
    check_writable(folder)
    _check_free(folder)
    pages = dict(_pages(run, text))
    try:
        with temporary_folder(folder) as temporary:
            for name, page in pages.items():
                write_atomically(temporary / name, page)
            flush_all(temporary)
            move_into_place(temporary, folder, force=True)
        fsync(folder.parent)
    except OSError as error:
        raise TinyLMError(f"could not be written ({error.strerror})", where=str(folder),
                          remedy=f"{write_remedy(error)}, or choose another --out") from None
    return folder / INDEX


def _check_free(folder: Path) -> None:
    """Raises TinyLMError where something is that is no page of an earlier lesson: a model that was trained beside the
    pages must not go with them."""
    if folder.is_dir():
        found = next((path for path in sorted(folder.iterdir()) if not _is_page(path)), None)
    else:
        found = folder if os.path.lexists(folder) else None
    if found:
        raise TinyLMError("there is something that is no earlier lesson", where=str(found),
                          remedy="Choose another --out")


def _is_page(path: Path) -> bool:
    """True for a page of a lesson."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return GENERATOR.encode() in file.read(BEGINNING)


def _pages(run: str | Path | None, text: str) -> Iterator[tuple[str, str]]:
    """Names and texts of the files."""
    own = None if run is None else _example(run, text)
    yield INDEX, contents_page(own)
    yield "glossary.html", glossary_page()
    with tempfile.TemporaryDirectory() as trained:  # pictures read the folders, too
        examples = {name: _built_in(name, Path(trained)) for name in BUILT_IN}
        for page in PAGES:
            yield f"{page.number:02}-{page.name}.html", lesson_page(page, own, examples)


def _example(run: str | Path, text: str) -> Example:
    import tinylm
    from tinylm.interchange.export import read_model

    model = read_model(run)
    lm: LanguageModel = tinylm.load(run)
    example = Example(Subject(model.name, lm, text or lm.generate(max_tokens=6, greedy=True)), model)
    example.subject.explanation.loss  # noqa: B018 - a sentence that this model cannot read is an error before the work
    return example


def _built_in(name: str, folder: Path) -> Example:
    import tinylm

    text, epochs = BUILT_IN[name]
    tinylm.train(name, preset="notebook", out=folder / name, quiet=True, epochs=epochs)
    example = _example(folder / name, text)
    snapshots = take_snapshots(name, text, epochs=epochs) if name == WATCHED else ()
    return replace(example, subject=replace(example.subject, snapshots=snapshots))
