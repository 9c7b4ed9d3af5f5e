"""Chat formats as pages hold them: marks as texts and ids, for text/conversation.js."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinylm.chat.chat_format import ChatFormat, Special
from tinylm.chat.encode import special_id
from tinylm.chat.prompt import ANSWER_SHARE
from tinylm.text.tokenizer import Tokenizer


def chat_data(form: ChatFormat, tokenizer: Tokenizer) -> dict[str, Any]:
    """A format as JSON values, with the ids of its special tokens.

    Raises:
        TinyLMError: the vocabulary lacks one of them.

    >>> from tinylm.chat.chat_format import TURNS
    >>> chat_data(TURNS, Tokenizer.train("char", ["abc"]))["turns"]["user"]
    [[], [2]]
    """
    def marks(found: Sequence[str | Special]) -> list[str | int]:
        return [mark if isinstance(mark, str) else special_id(mark, tokenizer) for mark in found]

    return {"turns": {role: [marks(turn.before), marks(turn.after)] for role, turn in form.turns.items()},
            "begin": marks(form.begin), "asks": marks(form.asks), "default_system": form.default_system,
            "around_system": list(form.around_system), "trims": form.trims, "forgets_until": form.forgets_until,
            "answer_share": ANSWER_SHARE}
