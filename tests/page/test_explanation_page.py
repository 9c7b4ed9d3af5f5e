"""The page of an explanation in Chromium, from the disk: it shows the data, asks nobody, and runs no text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import tinylm
from tests.interchange.html.test_browser import LAYOUT, PAYLOADS
from tests.page.browser import chromium, opened
from tinylm.inspection.plain import plain
from tinylm.reports.explain_sections import SECTIONS, ExplainRequest
from tinylm.reports.explanation_page import write_explanation

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def data(hello_run: Path) -> dict[str, Any]:
    """Every section of one text, as `tinylm explain --json` has it."""
    lm = tinylm.load(hello_run)
    text, other = lm.explain("hello , how"), lm.explain("hello , you")
    changed = text.without("1.0")
    asked = ExplainRequest(lm.explainer, text, changed, other, "1.0", False, None, None, None, -1, None, 3, 80, print)
    sections = {name: section.data(asked) for name, section in SECTIONS.items()}
    return {"text": "hello , how", "ids": [*changed.ids], "changes": [*changed.changes], "loss": changed.loss,
            **plain(sections)}


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_section_is_drawn(tmp_path: Path, browser: Any, data: dict[str, Any], width: int, scheme: str) -> None:
    file = write_explanation(tmp_path / "seen.html", "hello", data, force=False)
    options = {"viewport": {"width": width, "height": 800}, "color_scheme": scheme}
    with opened(browser, file, ready=".lens", **options) as page:
        assert page.locator("h2").count() == len(SECTIONS)
        assert page.locator(".lens tbody tr").count() == 1 + len(data["patching"]["stream"])
        assert page.evaluate(LAYOUT)
        assert page.locator(".map title").all_text_contents() == [
            point["token"] for point in data["neighbours"]["map"]["points"]]
        shown = page.locator(".text [data-id]").all_inner_texts()
        assert shown == [f"{token['token']} " for token in data["tokens"]]
        attention = page.locator(".strip + p").inner_text()
        page.locator(".text [data-index='2']").click()
        assert page.locator(".strip + p").inner_text() != attention
        page.keyboard.press("Tab")
        assert page.evaluate("""[...document.querySelectorAll('canvas')].every((each) =>
            each.getContext('2d').getImageData(0, 0, 1, 1).data[3] > 0)""")


def test_text_is_never_markup(tmp_path: Path, browser: Any, data: dict[str, Any]) -> None:
    """S13: payloads as the model's name, the text and every token; none becomes an element, none runs."""
    def hostile(value: Any, number: list[int]) -> Any:
        if isinstance(value, str):
            number[0] += 1
            return PAYLOADS[number[0] % len(PAYLOADS)]
        if isinstance(value, list):
            return [hostile(each, number) for each in value]
        if isinstance(value, dict):
            return {name: value[name] if name in ("stream", "part", "gradient") and isinstance(value[name], str)
                    else hostile(value[name], number) for name in value}
        return value

    number = [0]
    file = write_explanation(tmp_path / "seen.html", PAYLOADS[0], hostile(data, number), force=False)
    assert number[0] > 80
    with opened(browser, file, ready=".lens") as page:
        assert page.inner_text("h1") == PAYLOADS[0]
        assert page.evaluate("document.scripts.length") == 2
        assert page.evaluate("document.querySelectorAll('img, iframe, svg:not(.map), form, base, a, math').length") == 0
