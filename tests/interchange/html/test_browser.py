"""The page in real Chromium, opened from the disk: it writes what tinylm writes, asks nobody, and runs no text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.interchange.shapes import make_model
from tests.page.browser import chromium, ids_of, opened, settle, write
from tests.page.test_tokenizers import texts_for
from tinylm.config.schema import SampleConfig
from tinylm.engine.engine import Engine
from tinylm.engine.kv_cache import SequenceCache
from tinylm.generation.context import ContextWindow
from tinylm.interchange.export import export
from tinylm.interchange.html.check import read_page
from tinylm.interchange.source import Dtype, ExportedModel
from tinylm.sampling.sampler import Sampler
from tinylm.text.tokenizer import Tokenizer

pytestmark = [pytest.mark.slow, pytest.mark.timeout(280)]
TOKENS, PROMPTS = 64, 20
LAYOUT = "document.documentElement.scrollWidth <= innerWidth"
PAYLOADS = ["<script>alert(1)</script>", "<img/src=x/onerror=alert(1)>", "<svg/onload=alert(1)>", "</script><b>x</b>",
            "<!--", "]]>", "&lt;b&gt;", "'\"><iframe/src=javascript:alert(1)>", "javascript:alert(1)", "${alert(1)}",
            "</textarea><script>alert(1)</script>", "</style><style>*{display:none}", "<a/href=//evil.example>x</a>",
            "<base/href=//evil.example>", "<meta/http-equiv=refresh/content=0>", "\\u003cscript\\u003e", "$name",
            "%3Cb%3E", "<form/action=//evil.example><input/autofocus/onfocus=alert(1)>",
            "<math><mi/xlink:href=javascript:alert(1)>"]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


def greedy(model: ExportedModel) -> ExportedModel:
    sample = SampleConfig(greedy=True, max_tokens=TOKENS)
    return replace(model, config=model.config.model_copy(update={"sample": sample}))


def made(tmp_path: Path, model: ExportedModel, dtype: Dtype = "f16") -> Path:
    file = tmp_path / "page.html"
    export(model, "html", file, dtype=dtype)
    return file


@pytest.mark.parametrize(("shape", "kind", "dtype", "way"), [
    ("default", "bpe", "q8_0", ""), ("gpt2", "char", "f16", ""), ("notebook", "word", "f16", ""),
    ("GQA", "bpe", "f32", "#plain")])
def test_64_greedy_tokens_after_20_prompts_are_the_same(tmp_path: Path, browser: Any, shape: str, kind: str,
                                                        dtype: Dtype, way: str) -> None:
    """With the same rounding of weights on both sides: Python reads them from the page."""
    model = greedy(make_model(shape, kind))
    file = made(tmp_path, model, dtype)
    engine = Engine(*read_page(file))
    with opened(browser, file, way) as page:
        assert ("WebAssembly" in page.inner_text("header")) == (way == "")
        for text in texts_for(model.tokenizer, PROMPTS + 1)[1:]:
            prompt = model.tokenizer.encode_prompt(text)
            assert write(page, text) == written(model, prompt, lambda ids: int(logits(engine, ids).argmax())), text


def test_a_seed_gives_the_text_that_tinylm_gives(tmp_path: Path, browser: Any) -> None:
    sample = SampleConfig(temperature=0.9, top_p=0.95, repetition_penalty=1.1, max_tokens=TOKENS)
    model = make_model("default", "char")
    model = replace(model, config=model.config.model_copy(update={"sample": sample}))
    file = made(tmp_path, model, "f32")
    engine, prompt = Engine(*read_page(file)), model.tokenizer.encode_prompt("the cat")
    sampler = Sampler(sample, prompt, np.zeros(model.tokenizer.vocab_size, np.float32), seed=7)
    with opened(browser, file) as page:
        page.get_by_text("More settings").click()
        page.locator("#seed").fill("7")
        assert write(page, "the cat") == written(model, prompt, lambda ids: sampler.next(logits(engine, ids)))


def written(model: ExportedModel, prompt: list[int], choose: Callable[[list[int]], int]) -> list[int]:
    """A prompt with `TOKENS` ids after it, or those before the one that ends the text. `choose` gets visible ids."""
    window = ContextWindow(prompt, model.config.model.context_length)
    for _ in range(TOKENS):
        if (id := choose(window.visible)) in model.tokenizer.specials.ends:
            break
        window.extend(id)
    return window.ids


def logits(engine: Engine, ids: list[int]) -> Any:
    """The logits (V) after the last id, with nothing kept of earlier ones."""
    return engine.read([SequenceCache(engine.config)] * len(ids), ids, 1)[-1].copy()


def test_text_is_never_markup(tmp_path: Path, browser: Any) -> None:
    """S13: 300 payloads as the model's tokens, name, card and prompt; none becomes an element, none runs."""
    words = [f"{payload}{number}" for number in range(15) for payload in PAYLOADS]
    tokenizer = Tokenizer.train("word", [" ".join(words)])
    base = make_model("default", "word", context_length=400)
    config = base.config.model_copy(update={"model": base.config.model.model_copy(
        update={"vocab_size": tokenizer.vocab_size})})
    random = np.random.default_rng(0)
    big = random.standard_normal((tokenizer.vocab_size, 64)).astype(np.float32)
    model = ExportedModel(PAYLOADS[0], config, tokenizer, {**base.weights, "embed.weight": big, "out_head.weight": big},
                          card="\n".join(words))
    file = made(tmp_path, greedy(model))
    with opened(browser, file) as page:
        before = page.evaluate("document.scripts.length")
        ids = write(page, " ".join(words))
        assert ids[1:301] == tokenizer.encode_text(" ".join(words))
        page.locator(".text .token").nth(5).hover()
        page.locator(".text .token").nth(7).click()
        page.get_by_text("Model card").click()
        assert page.inner_text("h1") == PAYLOADS[0]
        assert page.inner_text("pre").split() == words
        assert page.evaluate("document.scripts.length") == before == 3
        assert page.evaluate("document.querySelectorAll('img, iframe, b, svg, form, base, a, math').length") == 0
        assert page.evaluate("document.querySelectorAll('style, meta[http-equiv]').length") == 2


def test_a_journey_by_pointer(tmp_path: Path, browser: Any) -> None:
    model = greedy(make_model("default", "char"))
    with opened(browser, made(tmp_path, model)) as page:
        ids = write(page, "the cat")
        heads = page.locator("[data-part='layers.0.head.1']")
        before = page.locator(".bars").inner_text()
        heads.uncheck()
        settle(page)
        assert page.locator(".bars").inner_text() != before
        assert page.locator(".bar.was").count() == 12
        page.get_by_role("button", name="All on").click()
        settle(page)
        assert page.locator(".bars").inner_text() == before
        page.locator(".text [data-index='5']").hover()
        assert page.locator(".tip div").count() == 5
        page.locator(".text [data-index='5']").click()
        assert page.get_by_role("heading", name="In place of").count() == 1
        page.locator(".bars button").nth(3).click()
        settle(page)
        assert ids_of(page)[:5] == ids[:5]
        assert len(ids_of(page)) == 6
        page.get_by_role("button", name="Go on").click()
        settle(page)
        assert len(ids_of(page)) > 6 or "ended the text" in page.inner_text("[role=status]")
        page.locator("#greedy").uncheck()
        page.locator("[aria-label=top-k]").fill("3")
        assert page.locator(".cut", has_text="cut: top-k").count() == 9
        assert "3 of" in page.inner_text(".side")


def test_a_journey_by_keyboard(tmp_path: Path, browser: Any) -> None:
    model = greedy(make_model("gpt2", "char"))
    with opened(browser, made(tmp_path, model)) as page:
        page.get_by_label("The beginning of a text").fill("the mat")
        page.keyboard.press("Control+Enter")
        settle(page)
        page.locator(".text [tabindex='0']").focus()
        for key in ("End", "Home", "ArrowRight", "ArrowRight", "Enter"):
            page.keyboard.press(key)
        assert page.evaluate("document.activeElement.dataset.index") == "2"
        assert page.locator(".text [aria-selected=true]").get_attribute("data-index") == "2"
        assert page.locator(".tip").is_visible()
        page.keyboard.press("Escape")
        assert page.locator(".tip").is_hidden()
        unnamed = page.evaluate("""[...document.querySelectorAll('button, input, textarea, canvas[role]')].filter(
            (each) => !each.textContent.trim() && !each.getAttribute('aria-label') && !each.labels?.length).length""")
        assert unnamed == 0


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_the_window(tmp_path: Path, browser: Any, width: int, scheme: str) -> None:
    model = make_model("default", "bpe")
    with opened(browser, made(tmp_path, model), viewport={"width": width, "height": 800}, color_scheme=scheme) as page:
        write(page, "the cat sat on the mat and the hat was flat")
        for fold in page.locator("summary").all():
            fold.click()
        assert page.evaluate(LAYOUT)


def test_an_unknown_character_is_said_and_the_text_stays(tmp_path: Path, browser: Any) -> None:
    model = greedy(make_model("default", "char"))
    with opened(browser, made(tmp_path, model)) as page:
        ids = write(page, "the cat")
        page.get_by_label("The beginning of a text").fill("the Ж")
        page.get_by_role("button", name="Write", exact=True).click()
        assert page.inner_text("[role=alert]") == 'not in the alphabet of this model: "Ж"'
        assert ids_of(page) == ids
