"""An adapter together with its base: what `tinylm merge` and `tinylm export` read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinylm import model_folder
from tinylm.errors import TinyLMError
from tinylm.evaluation.base import Base
from tinylm.interchange.adapter import Adapter, read_adapter
from tinylm.interchange.export import name_of, read_model
from tinylm.interchange.source import ExportedAdapter, ExportedModel
from tinylm.model.lora import Addition, merged
from tinylm.model.tensors import Weights
from tinylm.system.untrusted import quoted

_REMEDY = "Give a folder that peft wrote, a GGUF file of additions, or a model that was trained with --lora"


@dataclass(frozen=True)
class Adapted:
    """An adapter and its base.

    Attributes:
        adapter: as it was read.
        base: the model that it adds to.
        additions: to the matrices of the base.
        weights: of the model that both make up, all finite.
    """

    adapter: Adapter
    base: Base
    additions: Mapping[str, Addition]
    weights: Weights

    @property
    def name(self) -> str:
        """The name of the adapter, for people: that of its run, folder or file."""
        path = self.adapter.path
        return name_of(path.parent if path.name == model_folder.ADAPTER else path)


def read_adapted(adapter: str | Path, base: str | Path | None) -> Adapted:
    """Reads an adapter and its base.

    Args:
        adapter: a folder that peft wrote, a GGUF file, or a model that was trained with `lora`.
        base: the model folder that the adapter was made on; None: the one that it names.

    Raises:
        TinyLMError: there is no such adapter or base, one of them is damaged, or the adapter was made on another base.
    """
    path = _adapter_path(model_folder.model_path(adapter))
    found = read_adapter(path)
    model = Base.read(_base_folder(found, base))
    if found.fingerprint and found.fingerprint != model.fingerprint:
        raise TinyLMError(f"was made on other weights than those of {model.folder}", where=str(path),
                          remedy="Name the model that it was made on: --base MODEL")
    additions = found.additions(model.config.model)
    weights = merged(model.weights, additions)
    if not all(np.isfinite(weights[name]).all() for name in additions):
        raise TinyLMError("gives numbers that are not finite", where=str(path), remedy="Fetch the adapter anew")
    return Adapted(found, model, additions, weights)


def read_exported(given: str, base: str | None) -> ExportedModel:
    """Reads what is to be exported: the model of a folder, or an adapter of peft's format with its base.

    Args:
        base: as in `read_adapted`; a model has none.

    Raises:
        TinyLMError: as `read_model` and `read_adapted`.
    """
    if not (model_folder.model_path(given) / model_folder.ADAPTER_CONFIG).is_file():
        if base is not None:
            raise TinyLMError("is that of an adapter, and this is no adapter", where="--base",
                              remedy="Leave it out, or give the folder adapter/ of a model trained with --lora")
        return read_model(given)
    found = read_adapted(given, base)
    whole = found.base
    model = ExportedModel(name_of(Path(whole.folder)), whole.config, whole.tokenizer, whole.weights)
    return ExportedAdapter(found.name, whole.config, whole.tokenizer, found.weights, additions=found.additions,
                           base=model, fingerprint=whole.fingerprint)


def _adapter_path(given: Path) -> Path:
    """The path of the adapter: the one that was given, or in it that of a run."""
    inner = given / model_folder.ADAPTER
    if (given / model_folder.CONFIG).is_file() and not (given / model_folder.ADAPTER_CONFIG).is_file():
        if not inner.is_dir():
            raise TinyLMError("is a model, and whole without an adapter", where=str(given), remedy=_REMEDY)
        return inner
    if not given.exists():
        raise TinyLMError("there is no such folder or file", where=str(given), remedy=_REMEDY)
    return given


def _base_folder(adapter: Adapter, given: str | Path | None) -> str:
    """The base: the one that was given, that of the run that the adapter lies in, or the one that the adapter names."""
    if given is not None:
        return str(given)
    run = adapter.path.parent
    in_run = adapter.path.name == model_folder.ADAPTER and (run / model_folder.CONFIG).is_file()
    if in_run and (folder := model_folder.read_config(run).base.folder):
        return folder
    if adapter.base and (model_folder.model_path(adapter.base) / model_folder.CONFIG).is_file():
        return adapter.base
    named = f"names {quoted(adapter.base)} as its base, which is no model folder here" if adapter.base else (
        "names no base")
    raise TinyLMError(named, where=str(adapter.path), remedy="Name the model that it was made on: --base MODEL")
