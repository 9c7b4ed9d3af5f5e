"""The batch: sequences that are generated together. Each joins and leaves between two tokens, and is what it is alone.

    batch = lm.batch()
    one = batch.add(lm.tokenizer.encode_prompt("how are"), SampleConfig(seed=1), seed=1)
    while batch.running:
        for sequence in batch.step():
            print(sequence.new, sequence.stopped_by)

A step computes one new position of each sequence that is being generated, and beside them a chunk of the prompts that
have yet to be read: a long prompt does not keep the others waiting (chunked prefill: Agrawal et al. 2023, arXiv
2308.16369). A text that is generated alone is a batch of one. The batch has no threads, no clock and no text: ids go
in, ids come out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from tinylm.config.schema import SampleConfig
from tinylm.engine.engine import GeneratedIds
from tinylm.errors import TinyLMError
from tinylm.generation.backend import Backend, Chunk
from tinylm.generation.context import ContextWindow, max_new_tokens
from tinylm.generation.prefix_caches import PrefixCaches
from tinylm.sampling.filters import Logits
from tinylm.sampling.sampler import Sampler

MIN_PROMPT_TOKENS = 16
"""Prompt positions that a step has at least, however many sequences are being generated."""


class TokenSequence(ContextWindow):
    """A sequence of a batch: a prompt and the ids that have been generated after it.

    Attributes:
        ids: the prompt and the new ids that have been read; the newest id may still be unread.
        new: the ids generated so far; `<eos>` is the last if that ended the sequence.
        logits: (V,), before any filter, that the last new id was chosen from; valid until the next step.
        stopped_by: what ended the sequence: `<eos>`, `max_tokens`, or an error of this sequence alone; None while it
            goes on.
        error: that error.
        cache: the backend's key/value cache of the visible ids.
        unread: the number of visible ids that `cache` does not hold yet.
    """

    def __init__(self, ids: Sequence[int], limit: int, cache: Any, sampler: Sampler, max_new: int) -> None:
        super().__init__(ids, limit)
        self.cache, self.sampler, self.max_new = cache, sampler, max_new
        self.new: list[int] = []
        self.logits: Logits | None = None
        self.stopped_by: Literal["eos", "length", "error"] | None = None
        self.error: TinyLMError | None = None
        self.unread = len(self.visible)

    def max_steps(self) -> int:
        """The number of steps in which the sequence neither ends by length, nor slides, nor changes its bias."""
        left = min(self.max_new - len(self.new), self.limit - len(self.visible) + 1)
        return self.sampler.same_bias_steps(left)


class NewTokens(NamedTuple):
    """New ids of a sequence, and the logits (ids, V), before any filter, that they were chosen from."""

    sequence: TokenSequence
    ids: list[int]
    logits: Logits


class Batch:
    """Sequences that one backend computes together.

    Args:
        backend: computes the model.
        vocab_size: ids are below it.
        eos_id: the id that ends a sequence.
        further_eos: other ids that end one, too.
        prefixes: keeps the caches of sequences that have ended, for others that begin in the same way; None: none are
            kept.

    Attributes:
        running: the sequences that go on.
    """

    def __init__(self, backend: Backend, vocab_size: int, eos_id: int, further_eos: Iterable[int] = (),
                 prefixes: PrefixCaches | None = None) -> None:
        self.backend, self._vocab_size, self._eos_id = backend, vocab_size, eos_id
        self._prefixes = prefixes
        self._ends = frozenset((eos_id, *further_eos))
        self.running: list[TokenSequence] = []

    def add(self, ids: Sequence[int], config: SampleConfig, *, seed: int, bias: Logits | None = None,
            forced: Sequence[int] = ()) -> TokenSequence:
        """Adds a sequence, which takes part from the next step on.

        Args:
            ids: the prompt, at least one id.
            config: how ids are chosen, and how many at most; stop texts are for whoever turns ids into text.
            seed: the sequence's own: it gives the same ids in any company.
            bias: (V,), added to all logits (`bias_of`); None adds nothing.
            forced: the first new ids (`forced_ids`).

        Raises:
            TinyLMError: the prompt is longer than the context, where `overflow` is "error".
        """
        max_new = max_new_tokens(config, ids, self.backend.limit)
        bias = np.zeros(self._vocab_size, np.float32) if bias is None else bias
        sampler = Sampler(config, ids, bias, seed, forced, ends=self._ends)
        sequence = TokenSequence(ids, self.backend.limit, self.backend.new_cache(), sampler, max_new)
        if max_new:
            self._begin_from_kept(sequence)
            self.running.append(sequence)
        else:
            sequence.stopped_by = "length"
        return sequence

    def remove(self, sequence: TokenSequence) -> None:
        """Takes a sequence out before its end; one that has ended already is out already."""
        self._keep([other for other in self.running if other is sequence])
        self.running = [other for other in self.running if other is not sequence]

    def _begin_from_kept(self, sequence: TokenSequence) -> None:
        """Leaves out what an earlier sequence has read already."""
        found = self._prefixes and self._prefixes.find(sequence.visible)
        if found:
            sequence.cache, sequence.unread = found, len(sequence.visible) - found.length

    def _keep(self, ended: Iterable[TokenSequence]) -> None:
        """Keeps the caches of sequences that need them no more."""
        for sequence in ended:
            if self._prefixes and sequence.error is None:
                self._prefixes.keep(sequence.visible, sequence.cache)

    def step(self) -> list[TokenSequence]:
        """Calls the model once. Returns the sequences with a new id or an error; none while only prompts are read."""
        return [sequence for sequence, *_ in self.run(1)]

    def run(self, max_steps: int) -> list[NewTokens]:
        """Does up to `max_steps` steps in one call of the model.

        A run ends with the step in which a sequence of it ends or is about to slide. While a prompt is being read, a
        run is a single step.
        """
        sequences = list(self.running)
        for sequence in sequences:
            if not sequence.unread:
                self._enqueue(sequence, sequence.new[-1])
        runs = self._decode(sequences, max_steps)
        unread = [sequence for sequence, run in zip(sequences, runs, strict=True) if run is None]
        new = [self._accept(sequence, *run) for sequence, run in zip(sequences, runs, strict=True) if run]
        new += self._forward(unread)
        self._keep(sequence for sequence in self.running if sequence.stopped_by)
        self.running = [sequence for sequence in self.running if sequence.stopped_by is None]
        return new

    def _decode(self, sequences: Sequence[TokenSequence], max_steps: int) -> Sequence[GeneratedIds | None]:
        """Does several steps of the sequences in one call; None for a sequence that `_forward` is to compute."""
        steps = [min(max_steps, sequence.max_steps()) for sequence in sequences]
        if max(steps, default=1) == 1 or any(sequence.unread > 1 for sequence in sequences):
            return [None] * len(sequences)
        return self.backend.decode([sequence.cache for sequence in sequences],
                                   [sequence.visible[-1] for sequence in sequences],
                                   [sequence.sampler for sequence in sequences], self._eos_id, steps)

    def _forward(self, sequences: Sequence[TokenSequence]) -> list[NewTokens]:
        """Does one step of the sequences that are being generated, and reads a chunk of each prompt beside it."""
        if not sequences:
            return []
        chunks = [self._chunk(sequence, size) for sequence, size in
                  zip(sequences, self._chunk_sizes(sequences), strict=True)]
        found = self.backend.forward(chunks)
        for sequence, chunk in zip(sequences, chunks, strict=True):
            sequence.unread -= len(chunk.ids)
        failed = [self._fail(sequence, each) for sequence, each in zip(sequences, found, strict=True)
                  if isinstance(each, TinyLMError)]
        sound = [(sequence, each) for sequence, each in zip(sequences, found, strict=True)
                 if isinstance(each, np.ndarray)]
        return failed + (self._sample(*zip(*sound, strict=True)) if sound else [])

    def _chunk_sizes(self, sequences: Sequence[TokenSequence]) -> list[int]:
        """The number of ids that are read of each sequence: one where one is unread; prompts share the rest of the
        backend's block evenly, and what a short prompt leaves over goes to the longer ones."""
        left = max(self.backend.block - sum(sequence.unread == 1 for sequence in sequences), MIN_PROMPT_TOKENS)
        sizes = [1] * len(sequences)
        prompts = sorted((index for index, sequence in enumerate(sequences) if sequence.unread > 1),
                         key=lambda index: sequences[index].unread)
        for waiting, index in zip(range(len(prompts), 0, -1), prompts, strict=True):
            sizes[index] = min(sequences[index].unread, max(1, left // waiting))
            left -= sizes[index]
        return sizes

    def _chunk(self, sequence: TokenSequence, size: int) -> Chunk:
        start = len(sequence.visible) - sequence.unread
        return Chunk(sequence.cache, sequence.visible[start:start + size], size == sequence.unread)

    def _enqueue(self, sequence: TokenSequence, id: int) -> None:
        """Marks a new id as one to read: not before the next run, since a removed sequence needs no further position.
        """
        if sequence.extend(id):
            sequence.cache, sequence.unread = self.backend.new_cache(), len(sequence.visible)
        else:
            sequence.unread = 1

    def _sample(self, sequences: Sequence[TokenSequence], rows: Sequence[Logits]) -> list[NewTokens]:
        """Chooses the next id of each sequence from its logits."""
        logits = np.stack(rows)
        ids = self.backend.sample([sequence.cache for sequence in sequences], logits,
                                  [sequence.sampler for sequence in sequences], self._eos_id)
        return [self._fail(sequence, id) if isinstance(id, TinyLMError) else self._append(sequence, [id], row[None])
                for sequence, id, row in zip(sequences, ids, logits, strict=True)]

    def _fail(self, sequence: TokenSequence, error: TinyLMError) -> NewTokens:
        """Ends a sequence with an error."""
        sequence.stopped_by, sequence.error = "error", error
        return NewTokens(sequence, [], np.empty((0, self._vocab_size), np.float32))

    def _accept(self, sequence: TokenSequence, ids: list[int], logits: Logits) -> NewTokens:
        """Takes the ids of a run: all but the last are in the cache, and the last may be an error code (filters.py).
        The backend knows one id that ends a sequence: what it wrote after another is left out."""
        end = next((count for count, id in enumerate(ids, 1) if id in self._ends), len(ids))
        ids, logits = ids[:end], logits[:end]
        try:
            sequence.sampler.accept(*ids)
        except TinyLMError as error:
            sequence.stopped_by, sequence.error = "error", error
            sequence.new += ids[:-1]
            return NewTokens(sequence, ids[:-1], logits[:-1])
        sequence.ids += ids[:-1]
        sequence.visible += ids[:-1]  # no slide: a run is no longer than what fits the window
        return self._append(sequence, ids, logits)

    def _append(self, sequence: TokenSequence, ids: list[int], logits: Logits) -> NewTokens:
        """Appends new ids, and notes whether the sequence ends with them."""
        sequence.unread, sequence.logits = 0, logits[-1]
        sequence.new += ids
        if ids[-1] in self._ends:
            sequence.stopped_by = "eos"
        elif len(sequence.new) == sequence.max_new:
            sequence.stopped_by = "length"
        return NewTokens(sequence, ids, logits)
