"""The check of an export: what was written is read back, and computes what the model computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tinylm.config.schema import SampleConfig
from tinylm.interchange.source import Dtype, ExportedModel

if TYPE_CHECKING:  # the compiler and the engine are not needed to list the formats
    from tinylm.engine.engine import Engine

Logits = NDArray[np.float32]
ReadLogits = Callable[[Sequence[int]], Logits]
"""Computes the logits (T, V) of T ids by a model that was exported."""
LIMITS: dict[Dtype, float] = {"f32": 1e-3, "f16": 0.05, "q8_0": 1.0}
"""The largest differences of logits that come of rounding alone, as shares of the logits' spread. Measured: in 32 bits
3e-6 with two layers and 1.1e-4 with the thirty of SmolLM2-135M; in 16 2e-3; in 8 0.2, since llama.cpp rounds to 8 bits
what it multiplies, too. Logits of another model are off by 4 and more."""
GREEDY_TOKENS, PROMPT_TOKENS = 64, 6


@dataclass(frozen=True)
class Reader:
    """A program that reads an export.

    Attributes:
        name: for people, such as "llama.cpp".
        read_logits: computes the exported model.
        slack: how many times the usual difference this program may be off, for numbers that it rounds by itself.
    """

    name: str
    read_logits: ReadLogits
    slack: float = 1.0


@dataclass(frozen=True)
class Check:
    """Result of reading an export back by one reader.

    Attributes:
        reader: its name.
        difference: the largest difference of a logit, as a share of the logits' standard deviation.
        same, greedy: of so many greedy tokens, how many the reader holds likeliest, too.
        limit: the largest difference of an export that is right.

    >>> Check("llama.cpp", difference=0.002, same=127, greedy=128, limit=LIMITS["f16"]).is_right
    True
    """

    reader: str
    difference: float
    same: int
    greedy: int
    limit: float

    @property
    def is_right(self) -> bool:
        """True if all logits are as near as the number format lets them be. A format of 32 bits changes no token."""
        return self.difference <= self.limit and (self.limit >= LIMITS["f16"] or self.same == self.greedy)


class Reference:
    """Greedy texts of a model with the logits of every position, by the compiled engine.

    Attributes:
        beginning: of the first text, some tokens of it.

    >>> from tinylm.interchange.export import read_model
    >>> from tinylm.interchange.hugging_face.check import read_logits
    >>> from pathlib import Path
    >>> Reference(read_model("runs/book")).check(Reader("tinylm", read_logits(Path("book-hf"))), "f32").is_right
    True
    """

    def __init__(self, model: ExportedModel) -> None:
        self._texts = list(_greedy_texts(model))
        self.beginning = model.tokenizer.decode(self._texts[0][0][:PROMPT_TOKENS]).strip()

    def check(self, reader: Reader, dtype: Dtype) -> Check:
        """Compares a reader of an export with the model itself."""
        difference, same, greedy = 0.0, 0, 0
        for ids, logits, n_prompt in self._texts:
            read = reader.read_logits(ids)
            apart = float(np.abs(read - logits).max() / logits.std())
            difference = max(difference, apart if np.isfinite(apart) else np.inf)
            wanted = logits[n_prompt - 1:].argmax(axis=1)
            same += int((read[n_prompt - 1:].argmax(axis=1) == wanted).sum())
            greedy += len(wanted)
        return Check(reader.name, difference, same, greedy, LIMITS[dtype] * reader.slack)


def _greedy_texts(model: ExportedModel) -> Iterator[tuple[list[int], Logits, int]]:
    """Texts as ids, the logits of every position, and the number of ids in the prompt: after the first id of a text
    alone, and after some more at random."""
    from tinylm.engine.engine import Engine

    config, specials = model.config.model, model.tokenizer.specials
    engine = Engine(config, dict(model.weights))
    known = [id for id in range(config.vocab_size) if id not in specials.hidden]
    random = np.random.default_rng(0)
    for n_more in (0, PROMPT_TOKENS):
        n_more = min(n_more, config.context_length - 1)
        prompt = [specials.start, *(random.choice(known, n_more).tolist() if known else [])]
        yield *_written(engine, prompt, config.context_length), len(prompt)


def _written(engine: Engine, prompt: list[int], context_length: int) -> tuple[list[int], Logits]:
    """A prompt with greedy ids after it, and the logits (T, V) of all of them."""
    from tinylm.engine.kv_cache import SequenceCache
    from tinylm.engine.sampling_records import SamplingRecords
    from tinylm.sampling.sampler import Sampler

    cache, no_bias = SequenceCache(engine.config), np.zeros(engine.config.vocab_size, np.float32)
    read = engine.read([cache] * len(prompt), prompt, len(prompt)).copy()
    steps = min(GREEDY_TOKENS, context_length - len(prompt))
    if steps < 1:
        return prompt, read
    cache.length -= 1
    records = SamplingRecords([Sampler(SampleConfig(greedy=True), prompt, no_bias, 0)], eos_id=-1)
    chosen, written = engine.write([cache], prompt[-1:], records, steps)
    ids = [*prompt, *chosen[:-1, 0].tolist()]
    return ids, np.concatenate([read[:-1], written[:, 0]])
