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
from tinylm.inspection.structure import total_parameters
from tinylm.interchange.formats import ADAPTER_FORMATS, FORMATS, Format
from tinylm.interchange.source import Dtype, ExportedAdapter, ExportedModel
from tinylm.interchange.target import check_free, put_in_place
from tinylm.interchange.verify import Check, Reference
from tinylm.system.files import fsync, write_remedy
from tinylm.system.folders import check_writable, flush_all, temporary_folder
from tinylm.system.paths import given_path


@dataclass(frozen=True)
class Export:
    """Result of an export.

    Attributes:
        folder: the folder of the export; of an export that is one file, the folder in which it lies.
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
    folder = model_folder.model_path(run)
    config, tokenizer = model_folder.read_config(folder), model_folder.read_tokenizer(folder)
    return ExportedModel(name_of(folder), config, tokenizer, model_folder.read_weights(folder, config.model),
                         model_folder.read_card(folder), model_folder.read_chat_template(folder))


def name_of(folder: Path) -> str:
    """The name of a model: that of its folder.

    >>> name_of(Path("runs/book/"))
    'book'
    """
    return Path(os.path.abspath(folder)).name


def export(model: ExportedModel, to: str, out: str | Path, *, dtype: str | None = None, force: bool = False,
           log: Callable[[str], None] = lambda _: None) -> Export:
    """Writes a model, or an adapter, in another program's format, and reads it back before the export is there.

    Args:
        to: a key of `FORMATS`; of an adapter, of `ADAPTER_FORMATS`.
        out: the folder, which is made; of a format that is one file, that file.
        dtype: "f32", "f16" or "q8_0". Default: what the format is mostly used with.
        force: an earlier export that is there may be replaced. Anything else that is there never is.
        log: gets the name of each step.

    Raises:
        TinyLMError: no such format or dtype; one that cannot hold this model, by the name of the setting; a place that
            holds something or cannot be written; packages that are missing; an export that was read back wrong.

    >>> found = export(read_model("runs/notebook"), "onnx", "notebook-onnx")
    >>> found.dtype, found.checks[0].is_right, "onnx/model.onnx" in found.files
    ('f32', True, True)
    """
    form = _format(to, model)
    chosen = _dtype(form, to, dtype, total_parameters(model.config.model))
    target = Path(os.path.abspath(given_path(out)))
    check_writable(target, "OUT")
    check_free(target, form, force=force)
    try:
        with temporary_folder(target) as temporary:
            log("writing")
            notes = form.write(model, temporary, chosen)
            reference = Reference(model)
            checks = list(_checks(form, model, temporary, chosen, reference, log))
            files = {target.name if form.is_file else path.relative_to(temporary).as_posix(): path.stat().st_size
                     for path in sorted(temporary.rglob("*")) if path.is_file()}
            flush_all(temporary)
            put_in_place(temporary, target, form, force=force)
        fsync(target.parent)
    except OSError as error:
        raise TinyLMError(f"could not be written ({error.strerror})", where=str(target),
                          remedy=f"{write_remedy(error)}, or choose another OUT") from None
    next_steps = form.next_steps(str(out), model, reference.beginning)
    return Export(target.parent if form.is_file else target, files, chosen, checks, notes, next_steps)


def _format(to: str, model: ExportedModel) -> Format:
    name = match_name(to, tuple(FORMATS))
    if name is None:
        raise TinyLMError(f"there is no format {to!r}", where="--to", remedy=did_you_mean(to, FORMATS))
    if not isinstance(model, ExportedAdapter):
        return FORMATS[name]
    if name not in ADAPTER_FORMATS:
        raise TinyLMError(f"the format {name} holds whole models, and this is an adapter", where="--to",
                          remedy="Make a whole model of it and its base (tinylm merge), and export that; --to gguf "
                                 "holds adapters, and peft reads the folder as it is")
    return ADAPTER_FORMATS[name]


def _dtype(form: Format, to: str, given: str | None, n_parameters: int) -> Dtype:
    if given is None:
        return form.default_dtype(n_parameters)
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
    for reader in form.readers(model, folder):
        log(f"reading it back by {reader.name}")
        check = reference.check(reader, dtype)
        if not check.is_right:
            raise TinyLMError(f"{check.reader} reads another model than the one that was written: its logits are off "
                              f"by {check.difference:.2g} of their spread, and {check.same} of {check.greedy} greedy "
                              "tokens are the same. Nothing was kept", where=model.name,
                              remedy="Another version of that program may read it; please report this model's "
                                     "config.json")
        yield check
