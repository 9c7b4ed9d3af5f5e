"""Ids -> text as it comes: never half a character, never part of a stop text."""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from tinylm.text.tokenizer import Tokenizer


class Detokenizer:
    """Takes ids one by one and gives the text that is certain by then. All of it joined is what `decode` says.

    Args:
        stop: the text ends before the first of these, wherever it falls between tokens; `stopped` then says so.
    """

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str] = ()) -> None:
        self.tokenizer, self.stop = tokenizer, [text for text in stop if text]
        self.stopped = False
        self._bytes = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""  # certain text that may be the beginning of a stop text
        self._begun = False

    def push(self, *ids: int) -> str:
        """The text that these ids make certain."""
        return self._release(self._bytes.decode(b"".join(map(self._bytes_of, ids))))

    def finish(self) -> str:
        """What was still held back."""
        text = self._release(self._bytes.decode(b"", final=True)) + ("" if self.stopped else self._held)
        self._held = ""
        return text

    def _bytes_of(self, id: int) -> bytes:
        data = self.tokenizer.token_bytes(id)
        if data and self.tokenizer.kind == "word":
            data = b" " + data if self._begun else data
            self._begun = True
        return data

    def _release(self, text: str) -> str:
        if self.stopped:
            return ""
        if not self.stop:
            return text
        self._held += text
        found = [place for place in map(self._held.find, self.stop) if place >= 0]
        if found:
            self.stopped = True
            return self._held[:min(found)]
        keep = max((_overlap(self._held, stop) for stop in self.stop), default=0)
        certain, self._held = self._held[:len(self._held) - keep], self._held[len(self._held) - keep:]
        return certain


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that is a beginning of `stop`."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
