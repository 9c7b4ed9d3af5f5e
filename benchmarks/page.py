"""Tokens a second that a page of `tinylm export --to html` writes in Chromium, by WebAssembly and in plain JavaScript,
and the milliseconds until a text of 64 tokens is read and shown with its attention and lens, a typing pause included.

The weights are random. Chromium has to be installed, and the package playwright.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.harness import Run, in_pairs, outcome, tell

ENTRIES, TOKENS, SHOWN = 2048, 200, 64
LEAST, SLOWEST_MS = 60, 500
"""Tokens a second that a model of 2M writes, and the milliseconds of a view for one of 0.8M."""
_SHOW = """async (text) => {
  const box = document.querySelector("textarea"), status = document.querySelector("[role=status]");
  const began = performance.now();
  box.value = text;
  box.dispatchEvent(new Event("input"));
  const isShown = () => document.querySelectorAll(".text [data-id]").length > %d && !status.textContent.endsWith("…");
  while (!isShown()) await new Promise((done) => setTimeout(done, 1));
  return performance.now() - began;
}"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", default="2M", help="of the model (default: %(default)s)")
    parser.add_argument("--pairs", type=int, default=3, help="(default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Returns the exit code: 1 where a target of this size is missed."""
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        file = Path(folder) / "page.html"
        bytes_ = make_page(file, arguments.size)
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        pairs = in_pairs(arguments.pairs, lambda _: measure(browser, f"{file.as_uri()}#plain"),
                         lambda _: measure(browser, file.as_uri()))
        browser.close()
    result = outcome("page", pairs, unit="tokens/s", more_is_better=True, size=arguments.size, bytes=bytes_,
                     tokens=TOKENS, peer="plain JavaScript; tinylm stands for WebAssembly")
    best = max(pair.ours["value"] for pair in pairs)
    shown = min(pair.ours["shown_ms"] for pair in pairs)
    missed = (arguments.size == "2M" and best < LEAST) or (arguments.size == "0.8M" and shown > SLOWEST_MS)
    return tell(result) or int(missed)


def make_page(file: Path, size: str) -> int:
    """Writes a page with a model of random weights. Returns its bytes."""
    from benchmarks.shapes import make_weights
    from tinylm.config.presets import size as sizes_of
    from tinylm.config.schema import RunConfig
    from tinylm.interchange.export import export
    from tinylm.interchange.source import ExportedModel
    from tinylm.text.tokenizer import Tokenizer

    tokenizer = Tokenizer.train("word", [" ".join(f"w{number}" for number in range(ENTRIES - 4))])
    config = RunConfig.from_dict({
        "model": {"vocab_size": ENTRIES, **sizes_of(size)["model"]}, "data": {"tokenizer": "word"},
        "train": {"steps": 1}, "sample": {"max_tokens": TOKENS, "banned_tokens": ["#2"]}})
    made = export(ExportedModel(size, config, tokenizer, make_weights(config.model)), "html", file)
    return made.files[file.name]


def measure(browser: Any, address: str) -> Run:
    """Opens the page, shows a text, and writes."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    began = time.perf_counter()
    page.goto(address)
    page.wait_for_selector(".bars li")
    opened = time.perf_counter() - began
    text = " ".join(f"w{number}" for number in range(SHOWN))
    shown = page.evaluate(_SHOW % SHOWN, text)
    page.get_by_role("button", name="Write", exact=True).click()
    status = page.locator("[role=status]", has_text="a second")
    status.wait_for()
    said = status.inner_text()
    page.close()
    return {"value": float(said.partition(", ")[2].partition(" ")[0]), "opened_s": round(opened, 3),
            "shown_ms": round(shown, 1)}
