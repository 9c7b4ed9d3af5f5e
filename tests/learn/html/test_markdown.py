"""Markdown of the lesson as HTML: headings and links as GitHub has them, and every link leads somewhere."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from tinylm.learn.html.markdown import read_markdown
from tinylm.learn.html.source import lesson_folder, page_text

NAMES = sorted(path.name for path in lesson_folder().glob("*.md"))

PLAIN = {"h1", "h2", "h3", "p", "em", "strong", "code", "pre", "ul", "ol", "li", "a", "span",
         "div", "table", "thead", "tbody", "tr", "th", "td"}


class Links(HTMLParser):
    """Targets of links, and ids."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        found = dict(attrs)
        if tag == "a":
            self.links.append(found["href"] or "")
        if "id" in found:
            self.ids.append(found["id"] or "")


def parsed(name: str) -> Links:
    return Links("".join(section.html for section in read_markdown(page_text(name)).sections))


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name: str) -> None:
    page = parsed(name)
    assert len(set(page.ids)) == len(page.ids)
    for link in page.links:
        target, _, anchor = link.partition("#")
        source = {"": name, "index.html": "README.md"}.get(target, target.replace(".html", ".md"))
        assert source in NAMES, link
        assert not anchor or anchor in parsed(source).ids, link


@pytest.mark.parametrize("name", NAMES)
def test_a_page_holds_plain_elements_alone(name: str) -> None:
    assert parsed(name).tags <= PLAIN
    html = "".join(section.html for section in read_markdown(page_text(name)).sections)
    assert "<!--" not in html
    assert len(re.findall("<pre ", html)) == len(re.findall("</pre>", html))


def test_html_is_text_and_foreign_links_are_none() -> None:
    text = read_markdown(
        "# A\n\n<script>alert(1)</script>\n\nAn <img src=x> and [b](https://e.org), [c](../x.md).\n")
    html = text.sections[0].html
    assert Links(html).tags == {"h1", "p", "span"}
    assert "&lt;script&gt;" in html
