"""Lines on the conversations of a run for people."""

from __future__ import annotations

from itertools import groupby

from tinylm.planning.data import RunData
from tinylm.reports.terminal import on_one_line
from tinylm.text.turns import TooLong

SHOWN_PARTS, SHOWN_CHARACTERS = 6, 70
"""Parts of the first conversation that are shown, and characters of each."""


def first_conversation(data: RunData) -> str:
    """The first conversation as it is trained on, its special tokens visible; what is learned stands in brackets."""
    part, tokenizer = data.dataset.train, data.tokenizer
    assert part.is_target is not None
    stop = int(part.offsets[1])
    ids, is_target = part.ids[:stop].tolist(), part.is_target[:stop].tolist()
    shown = [tokenizer.token(part.specials.start)]
    for number, (answers, run) in enumerate(groupby(zip(is_target, ids, strict=True), key=lambda pair: pair[0])):
        if number == SHOWN_PARTS:
            shown.append(" …")
            break
        text = on_one_line(tokenizer.decode([id for _, id in run], specials=True), SHOWN_CHARACTERS)
        shown.append(f"[{text}]" if answers else text)
    return "".join(shown)


def describe_too_long(found: TooLong, context_length: int) -> list[str]:
    """Sentences on conversations that do not fit into a row; none where all fit.

    >>> describe_too_long(TooLong(conversations=2), 128)
    ['2 conversations are longer than the context of 128 tokens, and cut between two turns']
    """
    lines = []
    if found.conversations:
        lines.append(f"{_count(found.conversations, 'conversation is', 'conversations are')} longer than the context "
                     f"of {context_length:,} tokens, and cut between two turns")
    if found.exchanges:
        lines.append(f"{_count(found.exchanges, 'question does', 'questions do')} not fit with the answer into the "
                     f"context of {context_length:,} tokens, and {'is' if found.exchanges == 1 else 'are'} left out")
    return lines


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
