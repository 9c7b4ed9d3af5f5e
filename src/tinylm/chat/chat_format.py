"""Chat formats: how a conversation is written as ids, so that a model knows whose turn it is.

A format is data: what stands before and after the text of each role. Marks between turns are special tokens by their
id; what people say is encoded as text, and no text becomes a special token. So nothing that a person types can end a
turn or pose as another role.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from tinylm.chat.conversation import ROLES, Conversation, Message, Role
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
    """The marks before and after the text of one role. Of an answer, the first special token after it ends it."""

    before: tuple[str | Special, ...] = ()
    after: tuple[str | Special, ...] = (Special(EOS),)


@dataclass(frozen=True)
class ChatFormat:
    """A way to write conversations as ids.

    Attributes:
        name: as config.json has it (`data.chat_format`).
        turns: what stands around the text of each role.
        begin: what stands before everything.
        prompt: what stands after the last question, for the model to answer; None: what stands before an answer.
        default_system: the system text of a conversation that has none; empty: none.
        around_system: in a format whose `turns` have no "system": what stands around a system text, which goes before
            the first question.
        trims: True: white space at both ends of what is said is left out.
        forgets_until: of an answer, only what stands after the last such text is written, such as `</think>`, without
            line ends before it; empty: all.

    >>> [segment.content for segment in TURNS.render([Message("user", "how are you ?")])]
    [Special(entry='<bos>'), 'how are you ?', Special(entry='<eos>')]
    """

    name: str
    turns: dict[Role, Turn]
    begin: tuple[str | Special, ...] = ()
    prompt: tuple[str | Special, ...] | None = None
    default_system: str = ""
    around_system: tuple[str, str] = ("", "\n\n")
    trims: bool = False
    forgets_until: str = ""

    @property
    def asks(self) -> tuple[str | Special, ...]:
        """The marks after the last question, for the model to answer."""
        return self.turns["assistant"].before if self.prompt is None else self.prompt

    @property
    def end(self) -> Special:
        """The special token that ends an answer."""
        return next(mark for mark in self.turns["assistant"].after if isinstance(mark, Special))

    @property
    def specials(self) -> set[Special]:
        """The special tokens of the format."""
        marks = [*self.begin, *self.asks, *(mark for turn in self.turns.values() for part in turn for mark in part)]
        return {mark for mark in marks if isinstance(mark, Special)}

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
        before, after = self.around_system
        return [Message("user", before + system.content + after + question.content), *rest]

    def _turns(self, conversation: Conversation) -> Iterator[Segment]:
        for role, content in conversation:
            before, after = self.turns[role]
            yield from map(Segment, before)
            yield Segment(self._written(role, content), role == "assistant")
            n_of_answer = after.index(self.end) + 1 if role == "assistant" else 0
            for number, mark in enumerate(after):  # what follows the end of an answer is between the turns
                yield Segment(mark, number < n_of_answer)
        if conversation[-1].role == "user":
            yield from map(Segment, self.asks)

    def _written(self, role: Role, content: str) -> str:
        """The text of a message, as far as the format writes it."""
        if role == "assistant" and self.forgets_until and self.forgets_until in content:
            content = content.rpartition(self.forgets_until)[2].lstrip("\n")
        return content.strip() if self.trims else content


TURNS = ChatFormat("turns", {"user": Turn(), "assistant": Turn()}, begin=(Special(BOS),))
"""tinylm's own: turns parted by `<eos>`, roles by parity, as DialoGPT has them (Zhang et al. 2020, arXiv:1911.00536).
Any vocabulary has what it needs."""


# ---- formats of models from elsewhere


def _turns(before: Callable[[Role], tuple[str | Special, ...]], *after: str | Special) -> dict[Role, Turn]:
    """A turn for each role, with the same after it."""
    return {role: Turn(before(role), after) for role in ROLES}


def _chatml(name: str, default_system: str = "", forgets_until: str = "") -> ChatFormat:
    """OpenAI's ChatML: each message between `<|im_start|>` with its role, and `<|im_end|>`."""
    turns = _turns(lambda role: (Special("<|im_start|>"), f"{role}\n"), Special("<|im_end|>"), "\n")
    return ChatFormat(name, turns, default_system=default_system, forgets_until=forgets_until)


def _mistral(name: str, answer: Turn, before: str = "[INST] ") -> ChatFormat:
    """Questions between `[INST]` and `[/INST]`, which are text."""
    return ChatFormat(name, {"user": Turn((before,), (" [/INST]",)), "assistant": answer}, (Special(BOS),), prompt=())


_KNOWN = (
    TURNS, _chatml("chatml"),
    _chatml("smollm2", "You are a helpful AI assistant named SmolLM, trained by Hugging Face"),
    _chatml("qwen2", "You are a helpful assistant."),
    _chatml("qwen2.5", "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."),
    _chatml("qwen3", forgets_until="</think>"),
    ChatFormat("zephyr", _turns(lambda role: (f"<|{role}|>\n",), Special(EOS), "\n")),
    ChatFormat("llama2", {"user": Turn((Special(BOS), "[INST] "), (" [/INST]",)),
                          "assistant": Turn((" ",), (" ", Special(EOS)))},
               prompt=(), around_system=("<<SYS>>\n", "\n<</SYS>>\n\n"), trims=True),
    ChatFormat("llama3", _turns(
        lambda role: (Special("<|start_header_id|>"), role, Special("<|end_header_id|>"), "\n\n"),
        Special("<|eot_id|>")), (Special(BOS),), trims=True),
    _mistral("mistral-v0.1", Turn((), (Special(EOS), " "))), _mistral("mistral-v0.2", Turn()),
    _mistral("mistral-v1", Turn((" ",)), before=" [INST] "))
FORMATS: dict[str, ChatFormat] = {each.name: each for each in _KNOWN}
"""All formats that this version of tinylm can write, by name."""


def chat_format(name: str) -> ChatFormat:
    """The format of a name. Raises: TinyLMError: a name that this version does not know."""
    if name not in FORMATS:
        raise TinyLMError(f"there is no chat format {name!r}", where="data.chat_format",
                          remedy=did_you_mean(name, FORMATS))
    return FORMATS[name]
