"""The lesson in Chromium, from the disk: each page at two widths and in both schemes, for the keyboard, for readers of
screens, without a script, and on paper."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interchange.html.test_browser import LAYOUT
from tests.page.browser import chromium, opened
from tests.page.test_modules import npm
from tinylm.learn.html.illustrations import LIVE, PICTURES
from tinylm.learn.html.site import write_lesson
from tinylm.learn.pages import PAGES, Page

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600), pytest.mark.xdist_group("lesson_browser")]
AXE = "axe-core@4"
SHOWN = "document.querySelectorAll('.frame:not([hidden])').length"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def lesson(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_lesson(tmp_path_factory.mktemp("lesson") / "lesson").parent


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("axe")
    npm(folder, AXE)
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


def file_of(lesson: Path, page: Page) -> Path:
    return lesson / f"{page.number:02}-{page.name}.html"


def go_on(page: Any, guess: str = "") -> None:
    """Gives a guess, after which the rest of the page is there."""
    page.fill("#guess", guess)
    page.keyboard.press("Enter")


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_shows_its_pictures(lesson: Path, browser: Any, axe: str, width: int, scheme: str) -> None:
    options = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme, "bypass_csp": True}
    faults = {}
    for each in PAGES:
        with opened(browser, file_of(lesson, each), ready=".guess", **options) as page:
            assert not page.locator(".picture").first.is_visible()
            go_on(page, "<b>mine")
            assert page.inner_text(".guessed") == "Your guess: <b>mine"
            assert page.locator(".picture").count() == len(PICTURES[each.number])
            assert page.evaluate(SHOWN) == len(PICTURES[each.number])
            if each.number in LIVE:
                page.wait_for_selector("#place\\.live textarea")
            assert page.evaluate(LAYOUT), each.name
            page.evaluate(axe)
            found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
            faults |= {(each.name, rule["id"]): rule["nodes"][0]["html"][:300] for rule in found["violations"]}
    assert faults == {}


def test_a_slider_and_the_arrow_keys_choose_frames(lesson: Path, browser: Any) -> None:
    with opened(browser, file_of(lesson, PAGES[1]), ready=".guess") as page:
        go_on(page)
        slider = page.locator(".slider input")
        before = page.locator(".frame:visible svg").get_attribute("aria-label")
        slider.focus()
        page.keyboard.press("ArrowRight")
        assert page.locator(".frame:visible svg").get_attribute("aria-label") != before
        assert slider.get_attribute("aria-valuetext") == "5"
    with opened(browser, file_of(lesson, PAGES[5]), ready=".guess") as page:
        go_on(page)
        assert page.locator(".cell[tabindex='0']").count() == 1
        page.locator(".cell[tabindex='0']").focus()
        page.keyboard.press("ArrowLeft")
        pressed = page.locator(".cell[aria-pressed=true]")
        assert "says, the" in pressed.get_attribute("aria-label")
        assert page.locator(".frame:visible").get_attribute("data-name") == "says looks at the"
        page.locator(".cell").first.click()
        assert page.locator(".frame:visible").get_attribute("data-name") == "<bos> looks at <bos>"


@pytest.mark.parametrize(("number", "answer", "said"), [
    (2, "0.2133", "Right."), (2, "0.1733", "Not yet. These are the 32 places"), (2, "3", "Not yet."),
    (2, "1,2", "An answer has 1 parts here")])
def test_answers_are_judged_on_the_page(lesson: Path, browser: Any, number: int, answer: str, said: str) -> None:
    with opened(browser, file_of(lesson, PAGES[number]), ready=".guess") as page:
        go_on(page)
        box = page.get_by_label(f"Answer to {number}.3")
        box.fill(answer)
        box.press("Enter")
        assert page.locator(".answer", has=box).locator("[role=status]").inner_text().startswith(said)


def test_without_a_script_and_on_paper_all_is_there(lesson: Path, browser: Any) -> None:
    context = browser.new_context(java_script_enabled=False)
    for each in PAGES:
        page = context.new_page()
        page.goto(file_of(lesson, each).as_uri())
        assert page.locator(".picture").first.is_visible()
        assert page.locator("main h2").last.is_visible()
        assert page.locator(".frame:visible").count() == len(PICTURES[each.number])
        page.close()
    context.close()
    with opened(browser, file_of(lesson, PAGES[2]), ready=".guess") as page:
        page.emulate_media(media="print")
        assert page.locator(".picture").first.is_visible()
        assert not page.locator(".guess").is_visible()


def test_contents_and_glossary_lead_to_pages(lesson: Path, browser: Any) -> None:
    for name in ("index.html", "glossary.html"):
        with opened(browser, lesson / name, ready="main a") as page:
            for link in page.locator("main a").all():
                assert (lesson / (link.get_attribute("href") or "").partition("#")[0]).is_file()
