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
from typing import Any, Literal

import numpy as np

from tinylm.config import SampleConfig
from tinylm.errors import TinyLMError
from tinylm.generation.logits import Logits
from tinylm.generation.readers import Piece, Reader
from tinylm.generation.sampler import Sampler
from tinylm.generation.window import View, most_tokens

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
        texts = list(self.running)
        for text in texts:
            if not text.unread:
                self._take_in(text, text.new[-1])
        pieces = [self._piece(text, most) for text, most in zip(texts, self._shares(texts), strict=True)]
        heard = []
        for text, piece, found in zip(texts, pieces, self.reader.read(pieces) if pieces else [], strict=True):
            text.unread -= len(piece.ids)
            if found is not None:
                self._choose(text, found)
                heard.append(text)
        self.running = [text for text in self.running if text.stopped_by is None]
        return heard

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

    def _choose(self, text: Text, found: Logits | TinyLMError) -> None:
        """The next id of a text, and whether it ends with it."""
        try:
            if isinstance(found, TinyLMError):
                raise found
            text.logits = found
            id = text.sampler.next(found)
        except TinyLMError as error:
            text.stopped_by, text.error = "error", error
            return
        text.new.append(id)
        if id == self._eos_id:
            text.stopped_by = "eos"
        elif len(text.new) == text.most:
            text.stopped_by = "length"
