"""Labelled lines, such as "User:" and "Assistant:" or "Q:" and "A:", as conversations.

A line without a label goes on with the turn before it. Which line ends part conversations depends on the file
(`Parting`), since some people put an empty line between all turns.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from tinylm.chat.conversation import Message, Role
from tinylm.chat.files.checks import Found, checked
from tinylm.chat.files.source import ChatSource
from tinylm.errors import TinyLMError, command
from tinylm.system.untrusted import quoted
from tinylm.text.formats.chats import ChatMessage
from tinylm.text.reading.fields import BadRecord

KNOWN: dict[str, Role] = {
    **dict.fromkeys(("user", "human", "you", "customer", "q", "question", "prompt", "instruction", "frage"), "user"),
    **dict.fromkeys(("assistant", "ai", "bot", "chatbot", "gpt", "chatgpt", "model", "agent", "a", "answer", "response",
                     "completion", "reply", "antwort"), "assistant"),
    "system": "system"}
"""Labels that tell a role, in lower case."""
ALONE = ("q", "question", "frage")
"""Labels of questions that have nothing to do with the question before, where no empty line says so."""

_LABEL = re.compile(r"[#*>\s]{0,8}(?P<name>[^\W\d_][^\n:*：]{0,39}?)[*]{0,2}\s?[:：][*]{0,2}(?:\s|\Z)\s*(?P<text>.*)")
_RULE = re.compile(r"\s*(?:-{3,}|={3,}|\*{3,}|#{3,}|_{3,})\s*")
Parting = Literal["a line of dashes or the like", "two empty lines", "an empty line", "each question", "nothing"]
"""What parts conversations."""


class _Turn(NamedTuple):
    line: int
    label: str
    text: str


@dataclass
class Labels:
    """The labels of a file: how often each begins a line, what each means, and what parts conversations."""

    counts: Counter[str]
    roles: dict[str, Role]
    parting: Parting

    def note(self) -> str:
        """A sentence about what was found in the file."""
        sides = [next((quoted(name) for name in self.roles if self.roles[name] == role), "nobody")
                 for role in ("user", "assistant")]
        parted = "it is one conversation" if self.parting == "nothing" else \
            "each question begins a conversation" if self.parting == "each question" else \
            f"conversations are parted by {self.parting}"
        others = [name for name in self.counts if name not in self.roles and _key(name) in KNOWN]
        taken = f"; lines that begin with '{quoted(others[0])}:' are taken as part of a turn" if others else ""
        return f"{sides[0]!r} asks, and {sides[1]!r} answers; {parted}{taken}"


# ---- recognition


def has_labels(source: ChatSource) -> bool:
    """True if the first line that is not empty begins with a label that tells a role; or with a name, if more than one
    name, and few of them, begin most lines."""
    lines = [line for line in source.head.split("\n") if line.strip()]
    first = _split(lines[0]) if lines else None
    if first is None:
        return False
    if _key(first[0]) in KNOWN:
        return True
    counts = Counter(found[0] for line in lines if (found := _split(line)))
    return 1 < len(counts) <= max(4, len(lines) / 4) and sum(counts.values()) > 0.5 * len(lines)


def _split(line: str) -> tuple[str, str] | None:
    """(label, rest) of a line; None if no label begins it."""
    found = _LABEL.match(line + " ")
    return (found["name"].strip(), found["text"].strip()) if found else None


def _key(label: str) -> str:
    """The label in lower case, without the number of a question: "q" for "Q12"."""
    return re.sub(r"\W*\d+\W*$", "", label).lower()


def survey(source: ChatSource, me: str | None = None) -> Labels:
    """Counts the labels of a whole file, and finds out what they mean.

    Args:
        me: the label of the assistant; all others are then the user. Default: labels that tell a role, or else the
            first to speak asks, and the second answers.

    Raises:
        TinyLMError: more than two names, and nobody said who of them is the assistant.
    """
    counts = Counter(found[0] for _, line in source.lines() if (found := _split(line)))
    roles = _named_roles(counts, me) if me is not None else _known_roles(counts) or _two_sides(counts, source)
    return Labels(counts, roles, _parting(source, roles))


def _speakers(counts: Counter[str]) -> list[str]:
    """The labels that begin more than one line, in order of appearance; all, if there are two at most."""
    return [name for name, count in counts.items() if count > 1 or len(counts) < 3]


def _named_roles(counts: Counter[str], me: str) -> dict[str, Role]:
    meant = me.strip().casefold()
    return {name: "assistant" if name.casefold() == meant else "user" for name in counts
            if name in _speakers(counts) or name.casefold() == meant}


def _known_roles(counts: Counter[str]) -> dict[str, Role]:
    """The roles of labels that tell one: the first pair that the file uses, and "System". (Other known labels, such as
    the "A:" of a choice in an answer, are text.)"""
    keys = {role: next((key for name in counts if KNOWN.get(key := _key(name)) == role), None)
            for role in ("user", "assistant")}
    if keys["user"] is None:
        return {}
    chosen = {*keys.values(), "system"}
    return {name: KNOWN[key] for name in counts if (key := _key(name)) in chosen}


def _two_sides(counts: Counter[str], source: ChatSource) -> dict[str, Role]:
    names = _speakers(counts)
    if len(names) > 2:
        listed = ", ".join(f"{quoted(name)} ({counts[name]:,})" for name in names[:10]) + ", .." * (len(names) > 10)
        example = command("train", source.given, "--chat", "--me", names[1])
        raise TinyLMError(f"a chat has two sides, and {len(names):,} names begin its lines: {listed}",
                          where=source.where, remedy=f"Say whose lines are the answers, for example: {example}")
    return {name: "assistant" if number else "user" for number, name in enumerate(names)}


def _parting(source: ChatSource, roles: dict[str, Role]) -> Parting:
    """The parting of a file: an empty line, if one stands before questions and none before answers."""
    before_answers = before_questions = doubled = rules = 0
    n_empty, has_turn, ruled = 0, False, False
    for _, line in source.lines():
        if not line.strip() or _RULE.fullmatch(line):
            n_empty += not line.strip()
            ruled |= bool(line.strip())
            continue
        found = _split(line)
        if found and found[0] in roles and has_turn:
            is_answer = roles[found[0]] == "assistant"
            before_answers += is_answer and n_empty > 0
            before_questions += not is_answer and n_empty > 0
            doubled += not is_answer and n_empty > 1
            rules += not is_answer and ruled
        has_turn |= bool(found)
        n_empty, ruled = 0, False
    if rules:
        return "a line of dashes or the like"
    if before_questions and not before_answers:
        return "an empty line"
    if doubled and before_answers:
        return "two empty lines"
    return "each question" if any(_key(name) in ALONE for name in roles) else "nothing"


# ---- conversations


def conversations(source: ChatSource, labels: Labels) -> Iterator[Found]:
    """Yields the conversations of a file, or what is wrong with one, with its line."""
    for turns in _parted(source, labels):
        try:
            yield turns[0].line, _conversation(turns, labels.roles)
        except _BadTurn as error:
            yield error.line, error.why


class _BadTurn(Exception):
    def __init__(self, line: int, what: str, remedy: str = "") -> None:
        super().__init__(what)
        self.line, self.why = line, BadRecord(what, remedy)


def _conversation(turns: list[_Turn], roles: dict[str, Role]) -> list[Message]:
    before: _Turn | None = None
    for turn in turns:
        _check(turn, before, roles)
        before = turn
    last = turns[-1]
    if roles[last.label] != "assistant":
        raise _BadTurn(last.line, "is a question that has no answer",
                       "Add the answer, or take the question out: a model learns from answers")
    try:
        return checked([Message(roles[turn.label], turn.text) for turn in turns])
    except BadRecord as error:
        raise _BadTurn(turns[0].line, error.what, error.remedy) from None


def _check(turn: _Turn, before: _Turn | None, roles: dict[str, Role]) -> None:
    if not turn.label:
        raise _BadTurn(turn.line, "stands before the first label, so that nobody says it",
                       f"Begin the line with a label, such as {quoted(next(iter(roles)))}:, or take it out")
    role = roles[turn.label]
    if before and role == roles[before.label]:
        name = "questions" if role == "user" else "answers"
        raise _BadTurn(turn.line, f"is the second of two {name} in a row ({turn.label!r}; the first is in line "
                       f"{before.line})", "Questions and answers take turns")
    if role == "assistant" and (before is None or roles[before.label] == "system"):
        raise _BadTurn(turn.line, "is an answer to no question", "A conversation begins with a question")
    if not turn.text:
        raise _BadTurn(turn.line, f"the {'answer' if role == 'assistant' else 'question'} is empty",
                       "Fill it in, or take the conversation out")


def _parted(source: ChatSource, labels: Labels) -> Iterator[list[_Turn]]:
    """Yields the turns of each conversation."""
    turns: list[_Turn] = []
    held: list[str] = []
    line_of, label = 0, ""
    n_empty, ruled = 0, False
    for number, line in source.lines():
        if not line.strip():
            n_empty += 1
            continue
        if _RULE.fullmatch(line) and labels.parting == "a line of dashes or the like":
            ruled = True
            continue
        found = _split(line)
        if found and found[0] in labels.roles:
            turns += _turn(line_of, label, held)
            if turns and _begins(labels, found[0], n_empty, ruled):
                yield turns
                turns = []
            line_of, label, held = number, found[0], [found[1]]
        else:
            line_of = line_of or number
            held += [*[""] * n_empty, line]
        n_empty, ruled = 0, False
    turns += _turn(line_of, label, held)
    if turns:
        yield turns


def _turn(line: int, label: str, held: list[str]) -> list[_Turn]:
    return [_Turn(line, label, "\n".join(held).strip())] if held else []


def _begins(labels: Labels, label: str, n_empty: int, ruled: bool) -> bool:
    """True if a turn with a label begins a conversation after what stands before it."""
    if labels.roles[label] == "system":
        return True
    needed = {"a line of dashes or the like": ruled, "two empty lines": n_empty > 1, "an empty line": n_empty > 0,
              "each question": True, "nothing": False}
    return labels.roles[label] == "user" and needed[labels.parting]


def messages(source: ChatSource, labels: Labels) -> Iterator[list[ChatMessage]]:
    """Yields the messages of each conversation with the name of who says them, for `--me`."""
    for turns in _parted(source, labels):
        yield [ChatMessage(turn.label, turn.text, line=turn.line) for turn in turns if turn.label]
