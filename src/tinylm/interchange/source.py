"""A model on its way out: what every exporter reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tinylm.chat.chat_format import ChatFormat, chat_format
from tinylm.chat.templates import jinja_template
from tinylm.config.schema import RunConfig
from tinylm.model.tensors import Weights
from tinylm.text.tokenizer import Tokenizer

if TYPE_CHECKING:  # torch is not needed to list the formats
    from tinylm.model.lora import Additions

Dtype = Literal["f32", "f16", "q8_0"]
"""Number formats of exported matrices: 32 bits, 16 bits, or 8 bits with a 16-bit scale for each 32 numbers of a row
(the block format of llama.cpp)."""


@dataclass(frozen=True)
class ExportedModel:
    """A model as exporters read it.

    Attributes:
        name: of the model, for people: that of its folder.
        config: all settings that made the model.
        tokenizer: text <-> ids.
        weights: float32 parameters by the names of `TinyLM.named_parameters()`; a tied output head is not among them.
        card: the model card of its folder (Markdown); empty where there is none.
        own_template: the chat template that it came with; empty where there is none.
    """

    name: str
    config: RunConfig
    tokenizer: Tokenizer
    weights: Weights
    card: str = ""
    own_template: str = ""

    @property
    def chat_format(self) -> ChatFormat | None:
        """The format of its conversations; None: it writes on from a text."""
        name = self.config.data.chat_format
        return chat_format(name) if name else None

    @property
    def chat_template(self) -> str:
        """The chat template that goes with it: its own, or that of its format; empty: neither."""
        form = self.chat_format
        return self.own_template or (jinja_template(form) if form else "")


@dataclass(frozen=True, kw_only=True)
class ExportedAdapter(ExportedModel):
    """An adapter on its way out. As a model it is what its base and its additions make up.

    Attributes:
        additions: to the matrices of the base.
        base: the model that it adds to.
        fingerprint: of the base's weights.
    """

    additions: Additions
    base: ExportedModel
    fingerprint: str
