"""What a batch asks of a model: to read some ids of some texts, each after what was read of it before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from tinylm.engine.engine import BLOCK, Engine, Run
from tinylm.engine.kv_cache import Stream
from tinylm.errors import TinyLMError
from tinylm.sampling.filters import Logits
from tinylm.sampling.sampler import Sampler


class Piece(NamedTuple):
    """Ids to read after what `past` holds, and whether it is asked what follows them."""

    past: Any
    ids: list[int]
    asks: bool


class Reader(Protocol):
    """A model that reads several texts side by side. What it says of one does not depend on the others.

    Attributes:
        limit: the most positions of a text.
        block: the most positions that one call should have.
    """

    limit: int
    block: int

    def begin(self) -> Any:
        """The past of a text of which nothing has been read."""

    def copy(self, past: Any) -> Any:
        """The same past once more, to go on from in another way."""

    def read(self, pieces: Sequence[Piece]) -> list[Logits | TinyLMError | None]:
        """Reads the pieces; those of one past in their order, and all of these or none ask. For each that asks there is
        what follows it, (V,), which the next call may overwrite; or what is wrong with it: a number that is not
        finite."""

    def write(self, pasts: Sequence[Any], ids: Sequence[int], samplers: Sequence[Sampler], eos_id: int,
              steps: Sequence[int]) -> Sequence[Run | None]:
        """Reads an id of each text, chooses the next, reads that, and so on, at most so many of each (`Engine.
        write_together`). None for a text with which nothing was done: it is to be read."""


class EngineReader:
    """By the compiled engine: all pieces in one call."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.limit, self.block = engine, engine.config.context_length, BLOCK

    def begin(self) -> Stream:
        return Stream(self.engine.config)

    def copy(self, past: Stream) -> Stream:
        return past.copy()

    def read(self, pieces: Sequence[Piece]) -> list[Logits | TinyLMError | None]:
        lengths = [piece.past.length for piece in pieces]
        try:
            return self._read(pieces)
        except TinyLMError as error:  # the engine does not say whose number it was, so each is asked alone
            if len(pieces) == 1:
                return [error]
        for piece, length in zip(pieces, lengths, strict=True):
            piece.past.length = length
        alone: list[Logits | TinyLMError | None] = []
        for piece in pieces:
            found, = self.read([piece])
            alone.append(found if found is None or isinstance(found, TinyLMError) else found.copy())
        return alone

    def write(self, pasts: Sequence[Stream], ids: Sequence[int], samplers: Sequence[Sampler], eos_id: int,
              steps: Sequence[int]) -> Sequence[Run | None]:
        return self.engine.write_together(pasts, ids, samplers, eos_id, steps)

    def _read(self, pieces: Sequence[Piece]) -> list[Logits | TinyLMError | None]:
        """The engine gives what follows the last rows of a call: there stand the last ids of those that ask."""
        early = [(past, id) for past, ids, asks in pieces for id in (ids[:-1] if asks else ids)]
        last = [(past, ids[-1]) for past, ids, asks in pieces if asks]
        streams, ids = zip(*early, *last, strict=True)
        logits = iter(self.engine.read(streams, ids, len(last)))
        return [next(logits) if piece.asks else None for piece in pieces]
