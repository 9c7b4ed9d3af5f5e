"""Pictures of pages 7 and 10: what each part adds to the stream, and what is lost without it."""

from __future__ import annotations

from tinylm.learn.html.picture import Picture, single
from tinylm.learn.html.subject import Subject
from tinylm.learn.html.svg import LINE, WIDTH, bar, line, shorten, svg, visible, words

MOST_PARTS = 14
Row = tuple[str, float]


def contributions(subject: Subject) -> Picture:
    """The terms whose sum is the difference of the two highest logits."""
    found = subject.explanation.contributions()
    token, against = (visible(each.token) for each in (found.token, found.against))
    rows = largest([(each.part, each.value) for each in found.parts])
    return single(
        "Who speaks for it?", f"Each part adds a vector to the stream. To the right: for “{token}”; to the left: for "
                              f"“{against}”. All bars "
        f"together are the difference of the two logits, {found.logit_difference:+.2f}. 1.0 is head 0 of layer 1.",
        two_sided(rows, f"Of {found.logit_difference:+.2f} between {token} and {against}, {rows[0][0]} gives "
                        f"{rows[0][1]:+.2f}"))


def switched_off(subject: Subject) -> Picture:
    """The loss of the model's text without each head and each MLP."""
    found = subject.lm.explainer.effects()
    heads = subject.lm.explainer.effect("attn").parts[0]
    rows = largest([("all heads", heads.difference), *((part.part, part.difference) for part in found.parts)])
    return single(
        "Without it.", f"The loss of the {found.split} text is {found.loss:.4f} nats a token. A bar to the right is "
                       f"what it rises by "
        f"when a part gives zeros: what the part is good for. Without all heads it is {heads.loss:.4f}.",
        two_sided(rows, f"Without {rows[0][0]} the loss changes by {rows[0][1]:+.4f} nats a token"))


def largest(rows: list[Row]) -> list[Row]:
    """The rows with the largest numbers, whatever their sign, and all others as one.

    >>> largest([(f"{i}", float(i)) for i in range(20)])[-1]
    ('7 others', 21.0)
    """
    ordered = sorted(rows, key=lambda row: -abs(row[1]))
    rest = ordered[MOST_PARTS - 1:] if len(ordered) > MOST_PARTS else []
    kept = ordered[:len(ordered) - len(rest)]
    return [*kept, (f"{len(rest)} others", sum(value for _, value in rest))] if rest else kept


def two_sided(rows: list[Row], about: str) -> str:
    """Bars to the right of an axis, or to its left, with names and numbers."""
    left, right = 104.0, WIDTH - 62.0
    axis, most = (left + right) / 2, max((abs(value) for _, value in rows), default=0.0) or 1.0
    parts = [line(axis, 0, axis, LINE * len(rows))]
    for number, (name, value) in enumerate(rows):
        y = number * LINE
        parts += [words(left - 8, y + 14, shorten(name, left - 8), text_anchor="end"),
                  bar(axis, y + 3, value / most * (right - left) / 2, LINE - 7, "value" if value > 0 else "value care"),
                  words(WIDTH, y + 14, f"{value:+.3f}", text_anchor="end", class_="number")]
    return svg(LINE * len(rows), about, *parts)
