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
from tinylm.engine.engine import Run
from tinylm.errors import TinyLMError
from tinylm.generation.backend import Piece, Reader
from tinylm.generation.context import View, most_tokens
from tinylm.sampling.filters import Logits
from tinylm.sampling.sampler import Sampler

LEAST = 16
"""Positions of prompts in a step, however many texts are being written."""


class Text(View):
    """One text of a batch.

    Attributes:
        ids: prompt and new ids, as far as they have been read.
        new: the ids written so far; `<eos>` is the last if that ended it.
        logits: (V,), what the last of them was chosen from, before any filter; until the next step only.
        stopped_by: what ended it: `<eos>`, `max_tokens`, or an error of this text alone; None while it goes on.
        error: that error.
        unread: how many ids in view have yet to be read.
    """

    def __init__(self, ids: Sequence[int], limit: int, past: Any, sampler: Sampler, most: int) -> None:
        super().__init__(ids, limit)
        self.past, self.sampler, self.most = past, sampler, most
        self.new: list[int] = []
        self.logits: Logits | None = None
        self.stopped_by: Literal["eos", "length", "error"] | None = None
        self.error: TinyLMError | None = None
        self.unread = len(self.view)


class Written(NamedTuple):
    """New ids of a text, and the logits (ids, V) that they were chosen from, before any filter."""

    text: Text
    ids: list[int]
    logits: Logits


class Batch:
    """
    Args:
        reader: of the model.
        vocab_size: ids are below it.
        eos_id: ends a text.

    Attributes:
        running: the texts that go on.
    """

    def __init__(self, reader: Reader, vocab_size: int, eos_id: int) -> None:
        self.reader, self._vocab_size, self._eos_id = reader, vocab_size, eos_id
        self.running: list[Text] = []

    def add(self, ids: Sequence[int], config: SampleConfig, *, seed: int, bias: Logits | None = None,
            forced: Sequence[int] = ()) -> Text:
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
        most = most_tokens(config, ids, self.reader.limit)
        bias = np.zeros(self._vocab_size, np.float32) if bias is None else bias
        sampler = Sampler(config, ids, bias, seed, forced)
        text = Text(ids, self.reader.limit, self.reader.begin(), sampler, most)
        if text.most:
            self.running.append(text)
        else:
            text.stopped_by = "length"
        return text

    def remove(self, text: Text) -> None:
        """Ends a text before its time; one that has ended already is no matter."""
        self.running = [other for other in self.running if other is not text]

    def step(self) -> list[Text]:
        """One call of the model. Returns the texts with a new id, or with an error; none where prompts are long."""
        return [text for text, *_ in self.run(1)]

    def run(self, most: int) -> list[Written]:
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

    def _write(self, texts: Sequence[Text], most: int) -> Sequence[Run | None]:
        """What each goes on with, up to where it ends or slides; None for those that are to be read instead."""
        left = [min(text.sampler.ahead(most), text.most - len(text.new), self.reader.limit - len(text.view) + 1)
                for text in texts]
        if max(left, default=1) == 1 or any(text.unread > 1 for text in texts):
            return [None] * len(texts)
        return self.reader.write([text.past for text in texts], [text.view[-1] for text in texts],
                                 [text.sampler for text in texts], self._eos_id, left)

    def _read(self, texts: Sequence[Text]) -> list[Written]:
        """One step, and beside it some of the prompts."""
        pieces = [self._piece(text, most) for text, most in zip(texts, self._shares(texts), strict=True)]
        written = []
        for text, piece, found in zip(texts, pieces, self.reader.read(pieces) if pieces else [], strict=True):
            text.unread -= len(piece.ids)
            if found is not None:
                written.append(self._choose(text, found))
        return written

    def _shares(self, texts: Sequence[Text]) -> list[int]:
        """How many ids of each are read: those that are being written have one, and the prompts share what is left of
        the block evenly; what a short one leaves is for the longer."""
        left = max(self.reader.block - sum(text.unread == 1 for text in texts), LEAST)
        shares = [1] * len(texts)
        prompts = sorted((place for place, text in enumerate(texts) if text.unread > 1),
                         key=lambda place: texts[place].unread)
        for waiting, place in zip(range(len(prompts), 0, -1), prompts, strict=True):
            shares[place] = min(texts[place].unread, max(1, left // waiting))
            left -= shares[place]
        return shares

    def _piece(self, text: Text, most: int) -> Piece:
        start = len(text.view) - text.unread
        return Piece(text.past, text.view[start:start + most], most == text.unread)

    def _take_in(self, text: Text, id: int) -> None:
        """Makes an id that was chosen one to read: only now, since a text that is removed needs no more room."""
        if text.extend(id):
            text.past, text.unread = self.reader.begin(), len(text.view)
        else:
            text.unread = 1

    def _choose(self, text: Text, found: Logits | TinyLMError) -> Written:
        """The next id of a text."""
        try:
            if isinstance(found, TinyLMError):
                raise found
            return self._add(text, [text.sampler.next(found)], found[None])
        except TinyLMError as error:
            text.stopped_by, text.error = "error", error
            return Written(text, [], np.empty((0, self._vocab_size), np.float32))

    def _hear(self, text: Text, ids: list[int], logits: Logits) -> Written:
        """The ids of a run; all but the last have been read, and the last may be no id but say what is wrong."""
        try:
            text.sampler.took(*ids)
        except TinyLMError as error:
            text.stopped_by, text.error = "error", error
            text.new += ids[:-1]
            return Written(text, ids[:-1], logits[:-1])
        text.ids += ids[:-1]
        text.view += ids[:-1]  # it does not slide: a run is no longer than that
        return self._add(text, ids, logits)

    def _add(self, text: Text, ids: list[int], logits: Logits) -> Written:
        """New ids, and whether the text ends with them."""
        text.unread, text.logits = 0, logits[-1]
        text.new += ids
        if ids[-1] == self._eos_id:
            text.stopped_by = "eos"
        elif len(text.new) == text.most:
            text.stopped_by = "length"
        return Written(text, ids, logits)
