"""Conversations to ids."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tinylm.chat.chat_format import ChatFormat, Segment, Special
from tinylm.chat.conversation import Conversation
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
    ids: list[int] = []
    is_answer: list[bool] = []
    for content, answers in joined(form.render(conversation)):
        new = [special_id(content, tokenizer)] if isinstance(content, Special) else tokenizer.encode_text(content)
        ids += new
        is_answer += [answers] * len(new)
    return ChatIds(ids, is_answer)


def special_id(special: Special, tokenizer: Tokenizer) -> int:
    """The id of a special token of a format. Raises: TinyLMError: the vocabulary lacks it."""
    return tokenizer.special_id(special.entry)


def joined(segments: Iterable[Segment]) -> list[Segment]:
    """The segments, with texts that follow each other as one: a tokenizer may join what meets there."""
    found: list[Segment] = []
    for segment in segments:
        last = found[-1] if found else None
        if (last and isinstance(last.content, str) and isinstance(segment.content, str)
                and last.is_answer == segment.is_answer):
            found[-1] = Segment(last.content + segment.content, segment.is_answer)
        else:
            found.append(segment)
    return found
