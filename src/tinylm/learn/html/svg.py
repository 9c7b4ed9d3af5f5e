"""SVG: elements of a picture as text. Colours are classes (page/lesson.css), so that a picture follows the page into
dark mode and onto paper.

Pictures are at most `WIDTH` units wide and their letters 13 units high: on a narrow phone that is the size of the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tinylm.page.markup import escape_html

WIDTH = 360
"""Units of a picture from left to right."""
LINE = 20
"""Units from one line of words to the next."""
LETTER = 7.2
"""Units of a letter of 13 units, about."""


def tag(name: str, *children: str, **attributes: object) -> str:
    """An element. An underscore in an attribute's name stands for a dash; one at its end is dropped.

    >>> tag("rect", x=1.25, class_="bar")
    '<rect x="1.2" class="bar"/>'
    >>> tag("g", "a", stroke_width=2)
    '<g stroke-width="2">a</g>'
    """
    written = "".join(f' {key.rstrip("_").replace("_", "-")}="{_value(value)}"' for key, value in attributes.items())
    inside = "".join(children)
    return f"<{name}{written}>{inside}</{name}>" if inside else f"<{name}{written}/>"


def words(x: float, y: float, text: object, **attributes: object) -> str:
    """Words whose baseline begins at a place; `text_anchor` is "start", "middle" or "end".

    >>> words(0, 10, "<eos>")
    '<text x="0" y="10">&lt;eos&gt;</text>'
    """
    return tag("text", escape_html(text), x=x, y=y, **attributes)


def bar(x: float, y: float, length: float, height: float, kind: str = "value") -> str:
    """A bar to the right of x, or where the length is below 0 to its left."""
    return tag("rect", x=x + min(0.0, length), y=y, width=abs(length), height=height, rx=min(2.0, height / 4),
               class_=kind)


def line(x1: float, y1: float, x2: float, y2: float, kind: str = "axis") -> str:
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind)


def curve(points: Iterable[tuple[float, float]], kind: str = "curve") -> str:
    """A line through points."""
    return tag("polyline", points=" ".join(f"{_value(x)},{_value(y)}" for x, y in points), class_=kind)


def svg(height: float, about: str, *parts: str, role: str = "img", width: float = WIDTH) -> str:
    """A whole picture.

    Args:
        about: the point of the picture, for those who do not see it.
        role: "group" for one whose parts can be chosen.
    """
    return tag("svg", *parts, viewBox=f"0 0 {_value(width)} {_value(height)}", role=role, aria_label=escape_html(about))


def bars(rows: Sequence[tuple[str, float, str]], *, left: float = 120, most: float | None = None, top: float = 0,
         marked: Iterable[int] = (), faint: Iterable[int] = ()) -> str:
    """Rows of a name, a bar and a number.

    Args:
        rows: name, length, and the number as text.
        left: units that names have.
        most: the length of the longest bar possible; None: the largest of these.
        marked: rows that stand out.
        faint: rows that stand back.
    """
    space = WIDTH - left - 62
    kinds = {**dict.fromkeys(faint, "value faint"), **dict.fromkeys(marked, "value care")}
    longest = most or max((value for _, value, _ in rows), default=0.0) or 1.0
    parts = []
    for number, (name, value, shown) in enumerate(rows):
        y = top + number * LINE
        parts += [words(left - 8, y + 14, shorten(name, left - 8), text_anchor="end"),
                  bar(left, y + 3, max(0.5, space * min(1.0, value / longest)), LINE - 7, kinds.get(number, "value")),
                  words(left + space * min(1.0, value / longest) + 6, y + 14, shown, class_="number")]
    return "".join(parts)


def shorten(text: str, units: float) -> str:
    """A text that is no wider than so many units.

    >>> shorten("the first of them all", 60)
    'the fir…'
    """
    most = max(1, int(units / LETTER))
    return text if len(text) <= most else text[:most - 1] + "…"


def visible(token: str) -> str:
    """A token with marks for what the eye would miss.

    >>> visible(" a"), visible("\\n")
    ('␣a', '⏎')
    """
    shown = token.replace("\n", "⏎").replace("\t", "⇥").replace("\r", "␍")
    shown = f"␣{shown[1:]}" if shown.startswith(" ") else shown
    return (f"{shown[:-1]}␣" if shown.endswith(" ") else shown) or "∅"


def _value(value: object) -> str:
    return f"{round(value, 1):g}" if isinstance(value, float) else str(value)
