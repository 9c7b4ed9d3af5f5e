"""Merging: an adapter and its base become a whole model folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tinylm import model_folder
from tinylm.config.schema import BaseConfig, RunConfig, TrainConfig
from tinylm.errors import command
from tinylm.lm import LanguageModel
from tinylm.reports.model_card import markdown_text
from tinylm.runs.adapted import Adapted, read_adapted
from tinylm.system.paths import given_path

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
        adapter: a folder that peft wrote, a GGUF file, or a model that was trained with `lora`.
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
    found = read_adapted(adapter, base)
    log("writing")
    _write(found, out, force=force)
    return Merged(found.base.folder, len(found.additions), sum(array.size for array in found.adapter.tensors.values()),
                  bool(found.adapter.fingerprint))


def _write(found: Adapted, out: str | Path, *, force: bool) -> None:
    base = found.base
    data = base.config.data.model_copy(update={"source": "", "fingerprint": "", "validation": 0.0,
                                               "validation_fingerprint": ""})
    config = RunConfig(model=base.config.model, data=data, sample=base.config.sample,
                       train=TrainConfig(steps=1),  # a horizon is required; nothing was trained here
                       base=BaseConfig(folder=base.folder, fingerprint=base.fingerprint))
    card = _CARD.format(name=markdown_text(Path(out).name), base=markdown_text(Path(base.folder).name),
                        adapter=markdown_text(found.name), matrices=len(found.additions),
                        fingerprint=base.fingerprint, use=command("generate", out))
    with model_folder.new_folder(out, force=force, option="OUT") as folder:
        model_folder.write_config(folder, config)
        base.tokenizer.save(folder / model_folder.TOKENIZER)
        model_folder.write_weights(folder, found.weights)
        (folder / model_folder.CARD).write_text(card, encoding="utf-8", newline="\n")
