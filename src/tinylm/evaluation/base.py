"""The base of a fine-tuned model: the model that its training began with, read from its folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tinylm import model_folder
from tinylm.config.schema import BaseConfig, ModelConfig, RunConfig
from tinylm.errors import TinyLMError
from tinylm.evaluation.training_text import open_training_text
from tinylm.model.tensors import Weights, fingerprint
from tinylm.system.paths import IN_MEMORY, given_path
from tinylm.text.dataset import Part, build_dataset
from tinylm.text.tokenizer import Tokenizer

NEEDS_A_BASE = {"replay": "replay mixes in the text of a base", "lora": "LoRA adds to the weights of a base"}
"""Settings of the section `base` that a run from nothing cannot have, and why."""


@dataclass(frozen=True)
class Base:
    """A base: a model of any folder, ours or imported, with the config of its own training.

    Attributes:
        folder: its absolute path.
        fingerprint: of its weights.
    """

    folder: str
    config: RunConfig
    tokenizer: Tokenizer
    weights: Weights
    fingerprint: str

    @classmethod
    def read(cls, folder: str) -> Base:
        """Reads a model folder.

        Raises:
            TinyLMError: there is none, or it is damaged; it is named as the base.
        """
        try:
            config, tokenizer, weights = model_folder.read_model(folder)
        except TinyLMError as error:
            raise TinyLMError(error.what, where=f"the base {error.where}", remedy=error.remedy) from None
        lasting = folder if model_folder.is_built_in(folder) else os.path.abspath(given_path(folder))
        return cls(lasting, config, tokenizer, weights, fingerprint(weights))

    @classmethod
    def reopen(cls, base: BaseConfig) -> Base:
        """Reads the base of a run that began before.

        Raises:
            TinyLMError: as `read`; or another model is in its place by now.
        """
        found = cls.read(base.folder)
        if found.fingerprint != base.fingerprint:
            raise TinyLMError("is not the model that the training began from: its weights have changed",
                              where=f"the base {base.folder}", remedy="Restore it as it was")
        return found

    def shape(self, context_length: int) -> ModelConfig:
        """The shape of the base as it reads rows of another length."""
        return self.config.model.model_copy(update={"context_length": context_length})

    def replay_text(self) -> Part:
        """The ids of the text that the base was trained on, without what was held out of it.

        Raises:
            TinyLMError: the base does not know its text, or the text is gone or has changed; with the remedy.
        """
        data = self.config.data
        if data.source in ("", "-", IN_MEMORY):
            why = {"": "names no text that it was trained on", "-": "was trained on standard input"}
            raise TinyLMError(f"{why.get(data.source, 'was trained on texts in memory')}, so nothing can be replayed",
                              where=f"the base {self.folder}", remedy="Leave out --replay, or put some text that it "
                              "should not forget into the text that you train on")

        def elsewhere(*_: str) -> str:
            return "Put the text of the base back where it was, or leave out --replay"

        try:
            _, split = open_training_text(data, elsewhere)
        except TinyLMError as error:
            raise TinyLMError(f"its text cannot be replayed: {error.what}", remedy=error.remedy,
                              where=f"the base {self.folder}, {error.where}") from None
        return build_dataset(split, self.tokenizer).train


def read_base(chosen: Mapping[str, Any]) -> Base | None:
    """The base of a new run; None where it begins from nothing.

    Args:
        chosen: the settings of the section `base`.

    Raises:
        TinyLMError: as `Base.read`; or a setting needs a base, and there is none.
    """
    if chosen.get("folder"):
        return Base.read(chosen["folder"])
    for name, why in NEEDS_A_BASE.items():
        if chosen.get(name):
            raise TinyLMError(f"{why}, and this run begins from nothing", where=f"--{name}",
                              remedy="Name a base with --from MODEL, or leave it out")
    return None
