"""A person's whole journey through the real studio in Chromium: from a text to a page that writes the same offline."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import tinylm
from tests.page.browser import chromium, ids_of, opened, settle, write
from tests.studio.studio import Studio, studio_of
from tinylm.text.corpus import open_corpus

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]
PATIENCE_MS = 60_000
LAYOUT = "document.documentElement.scrollWidth <= innerWidth"
UNNAMED = """[...document.querySelectorAll('button, a, input, select, textarea, canvas')].filter((each) =>
  !each.textContent.trim() && !each.closest('[aria-label]') && !each.labels?.length).map((each) => each.outerHTML)"""
DROP = """(zone, [name, text]) => {
  const files = new DataTransfer();
  files.items.add(new File([text], name, {type: "text/plain"}));
  zone.dispatchEvent(new DragEvent("drop", {dataTransfer: files, bubbles: true, cancelable: true}));
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@contextmanager
def visiting(browser: Any, studio: Studio, refusals: bool = False, **options: Any) -> Iterator[Any]:
    """The studio's page. Fails if it asks anybody else, or if its console has a word to say.

    Args:
        refusals: the studio may refuse something, which Chromium tells its console.
    """
    context = browser.new_context(**options)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("request", lambda request: said.append(request.url) if not request.url.startswith(studio.url) else None)
    page.set_default_timeout(PATIENCE_MS)
    page.goto(studio.address)
    page.wait_for_selector("h1")
    assert studio.key not in page.url
    yield page
    context.close()
    refused = re.compile("status of 4[0-9][0-9]" if refusals else "^(blob|data):")
    assert [each for each in said if not refused.search(each)] == []


def eventually(page: Any, condition: Callable[[], bool]) -> None:
    """Waits until something holds. (The page's policy forbids what Playwright's own waiting does.)"""
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while not condition():
        assert time.monotonic() < deadline
        page.wait_for_timeout(100)


def english(size: int) -> str:
    """The beginning of a text that nobody here wrote."""
    return "".join(piece.text for piece in open_corpus("python-reference").pieces())[:size]


def give_text(page: Any, name: str, text: str, minutes: str = "0") -> None:
    """Drops a text, and waits for the plan. Args: minutes: the place of the slider; 0: 20 seconds."""
    page.get_by_role("link", name="New model").first.click()
    page.locator(".drop").evaluate(DROP, [f"{name}.txt", text])
    page.wait_for_selector(".texts li")
    page.locator("#minutes").fill(minutes)
    assert page.input_value("#model-name") == name
    page.wait_for_selector(".plan li")


def make_model(page: Any, name: str, text: str) -> None:
    """Drops a text, and trains 20 seconds."""
    give_text(page, name, text)
    assert page.get_by_text("Train for 20 seconds").is_visible()
    page.get_by_role("button", name="Start training").click()


def test_the_whole_journey(tmp_path: Path, browser: Any) -> None:
    with studio_of(tmp_path / "models") as studio, visiting(browser, studio, refusals=True) as page:
        assert page.get_by_text("There is no model here yet").is_visible()
        make_model(page, "manual", english(60_000))
        watch_it_learn(page)
        ids = write_greedily(page)
        look_inside(page)
        file = export_page(page, tmp_path)
    with opened(browser, file) as page:
        page.locator("#greedy").check()
        assert write(page, "The") == ids


def watch_it_learn(page: Any) -> None:
    """The curve moves; a page that is loaded anew finds the run again; it comes to its end."""
    page.wait_for_selector(".chart polyline.training", state="attached")
    points = "document.querySelector('.chart .training').getAttribute('points').split(' ').length"
    before = page.evaluate(points)
    eventually(page, lambda: page.evaluate(points) > before)
    assert page.get_by_text("You may close this page").is_visible()
    page.reload()
    page.wait_for_selector(".chart circle.validation")
    assert page.evaluate(points) >= before
    page.get_by_text("The training is over").wait_for()
    assert page.locator(".samples li").count() >= 2
    assert page.locator(".remarks li").count() >= 1


def write_greedily(page: Any) -> list[int]:
    page.get_by_role("link", name="Write with it").click()
    page.wait_for_selector(".bars li")
    page.locator("#greedy").check()
    ids = write(page, "The")
    assert len(ids) > 20
    surprises = page.eval_on_selector_all(".text .token", "all => new Set(all.map((each) => each.style.cssText)).size")
    assert surprises > 3
    page.wait_for_selector("text=/looked up in the text|Nothing of it stands/")
    return ids


def look_inside(page: Any) -> None:
    """A head is switched off: the bars change, and its contribution goes."""
    page.get_by_role("link", name="Inside").click()
    page.get_by_label("A sentence").fill("The value of")
    eventually(page, lambda: "".join(page.locator(".text [data-id]").all_inner_texts()).endswith("The value of"))
    page.wait_for_selector(".two-sided")
    settle(page)
    before = page.locator(".bars").inner_text()
    contributions = page.locator(".numbers").first.inner_text()
    page.locator("[data-part='layers.0.head.0']").uncheck()
    settle(page)
    assert page.locator(".bars").inner_text() != before
    assert page.locator(".bar.was").count() == 12
    eventually(page, lambda: page.locator(".numbers").first.inner_text() != contributions)
    page.get_by_role("button", name="All on").click()
    settle(page)
    assert page.locator(".bars").inner_text() == before
    page.get_by_role("button", name="One training step").click()
    page.get_by_role("heading", name="One training step").wait_for()
    page.get_by_label("Another sentence").fill("The class of")
    page.get_by_role("button", name="Patch").click()
    page.get_by_role("heading", name="Patching").wait_for()
    page.get_by_label("Another sentence").fill("The")
    page.get_by_role("button", name="Patch").click()
    page.wait_for_selector(".problem:has-text('token')")


def export_page(page: Any, tmp_path: Path) -> Path:
    page.get_by_role("link", name="Export").click()
    panel = page.locator("section", has=page.locator("#dtype-html"))
    panel.get_by_role("button").click()
    with page.expect_download() as download:
        panel.get_by_role("link", name="Download").click()
    file = tmp_path / "downloaded.html"
    download.value.save_as(file)
    return file


def test_models_are_renamed_deleted_and_brought_back(tmp_path: Path, browser: Any, hello_run: Path) -> None:
    shutil.copytree(hello_run, tmp_path / "manual")
    with studio_of(tmp_path) as studio, visiting(browser, studio) as page:
        page.get_by_role("button", name="Rename manual").click()
        page.get_by_label("The new name of manual").fill("guide")
        page.get_by_role("button", name="Save").click()
        page.get_by_role("link", name="guide", exact=True).wait_for()
        page.get_by_role("button", name="Delete guide").click()
        page.get_by_text("is in the bin.").wait_for()
        page.get_by_text("There is no model here yet").wait_for()
        page.get_by_role("button", name="Undo").click()
        page.get_by_role("link", name="guide", exact=True).click()
        page.get_by_role("link", name="Numbers").click()
        page.wait_for_selector("iframe")
        eventually(page, lambda: "Loss" in page.frame_locator("iframe").get_by_role("heading").all_inner_texts())


def test_stopped_and_gone_on_with(tmp_path: Path, browser: Any) -> None:
    with studio_of(tmp_path) as studio, visiting(browser, studio) as page:
        give_text(page, "letters", english(30_000), minutes="4")
        page.get_by_role("button", name="Start training").click()
        for begin in (None, "Go on"):
            if begin:
                page.get_by_role("button", name=begin).click()
                page.get_by_text("It is learning").wait_for()
            page.wait_for_selector(".chart polyline.training", state="attached", timeout=2 * PATIENCE_MS)
            page.get_by_role("button", name="Stop").click()
            page.get_by_text("The training was stopped").wait_for()


def test_wrong_inputs_have_their_sentences(tmp_path: Path, browser: Any) -> None:
    with studio_of(tmp_path) as studio, visiting(browser, studio, refusals=True) as page:
        page.get_by_role("link", name="New model").first.click()
        assert page.get_by_role("button", name="Start training").is_disabled()
        page.locator(".drop").evaluate(DROP, ["empty.txt", ""])
        page.wait_for_selector(".problem:has-text('empty.txt')")
        page.get_by_text("or paste one").click()
        page.get_by_label("The text").fill("to be or not to be, that is the question\n" * 100)
        page.get_by_role("button", name="Use this text").click()
        page.wait_for_selector(".care:has-text('more than once')")
        page.locator("#model-name").fill("a/b")
        page.get_by_role("button", name="Start training").click()
        page.wait_for_selector(".problem:has-text('cannot be the name of a folder')")
        page.goto(f"{studio.url}/#/model/nothing/numbers")
        page.wait_for_selector(".problem:has-text('There is no model')")
        page.get_by_role("link", name="To all models").click()
        page.get_by_text("There is no model here yet").wait_for()


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_fits_the_window_and_is_named(tmp_path: Path, browser: Any, hello_run: Path, width: int,
                                                 scheme: str) -> None:
    shutil.copytree(hello_run, tmp_path / "hello")
    options = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    with studio_of(tmp_path) as studio, visiting(browser, studio, **options) as page:
        for place in ("", "new", *(f"model/hello/{tab}" for tab in ("live", "write", "inside", "export"))):
            page.goto(f"{studio.url}/#/{place}")
            page.wait_for_selector("main:not([aria-busy]) h1")
            for fold in page.locator("summary").all():
                fold.click()
            assert page.evaluate(LAYOUT), place
            unnamed = page.evaluate(UNNAMED)
            assert unnamed == [], place
            assert re.search("tinylm studio$", page.title())


def test_two_models_side_by_side_write_from_one_prompt(tmp_path: Path, browser: Any, hello_run: Path) -> None:
    for name in ("one", "two"):
        shutil.copytree(hello_run, tmp_path / name)
    with studio_of(tmp_path) as studio, visiting(browser, studio) as page:
        page.goto(f"{studio.url}/#/model/one/write")
        page.get_by_label("Beside it").select_option("two")
        page.wait_for_selector(".pair")
        page.locator("#greedy").check()
        page.get_by_label("The beginning of a text").fill("hello")
        page.get_by_role("button", name="Write", exact=True).click()
        for status in page.locator(".pair [role=status]").all():
            status.filter(has_text="token").wait_for()
        both = ids_of(page)
        assert both[:len(both) // 2] == both[len(both) // 2:]
        assert len(both) > 4


def test_a_model_too_large_for_the_browser_is_computed_by_the_studio(tmp_path: Path, browser: Any) -> None:
    tinylm.train("hello", preset="notebook", steps=30, out=tmp_path / "large", quiet=True,
                 config={"model": {"d_mlp": 220_000}})
    with studio_of(tmp_path) as studio, visiting(browser, studio, refusals=True) as page:
        assert studio.models()["large"]["in_browser"] is False
        page.get_by_role("link", name="Open").click()
        page.get_by_label("The beginning of a text").fill("hello , how")
        page.get_by_label("max-tokens").fill("3")
        page.get_by_role("button", name="Write", exact=True).click()
        eventually(page, lambda: page.locator(".text .token").count() >= 5)
        eventually(page, lambda: page.get_by_role("button", name="Go on").is_enabled())
        ids = ids_of(page)
        page.locator(".text .token").nth(4).click()
        page.locator("[role=status] button").nth(1).click()
        eventually(page, lambda: len(ids_of(page)) >= 5 and ids_of(page) != ids)
        assert ids_of(page)[:4] == ids[:4]
        page.get_by_role("link", name="Inside").click()
        page.get_by_label("A sentence").fill("hello , how")
        page.get_by_label("Parts that are off").fill("0.0")
        page.get_by_role("button", name="Look inside").click()
        page.wait_for_selector(".two-sided")
        assert page.locator(".lens tbody tr").count() == 3
        page.get_by_label("Parts that are off").fill("9.9")
        page.get_by_role("button", name="Look inside").click()
        page.wait_for_selector(".problem:has-text('9')")
