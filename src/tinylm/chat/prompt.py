"""Prompts of conversations: the ids after which a model answers, no more of them than it sees at once."""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from tinylm.chat.chat_format import ChatFormat
from tinylm.chat.conversation import Conversation
from tinylm.chat.encode import encode_conversation
from tinylm.errors import TinyLMError
from tinylm.text.tokenizer import Tokenizer

ANSWER_SHARE = 4
"""An answer has at least 1 / `ANSWER_SHARE` of the context, or `max_tokens` where that is less, as long as there are
older questions to leave out for it."""


class ChatPrompt(NamedTuple):
    """The prompt of a conversation.

    Attributes:
        ids: those of the conversation, up to where the answer begins.
        n_dropped: questions with their answers that were left out at the front, since the context does not hold them.
    """

    ids: list[int]
    n_dropped: int = 0


def chat_prompt(conversation: Conversation, form: ChatFormat, tokenizer: Tokenizer, *, context_length: int,
                max_tokens: int) -> ChatPrompt:
    """The prompt of a conversation, with room for its answer: of a longer one, the oldest questions are left out, each
    with its answer. The system text stays. A last question that leaves less room is kept, since a long question may
    have a short answer; it leaves one token at least.

    Args:
        conversation: ends with a question of the user.
        context_length: the tokens that the model sees at once.
        max_tokens: the longest answer that is wanted. Room is kept for as many tokens, or for a quarter of the context.

    Raises:
        TinyLMError: the user does not speak last; the last question with the system text is too long by itself; or as
            `encode_conversation`.

    >>> from tinylm.chat.chat_format import TURNS
    >>> from tinylm.chat.conversation import read_messages
    >>> tokenizer = Tokenizer.train("word", ["how are you ?", "fine"])
    >>> said = [("user", "how are you ?"), ("assistant", "fine"), ("user", "how ?")]
    >>> conversation = read_messages([{"role": role, "content": content} for role, content in said])
    >>> chat_prompt(conversation, TURNS, tokenizer, context_length=64, max_tokens=20)
    ChatPrompt(ids=[1, 4, 5, 6, 7, 2, 8, 2, 4, 7, 2], n_dropped=0)
    >>> chat_prompt(conversation, TURNS, tokenizer, context_length=12, max_tokens=20)
    ChatPrompt(ids=[1, 4, 7, 2], n_dropped=1)
    """
    last = len(conversation) - 1
    if conversation[last].role != "user":
        raise TinyLMError("the last message is the assistant's, and there is nothing to answer",
                          where=f"messages[{last}]", remedy="End with a message of the user")
    most = context_length + 1 - max(1, min(max_tokens, context_length // ANSWER_SHARE))  # the last new id is not read
    front = conversation[:1] if conversation[0].role == "system" else []

    def ids(n_dropped: int) -> list[int]:
        kept = [*front, *conversation[len(front) + 2 * n_dropped:]]
        return encode_conversation(kept, form, tokenizer).ids

    found, n_dropped = ids(0), 0
    if len(found) > most:
        n_dropped = bisect_left(range((last - len(front)) // 2), True, key=lambda n: len(ids(n)) <= most)
        found = ids(n_dropped)
    if len(found) > context_length:
        with_system = ", with the system text," if front else ""
        raise TinyLMError(f"the last question{with_system} has {len(found):,} tokens, and this model sees "
                          f"{context_length:,} at once", where=f"messages[{last}]", remedy="Shorten it")
    return ChatPrompt(found, n_dropped)
