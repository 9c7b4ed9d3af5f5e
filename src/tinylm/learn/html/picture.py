"""Pictures of the lesson: a title, words, and frames of which one is shown. The first to be seen makes the point
already; with a script in the page the reader chooses others, by a slider or by the cells of a map."""

from __future__ import annotations

from dataclasses import dataclass

from tinylm.learn.html.svg import tag
from tinylm.page.markup import escape_html

_SHOWN, _HIDDEN = "", 'hidden=""'


@dataclass(frozen=True)
class Frame:
    """A state of a picture: its name for people, and its SVG."""

    name: str
    svg: str


@dataclass(frozen=True)
class Picture:
    """A picture.

    Attributes:
        title: for people.
        caption: what is seen, in a sentence or two.
        frames: its states.
        start: the index of the frame that is seen at first.
        slider: the name of what a slider chooses; empty: there is none.
        map: an SVG whose elements with `data-frame`, `data-row` and `data-column` choose a frame (`cell`); or empty.
    """

    title: str
    caption: str
    frames: tuple[Frame, ...]
    start: int = 0
    slider: str = ""
    map: str = ""

    def html(self) -> str:
        """The picture as a figure of a page."""
        frames = "".join(
            f'<div class="frame" data-name="{escape_html(frame.name)}" {_SHOWN if number == self.start else _HIDDEN}>'
            f"{frame.svg}</div>" for number, frame in enumerate(self.frames))
        return (f'<figure class="picture" data-start="{self.start}" data-slider="{escape_html(self.slider)}">'
                f"<figcaption><strong>{escape_html(self.title)}</strong> {escape_html(self.caption)}</figcaption>"
                f"{self.map}{frames}</figure>")


def single(title: str, caption: str, svg: str) -> Picture:
    """A picture of one state."""
    return Picture(title, caption, (Frame("", svg),))


def cell(frame: int, row: int, column: int, name: str, *parts: str) -> str:
    """A part of a map that chooses a frame.

    Args:
        row, column: its place, by which the arrow keys find its neighbours.
        name: for those who do not see it.
    """
    return tag("g", *parts, class_="cell", data_frame=frame, data_row=row, data_column=column,
               data_name=escape_html(name))
