"""Descriptions of chat files for people: how much there is, and the first conversation as a model will read it."""

from __future__ import annotations

from collections.abc import Iterable

from tinylm.chat.chat_format import TURNS, ChatFormat, Special
from tinylm.chat.conversation import Conversation
from tinylm.chat.files.chat_file import ChatFile
from tinylm.system.untrusted import quoted

MAX_SHOWN = 600
"""Characters of a conversation that are shown, at most."""


def describe(file: ChatFile, form: ChatFormat = TURNS) -> list[str]:
    """Lines that tell a person what a file holds: counts, and the first conversation as it will be trained on.

    >>> from tinylm.chat.conversation import Message
    >>> pair = [Message("user", "how are you ?"), Message("assistant", "fine")]
    >>> describe(ChatFile([pair], [1], "pairs"))
    ['1 conversation with 1 answer', '<bos>how are you ?<eos>[fine<eos>]']
    """
    return [counted(file.conversations), shown(file.conversations[0], form)]


def counted(conversations: Iterable[Conversation]) -> str:
    """The numbers of conversations and of answers in them."""
    several = list(conversations)
    answers = sum(message.role == "assistant" for each in several for message in each)
    return (f"{len(several):,} conversation{'s' * (len(several) != 1)} with {answers:,} answer{'s' * (answers != 1)}")


def shown(conversation: Conversation, form: ChatFormat = TURNS) -> str:
    """A conversation in one line as a model reads it, with special tokens by name. What stands in brackets, the answers
    and the tokens that end them, is learned; the rest is only read."""
    written, inside = "", False
    for content, is_answer in form.render(conversation):
        written += "[" * (is_answer and not inside) + "]" * (inside and not is_answer)
        written += content.entry if isinstance(content, Special) else _in_one_line(content)
        inside = is_answer
    whole = written + "]" * inside
    return whole if len(whole) <= MAX_SHOWN else f"{whole[:MAX_SHOWN]}…"


def _in_one_line(text: str) -> str:
    return "".join(character if character.isprintable() else "↵" if character == "\n" else quoted(character)
                   for character in text)
