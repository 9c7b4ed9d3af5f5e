"""The context window: the ids of a text, and the part of them that its model sees."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from copy import copy

from tinylm.config.schema import SampleConfig
from tinylm.errors import TinyLMError


class ContextWindow:
    """The ids of a text, and those of them that its model sees.

    A text that outgrows the window slides: its first id (`<bos>`) and its later half stay visible. The ids between them
    are dropped, since a model has never been trained on more than `limit` positions.

    Args:
        ids: the prompt, at least one id.
        limit: the size of the window in ids (`context_length`).

    Attributes:
        ids: all ids of the text, the dropped ones too.
        visible: the ids inside the window, at most `limit`.
        n_dropped: the number of ids outside the window.
    """

    def __init__(self, ids: Sequence[int], limit: int) -> None:
        assert ids, "a prompt has at least <bos>"
        self.ids, self.limit, self.n_dropped = list(ids), limit, 0
        self.visible: list[int] = []
        self._show(self.ids)

    def extend(self, next_id: int) -> bool:
        """Adds an id. Returns True if the window has slid: a cache of it is then worthless, and is to be filled again.
        """
        self.ids.append(next_id)
        slides = len(self.visible) >= self.limit
        if slides:
            self._show([*self.visible, next_id])
        else:
            self.visible.append(next_id)
        return slides

    def copy(self) -> ContextWindow:
        """An independent window with the same ids, for a text that goes on in another way."""
        twin = copy(self)
        twin.ids, twin.visible = list(self.ids), list(self.visible)
        return twin

    def _show(self, ids: Sequence[int]) -> None:
        self.visible = list(ids)
        if len(ids) > self.limit:
            keep = max(1, self.limit // 2)
            self.visible = [ids[0], *ids[-(keep - 1):]] if keep > 1 else [ids[-1]]
            self.n_dropped += len(ids) - keep


def fresh_seed() -> int:
    """A seed from the operating system's random numbers, for a text that was given none."""
    return secrets.randbits(32)


def max_new_tokens(config: SampleConfig, ids: Sequence[int], limit: int) -> int:
    """The number of new ids that a prompt may get: `max_tokens`; with `overflow` "error", no more than fit the window.

    Raises:
        TinyLMError: the prompt itself does not fit, where `overflow` is "error".
    """
    if config.overflow == "slide":
        return config.max_tokens
    if len(ids) > limit:
        raise TinyLMError(f"the prompt has {len(ids):,} tokens, <bos> counted, and this model sees {limit:,} at once",
                          where="sample.overflow", remedy="Shorten it, or let its front be forgotten: overflow slide")
    return min(config.max_tokens, limit - len(ids) + 1)  # the last id is never read
