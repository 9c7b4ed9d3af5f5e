"""S13: 300 payloads as names of files and models, as texts and as what a model writes: none becomes an element, none
runs, in any page of the real studio."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.interchange.html.test_browser import PAYLOADS
from tests.page.browser import chromium
from tests.page.test_studio_journey import DROP, visiting
from tests.studio.studio import Studio, studio_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]
WORDS = [f"{payload}{number}" for number in range(15) for payload in PAYLOADS]
NAMES = ["${alert(1)}", "&lt;b&gt;"]
FOREIGN = "document.querySelectorAll('#app :is(img, script, base, meta, math, style, form, frame)').length"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """A studio with models whose names, texts and tokens are payloads."""
    folder = tmp_path_factory.mktemp("models")
    text = tmp_path_factory.mktemp("texts") / f"{NAMES[0]}.txt"
    text.write_text("\n".join(" ".join(WORDS) for _ in range(3)), encoding="utf-8")
    for name in NAMES:
        subprocess.run([sys.executable, "-m", "tinylm", "train", str(text), "--tokenizer=word", "--steps=8",
                        f"--out={folder / name}"], check=True, capture_output=True, timeout=120)
    with studio_of(folder) as found:
        yield found


def harmless(page: Any, studio: Studio) -> None:
    assert page.evaluate(FOREIGN) == 0
    assert page.evaluate("document.scripts.length") == 1
    assert page.url.startswith(studio.url)


def test_names_texts_and_outputs_are_text(studio: Studio, browser: Any) -> None:
    with visiting(browser, studio, refusals=True) as page:
        page.wait_for_selector("article")
        assert [each.strip() for each in page.locator("article h2").all_inner_texts()] == NAMES
        harmless(page, studio)
        page.locator("article h2 a").first.click()
        page.get_by_label("The beginning of a text").fill(" ".join(WORDS))
        page.get_by_role("button", name="Write", exact=True).click()
        page.wait_for_selector("text=/looked up in the text|Nothing of it stands/")
        shown = "".join(page.locator(".text [data-id]").all_inner_texts())
        assert all(payload in shown for payload in PAYLOADS)
        page.locator(".text .token").nth(9).hover()
        harmless(page, studio)
        for tab in ("Inside", "Training", "Export", "Numbers"):
            page.get_by_role("link", name=tab).click()
            page.wait_for_selector(f"main:not([aria-busy]) a[aria-current]:has-text('{tab}')")
            page.wait_for_timeout(700)
            harmless(page, studio)


def test_files_that_are_dropped_are_text(studio: Studio, browser: Any) -> None:
    with visiting(browser, studio, refusals=True) as page:
        page.get_by_role("link", name="New model").first.click()
        for payload in PAYLOADS:
            page.locator(".drop").evaluate(DROP, [payload, payload * 20])
            page.locator(".steps .soft[role=status]").first.wait_for(state="attached")
        page.wait_for_selector(f".texts li >> nth={len(PAYLOADS) // 2}")
        for fold in page.locator(".texts summary").all():
            fold.click()
        harmless(page, studio)
        page.locator("#model-name").fill(PAYLOADS[1])
        page.get_by_role("button", name="Start training").click()
        page.wait_for_selector(".problem:has-text('cannot be the name of a folder')")
        harmless(page, studio)
