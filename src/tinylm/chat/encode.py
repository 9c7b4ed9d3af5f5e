"""Conversations to ids."""

from __future__ import annotations

from typing import NamedTuple

from tinylm.chat.chat_format import ChatFormat, Special
from tinylm.chat.conversation import Conversation
from tinylm.text.special_tokens import special_token_id
from tinylm.text.tokenizer import Tokenizer


class ChatIds(NamedTuple):
    """The ids of a conversation.

    Attributes:
        ids: all of them, from `<bos>` on.
        is_answer: for each id, whether the assistant says it: an id of an answer, or the one that ends the answer.
    """

    ids: list[int]
    is_answer: list[bool]


def encode_conversation(conversation: Conversation, form: ChatFormat, tokenizer: Tokenizer) -> ChatIds:
    """The ids of a conversation in a format. If the user speaks last, the model's answer follows them.

    Raises:
        TinyLMError: words or characters that the vocabulary does not hold, or a special token of the format that it
            lacks.

    >>> from tinylm.chat.chat_format import TURNS
    >>> from tinylm.chat.conversation import Message
    >>> tokenizer = Tokenizer.train("word", ["how are you ?", "fine"])
    >>> encode_conversation([Message("user", "how are you ?"), Message("assistant", "fine")], TURNS, tokenizer)
    ChatIds(ids=[1, 4, 5, 6, 7, 2, 8, 2], is_answer=[False, False, False, False, False, False, True, True])
    """
    segments = form.render(conversation)
    parts = [special_id(content, tokenizer) if isinstance(content, Special) else content for content, _ in segments]
    ids, numbers = tokenizer.encode_parts(parts)
    return ChatIds(ids, [segments[number].is_answer for number in numbers])


def special_id(special: Special, tokenizer: Tokenizer) -> int:
    """The id of a special token of a format. Raises: TinyLMError: the vocabulary lacks it."""
    return special_token_id(special.entry, tokenizer)
