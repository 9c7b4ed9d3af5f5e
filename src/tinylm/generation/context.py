"""A text in progress and the part of it that a model sees, whichever way the model is computed."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from copy import copy
from typing import TYPE_CHECKING

import numpy as np

from tinylm.config.schema import SampleConfig
from tinylm.errors import TinyLMError

if TYPE_CHECKING:
    from tinylm.sampling.filters import Logits
    from tinylm.sampling.sampler import Sampler


class ContextWindow:
    """The ids of a text, and those of them that its model sees.

    One that outgrows the context slides: its first id (`<bos>`) and its later half stay in view, the rest is
    forgotten, as it must be for a model that has never seen more.

    Args:
        ids: the prompt, at least one id.
        limit: the most ids in view.

    Attributes:
        visible: the ids in view.
        n_dropped: how many ids are no longer in view.
    """

    def __init__(self, ids: Sequence[int], limit: int) -> None:
        assert ids, "a prompt has at least <bos>"
        self.ids, self.limit, self.n_dropped = list(ids), limit, 0
        self.visible: list[int] = []
        self._show(self.ids)

    def extend(self, next_id: int) -> bool:
        """Adds an id. Returns whether the view has slid: it then has to be read from its first id on."""
        self.ids.append(next_id)
        slides = len(self.visible) >= self.limit
        if slides:
            self._show([*self.visible, next_id])
        else:
            self.visible.append(next_id)
        return slides

    def copy(self) -> ContextWindow:
        """The same text once more, to go on in another way."""
        twin = copy(self)
        twin.ids, twin.visible = list(self.ids), list(self.visible)
        return twin

    def _show(self, ids: Sequence[int]) -> None:
        self.visible = list(ids)
        if len(ids) > self.limit:
            keep = max(1, self.limit // 2)
            self.visible = [ids[0], *ids[-(keep - 1):]] if keep > 1 else [ids[-1]]
            self.n_dropped += len(ids) - keep


class Decoder(ContextWindow, ABC):
    """A text that is written alone, and what a model expects next.

    Attributes:
        logits: (V,), what follows `ids`.
    """

    logits: Logits

    def __init__(self, ids: Sequence[int], limit: int) -> None:
        super().__init__(ids, limit)
        self.logits = self.read(self.visible)

    def append(self, next_id: int) -> None:
        """Adds an id; `logits` is then what follows it."""
        self.logits = self.read(self.visible) if self.extend(next_id) else self.read_more(next_id)

    def write(self, sampler: Sampler, most: int, eos_id: int) -> Iterator[int]:
        """New ids, one by one, until `eos_id` or so many. `logits` is then what the id was chosen from."""
        for remaining in range(most, 0, -1):
            next_id = sampler.next(self.logits)
            yield next_id
            if next_id == eos_id:
                return
            if remaining > 1:
                self.append(next_id)

    @abstractmethod
    def read(self, ids: list[int]) -> Logits:
        """The logits (V,) after these ids, read from the first on."""

    @abstractmethod
    def read_more(self, next_id: int) -> Logits:
        """The logits (V,) after one id more."""


def fresh_seed() -> int:
    return secrets.randbits(32)


def max_new_tokens(config: SampleConfig, ids: Sequence[int], limit: int) -> int:
    """How many new ids a prompt may get: `max_tokens`, and no more than fit where nothing may be forgotten.

    Raises:
        TinyLMError: the prompt is too long for that.
    """
    if config.overflow == "slide":
        return config.max_tokens
    if len(ids) > limit:
        raise TinyLMError(f"the prompt has {len(ids):,} tokens, <bos> counted, and this model sees {limit:,} at once",
                          where="sample.overflow", remedy="Shorten it, or let its front be forgotten: overflow slide")
    return min(config.max_tokens, limit - len(ids) + 1)  # the last id is never read


def generate_ids(window: Decoder, config: SampleConfig, *, eos_id: int, seed: int, bias: Logits | None = None,
                 forced: Sequence[int] = ()) -> Iterator[int]:
    """New ids, one by one, until `<eos>` (which is the last one yielded) or `max_tokens`.

    Args:
        bias: (V,), what is added to all logits (`bias_of`); none: nothing.
        forced: the first ids (`forced_ids`).

    Raises:
        TinyLMError: a prompt longer than the context, where `overflow` is "error".
    """
    from tinylm.sampling.sampler import Sampler  # with the compiler, which the reading of a model does not need

    bias = np.zeros_like(window.logits) if bias is None else bias
    sampler = Sampler(config, window.ids, bias, seed, forced, eos_id=eos_id)
    yield from window.write(sampler, max_new_tokens(config, window.ids, window.limit), eos_id)
