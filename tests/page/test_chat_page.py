"""Conversations on pages in real Chromium: an exported page and the studio answer as `lm.chat` does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tinylm
from tests import chat_models
from tests.interchange.html.test_browser import LAYOUT, PAYLOADS
from tests.page.browser import chromium, opened, settle
from tests.page.test_studio_journey import UNNAMED, visiting
from tests.studio.studio import studio_of
from tinylm.model_folder import write_config

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]
SEND_AND_STOP = """() => {
  const [send, stop] = document.querySelectorAll(".buttons button");
  send.click();
  setTimeout(() => stop.click(), 0);
}"""
QUESTIONS = ("how are you ?", "fine", "who are you ?", "what is 1 + 2 ?")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a model that has learned a few answers."""
    return chat_models.learned(tmp_path_factory.mktemp("models") / "learned")


def ask(page: Any, question: str) -> list[str]:
    """All that was said, after a question was asked and answered."""
    page.get_by_label("Your question").fill(question)
    page.get_by_label("Your question").press("Enter")
    settle(page)
    return said(page)


def said(page: Any) -> list[str]:
    texts: list[str] = page.locator(".said p").all_inner_texts()
    return texts


def conversation_of(lm: tinylm.LanguageModel, questions: tuple[str, ...], system: str = "") -> list[str]:
    """What `lm.chat` makes of questions, one after another."""
    messages = [{"role": "system", "content": system}] if system else []
    for question in questions:
        messages.append({"role": "user", "content": question})
        messages.append({"role": "assistant", "content": lm.chat(messages, greedy=True)})
    return [message["content"] for message in messages if message["role"] != "system"]


def test_a_page_answers_as_tinylm(learned: Path, browser: Any, tmp_path: Path) -> None:
    """Also where the context holds no more than the last questions, and after a system text."""
    lm, file = tinylm.load(learned), tmp_path / "page.html"
    lm.export(file, to="html", dtype="f32")
    questions = 3 * QUESTIONS
    with opened(browser, file) as page:
        page.get_by_label("greedy").check()
        for question in questions:
            found = ask(page, question)
        assert found == conversation_of(lm, questions)
        assert found[1] == "fine , and you ?"
        assert "the oldest questions no longer fit: " in page.inner_text(".buttons [role=status]")
        page.get_by_role("button", name="Answer anew").click()
        settle(page)
        assert said(page) == found
        page.get_by_role("button", name="Start over").click()
        assert said(page) == []
        page.get_by_text("System text").click()
        page.get_by_label("What the model is told at first").fill("fine , good")
        for question in QUESTIONS:
            found = ask(page, question)
        assert found == conversation_of(lm, QUESTIONS, "fine , good")


def test_what_cannot_be_asked_is_said_and_the_question_stays(learned: Path, browser: Any, tmp_path: Path) -> None:
    tinylm.load(learned).export(tmp_path / "page.html", to="html")
    with opened(browser, tmp_path / "page.html") as page:
        ask(page, "how are you ?")
        before = said(page)
        assert ask(page, "how " * 40) == before
        assert page.inner_text("[role=alert]") == "The question is too long: this model sees 32 tokens at once."
        assert page.get_by_label("Your question").input_value() == "how " * 40
        assert len(ask(page, "fine")) == 4
        assert page.inner_text("[role=alert]") == ""


def test_an_answer_can_be_stopped(browser: Any, tmp_path: Path) -> None:
    lm = tinylm.load(chat_models.random(tmp_path / "run", context_length=2000))
    lm.export(tmp_path / "page.html", to="html")
    with opened(browser, tmp_path / "page.html") as page:
        page.get_by_text("More settings").click()
        page.locator("[aria-label=max-tokens]").fill("500")
        statuses = []
        while "stopped" not in statuses:  # an answer may end by itself before
            page.get_by_label("Your question").fill("hello")
            page.evaluate(SEND_AND_STOP)
            settle(page)
            statuses.append(page.inner_text(".buttons [role=status]"))
            assert len(said(page)) == 2 * len(statuses) < 40


def test_what_is_said_is_never_markup(browser: Any, tmp_path: Path) -> None:
    lm = tinylm.load(chat_models.random(tmp_path / "run", context_length=2000))
    lm.export(tmp_path / "page.html", to="html")
    with opened(browser, tmp_path / "page.html") as page:
        page.get_by_text("More settings").click()
        page.locator("[aria-label=max-tokens]").fill("3")
        for payload in PAYLOADS:
            assert ask(page, payload)[-2] == payload
        assert page.evaluate("document.querySelectorAll('img, iframe, svg, form, base, a, math').length") == 0


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_window_and_everything_has_a_name(learned: Path, browser: Any, tmp_path: Path, width: int,
                                                      scheme: str) -> None:
    tinylm.load(learned).export(tmp_path / "page.html", to="html")
    size = {"width": width, "height": 800}
    with opened(browser, tmp_path / "page.html", viewport=size, color_scheme=scheme) as page:
        ask(page, "what is 1 + 1 ?")
        for fold in page.locator("summary").all():
            fold.click()
        assert page.evaluate(LAYOUT)
        assert page.evaluate(UNNAMED) == []


def test_the_studio_opens_a_conversation(learned: Path, browser: Any) -> None:
    lm = tinylm.load(learned)
    with studio_of(learned.parent) as studio, visiting(browser, studio, refusals=True) as page:
        assert studio.models()["learned"]["has_chat"] is True
        page.get_by_role("link", name="Open").click()
        page.get_by_label("greedy").check()
        for question in QUESTIONS:
            found = ask(page, question)
        assert found == conversation_of(lm, QUESTIONS)
        assert page.evaluate(LAYOUT)
        assert page.evaluate(UNNAMED) == []


def test_the_studio_answers_for_a_model_that_is_too_large_for_the_browser(browser: Any, tmp_path: Path) -> None:
    large = tmp_path / "large"
    lm = tinylm.train("hello", preset="notebook", steps=30, out=large, quiet=True,
                      config={"model": {"d_mlp": 220_000}})
    data = lm.config.data.model_copy(update={"chat_format": "turns"})
    write_config(large, lm.config.model_copy(update={"data": data}))
    with studio_of(tmp_path) as studio, visiting(browser, studio, refusals=True) as page:
        card = studio.models()["large"]
        assert (card["in_browser"], card["has_chat"]) == (False, True)
        page.get_by_role("link", name="Open").click()
        answer = ask(page, "how are you ?")
        assert len(answer) == 2
        assert set(answer[1].split()) <= set(lm.tokenizer.tokens(range(lm.tokenizer.vocab_size)))
        assert ask(page, "how " * 400) == answer
        assert "at once" in page.inner_text("[role=alert]")
