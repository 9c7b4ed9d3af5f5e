"""Markdown of the lesson to HTML, by markdown-it-py: headings with anchors as GitHub makes them, links between pages,
and no markup but Markdown's own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tinylm.page.markup import escape_html

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it import MarkdownIt
    from markdown_it.token import Token

_TABLE = '<div class="scroll" tabindex="0" role="group" aria-label="A table"><table>\n'
_WORDS = ("text", "code_inline")
_COMMENT = re.compile(r"\s*<!--.*?-->\s*", re.DOTALL)
_HTML = {"README": "index"}
"""Names of pages that are others in a browser."""
_PAGE = re.compile(r"(?P<name>[\w-]+)\.md(?P<anchor>#.*)?")
"""A link to a page of the lesson, which lies in the same folder."""


@dataclass(frozen=True)
class Section:
    """A heading of the second level with what stands under it; the first section of a page has none.

    Attributes:
        anchor: of the heading; empty where there is none.
        html: heading and content.
    """

    anchor: str
    html: str


@dataclass(frozen=True)
class Text:
    """A page as HTML.

    Attributes:
        title: the text of its first heading.
        sections: in order.
    """

    title: str
    sections: tuple[Section, ...]


def read_markdown(markdown: str) -> Text:
    """Turns a page into HTML.

    >>> text = read_markdown("# One\\n\\nA *word* <b>.\\n\\n## Two, three\\n\\n[next](02-counting.md#why)\\n")
    >>> text.title, [section.anchor for section in text.sections]
    ('One', ['', 'two-three'])
    >>> print(text.sections[0].html)
    <h1 id="one">One</h1>
    <p>A <em>word</em> &lt;b&gt;.</p>
    <BLANKLINE>
    >>> "href=\\"02-counting.html#why\\"" in text.sections[1].html
    True
    """
    parser = _parser()
    tokens = parser.parse(markdown)
    titles = _prepare(tokens)
    starts = [i for i, token in enumerate(tokens) if token.type == "heading_open" and token.tag == "h2"]
    ends = [*starts, len(tokens)]
    first = Section("", _render(parser, tokens[:ends[0]]))
    rest = tuple(Section(str(tokens[start].attrs["id"]), _render(parser, tokens[start:end]))
                 for start, end in zip(starts, ends[1:], strict=True))
    return Text(titles[0] if titles else "", (first, *rest))


def anchor(heading: str) -> str:
    """The anchor that GitHub gives a heading.

    >>> anchor("What is `v`, really?")
    'what-is-v-really'
    """
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark").enable("table")
    for kind in ("html_block", "html_inline"):
        parser.add_render_rule(kind, _plain)
    for kind in ("fence", "code_block"):
        parser.add_render_rule(kind, _code)
    parser.add_render_rule("table_open", lambda *_: _TABLE)
    parser.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return parser


def _plain(_self: Any, tokens: Sequence[Token], index: int, *_: Any) -> str:
    """HTML in Markdown: comments are for the tools, and anything else is text."""
    return "" if _COMMENT.fullmatch(tokens[index].content) else escape_html(tokens[index].content)


def _code(_self: Any, tokens: Sequence[Token], index: int, *_: Any) -> str:
    """Code, which keys can scroll where it is too wide."""
    return f'<pre tabindex="0"><code>{escape_html(tokens[index].content)}</code></pre>\n'


def _prepare(tokens: list[Token]) -> list[str]:
    """Gives headings their anchors and links their pages. Returns the headings."""
    titles = []
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "heading_open" and following is not None:
            title = "".join(child.content for child in following.children or [] if child.type in _WORDS)
            token.attrs["id"] = anchor(title)
            titles.append(title)
        _point(token.children or [])
    return titles


def _point(children: list[Token]) -> None:
    """Makes links to other pages of the lesson links to their HTML. What lies outside need not be on this machine,
    and is named without a link."""
    inside = True
    for child in children:
        if child.type == "link_open":
            href = str(child.attrs["href"])
            page = _PAGE.fullmatch(href)
            inside = page is not None or href.startswith("#")
            child.attrs = {"href": _html_of(page) if page else href} if inside else {"title": href}
        if child.type in ("link_open", "link_close") and not inside:
            child.tag = "span"


def _html_of(page: re.Match[str]) -> str:
    return f"{_HTML.get(page['name'], page['name'])}.html{page['anchor'] or ''}"


def _render(parser: MarkdownIt, tokens: Sequence[Token]) -> str:
    return str(parser.renderer.render(tokens, parser.options, {}))
