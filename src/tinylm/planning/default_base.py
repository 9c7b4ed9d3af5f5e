"""The default base: what a run begins from where nobody said so. It is the built-in model `english` where that helps,
else nothing.

The rule looks at the training text alone: what is held out judges, and decides nothing. A base helps if it knows the
kind of text, and if a run that begins from it is expected to end below one from nothing. Before any training `english`
reads English with 1.4 to 2.6 bits a byte and Python code with 2.2 to 2.4, which it goes on to learn better than a run
from nothing does; German with 4, DNA with 4.7, chess games with 5.5, which it does not (LOG.md, "The base by default").
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from tinylm.config.base import leaves_base_open
from tinylm.config.presets import PartialConfig
from tinylm.evaluation.base import Base
from tinylm.planning.base_fit import BaseFit, measure_fit
from tinylm.planning.data import OpenedText, answers_are_numbers
from tinylm.planning.fine_tuning import choose_context, fine_tuned_bits
from tinylm.planning.forecast import from_nothing_bits
from tinylm.text.dataset import build_dataset

DEFAULT_BASE = "english"
MIN_BYTES, MAX_BYTES = 500, 20_000_000
"""Bytes of a text between which the base is tried: a shorter text says too little, a longer one teaches by itself."""
MAX_BITS = 3.0
"""Bits a byte with which the base reads a kind of text that it knows, at most."""
MAX_DISTANCE = 1.3
"""The largest distance (`BaseFit`): a text that repeats itself is learned better from nothing."""
GAIN = 0.02
"""The share of the bits a byte that the base has to save, by the forecasts."""


@dataclass(frozen=True)
class Trial:
    """The outcome of trying the default base on a text.

    Attributes:
        from_nothing, fine_tuned: bits a byte to expect of a run from nothing, and of one from the base.
        is_chat: the text is conversations.
    """

    fit: BaseFit
    from_nothing: float
    fine_tuned: float
    is_chat: bool = False

    @property
    def is_known(self) -> bool:
        """True if the base knows the kind of text well, in itself and beside n-grams."""
        return self.fit.bits_per_byte <= MAX_BITS and self.fit.distance <= MAX_DISTANCE

    @property
    def helps(self) -> bool:
        """True if the run is to begin from the base. Of conversations the language of the answers decides: how they
        follow from questions, the forecasts know nothing of."""
        if self.is_chat:
            return self.fit.bits_per_byte <= MAX_BITS
        return self.is_known and self.fine_tuned <= (1 - GAIN) * self.from_nothing


def is_tried(chosen: PartialConfig, text: OpenedText) -> bool:
    """True if the base is to be tried on a text: nobody chose what the run begins from, the length suits, no text
    is read beside it, and it does not ask for digits, which the base does not read one by one."""
    length = text.split.train.corpus.stats().bytes
    if text.split.beside:
        return False
    return leaves_base_open(chosen) and MIN_BYTES <= length <= MAX_BYTES and not answers_are_numbers(text.split)


def try_default_base(chosen: PartialConfig, text: OpenedText, device: torch.device) -> Trial:
    """Tries the default base on the training text: a second or less."""
    base, train = Base.read(DEFAULT_BASE), chosen["train"]
    part = build_dataset(text.split, base.tokenizer, least=1).train
    fit = measure_fit(base, part, text.chosen["packing"], device, context_length=choose_context(chosen,
                      base.config.model), precision=train.get("precision", "auto"), seed=train.get("seed", 0))
    nothing = from_nothing_bits(fit.counted_bits_per_byte, part.n_bytes_read)
    return Trial(fit, nothing, fine_tuned_bits(fit.bits_per_byte, fit.counted_bits_per_byte),
                 part.is_target is not None)
