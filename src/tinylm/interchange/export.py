"""Export: a model in the format of another program, written whole or not at all, and read back before it is there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from tinylm import model_folder
from tinylm.config.spelling import match_name
from tinylm.errors import TinyLMError, did_you_mean
from tinylm.interchange.formats import FORMATS, Format
from tinylm.interchange.source import Dtype, ExportedModel
from tinylm.interchange.verify import Check, Reference
from tinylm.system.files import fsync, write_remedy
from tinylm.system.folders import check_writable, flush_all, move_into_place, temporary_folder
from tinylm.system.paths import given_path

OF_A_MODEL_FOLDER = {model_folder.CONFIG, model_folder.TOKENIZER, model_folder.WEIGHTS, model_folder.CARD}
"""Names that a model folder has, and some exports, too: a folder with these alone is a model, and is not replaced."""


@dataclass(frozen=True)
class Export:
    """Result of an export.

    Attributes:
        folder: the folder of the export.
        files: their names and bytes.
        dtype: the number format of the matrices.
        checks: what each reader made of it.
        notes: what is not exact.
        next_steps: commands that use it.
    """

    folder: Path
    files: dict[str, int]
    dtype: Dtype
    checks: list[Check]
    notes: list[str]
    next_steps: list[str]


def read_model(run: str | Path) -> ExportedModel:
    """Reads the model of a folder.

    Raises:
        TinyLMError: no model folder, or a damaged one.

    >>> read_model("runs/notebook").name
    'notebook'
    """
    folder = given_path(run)
    config, tokenizer = model_folder.read_config(folder), model_folder.read_tokenizer(folder)
    return ExportedModel(name_of(folder), config, tokenizer, model_folder.read_weights(folder, config.model),
                         model_folder.read_card(folder))


def name_of(folder: Path) -> str:
    """The name of a model: that of its folder.

    >>> name_of(Path("runs/book/"))
    'book'
    """
    return Path(os.path.abspath(folder)).name


def export(model: ExportedModel, to: str, out: str | Path, *, dtype: str | None = None, force: bool = False,
           log: Callable[[str], None] = lambda _: None) -> Export:
    """Writes a model in another program's format into a folder, and reads it back before the folder is there.

    Args:
        to: a key of `FORMATS`.
        out: the folder, which is made.
        dtype: "f32", "f16" or "q8_0". Default: what the format is mostly used with.
        force: an earlier export that is there may be replaced. Any other folder that holds something never is.
        log: gets the name of each step.

    Raises:
        TinyLMError: no such format or dtype; one that cannot hold this model, by the name of the setting; a folder that
            holds something or cannot be written; packages that are missing; an export that was read back wrong.

    >>> found = export(read_model("runs/notebook"), "onnx", "notebook-onnx")
    >>> found.dtype, found.checks[0].is_right, "onnx/model.onnx" in found.files
    ('f32', True, True)
    """
    form = _format(to)
    chosen = _dtype(form, to, dtype)
    folder = Path(os.path.abspath(given_path(out)))
    check_writable(folder, "OUT")
    _check_free(folder, form.files, force=force)
    try:
        with temporary_folder(folder) as temporary:
            log("writing")
            notes = form.write(model, temporary, chosen)
            reference = Reference(model)
            checks = list(_checks(form, model, temporary, chosen, reference, log))
            files = {path.relative_to(temporary).as_posix(): path.stat().st_size
                     for path in sorted(temporary.rglob("*")) if path.is_file()}
            flush_all(temporary)
            move_into_place(temporary, folder, force=force, option="OUT")
        fsync(folder.parent)
    except OSError as error:
        raise TinyLMError(f"could not be written ({error.strerror})", where=str(folder),
                          remedy=f"{write_remedy(error)}, or choose another OUT") from None
    next_steps = form.next_steps(str(out), model.name, reference.beginning)
    return Export(folder, files, chosen, checks, notes, next_steps)


def _format(to: str) -> Format:
    name = match_name(to, tuple(FORMATS))
    if name is None:
        raise TinyLMError(f"there is no format {to!r}", where="--to", remedy=did_you_mean(to, FORMATS))
    return FORMATS[name]


def _dtype(form: Format, to: str, given: str | None) -> Dtype:
    if given is None:
        return form.dtypes[0]
    name = match_name(given, get_args(Dtype))
    if name is None:
        raise TinyLMError(f"there is no dtype {given!r}", where="--dtype", remedy=did_you_mean(given, get_args(Dtype)))
    if name not in form.dtypes:
        raise TinyLMError(f"the format {to} holds no {name}", where="--dtype",
                          remedy=f"It holds {' and '.join(form.dtypes)}; --to gguf holds all")
    return cast(Dtype, name)


def _checks(form: Format, model: ExportedModel, folder: Path, dtype: Dtype, reference: Reference,
            log: Callable[[str], None]) -> Iterator[Check]:
    """Checks an export by every reader that is at hand. Raises: TinyLMError: one of them computes something else."""
    for reader in form.readers(model.config.model, folder):
        log(f"reading it back by {reader.name}")
        check = reference.check(reader, dtype)
        if not check.is_right:
            raise TinyLMError(f"{check.reader} reads another model than the one that was written: its logits are off "
                              f"by {check.difference:.2g} of their spread, and {check.same} of {check.greedy} greedy "
                              "tokens are the same. Nothing was kept", where=model.name,
                              remedy="Another version of that program may read it; please report this model's "
                                     "config.json")
        yield check


def _check_free(folder: Path, files: frozenset[str], *, force: bool) -> None:
    """Raises TinyLMError when a folder holds something, and it is no earlier export or may not be replaced.

    Args:
        files: the names that an export of this format may have.
    """
    if folder.exists() and not folder.is_dir():
        raise TinyLMError("is a file, and an export is a folder", where=str(folder), remedy="Choose another OUT")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    if not there <= files or there <= OF_A_MODEL_FOLDER:
        raise TinyLMError("this folder holds something that is not an export of this format", where=str(folder),
                          remedy="Choose another OUT")
    if not force:
        raise TinyLMError("there is an export already", where=str(folder),
                          remedy="Choose another OUT, or give --force to replace it")
