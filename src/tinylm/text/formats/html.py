"""HTML: the visible text of a page, in paragraphs and lines."""

from __future__ import annotations

import codecs
import re
from html.parser import HTMLParser

from tinylm.text.formats.extracted import Extracted, File, single

NOTE = "read as HTML: its text without tags, scripts, head and navigation"

_UNSEEN = frozenset({"head", "script", "style", "nav", "template", "noscript", "svg", "iframe", "object", "title",
                     "textarea", "select", "audio", "video", "canvas", "rt", "rp"})
_VOID = frozenset({"br", "hr", "img", "input", "meta", "link", "wbr", "area", "base", "col", "embed", "source",
                   "track"})
_PARAGRAPHS = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "pre", "ul", "ol", "dl", "table", "hr",
                         "figure", "section", "article", "header", "footer", "main", "aside", "body"})
_LINES = frozenset({"div", "li", "tr", "dt", "dd", "caption", "figcaption", "address", "form", "fieldset", "option",
                    "thead", "tbody", "tfoot", "center", "details", "summary"})
_SPACE = " \t\n\f\r"
_SPACES = re.compile(f"[{_SPACE}]+")
_DECLARED = re.compile(rb"""<meta[^>]{0,300}?charset\s*=\s*["']?\s*([\w.:-]+)|<\?xml[^>]{0,200}?encoding\s*=\s*["']"""
                       rb"""([\w.:-]+)""", re.IGNORECASE)
_AS_BROWSERS_DO = {"iso8859-1": "cp1252", "ascii": "cp1252", "iso8859-9": "cp1254", "gb2312": "gb18030",
                   "gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949", "iso8859-11": "cp874", "tis-620": "cp874"}
"""Encodings that browsers read for the declared ones (WHATWG Encoding Standard): supersets of them."""


def read(file: File) -> Extracted:
    return single(text_of(file.text(declared_encoding(file.data))), NOTE)


def declared_encoding(data: bytes) -> str:
    """The encoding that a page declares in its first 4 KB, by Python's name; empty if Python does not know it, or if
    the page is in UTF-8 all the same, as after an editor saved it anew."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return _named_encoding(data)
    return ""


def _named_encoding(data: bytes) -> str:
    found = _DECLARED.search(data[:4096])
    try:
        name = codecs.lookup((found[1] or found[2]).decode("ascii")).name if found else ""
    except (LookupError, UnicodeDecodeError):
        return ""
    if name.startswith("utf-16"):
        return ""  # a declaration that is found in the bytes cannot be in UTF-16
    return _AS_BROWSERS_DO.get(name, name)


def text_of(page: str) -> str:
    """The text of a page. White space collapses as in a browser, soft hyphens and ruby readings are removed."""
    extractor = _Extractor()
    extractor.feed(page)
    extractor.close()
    return extractor.text()


class _Extractor(HTMLParser):
    """Collects visible text: a blank line before and after a paragraph, a line for each list item, row and `<br>`."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._out: list[str] = []
        self._ends = 2
        """Line ends at the end of `_out`; a page begins as if after a blank line."""
        self._space = False
        """True if white space waits for the next word."""
        self._unseen: list[str] = []
        self._pre = 0

    def handle_starttag(self, tag: str, _: list[tuple[str, str | None]]) -> None:
        if "head" in self._unseen and (tag == "body" or tag in _PARAGRAPHS or tag in _LINES):
            self._unseen.clear()  # the end of a head may be left out
        if tag in _UNSEEN:
            self._unseen.append(tag)
        if self._unseen:
            return
        self._break(tag)
        self._pre += tag == "pre"
        if tag in ("td", "th") and not self._ends:
            self._write("\t")

    def handle_startendtag(self, tag: str, _: list[tuple[str, str | None]]) -> None:
        if not self._unseen and tag not in _UNSEEN:
            self._break(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._unseen:
            if tag in self._unseen:  # with whatever was left open inside
                del self._unseen[self._unseen.index(tag):]
            elif tag in ("ruby", "body", "html"):  # the ends of what is in them may be left out
                self._unseen.clear()
            return
        if tag not in _VOID:
            self._break(tag)
        self._pre -= tag == "pre" and self._pre > 0

    def handle_data(self, data: str) -> None:
        if self._unseen:
            return
        data = data.replace("\xad", "")
        if self._pre:
            self._write(data)
            return
        text = _SPACES.sub(" ", data)
        waits, self._space = self._space or text.startswith(" "), False
        text = text.strip(" ")
        if text:
            self._write(" " + text if waits and not self._ends else text)
        self._space = data[-1:] in _SPACE if text else waits

    def _break(self, tag: str) -> None:
        if tag == "br":
            self._write("\n")
        elif tag in _PARAGRAPHS:
            self._write("\n" * max(0, 2 - self._ends))
        elif tag in _LINES and not self._ends:
            self._write("\n")

    def _write(self, text: str) -> None:
        if not text:
            return
        kept = text.rstrip("\n")
        self._ends = len(text) - len(kept) + (0 if kept else self._ends)
        self._space = False
        self._out.append(text)

    def text(self) -> str:
        return "".join(self._out).strip("\n") + "\n" * bool(self._out)
