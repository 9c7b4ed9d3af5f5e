"""The pictures of docs/STUDIO.md: `python -m tests.docs.pictures` makes them anew in some four minutes.

A model is trained for two minutes on the language reference of Python, in the real studio in Chromium.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.page.browser import chromium, settle
from tests.page.test_studio_journey import PATIENCE_MS, english, give_text, visiting
from tests.studio.studio import studio_of

PLACE = Path(__file__).parents[2] / "docs" / "assets"
SIZE = {"width": 840, "height": 760}
TWO_MINUTES = "3"
"""The place of the slider."""
MAX_BYTES = 400_000


def main() -> int:
    """Makes the pictures. Returns 0, or 1 if they are too large together."""
    with (tempfile.TemporaryDirectory() as folder, chromium() as browser, studio_of(Path(folder)) as studio,
          visiting(browser, studio, viewport=SIZE, color_scheme="light") as page):
        make_and_watch(page)
        write_and_look_inside(page)
        page.get_by_role("link", name="Models").click()
        page.wait_for_selector(".bits")
        take(page, "models", height=420)
    total = sum(path.stat().st_size for path in PLACE.glob("studio-*.png"))
    print(f"{total:,} bytes in all")
    return int(total > MAX_BYTES)


def make_and_watch(page: Any) -> None:
    give_text(page, "python-manual", english(120_000), TWO_MINUTES)
    take(page, "new", height=860)
    page.get_by_role("button", name="Start training").click()
    page.locator(".chart circle.validation").nth(4).wait_for(timeout=5 * PATIENCE_MS)
    take(page, "live", height=740)
    page.get_by_text("The training is over").wait_for(timeout=5 * PATIENCE_MS)


def write_and_look_inside(page: Any) -> None:
    page.get_by_role("link", name="Write with it").click()
    page.get_by_label("The beginning of a text").fill("The value of")
    page.locator("[aria-label=temperature]").fill("0.6")
    page.get_by_role("button", name="Write", exact=True).click()
    settle(page)
    page.wait_for_selector("text=/looked up in the text|Nothing of it stands/")
    take(page, "write", height=560)
    page.get_by_role("link", name="Inside").click()
    page.get_by_label("A sentence").fill("The value of the")
    page.wait_for_timeout(1000)
    page.locator("[data-part='layers.0.head.0']").uncheck()
    settle(page)
    page.wait_for_selector(".two-sided")
    take(page, "inside", height=700)


def take(page: Any, name: str, *, height: int) -> None:
    """A picture of the upper part of the page."""
    page.set_viewport_size({**SIZE, "height": height})
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_timeout(300)
    page.screenshot(path=PLACE / f"studio-{name}.png")


if __name__ == "__main__":
    sys.exit(main())
