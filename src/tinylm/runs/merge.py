"""Merging: an adapter and its base become a whole model folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinylm import model_folder
from tinylm.config.schema import BaseConfig, RunConfig, TrainConfig
from tinylm.errors import TinyLMError, command
from tinylm.evaluation.base import Base
from tinylm.interchange.peft import Adapter, read_adapter
from tinylm.lm import LanguageModel
from tinylm.model.lora import merged
from tinylm.model.tensors import Weights
from tinylm.reports.model_card import markdown_text
from tinylm.system.paths import given_path
from tinylm.system.untrusted import quoted

_CARD = """\
# {name}

A language model that tinylm merged: the base {base}, whose shape and tokenizer it has, and the adapter {adapter}, which
adds to {matrices} of its matrices. Licence, and what each was trained on, are those of the two.
sha256 of the base's weights: `{fingerprint}`

    {use}
"""


@dataclass(frozen=True)
class Merged:
    """The result of merging.

    Attributes:
        base: the folder of the base, or the name of a built-in model.
        matrices: that the adapter adds to.
        parameters: numbers of the adapter.
        is_checked: true if the adapter says on which weights it was made, and these are the base's.
    """

    base: str
    matrices: int
    parameters: int
    is_checked: bool


def merge(adapter: str | Path, folder: str | Path, *, base: str | Path | None = None,
          force: bool = False) -> LanguageModel:
    """Writes the model that an adapter (LoRA) and its base make up as a model folder, and reads it.

    Args:
        adapter: a folder that peft wrote, or a model that was trained with `lora`.
        folder: the path of the new model folder.
        base: the model folder that the adapter was made on; None: the one that it names.
        force: replaces a model that is there.

    Raises:
        TinyLMError: there is no such adapter or base, one of them is damaged, or the adapter was made on another base;
            the folder exists, or cannot be written.

    >>> lm = tinylm.train("hello", base="runs/notebook", lora=2, epochs=2, out="runs/tuned", quiet=True)
    >>> tinylm.merge("runs/tuned/adapter", "models/tuned", base="runs/notebook")
    <LanguageModel: 17,932 parameters, 12 tokens (word)>
    """
    merge_adapter(adapter, folder, base=base, force=force)
    return LanguageModel.load(folder)


def merge_adapter(adapter: str | Path, out: str | Path, *, base: str | Path | None = None, force: bool = False,
                  log: Callable[[str], None] = lambda _: None) -> Merged:
    """`merge` for the command line.

    Args:
        log: gets the name of each step.
    """
    model_folder.check_free(given_path(out), force=force, option="OUT")
    log("reading")
    folder = _adapter_folder(model_folder.model_path(adapter))
    found = read_adapter(folder)
    model = Base.read(_base_folder(found, base))
    if found.fingerprint and found.fingerprint != model.fingerprint:
        raise TinyLMError(f"was made on other weights than those of {model.folder}", where=str(folder),
                          remedy="Name the model that it was made on: --base MODEL")
    additions = found.additions(model.config.model)
    weights = merged(model.weights, additions)
    if not all(np.isfinite(weights[name]).all() for name in additions):
        raise TinyLMError("gives numbers that are not finite", where=str(folder), remedy="Fetch the adapter anew")
    log("writing")
    _write(model, weights, len(additions), folder, out, force=force)
    return Merged(model.folder, len(additions), sum(array.size for array in found.tensors.values()),
                  bool(found.fingerprint))


def _adapter_folder(given: Path) -> Path:
    """The folder of the adapter: the one that was given, or in it that of a run."""
    inner = given / model_folder.ADAPTER
    if (given / model_folder.CONFIG).is_file() and not (given / model_folder.ADAPTER_CONFIG).is_file():
        if not inner.is_dir():
            raise TinyLMError("is a model, and whole without an adapter", where=str(given),
                              remedy="Give a model that was trained with --lora, or a folder that peft wrote")
        return inner
    if not given.is_dir():
        raise TinyLMError("there is no such folder", where=str(given),
                          remedy="Give a model that was trained with --lora, or a folder that peft wrote")
    return given


def _base_folder(adapter: Adapter, given: str | Path | None) -> str:
    """The base: the one that was given, that of the run that the adapter lies in, or the one that the adapter names."""
    if given is not None:
        return str(given)
    run = adapter.folder.parent
    in_run = adapter.folder.name == model_folder.ADAPTER and (run / model_folder.CONFIG).is_file()
    if in_run and (folder := model_folder.read_config(run).base.folder):
        return folder
    if adapter.base and (model_folder.model_path(adapter.base) / model_folder.CONFIG).is_file():
        return adapter.base
    named = f"names {quoted(adapter.base)} as its base, which is no model folder here" if adapter.base else (
        "names no base")
    raise TinyLMError(named, where=str(adapter.folder), remedy="Name the model that it was made on: --base MODEL")


def _write(base: Base, weights: Weights, matrices: int, adapter: Path, out: str | Path, *, force: bool) -> None:
    data = base.config.data.model_copy(update={"source": "", "fingerprint": "", "validation": 0.0,
                                               "validation_fingerprint": ""})
    config = RunConfig(model=base.config.model, data=data, sample=base.config.sample,
                       train=TrainConfig(steps=1),  # a horizon is required; nothing was trained here
                       base=BaseConfig(folder=base.folder, fingerprint=base.fingerprint))
    run = adapter.parent if adapter.name == model_folder.ADAPTER else adapter
    card = _CARD.format(name=markdown_text(Path(out).name), base=markdown_text(Path(base.folder).name),
                        adapter=markdown_text(run.absolute().name), matrices=matrices,
                        fingerprint=base.fingerprint, use=command("generate", out))
    with model_folder.new_folder(out, force=force, option="OUT") as folder:
        model_folder.write_config(folder, config)
        base.tokenizer.save(folder / model_folder.TOKENIZER)
        model_folder.write_weights(folder, weights)
        (folder / model_folder.CARD).write_text(card, encoding="utf-8", newline="\n")
