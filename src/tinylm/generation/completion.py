"""The result of a prompt: ids turned into text as they arrive, with their log-probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinylm.config.schema import SampleConfig
from tinylm.generation.detokenizer import Detokenizer
from tinylm.sampling.predictions import log_softmax, top_ids
from tinylm.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from tinylm.generation.batch import Batch, TokenSequence
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
    """A generated token with the likeliest alternatives, best first.

    The probabilities are the model's own, before bias, penalties, temperature and filters: what `predict` shows, and
    what transformers calls `output_logits`.
    """

    top: list[Logprob]


@dataclass(frozen=True)
class Completion:
    """The text that a model has generated after a prompt, with how it came about.

    Attributes:
        prompt: the prompt as text.
        text: the generated text, without the prompt and without a stop text.
        ids: the generated ids; the last is `<eos>` if that ended the text.
        stopped_by: "eos", the model ended the text; "length", it had `max_tokens`; "stop", a stop text came.
        seed: gives the same text once more, with the same settings.
        n_dropped: tokens at the front that the model no longer saw at the end, since it sees `context_length` at most.
        logprobs: one entry for each of `ids`, if they were asked for.
        score: the score of a beam search (generation/beam.py).

    >>> completion = lm.complete("hello , how are", greedy=True)
    >>> completion.text, completion.stopped_by
    ('you ?', 'eos')
    """

    prompt: str
    text: str
    ids: list[int]
    stopped_by: Literal["eos", "length", "stop"]
    seed: int
    n_dropped: int = 0
    logprobs: list[TokenLogprobs] | None = None
    score: float | None = None

    @property
    def forgotten(self) -> int:
        """`n_dropped` by its older name."""
        return self.n_dropped


class CompletionBuilder:
    """Takes the ids of one sequence, and gives the text that is certain by then.

    Args:
        prompt: as text, for the record.
        config: its stop texts end the text.
        seed: of the sequence, for the record.
        logprobs: the number of alternatives noted for each id; None: no probabilities at all.
        score: of a beam search, for the record.

    Attributes:
        ids: the ids so far.
        n_dropped: the number of ids that the model no longer sees.
        logprobs: one entry for each of `ids`, if they were asked for.
    """

    def __init__(self, prompt: str, tokenizer: Tokenizer, config: SampleConfig, seed: int,
                 logprobs: int | None = None, score: float | None = None) -> None:
        self._score = score
        self.prompt, self._tokenizer, self._seed, self._top = prompt, tokenizer, seed, logprobs
        self._detokenizer = Detokenizer(tokenizer, config.stop)
        self.ids: list[int] = []
        self.n_dropped = 0
        self._pieces: list[str] = []
        self.logprobs: list[TokenLogprobs] = []

    @property
    def stopped(self) -> bool:
        """True once a stop text has come."""
        return self._detokenizer.stopped

    @property
    def text(self) -> str:
        """The text so far."""
        return "".join(self._pieces)

    def push(self, id: int, logits: Logits) -> str:
        """The text that an id makes certain. `logits`: (V,), those that the id was chosen from."""
        self.ids.append(id)
        if self._top is not None:
            self.logprobs.append(logprobs_of(logits, id, self._top, self._tokenizer))
        return self._keep(self._detokenizer.push(id))

    def take(self, ids: Sequence[int], logits: NDArray[np.float32]) -> str:
        """The text that several ids make certain, up to a stop text. `logits`: (ids, V)."""
        if self._top is None and not self._detokenizer.stop:
            self.ids += ids
            return self._keep(self._detokenizer.push(*ids))
        pieces = []
        for id, each in zip(ids, logits, strict=True):
            pieces.append(self.push(id, each))
            if self.stopped:
                break
        return "".join(pieces)

    def finish(self) -> str:
        """The text that was held back until no id can come any more."""
        return self._keep(self._detokenizer.finish())

    def completion(self) -> Completion:
        """The whole result, after `finish`."""
        ended = bool(self.ids) and self.ids[-1] in self._tokenizer.specials.ends
        return Completion(self.prompt, self.text, self.ids,
                          "stop" if self.stopped else "eos" if ended else "length", self._seed, self.n_dropped,
                          None if self._top is None else self.logprobs, self._score)

    def _keep(self, piece: str) -> str:
        self._pieces.append(piece)
        return piece


class GenerationRequest(NamedTuple):
    """A text to generate: the prompt's ids, how new ids are chosen, and the builder that turns them into text."""

    ids: list[int]
    config: SampleConfig
    seed: int
    bias: Logits
    forced: list[int]
    builder: CompletionBuilder

    def add_to(self, batch: Batch) -> TokenSequence:
        """Adds the request to a batch. Raises: TinyLMError: as `Batch.add`."""
        return batch.add(self.ids, self.config, seed=self.seed, bias=self.bias, forced=self.forced)


def complete_together(batch: Batch, requests: Sequence[GenerationRequest], max_parallel: int) -> list[Completion]:
    """The completions of all requests, generated in one batch, which a waiting request enters as soon as one has ended.

    Args:
        max_parallel: the largest number of sequences in the batch.

    Raises:
        TinyLMError: that of the first sequence that ends in an error.
    """
    builders: dict[TokenSequence, CompletionBuilder] = {}
    waiting = list(reversed(requests))
    while waiting or batch.running:
        while waiting and len(batch.running) < max_parallel:
            request = waiting.pop()
            builders[request.add_to(batch)] = request.builder
        for sequence, ids, logits in batch.run(MAX_STEPS):
            if sequence.error:
                raise sequence.error
            builders[sequence].take(ids, logits)
            if builders[sequence].stopped:
                batch.remove(sequence)
    for sequence, builder in builders.items():
        builder.finish()
        builder.n_dropped = sequence.n_dropped
    return [builder.completion() for builder in builders.values()]


def logprobs_of(logits: Logits, id: int, top: int, tokenizer: Tokenizer) -> TokenLogprobs:
    """The log-probabilities of the chosen id and of the `top` likeliest, from the logits (V,)."""
    logprobs = log_softmax(logits)
    best = [Logprob(other, tokenizer.token(other), float(logprobs[other])) for other in top_ids(logits, top)]
    return TokenLogprobs(id, tokenizer.token(id), float(logprobs[id]), best)
