"""Checks of conversations: what a model can be trained on has questions and answers in turns, and no empty one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tinylm.chat.conversation import Conversation, Message, read_messages
from tinylm.errors import TinyLMError
from tinylm.text.formats.extracted import way
from tinylm.text.reading.fields import BadRecord, whole_text
from tinylm.text.reading.line_ends import LineEnds

Found = tuple[int, Conversation | BadRecord]
"""The line in which a conversation begins, and the conversation; or the line of what is wrong, and that."""

SKIP_BAD = "--skip-bad passes over such conversations and counts them (in Python: skip_bad=True)"


def checked(messages: Sequence[Message]) -> Conversation:
    """A conversation to train on: line ends are `\\n`, and white space around a text is left off.

    Raises:
        BadRecord: messages out of turn, an empty one, no answer at the end, or characters that UTF-8 cannot hold.
    """
    line_ends = LineEnds()
    plain = [Message(role, line_ends.normalised(whole_text(content, f"message {number}")).strip())
             for number, (role, content) in enumerate(messages, start=1)]
    try:
        conversation = read_messages(plain)
    except TinyLMError as error:
        raise BadRecord(f"{error.where}: {error.what}", error.remedy) from None
    for number, (role, content) in enumerate(conversation):
        if not content:
            name = {"user": "question", "assistant": "answer", "system": "system text"}[role]
            raise BadRecord(f"the {name} is empty (message {number + 1} of {len(conversation)})",
                            "Fill it in, or take the conversation out")
    if conversation[-1].role != "assistant":
        raise BadRecord("ends with a question that has no answer",
                        "Add the answer, or take the question out: a model learns from answers")
    return conversation


def collected(found: Iterable[Found], where: str, *, skip_bad: bool) -> tuple[list[Conversation], list[int], list[str]]:
    """The conversations, the line in which each begins, and notes on those passed over.

    Raises:
        TinyLMError: a bad conversation, with its line and the number of all bad ones; or none at all.
    """
    good: list[tuple[int, Conversation]] = []
    bad: list[tuple[int, BadRecord]] = []
    for line, each in found:
        if isinstance(each, BadRecord):
            bad.append((line, each))
        else:
            good.append((line, each))
    notes = []
    if bad:
        line, first = bad[0]
        if not skip_bad or not good:
            raise _refusal(where, line, first, len(bad), len(good))
        notes.append(f"{len(bad):,} bad of {len(bad) + len(good):,} conversations skipped; the first, in line {line}: "
                     f"{first.what}")
    elif not good:
        raise TinyLMError("holds no conversation", where=where, remedy="Give a file with questions and answers")
    return [conversation for _, conversation in good], [line for line, _ in good], notes


def _refusal(where: str, line: int, first: BadRecord, n_bad: int, n_good: int) -> TinyLMError:
    place = f"{where}, line {line}" if line else where
    others = f"; {n_bad:,} of {n_bad + n_good:,} conversations are bad" if n_bad > 1 else ""
    advice = (first.remedy, SKIP_BAD) if n_good and not first.fits_all else (first.remedy,)
    return TinyLMError(f"{first.what}{others}", where=place, remedy=way(". ".join(filter(None, advice)), where))
