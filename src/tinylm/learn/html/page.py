"""A page of the lesson: words, pictures, boxes for answers, and the live model, in one file of HTML."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from string import Template

from tinylm.errors import TinyLMError, command
from tinylm.interchange.html.export import page_facts, page_weights
from tinylm.interchange.source import ExportedModel
from tinylm.learn.html.answers import answers_element
from tinylm.learn.html.illustrations import LIVE, OF_THE_ANIMALS, PICTURES
from tinylm.learn.html.markdown import Text, read_markdown
from tinylm.learn.html.source import CONTENTS, GLOSSARY, page_text
from tinylm.learn.html.subject import Subject
from tinylm.learn.pages import PAGES, Page
from tinylm.page.markup import content_policy, escape_html, json_element
from tinylm.page.modules import join_modules, read_module

GENERATOR = "tinylm learn"
"""The mark in the head of a page by which an earlier lesson is known."""
FOOTER = "Made by tinylm learn. The lesson is a folder of files: it opens offline, and asks nobody for anything."


@dataclass(frozen=True)
class Example:
    """A model of which pictures are made, and its weights for the page."""

    subject: Subject
    model: ExportedModel


def lesson_page(page: Page, own: Example | None, built_in: Mapping[str, Example]) -> str:
    """A page as HTML.

    Args:
        own: the reader's model.
        built_in: the models of the lesson, by the names of their texts.
    """
    fallback = built_in["animals" if page.number in OF_THE_ANIMALS else "hello"]
    text = read_markdown(page_text(f"{page.number:02}-{page.name}.md"))
    answers = answers_element(page.number)
    live, data = _live(page, own or fallback)
    parts = [f'<section data-question="">{text.sections[0].html}</section>', *_pictures(page, own, fallback),
             *(f"<section>{section.html}</section>" for section in text.sections[1:]),
             _answer_place() if answers else "", live]
    return _page(text.title, "\n".join(parts), navigation(page.number), data + answers)


def contents_page(own: Example | None) -> str:
    """The first page: what the lesson has."""
    of = (f"your model {own.subject.name}, with the sentence “{own.subject.text}”." if own else
          "those two models, which were trained just now. With "
          f"{command('learn', 'RUN', text='a sentence')} they are made from yours.")
    note = f'<p class="note">The pictures of these pages are made from {escape_html(of)}</p>'
    text = read_markdown(page_text(CONTENTS))
    return _page("The lesson", _words(text) + note, "<span>The lesson</span>", "")


def glossary_page() -> str:
    """The glossary as HTML."""
    text = read_markdown(page_text(GLOSSARY))
    return _page(text.title, _words(text), '<a href="index.html">The lesson</a>', "")


def navigation(number: int) -> str:
    """Links to the contents, and to the pages before and after."""
    around = [(PAGES[number - 1], "←", "")] if number else []
    around += [(PAGES[number + 1], "", "→")] if number + 1 < len(PAGES) else []
    links = [f'<a href="{page.number:02}-{page.name}.html">{before} {escape_html(page.title)} {after}</a>'
             for page, before, after in around]
    return "".join(['<a href="index.html">The lesson</a>', *links])


def _pictures(page: Page, own: Example | None, fallback: Example) -> Iterator[str]:
    """The pictures of a page, of the reader's model; where that has not what one needs, of the lesson's, with the
    reason."""
    for draw in PICTURES.get(page.number, ()):
        if own is not None:
            try:
                yield draw(own.subject).html()
                continue
            except TinyLMError as error:
                yield f'<p class="note">{escape_html(f"This picture is not of your model: {error}")}</p>'
        yield draw(fallback.subject).html()


def _live(page: Page, example: Example) -> tuple[str, str]:
    """The place of the live model, and its data; a note where a page cannot run it."""
    if page.number not in LIVE:
        return "", ""
    try:
        facts = json.dumps(page_facts(example.model, "f16"), ensure_ascii=False, separators=(",", ":"))
    except TinyLMError as error:
        return f'<p class="note">{escape_html(f"The model does not run on this page: {error}")}</p>', ""
    weights = base64.b64encode(page_weights(example.model, "f16")).decode()
    place = (f'<section class="live" id="place.live" data-views="{LIVE[page.number]}" '
             f'data-text="{escape_html(example.subject.text)}"><h2>Live</h2><p class="soft">The model '
             f"{escape_html(example.subject.name)} runs on this page, by the same arithmetic.</p></section>")
    packed = f'<script type="application/octet-stream" id="data.weights">{weights}</script>'
    return place, json_element("data.facts", facts) + packed


def _answer_place() -> str:
    return ('<section class="answers" id="place.answers"><h2>Your answers</h2><p class="soft">Try an answer here, or '
            "with the command in a terminal, which also remembers what is solved.</p></section>")


def _words(text: Text) -> str:
    return "\n".join(f"<section>{section.html}</section>" for section in text.sections)


def _page(title: str, content: str, around: str, data: str) -> str:
    code = join_modules("lesson.js")
    return Template(read_module("lesson.html")).substitute(
        generator=GENERATOR, policy=content_policy([code], web_assembly=True), title=escape_html(title),
        style=read_module("style.css") + read_module("lesson.css"), navigation=around, content=content,
        footer=escape_html(FOOTER), data=data, code=code)
