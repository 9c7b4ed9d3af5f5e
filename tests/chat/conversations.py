"""Random conversations for tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinylm.chat.chat_format import ChatFormat, Special
from tinylm.chat.conversation import Conversation, Message

PIECES = ("hello", "the cat", " sat ", "it's", "\n", "\n\n", "  two", "1234", "é", "漢字", ",", "<think>", "</think>",
          "[INST]", "<b>", "ok.\n")


def random_conversations(count: int, pieces: Sequence[str] = PIECES, *, questions: bool = True,
                         seed: int = 0) -> list[Conversation]:
    """Conversations of one to five turns, half of them with a system text.

    Args:
        pieces: what their texts are made of.
        questions: True: each ends with a question; False: half of them.
    """
    random = np.random.default_rng(seed)

    def text() -> str:
        return "".join(random.choice(pieces, size=int(random.integers(1, 7))))

    found = []
    for number in range(count):
        n_turns = int(random.integers(0, 3)) * 2 + 1 if questions else int(random.integers(1, 6))
        turns = [Message("assistant" if turn % 2 else "user", text()) for turn in range(n_turns)]
        found.append([*([Message("system", text())] if number % 2 else []), *turns])
    return found


def as_text(form: ChatFormat, conversation: Conversation, bos: str, eos: str) -> str:
    """What a format writes, with the texts of its special tokens."""
    named = {"<bos>": bos, "<eos>": eos}
    return "".join(named.get(content.entry, content.entry) if isinstance(content, Special) else content
                   for content, _ in form.render(conversation))
