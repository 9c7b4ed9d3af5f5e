"""The prose of a page of documentation: its paragraphs and list items, without code, tables and navigation."""

from __future__ import annotations

from html.parser import HTMLParser

_BLOCKS = {"p", "li", "dd"}
_SKIPPED = {"pre", "table", "script", "style", "nav", "head", "footer", "svg", "h1", "h2", "h3", "h4", "h5", "h6"}


class _Prose(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.paragraphs: list[str] = []
        self._text: list[str] = []
        self._skipped = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        del attrs
        if tag in _SKIPPED:
            self._skipped += 1
        if tag in _BLOCKS:
            self._end()

    def handle_endtag(self, tag: str) -> None:
        if tag in _SKIPPED and self._skipped:
            self._skipped -= 1
        if tag in _BLOCKS:
            self._end()

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self._text.append(data)

    def _end(self) -> None:
        self.paragraphs.append("".join(self._text).replace("\N{PILCROW SIGN}", ""))
        self._text = []


def paragraphs(page: str) -> list[str]:
    """The paragraphs of a page, as they stand in it. What comes after the last one is the foot of the page."""
    parser = _Prose()
    parser.feed(page)
    return parser.paragraphs
