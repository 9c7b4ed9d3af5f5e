"""Grids: a number for each pair of tokens, as squares that are the darker the larger it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tinylm.learn.html.picture import cell
from tinylm.learn.html.svg import LETTER, WIDTH, shorten, svg, tag, words

_LEFT, _TOP, _ROW = 64, 62, 26


class Square(NamedTuple):
    """A square of a grid.

    Attributes:
        share: its darkness, from 0 to 1.
        label: the number in it.
        frame: the frame that it chooses; None: it chooses nothing.
        closed: true: nothing may stand there.
    """

    share: float
    label: str = ""
    frame: int | None = None
    closed: bool = False


def grid(about: str, rows: Sequence[str], columns: Sequence[str], square: Callable[[int, int], Square]) -> str:
    """A picture of squares, which is a map if they choose frames (picture.py).

    Args:
        about: the point of the picture, for those who do not see it.
        rows, columns: the names of the tokens.
        square: gives what stands at a row and a column.
    """
    size = min(40.0, (WIDTH - _LEFT) / max(1, len(columns)))
    parts = [words(0, 0, shorten(name, _TOP), transform=f"translate({round(x, 1)} {_TOP - 6}) rotate(-60)")
             for name, x in ((name, _LEFT + (i + 0.65) * size) for i, name in enumerate(columns))]
    for i, name in enumerate(rows):
        parts.append(words(_LEFT - 6, _TOP + i * _ROW + 17, shorten(name, _LEFT - 6), text_anchor="end"))
        parts += [_square(square(i, j), (i, j), size, f"{name}, {column}") for j, column in enumerate(columns)]
    return svg(_TOP + _ROW * len(rows), about, *parts,
               role="group" if any("data-frame" in part for part in parts) else "img")


def _square(found: Square, place: tuple[int, int], size: float, name: str) -> str:
    row, column = place
    x, y = _LEFT + column * size, _TOP + row * _ROW
    drawn = tag("rect", x=x, y=y, width=size - 2, height=_ROW - 2, rx=2,
                class_="square closed" if found.closed else "square", style=f"--share:{math.sqrt(found.share):.3f}")
    fits = found.label and len(found.label) * LETTER <= size
    label = words(x + size / 2 - 1, y + 17, found.label, text_anchor="middle",
                  class_="on-dark" if found.share > 0.3 else "on-light") if fits else ""
    if found.frame is None:
        return drawn + label
    return cell(found.frame, row, column, f"{name}: {found.label or 0}", drawn, label)
