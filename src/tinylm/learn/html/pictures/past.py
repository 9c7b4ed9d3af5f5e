"""Pictures of page 6: the causal mask on and off, and rotary positions as two arrows that turn together."""

from __future__ import annotations

import math

import torch

from tinylm.learn.html.grid import Square, grid
from tinylm.learn.html.picture import Frame, Picture
from tinylm.learn.html.pictures.attention import Head, Matrix, read_head
from tinylm.learn.html.subject import Subject
from tinylm.learn.html.svg import line, svg, tag, words

POSITIONS = range(9)
APART = 2
"""Positions between the query and the key of the arrows, which turn by one radian a position."""


def mask(subject: Subject) -> Picture:
    """The pattern of a head with the mask, and from the same queries and keys without."""
    found = subject.explanation
    layer, head = found.strongest_head(found.contributions()) or (0, 0)
    numbers = read_head(subject, layer, head)
    seen, unmasked = numbers.pattern, without_mask(numbers)
    may = len(numbers.tokens) * (len(numbers.tokens) + 1) // 2

    def squares(pattern: Matrix, *, closed: bool) -> str:
        def square(query: int, key: int) -> Square:
            share = pattern[query][key]
            return Square(share, closed=True) if closed and key > query else Square(share, f"{100 * share:.0f}")

        about = f"Attention of head {numbers.name} {'with' if closed else 'without'} the mask"
        return grid(about, numbers.tokens, numbers.tokens, square)

    return Picture(
        "The mask, on and off.", "With the mask a token sees itself and what came before: "
        f"{may} of {len(numbers.tokens) ** 2} pairs. Without it the same queries and keys look at what is to come.",
        (Frame("on", squares(seen, closed=True)), Frame("off", squares(unmasked, closed=False))), slider="mask")


def without_mask(head: Head) -> list[list[float]]:
    """The pattern of a head if each position could see all, (T, T)."""
    q, k = torch.tensor(head.q), torch.tensor(head.k)
    pattern: list[list[float]] = (q @ k.T / math.sqrt(q.shape[-1])).softmax(-1).tolist()
    return pattern


def arrows(_: Subject) -> Picture:
    """A query and a key that are APART positions apart, moved along the text."""
    product = math.cos(APART)
    frames = tuple(Frame(f"{at + APART} and {at}", _two_arrows(at + APART, at, product)) for at in POSITIONS)
    return Picture(
        "Two arrows that turn.", "Rotary positions turn a query and a key by their positions, here one radian each. "
        "Move both: the arrows turn, the angle between them stays, and so does their product, "
        f"cos {APART} = {product:.4f}.", frames, 1, slider="positions")


def _two_arrows(query: int, key: int, product: float) -> str:
    parts = [tag("circle", cx=180, cy=90, r=78, class_="round")]
    for position, kind, name in ((query, "curve", "q"), (key, "curve care", "k")):
        x, y = 180 + 78 * math.cos(position), 90 - 78 * math.sin(position)
        parts += [line(180, 90, x, y, kind), tag("circle", cx=x, cy=y, r=4, class_="dot" if name == "q" else "care"),
                  words(180 + 92 * math.cos(position), 94 - 88 * math.sin(position), f"{name}{position}",
                        text_anchor="middle")]
    return svg(204, f"A query at position {query} and a key at position {key}: their product is {product:.4f}", *parts,
               words(180, 200, f"product {product:.4f}", text_anchor="middle", class_="strong"))
