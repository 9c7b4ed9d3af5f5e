"""Real Chromium for pages, by Playwright. Tests with it are skipped where one of them is missing."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PATIENCE_MS = 60_000


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser without a window. Skips where Chromium or Playwright is not installed."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("Chromium is not installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, file: Path, fragment: str = "", ready: str = ".bars li", **options: Any) -> Iterator[Any]:
    """A page from the disk that shows its model. Fails if it asks for anything, or if its console has a word to say.

    Args:
        ready: selects what is there as soon as the page has done its work.
        options: of Playwright's `new_page`, such as the size of the window.
    """
    page = browser.new_page(**options)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.on("request", lambda request: said.append(request.url))
    page.goto(file.as_uri() + fragment)
    page.wait_for_selector(ready, timeout=PATIENCE_MS)
    yield page
    page.close()
    assert {each.partition("#")[0] for each in said} == {file.as_uri()}


def settle(page: Any) -> None:
    """Waits until the page has read or written what was asked for."""
    from playwright.sync_api import expect

    expect(page.locator(".buttons [role=status]")).not_to_have_text(re.compile("…$"), timeout=PATIENCE_MS)


def write(page: Any, prompt: str) -> list[int]:
    """The ids of a text that the page writes from a prompt, those of the prompt included."""
    page.get_by_label("The beginning of a text").fill(prompt)
    page.get_by_role("button", name="Write", exact=True).click()
    settle(page)
    return ids_of(page)


def ids_of(page: Any) -> list[int]:
    """The ids of the text on the page."""
    found: list[int] = page.eval_on_selector_all("[data-id]", "all => all.map((each) => Number(each.dataset.id))")
    return found
