"""The place of an export: a folder, or one file. What is no earlier export of the same format is never replaced."""

from __future__ import annotations

from pathlib import Path

from tinylm import model_folder
from tinylm.errors import TinyLMError
from tinylm.interchange.formats import Format
from tinylm.system.folders import move_into_place
from tinylm.system.marked_file import check_file_free, put_file

OF_A_MODEL_FOLDER = {model_folder.CONFIG, model_folder.TOKENIZER, model_folder.WEIGHTS, model_folder.CARD}
"""Names that a model folder has, and some exports, too: a folder with these alone is a model, and is not replaced."""


def check_free(target: Path, form: Format, *, force: bool) -> None:
    """Raises TinyLMError when something is there that is no earlier export, or that may not be replaced.

    >>> from tinylm.interchange.formats import FORMATS
    >>> check_free(Path("book-hf"), FORMATS["gguf"], force=True)
    Traceback (most recent call last):
    tinylm.errors.TinyLMError: book-hf: this folder holds something that is not an export of this format. ...
    """
    if form.is_file:
        check_file_free(target, form.mark, what="export", option="OUT", force=force)
        return
    _check_folder(target, form)
    if not force and target.is_dir() and any(target.iterdir()):
        raise TinyLMError("there is an export already", where=str(target),
                          remedy="Choose another OUT, or give --force to replace it")


def put_in_place(temporary: Path, target: Path, form: Format, *, force: bool) -> None:
    """Renames what was written into a temporary folder to the place of the export.

    Raises:
        TinyLMError: another process has put something there.
        OSError: something could not be renamed.

    >>> from tinylm.interchange.formats import FORMATS
    >>> put_in_place(Path("book-hf"), Path("moved"), FORMATS["hf"], force=False)
    >>> (Path("moved") / "config.json").is_file()
    True
    """
    if not form.is_file:
        move_into_place(temporary, target, force=force, option="OUT")
        return
    written, = temporary.iterdir()
    put_file(written, target, option="OUT", force=force)


def _check_folder(target: Path, form: Format) -> None:
    if target.exists() and not target.is_dir():
        raise TinyLMError("is a file, and an export is a folder", where=str(target), remedy="Choose another OUT")
    if not target.is_dir() or not any(target.iterdir()):
        return
    there = {path.relative_to(target).as_posix() for path in target.rglob("*") if not path.is_dir()}
    if not there <= form.files or there <= OF_A_MODEL_FOLDER:
        raise TinyLMError("this folder holds something that is not an export of this format", where=str(target),
                          remedy="Choose another OUT")
