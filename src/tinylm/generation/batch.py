"""Texts that are written together. Each joins and leaves between two tokens, and reads as it would alone.

    batch = lm.batch()
    one = batch.add(lm.tokenizer.encode_prompt("how are"), SampleConfig(seed=1), seed=1)
    while batch.running:
        for text in batch.step():
            print(text.new, text.stopped_by)

A step computes one new position of each text that is being written, and beside them some of the prompts that have yet
to be read: a long one does not keep the others waiting. No threads, no clocks, no text: ids in, ids out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from tinylm.config.schema import SampleConfig
from tinylm.engine.engine import GeneratedIds
from tinylm.errors import TinyLMError
from tinylm.generation.backend import Backend, Chunk
from tinylm.generation.context import ContextWindow, max_new_tokens
from tinylm.sampling.filters import Logits
from tinylm.sampling.sampler import Sampler

MIN_PROMPT_TOKENS = 16
"""Positions of prompts in a step, however many texts are being written."""


class TokenSequence(ContextWindow):
    """One text of a batch.

    Attributes:
        ids: prompt and new ids, as far as they have been read.
        new: the ids written so far; `<eos>` is the last if that ended it.
        logits: (V,), what the last of them was chosen from, before any filter; until the next step only.
        stopped_by: what ended it: `<eos>`, `max_tokens`, or an error of this text alone; None while it goes on.
        error: that error.
        unread: how many ids in view have yet to be read.
    """

    def __init__(self, ids: Sequence[int], limit: int, cache: Any, sampler: Sampler, most: int) -> None:
        super().__init__(ids, limit)
        self.cache, self.sampler, self.most = cache, sampler, most
        self.new: list[int] = []
        self.logits: Logits | None = None
        self.stopped_by: Literal["eos", "length", "error"] | None = None
        self.error: TinyLMError | None = None
        self.unread = len(self.visible)


class NewTokens(NamedTuple):
    """New ids of a text, and the logits (ids, V) that they were chosen from, before any filter."""

    sequence: TokenSequence
    ids: list[int]
    logits: Logits


class Batch:
    """
    Args:
        backend: of the model.
        vocab_size: ids are below it.
        eos_id: ends a text.

    Attributes:
        running: the texts that go on.
    """

    def __init__(self, backend: Backend, vocab_size: int, eos_id: int) -> None:
        self.backend, self._vocab_size, self._eos_id = backend, vocab_size, eos_id
        self.running: list[TokenSequence] = []

    def add(self, ids: Sequence[int], config: SampleConfig, *, seed: int, bias: Logits | None = None,
            forced: Sequence[int] = ()) -> TokenSequence:
        """A text more, from the next step on.

        Args:
            ids: the prompt, at least one id.
            config: how ids are chosen, and how many at most; stop texts are for whoever turns ids into text.
            seed: of this text: it repeats it in any company.
            bias: (V,), what is added to all logits (`bias_of`); none: nothing.
            forced: the first ids (`forced_ids`).

        Raises:
            TinyLMError: a prompt longer than the context, where `overflow` is "error".
        """
        most = max_new_tokens(config, ids, self.backend.limit)
        bias = np.zeros(self._vocab_size, np.float32) if bias is None else bias
        sampler = Sampler(config, ids, bias, seed, forced, eos_id=self._eos_id)
        text = TokenSequence(ids, self.backend.limit, self.backend.new_cache(), sampler, most)
        if text.most:
            self.running.append(text)
        else:
            text.stopped_by = "length"
        return text

    def remove(self, text: TokenSequence) -> None:
        """Ends a text before its time; one that has ended already is no matter."""
        self.running = [other for other in self.running if other is not text]

    def step(self) -> list[TokenSequence]:
        """One call of the model. Returns the texts with a new id, or with an error; none where prompts are long."""
        return [text for text, *_ in self.run(1)]

    def run(self, most: int) -> list[NewTokens]:
        """As so many steps, in one call; fewer for a text that ends or slides, and for those that are computed with it.
        Where a prompt is to be read, it is a single step."""
        texts = list(self.running)
        for text in texts:
            if not text.unread:
                self._take_in(text, text.new[-1])
        found = self._write(texts, most)
        unread = [text for text, run in zip(texts, found, strict=True) if run is None]
        written = [self._hear(text, *run) for text, run in zip(texts, found, strict=True) if run] + self._read(unread)
        self.running = [text for text in self.running if text.stopped_by is None]
        return written

    def _write(self, texts: Sequence[TokenSequence], most: int) -> Sequence[GeneratedIds | None]:
        """What each goes on with, up to where it ends or slides; None for those that are to be read instead."""
        left = [min(text.sampler.same_bias_steps(most), text.most - len(text.new),
                    self.backend.limit - len(text.visible) + 1) for text in texts]
        if max(left, default=1) == 1 or any(text.unread > 1 for text in texts):
            return [None] * len(texts)
        return self.backend.decode([text.cache for text in texts], [text.visible[-1] for text in texts],
                                 [text.sampler for text in texts], self._eos_id, left)

    def _read(self, texts: Sequence[TokenSequence]) -> list[NewTokens]:
        """One step, and beside it some of the prompts."""
        chunks = [self._chunk(text, most) for text, most in zip(texts, self._shares(texts), strict=True)]
        written = []
        for text, chunk, found in zip(texts, chunks, self.backend.forward(chunks) if chunks else [], strict=True):
            text.unread -= len(chunk.ids)
            if found is not None:
                written.append(self._choose(text, found))
        return written

    def _shares(self, texts: Sequence[TokenSequence]) -> list[int]:
        """How many ids of each are read: those that are being written have one, and the prompts share what is left of
        the block evenly; what a short one leaves is for the longer."""
        left = max(self.backend.block - sum(text.unread == 1 for text in texts), MIN_PROMPT_TOKENS)
        shares = [1] * len(texts)
        prompts = sorted((place for place, text in enumerate(texts) if text.unread > 1),
                         key=lambda place: texts[place].unread)
        for waiting, place in zip(range(len(prompts), 0, -1), prompts, strict=True):
            shares[place] = min(texts[place].unread, max(1, left // waiting))
            left -= shares[place]
        return shares

    def _chunk(self, text: TokenSequence, most: int) -> Chunk:
        start = len(text.visible) - text.unread
        return Chunk(text.cache, text.visible[start:start + most], most == text.unread)

    def _take_in(self, text: TokenSequence, id: int) -> None:
        """Makes an id that was chosen one to read: only now, since a text that is removed needs no more room."""
        if text.extend(id):
            text.cache, text.unread = self.backend.new_cache(), len(text.visible)
        else:
            text.unread = 1

    def _choose(self, text: TokenSequence, found: Logits | TinyLMError) -> NewTokens:
        """The next id of a text."""
        try:
            if isinstance(found, TinyLMError):
                raise found
            return self._add(text, [text.sampler.next(found)], found[None])
        except TinyLMError as error:
            text.stopped_by, text.error = "error", error
            return NewTokens(text, [], np.empty((0, self._vocab_size), np.float32))

    def _hear(self, text: TokenSequence, ids: list[int], logits: Logits) -> NewTokens:
        """The ids of a run; all but the last have been read, and the last may be no id but say what is wrong."""
        try:
            text.sampler.accept(*ids)
        except TinyLMError as error:
            text.stopped_by, text.error = "error", error
            text.new += ids[:-1]
            return NewTokens(text, ids[:-1], logits[:-1])
        text.ids += ids[:-1]
        text.visible += ids[:-1]  # it does not slide: a run is no longer than that
        return self._add(text, ids, logits)

    def _add(self, text: TokenSequence, ids: list[int], logits: Logits) -> NewTokens:
        """New ids, and whether the text ends with them."""
        text.unread, text.logits = 0, logits[-1]
        text.new += ids
        if ids[-1] == self._eos_id:
            text.stopped_by = "eos"
        elif len(text.new) == text.most:
            text.stopped_by = "length"
        return NewTokens(text, ids, logits)
