"""Exports of messengers as conversations: one person is the assistant, all others are the user."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import pairwise

from tinylm.chat.conversation import Conversation, Message, Role
from tinylm.chat.files.checks import Found
from tinylm.chat.files.records import ROLE_NAMES
from tinylm.chat.files.source import ChatSource
from tinylm.chat.files.stamps import seconds
from tinylm.errors import TinyLMError, command, did_you_mean
from tinylm.system.untrusted import quoted
from tinylm.text.formats.chats import ChatMessage, Export

PAUSE = 3600
"""Seconds. After a longer pause a new conversation begins, unless what follows is the answer: a question is never
parted from its answer."""


class Sides:
    """The two sides of an export: who is the assistant, and what was left out because it has no other side.

    Attributes:
        me: the name of the assistant, as the file has it.
        n_left_out: messages to which nothing was answered, or which answer nothing.
    """

    def __init__(self, export: Export, me: str | None, source: ChatSource) -> None:
        self._chats = [[message for message in chat if message.name and message.text.strip()] for chat in export.chats]
        self._counts = Counter(message.name for chat in self._chats for message in chat)
        self.me = _assistant(self._counts, me, source)
        self._has_times = any(message.stamp for chat in self._chats for message in chat)
        self.n_left_out = 0

    def conversations(self) -> Iterator[Found]:
        """Yields (line, conversation)."""
        for chat in self._chats:
            for part in self._parts(chat):
                yield part[0].line, self._joined(part)

    def note(self) -> str:
        """A sentence about what was made of the file, to be asked after `conversations`."""
        others = [name for name in self._counts if name != self.me]
        asking = f"{quoted(others[0])!r} asks" if len(others) == 1 else \
            f"{len(others):,} others ask, without their names"
        pauses = "" if not self._has_times else " A pause of over an hour before a question begins a new conversation."
        left_out = "" if not self.n_left_out else (
            f" Left out because nobody answered, or nothing was asked: {self.n_left_out:,} "
            f"message{'s' * (self.n_left_out != 1)}.")
        return (f"{asking}, and {quoted(self.me)!r} answers. Messages of one side in a row are joined.{pauses}"
                f"{left_out}").removesuffix(".")

    def _role(self, message: ChatMessage) -> Role:
        return "assistant" if message.name == self.me else "user"

    def _parts(self, chat: list[ChatMessage]) -> Iterator[list[ChatMessage]]:
        """Yields the messages of each conversation, from a question to an answer."""
        if not chat:
            return
        times = seconds([message.stamp for message in chat])
        ends = [number for number, (before, after) in enumerate(pairwise(chat), start=1)
                if times[number] - times[number - 1] > PAUSE and not self._is_answer(before, after)]
        for start, end in pairwise([0, *ends, len(chat)]):
            asked = [number for number in range(start, end) if self._role(chat[number]) == "user"]
            answered = [number for number in range(start, end) if asked and number > asked[0]
                        and self._role(chat[number]) == "assistant"]
            part = chat[asked[0]:answered[-1] + 1] if answered else []
            self.n_left_out += end - start - len(part)
            if part:
                yield part

    def _is_answer(self, before: ChatMessage, after: ChatMessage) -> bool:
        return self._role(before) == "user" and self._role(after) == "assistant"

    def _joined(self, part: Iterable[ChatMessage]) -> Conversation:
        """The messages as turns: those of one side in a row are joined by a line end."""
        turns: list[tuple[Role, list[str]]] = []
        for message in part:
            role = self._role(message)
            if not turns or turns[-1][0] != role:
                turns.append((role, []))
            turns[-1][1].append(message.text.strip())
        return [Message(role, "\n".join(texts)) for role, texts in turns]


def _assistant(counts: Counter[str], me: str | None, source: ChatSource) -> str:
    """The name of the assistant. Raises: TinyLMError: it is not given, or writes nothing."""
    listed = ", ".join(f"{quoted(name)} ({count:,})" for name, count in counts.most_common(10))
    listed += ", .." * (len(counts) > 10)
    where = source.where
    if not counts:
        raise TinyLMError("holds no message with a text", where=where, remedy="Export the chat again, without media")
    if me is None:
        known = [name for name in counts if ROLE_NAMES.get(name.lower()) == "assistant"]
        if len(known) == 1:  # of a program that exports talks with a model
            return known[0]
        example = command("train", source.given, "--chat", "--me", counts.most_common(1)[0][0])
        raise TinyLMError(f"nothing says whose messages are the answers; who writes, and how often: {listed}",
                          where=where, remedy=f"Say who the model is to be, for example: {example}")
    name = next((name for name in counts if name.casefold() == me.strip().casefold()), None)
    if name is None:
        raise TinyLMError(f"nobody in it is called {quoted(me)!r}; who writes, and how often: {listed}", where=where,
                          remedy=did_you_mean(me, counts))
    if len(counts) == 1:
        raise TinyLMError(f"only {quoted(name)!r} writes in it, so nothing is asked", where=where,
                          remedy="Export the chat of two people")
    return name
