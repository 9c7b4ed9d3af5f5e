"""Pictures of page 2: the table of pairs, and a scale of losses."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping

from tinylm.learn.html.grid import Square, grid
from tinylm.learn.html.picture import Frame, Picture, single
from tinylm.learn.html.subject import Subject
from tinylm.learn.html.svg import LINE, WIDTH, bars, shorten, svg, visible, words

MOST_TOKENS, MOST_BARS = 12, 6

Pairs = Mapping[tuple[int, int], int]
"""Counts by first and second id."""


def table_of_pairs(subject: Subject) -> Picture:
    """The table of pairs, with the bars of each row."""
    counts = subject.pairs

    def token(id: int) -> str:
        return visible(subject.lm.tokenizer.token(id))

    firsts, seconds = (_most_frequent(counts, place) for place in (0, 1))
    most = max(counts.values(), default=1)

    def square(row: int, column: int) -> Square:
        count = counts.get((firsts[row], seconds[column]), 0)
        return Square(count / most, str(count or ""), row)

    rows = [followers(counts, first) for first in firsts]
    height = min(MOST_BARS, max(map(len, rows)))
    frames = tuple(Frame(token(first), _row(token(first), row, token, height))
                   for first, row in zip(firsts, rows, strict=True))
    widest = max(range(len(firsts)), key=lambda row: (_total(counts, firsts[row]) * _cost(counts, firsts[row]), row))
    return Picture(
        "Who follows whom.", "A row is a word, a column the word after it, a number how often that was seen; darker is "
        "more. Choose a row: its numbers, divided by their sum, are the guess.", frames, widest,
        map=grid(f"Table of pairs: {len(firsts)} words, and the words after them", [*map(token, firsts)],
                 [*map(token, seconds)], square))


def scale_of_losses(subject: Subject) -> Picture:
    """The losses of ever better guesses."""
    rows = losses(subject)
    lines = [(name, loss, f"{loss:.3f}") for name, loss in rows]
    said = "; ".join(f"{name} {loss:.3f}" for name, loss in rows)
    return single("A scale for losses.", "Nats a token: what each guess costs. Shorter is better.",
                  svg(LINE * len(lines), f"Losses in nats a token: "
                                         f"{said}", bars(lines, left=150, marked=[len(rows) - 1])))


def losses(subject: Subject) -> list[tuple[str, float]]:
    """The losses in nats a token on the model's text: of guessing, of counting tokens, of counting pairs, of the model.

    >>> [name for name, _ in losses(Subject("hello", lm, "how"))]
    ['any of 12 alike', 'tokens counted', 'pairs counted', 'hello']
    """
    from tinylm.inspection.heads import loss_of

    counts = subject.pairs
    seconds: Counter[int] = Counter()
    for (_, second), count in counts.items():
        seconds[second] += count
    total = sum(seconds.values())
    unigram = sum(count * math.log(total / count) for count in seconds.values()) / total
    firsts = {first for first, _ in counts}
    pairs = sum(_total(counts, first) * _cost(counts, first) for first in firsts) / total
    size = subject.lm.config.model.vocab_size
    return [(f"any of {size} alike", math.log(size)), ("tokens counted", unigram), ("pairs counted", pairs),
            (subject.name, loss_of(subject.lm.model, subject.own_text[1]))]


def followers(counts: Pairs, first: int) -> list[tuple[int, int]]:
    """The ids that follow one, each with its count, the most frequent first.

    >>> followers({(1, 5): 2, (1, 7): 3, (2, 5): 9}, 1)
    [(7, 3), (5, 2)]
    """
    found = [(second, count) for (one, second), count in counts.items() if one == first]
    return sorted(found, key=lambda each: (-each[1], each[0]))


def _total(counts: Pairs, first: int) -> int:
    return sum(count for _, count in followers(counts, first))


def _cost(counts: Pairs, first: int) -> float:
    """The entropy of a row in nats: what a guess by it costs on average."""
    row = [count for _, count in followers(counts, first)]
    return sum(count * math.log(sum(row) / count) for count in row) / sum(row)


def _most_frequent(counts: Pairs, place: int) -> list[int]:
    """The most frequent ids at a place of the pairs, in the order of ids."""
    totals: Counter[int] = Counter()
    for pair, count in counts.items():
        totals[pair[place]] += count
    return sorted(id for id, _ in totals.most_common(MOST_TOKENS))


def _row(name: str, row: list[tuple[int, int]], token: Callable[[int], str], height: int) -> str:
    total = sum(count for _, count in row)
    cost = sum(count * math.log(total / count) for _, count in row) / total
    shown = [(token(second), count / total, f"{count} of {total}") for second, count in row[:MOST_BARS]]
    more = f" {len(row) - MOST_BARS} more are not shown." if len(row) > MOST_BARS else ""
    said = ", ".join(f"{second} {number}" for second, _, number in shown)
    return svg(LINE * (height + 2), f"After {name}: {said}.{more}",
               words(0, 14, shorten(f"after “{name}”, {cost:.3f} nats each time", WIDTH), class_="strong"),
               bars(shown, left=90, most=1.0, top=LINE + 4),
               words(0, LINE * (height + 2) - 2, more.strip(), class_="soft"))
