"""What came of a prompt: the ids of one text turned into text as they come, and how likely the model held each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinylm.config.schema import SampleConfig
from tinylm.generation.detokenizer import Detokenizer
from tinylm.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from tinylm.generation.batch import Batch
    from tinylm.sampling.filters import Logits

MAX_STEPS = 64
"""Steps of a call at most, where nobody reads along."""


@dataclass(frozen=True)
class Logprob:
    """A token and the natural logarithm of its probability."""

    id: int
    token: str
    logprob: float


@dataclass(frozen=True)
class TokenLogprobs(Logprob):
    """A token that was chosen, and the likeliest in its place, best first. The probabilities are the model's own,
    before bias, penalties, temperature and filters: what `predict` shows, and what transformers calls `output_logits`.
    """

    top: list[Logprob]


@dataclass(frozen=True)
class Completion:
    """What a model wrote after a prompt. `text` and `ids` are the new ones alone; `ids` ends with `<eos>` if that is
    what stopped it. The same `seed` gives the same text."""

    prompt: str
    text: str
    ids: list[int]
    stopped_by: Literal["eos", "length", "stop"]
    seed: int
    n_dropped: int = 0
    """Tokens at the front that had to be dropped because the model sees no further back than `context_length`."""
    logprobs: list[TokenLogprobs] | None = None
    """One for each of `ids`, if they were asked for."""
    score: float | None = None
    """Of a beam search (beam.py)."""

    @property
    def forgotten(self) -> int:
        """`n_dropped` by its older name."""
        return self.n_dropped


class CompletionBuilder:
    """Takes the ids of one text and gives the text that is certain by then.

    Args:
        seed: of the text, for the record.
        logprobs: how many likeliest tokens are noted for each id; none: no probabilities at all.
        score: of a beam search, for the record.

    Attributes:
        text: all that has been given so far.
        ids: those that have come.
        n_dropped: how many ids in front the model no longer sees.
        stopped: a stop text has come.
        logprobs: one for each of `ids`, if they were asked for.
    """

    def __init__(self, prompt: str, tokenizer: Tokenizer, config: SampleConfig, seed: int,
                 logprobs: int | None = None, score: float | None = None) -> None:
        self._score = score
        self.prompt, self._tokenizer, self._seed, self._top = prompt, tokenizer, seed, logprobs
        self._stream = Detokenizer(tokenizer, config.stop)
        self.ids: list[int] = []
        self.n_dropped = 0
        self._pieces: list[str] = []
        self.logprobs: list[TokenLogprobs] = []

    @property
    def stopped(self) -> bool:
        return self._stream.stopped

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def push(self, id: int, logits: Logits) -> str:
        """The text that this id makes certain. `logits`: (V,), what it was chosen from."""
        self.ids.append(id)
        if self._top is not None:
            self.logprobs.append(logprobs_of(logits, id, self._top, self._tokenizer))
        return self._take(self._stream.push(id))

    def take(self, ids: Sequence[int], logits: NDArray[np.float32]) -> str:
        """The text that some ids make certain, as far as a stop text. `logits`: (ids, V)."""
        if self._top is None and not self._stream.stop:
            self.ids += ids
            return self._take(self._stream.push(*ids))
        pieces = []
        for id, each in zip(ids, logits, strict=True):
            pieces.append(self.push(id, each))
            if self.stopped:
                break
        return "".join(pieces)

    def finish(self) -> str:
        """What was still held back."""
        return self._take(self._stream.finish())

    def completion(self) -> Completion:
        """All of it, after `finish`."""
        ended = bool(self.ids) and self.ids[-1] == self._tokenizer.eos_id
        return Completion(self.prompt, self.text, self.ids,
                          "stop" if self.stopped else "eos" if ended else "length", self._seed, self.n_dropped,
                          None if self._top is None else self.logprobs, self._score)

    def _take(self, piece: str) -> str:
        self._pieces.append(piece)
        return piece


class GenerationRequest(NamedTuple):
    """A text to write: the prompt's ids, how new ones are chosen, and who turns them into text."""

    ids: list[int]
    config: SampleConfig
    seed: int
    bias: Logits
    forced: list[int]
    builder: CompletionBuilder


def write_together(batch: Batch, requests: Sequence[GenerationRequest], most: int) -> list[Completion]:
    """All texts through a batch, where each that ends makes room for the next.

    Args:
        most: texts side by side.

    Raises:
        TinyLMError: what is wrong with the first text that ends in an error.
    """
    texts = {}
    waiting = list(reversed(requests))
    while waiting or batch.running:
        while waiting and len(batch.running) < most:
            request = waiting.pop()
            text = batch.add(request.ids, request.config, seed=request.seed, bias=request.bias, forced=request.forced)
            texts[text] = request.builder
        for text, ids, logits in batch.run(MAX_STEPS):
            if text.error:
                raise text.error
            texts[text].take(ids, logits)
            if texts[text].stopped:
                batch.remove(text)
    for text, builder in texts.items():
        builder.finish()
        builder.n_dropped = text.n_dropped
    return [builder.completion() for builder in texts.values()]


def log_softmax(logits: Logits) -> NDArray[np.float64]:
    """The natural logarithms of the model's own probabilities, before any filter, (V,) -> (V,)."""
    wide = logits.astype(np.float64)  # the difference of two large numbers may have no room in 32 bits
    shifted = wide - wide.max()
    found: NDArray[np.float64] = shifted - np.log(np.exp(shifted).sum())
    return found


def top_ids(logits: Logits, count: int) -> list[int]:
    """So many ids, best first; of equals the lowest."""
    if count == 0:
        return []
    least = np.partition(logits, -count)[-count] if count < len(logits) else -np.inf
    able = np.flatnonzero(logits >= least)  # sorting all would take longer than the model itself
    found: list[int] = able[np.argsort(-logits[able], kind="stable")[:count]].tolist()
    return found


def logprobs_of(logits: Logits, id: int, top: int, tokenizer: Tokenizer) -> TokenLogprobs:
    """Of the chosen id and of the `top` likeliest."""
    shares = log_softmax(logits)
    best = [Logprob(other, tokenizer.token(other), float(shares[other])) for other in top_ids(logits, top)]
    return TokenLogprobs(id, tokenizer.token(id), float(shares[id]), best)
