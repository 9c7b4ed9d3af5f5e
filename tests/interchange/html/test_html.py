"""The page as a file: what it holds, what its policy lets run, and what is refused before it is written."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.interchange.shapes import make_model, make_tokenizer
from tinylm.config.sample_settings import named_settings
from tinylm.config.schema import ModelConfig, SampleConfig
from tinylm.errors import TinyLMError
from tinylm.inspection.structure import parameter_table
from tinylm.interchange.export import export, read_model
from tinylm.interchange.formats import FORMATS
from tinylm.interchange.html.check import read_page
from tinylm.interchange.html.export import PAGE, write
from tinylm.interchange.source import ExportedModel
from tinylm.model.taps import TAPS
from tinylm.page.facts import RANGES, model_facts

MANY = {"d_model": 512, "n_layers": 8, "n_heads": 8}


def sized(**sizes: int) -> ExportedModel:
    """A model that has the shape and no weights."""
    base = make_model("default")
    shape = ModelConfig(vocab_size=base.tokenizer.vocab_size, **sizes)
    return replace(base, config=base.config.model_copy(update={"model": shape}), weights={})


def with_sample(**settings: object) -> ExportedModel:
    base = make_model("default")
    return replace(base, config=base.config.model_copy(update={"sample": SampleConfig(**settings)}))


def test_the_policy_lets_the_code_run_and_nothing_else(tmp_path: Path) -> None:
    write(make_model("default"), tmp_path, "f16")
    text = (tmp_path / PAGE).read_text(encoding="utf-8")
    script, = re.findall(r'<script type="module">(.*?)</script>', text, re.DOTALL)
    policy, = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    wanted = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{wanted}' 'wasm-unsafe-eval';" in policy
    assert policy.startswith("default-src 'none'; ")
    assert "connect-src" not in policy
    assert not re.search(r"\son\w+=", text.partition("<script")[0])
    assert not re.findall(r"(?:src|href)=", re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL))


def test_nothing_in_the_file_is_markup(tmp_path: Path) -> None:
    """A name, a card and a vocabulary that try to end the elements that they stand in."""
    evil = "</script><script>alert(1)</script>"
    model = replace(make_model("default", "word"), name=f"{evil}$code", card=f"# {evil}\n<!--")
    write(model, tmp_path, "f16")
    text = (tmp_path / PAGE).read_text(encoding="utf-8")
    assert text.count("<script") == text.count("</script>") == 3
    assert "<!--" not in text
    assert "alert(1)</" not in text


@pytest.mark.parametrize(("dtype", "most"), [("f32", 0.0), ("f16", 2e-3), ("q8_0", 3e-2)])
def test_the_weights_come_back(tmp_path: Path, dtype: str, most: float) -> None:
    model = make_model("gpt2")
    export(model, "html", tmp_path / "page.html", dtype=dtype)
    config, weights = read_page(tmp_path / "page.html")
    assert config == model.config.model
    assert weights.keys() == model.weights.keys()
    for name, numbers in weights.items():
        assert np.abs(numbers - model.weights[name]).max() <= most, name


def test_a_file_that_is_no_page_is_refused(tmp_path: Path) -> None:
    write(make_model("default"), tmp_path, "q8_0")
    whole = (tmp_path / PAGE).read_bytes()
    start = whole.index(b'id="weights">') + 200
    for damaged in (b"", b"<!doctype html>", whole[:start], whole[:start] + b"A" + whole[start + 1:], b"\xff" + whole):
        (tmp_path / PAGE).write_bytes(damaged)
        with pytest.raises(TinyLMError, match="is no page that tinylm wrote"):
            read_page(tmp_path / PAGE)


def test_the_first_model_makes_a_small_page(tmp_path: Path, hello_run: Path) -> None:
    found = export(read_model(hello_run), "html", tmp_path / "n.html")
    assert found.files["n.html"] < 200_000
    assert found.dtype == "f16"
    assert found.next_steps[0].endswith((tmp_path / "n.html").as_uri())


def test_a_large_model_gets_8_bits() -> None:
    assert [FORMATS["html"].default_dtype(count) for count in (17_932, 999_999, 1_000_000)] == ["f16", "f16", "q8_0"]
    assert FORMATS["gguf"].default_dtype(10**9) == "f16"


def test_too_large_a_model_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(TinyLMError, match="holds at most 50,000,000 parameters, and this model has 6") as refused:
        write(sized(d_model=768, n_layers=9, n_heads=12), tmp_path, "q8_0")
    assert "--to gguf" in refused.value.remedy
    assert not list(tmp_path.iterdir())


def test_a_model_that_takes_long_to_open_is_said(tmp_path: Path) -> None:
    model = sized(**MANY)
    zeros = {tensor.name: np.zeros(tensor.shape, np.float32) for tensor in parameter_table(model.config.model)}
    notes = write(replace(model, weights=zeros), tmp_path, "q8_0")
    assert "the page takes some seconds to open" in notes[-1]


def test_what_the_page_cannot_do_is_said(tmp_path: Path) -> None:
    notes = write(with_sample(stop="END", beams=3, top_p=0.9, banned_tokens="t"), tmp_path, "f32")
    assert notes == ["A text is read as it stands in the page; tinylm also understands near spellings, such as curly "
                     "quotes for straight ones.", "These sampling settings are not carried: stop, beams."]


def test_words_and_names_come_from_pythons_tables() -> None:
    facts = model_facts(ModelConfig(vocab_size=9), SampleConfig(top_k=700))
    assert [(tap["name"], tap["shape"], tap["about"]) for tap in facts["taps"]] == [tuple(tap) for tap in TAPS]
    words = {each.name: each.setting.help for each in named_settings()}
    assert {each["name"]: each["help"] for each in facts["settings"]} == {name: words[name] for name in RANGES}
    top_k, = (each for each in facts["settings"] if each["name"] == "top_k")
    assert top_k["value"] == top_k["highest"] == 700


def test_banned_and_favoured_tokens_go_with_the_model(tmp_path: Path) -> None:
    tokenizer = make_tokenizer("char")
    write(with_sample(banned_tokens=["t", "#2"], logit_bias={"a": 1.5}), tmp_path, "f16")
    text = (tmp_path / PAGE).read_text(encoding="utf-8")
    a, t = (tokenizer.encode_text(letter)[0] for letter in "at")
    assert f'"bias":[[2,null],[{a},1.5],[{t},null]]' in text
