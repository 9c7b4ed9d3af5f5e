"""Chat formats: how a conversation is written as ids, so that a model knows whose turn it is.

A format is data: what stands before and after the text of each role. Marks between turns are special tokens by their
id; what people say is encoded as text, and no text becomes a special token. So nothing that a person types can end a
turn or pose as another role.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tinylm.chat.conversation import Conversation, Message, Role
from tinylm.errors import TinyLMError, did_you_mean
from tinylm.text.special_tokens import BOS, EOS


class Special(NamedTuple):
    """A special token of a format: `<bos>` and `<eos>` by role, whatever the vocabulary calls them; others by their
    entry in the vocabulary, such as `<|im_start|>`."""

    entry: str


class Segment(NamedTuple):
    """A stretch of a rendered conversation.

    Attributes:
        content: a text, of which no part becomes a special token; or a special token.
        is_answer: the assistant says it: an answer, and the special token that ends it. Training counts these alone.
    """

    content: str | Special
    is_answer: bool = False


class Turn(NamedTuple):
    """The marks before and after the text of one role."""

    before: tuple[str | Special, ...] = ()
    after: tuple[str | Special, ...] = (Special(EOS),)


@dataclass(frozen=True)
class ChatFormat:
    """A way to write conversations as ids.

    Attributes:
        name: as config.json has it (`data.chat_format`).
        turns: what stands around the text of each role. Without "system", a system text stands before the first
            question, with a blank line between.
        jinja: the same rendering as a template, which exports carry for other programs. Nothing here runs it.
        begin: what stands before everything.
        default_system: the system text of a conversation that has none; empty: none.

    >>> [segment.content for segment in TURNS.render([Message("user", "how are you ?")])]
    [Special(entry='<bos>'), 'how are you ?', Special(entry='<eos>')]
    """

    name: str
    turns: dict[Role, Turn]
    jinja: str
    begin: tuple[str | Special, ...] = ()
    default_system: str = ""

    def render(self, conversation: Conversation) -> list[Segment]:
        """The segments of a conversation. If the user speaks last, they end where the assistant's answer begins."""
        return [*map(Segment, self.begin), *self._turns(self._with_system(conversation))]

    def _with_system(self, conversation: Conversation) -> Conversation:
        """The conversation with its default system text; or with its system text in the first question."""
        has_system = conversation[0].role == "system"
        if "system" in self.turns:
            is_missing = bool(self.default_system) and not has_system
            return [Message("system", self.default_system), *conversation] if is_missing else conversation
        if not has_system:
            return conversation
        system, question, *rest = conversation
        return [Message("user", f"{system.content}\n\n{question.content}"), *rest]

    def _turns(self, conversation: Conversation) -> Iterator[Segment]:
        for role, content in conversation:
            before, after = self.turns[role]
            yield from map(Segment, before)
            yield Segment(content, role == "assistant")
            for number, mark in enumerate(after):  # the first mark ends an answer: what follows is between the turns
                yield Segment(mark, role == "assistant" and number == 0)
        if conversation[-1].role == "user":
            yield from map(Segment, self.turns["assistant"].before)


TURNS = ChatFormat(
    "turns", {"user": Turn(), "assistant": Turn()}, begin=(Special(BOS),),
    jinja="{{ bos_token }}{% for message in messages %}{{ message['content'] }}"
          "{% if message['role'] == 'system' %}{{ '\\n\\n' }}{% else %}{{ eos_token }}{% endif %}{% endfor %}")
"""tinylm's own: turns parted by `<eos>`, roles by parity, as DialoGPT has them (Zhang et al. 2020, arXiv:1911.00536).
Any vocabulary has what it needs."""


FORMATS: dict[str, ChatFormat] = {each.name: each for each in (TURNS,)}
"""All formats that this version of tinylm can write, by name."""


def chat_format(name: str) -> ChatFormat:
    """The format of a name. Raises: TinyLMError: a name that this version does not know."""
    if name not in FORMATS:
        raise TinyLMError(f"there is no chat format {name!r}", where="data.chat_format",
                          remedy=did_you_mean(name, FORMATS))
    return FORMATS[name]
