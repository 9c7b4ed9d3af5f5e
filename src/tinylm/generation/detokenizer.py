"""The detokenizer: ids -> text as it arrives, never half a character, never part of a stop text."""

from __future__ import annotations

import codecs
from collections.abc import Sequence

from tinylm.text.tokenizer import Tokenizer


class Detokenizer:
    """Takes ids one by one, and gives the text that is certain by then. All pieces joined are what `decode` gives.

    Args:
        stop: the text ends before the first of these texts, wherever they fall between tokens.

    Attributes:
        stopped: True once a stop text has come.
    """

    def __init__(self, tokenizer: Tokenizer, stop: Sequence[str] = ()) -> None:
        self.tokenizer, self.stop = tokenizer, [text for text in stop if text]
        self.stopped = False
        self._bytes = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""  # certain text that may be the beginning of a stop text
        self._begun = False
        self._drops_blank: bool | None = None  # None: no id has come

    def push(self, *ids: int) -> str:
        """The text that these ids make certain."""
        return self._release(self._bytes.decode(b"".join(map(self._bytes_of, ids))))

    def finish(self) -> str:
        """The text that was held back, after the last id."""
        text = self._release(self._bytes.decode(b"", final=True)) + ("" if self.stopped else self._held)
        self._held = ""
        return text

    def _bytes_of(self, id: int) -> bytes:
        data = self.tokenizer.token_bytes(id)
        if data and self.tokenizer.kind == "word":
            data = b" " + data if self._begun else data
            self._begun = True
        if self._drops_blank is None:
            self._drops_blank = self.tokenizer.adds_blank and id == self.tokenizer.bos_id
        if data and self._drops_blank:
            data, self._drops_blank = data.removeprefix(b" "), False
        return data

    def _release(self, text: str) -> str:
        if self.stopped:
            return ""
        if not self.stop:
            return text
        self._held += text
        found = [index for index in map(self._held.find, self.stop) if index >= 0]
        if found:
            self.stopped = True
            return self._held[:min(found)]
        keep = max((_overlap(self._held, stop) for stop in self.stop), default=0)
        certain, self._held = self._held[:len(self._held) - keep], self._held[len(self._held) - keep:]
        return certain


def _overlap(text: str, stop: str) -> int:
    """The length of the longest end of `text` that is a beginning of `stop`."""
    return next((n for n in range(min(len(text), len(stop) - 1), 0, -1) if text.endswith(stop[:n])), 0)
