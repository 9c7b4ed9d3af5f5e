"""The models that come with tinylm: small, found by name in every folder, and as good as their cards say."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import tinylm
from tinylm import model_folder
from tinylm.errors import TinyLMError
from tinylm.model.tensors import fingerprint

FOLDER = model_folder.BUILT_IN / "english"
OPENING = Path(__file__).parent / "fixtures" / "pride-and-prejudice-opening.txt"
MAX_BYTES = 6_000_000


@pytest.fixture(scope="module")
def english() -> tinylm.LanguageModel:
    return tinylm.load("english")


@pytest.fixture(scope="module")
def card() -> str:
    return (FOLDER / model_folder.CARD).read_text(encoding="utf-8")


def test_it_is_small_and_holds_no_checkpoints() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {
        "config.json", "tokenizer.json", "model.safetensors", "README.md"}
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) <= MAX_BYTES


def test_its_card_names_its_weights_and_every_source(card: str) -> None:
    config, _, weights = model_folder.read_model("english")
    assert f"`{fingerprint(weights)}`" in card
    assert f"`{config.data.fingerprint}`" in card
    from bases.sources import SOURCES

    table = card.partition("## What it was trained on")[2]
    for source in SOURCES:
        assert (f"| {source.name} | {source.package} | {source.licence} |" in table) is not source.held_out, source.name


def test_it_is_as_good_as_its_card_says(english: tinylm.LanguageModel, card: str) -> None:
    [stated] = re.findall(rf"^\| {OPENING.stem} \| [\d,]+ \| ([\d.]+) \|$", card, re.MULTILINE)
    assert english.evaluate(OPENING).bits_per_byte == pytest.approx(float(stated), abs=0.001)


def test_it_reads_and_writes_every_text(english: tinylm.LanguageModel) -> None:
    text = "“Naïve façade” — 猫 and 🐈, <eos>\t\n\n  and so on."
    assert english.tokenizer.decode(english.tokenizer.encode_text(text)) == text
    written = english.generate("It was a", max_tokens=40, seed=0)
    assert len(re.findall(r"[a-z]{2,}", written)) >= 10


def test_the_name_means_the_same_in_every_folder(hello_run: Path, tmp_path: Path,
                                                 monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(hello_run, tmp_path / "english")
    monkeypatch.chdir(tmp_path)
    assert tinylm.load("english").config.model.vocab_size > 1000
    assert tinylm.load("./english").config.data.source == "hello"
    assert tinylm.load(Path("english")).config.data.source == "hello"


def test_a_name_that_is_nearly_right() -> None:
    with pytest.raises(TinyLMError, match="Did you mean 'english'"):
        tinylm.load("English")


def test_a_model_that_begins_from_it_keeps_its_name(english: tinylm.LanguageModel, tmp_path: Path) -> None:
    """The path of the package is another one in every environment."""
    lm = tinylm.train(texts=["The cat sat on the mat, and the dog slept. " * 40], base="english", steps=2,
                      out=tmp_path / "cat", quiet=True)
    assert lm.config.base.folder == "english"
    assert lm.config.base.fingerprint == fingerprint(model_folder.read_model("english")[2])
    assert lm.config.model.d_model == english.config.model.d_model
    assert "--from english" in lm.config.command()


def test_saved_elsewhere_it_is_an_ordinary_folder(english: tinylm.LanguageModel, tmp_path: Path) -> None:
    prompt = "She was"
    before = english.predict(prompt)
    tinylm.load("english").save(tmp_path / "mine")
    assert tinylm.load(tmp_path / "mine").predict(prompt) == before
