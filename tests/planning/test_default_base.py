"""The default base: when it is tried, when it helps, and what a person is told."""

from __future__ import annotations

import argparse
import inspect
import json
import random
from pathlib import Path
from typing import Any

import pytest

import tinylm
from tinylm.config.base import leaves_base_open
from tinylm.config.overrides import merge_overrides
from tinylm.planning.base_fit import BaseFit
from tinylm.planning.data import open_text
from tinylm.planning.default_base import MIN_BYTES, Trial, is_tried
from tinylm.planning.fine_tuning import fine_tuned_bits
from tinylm.planning.forecast import from_nothing_bits
from tinylm.text.corpus import open_corpus


@pytest.fixture(scope="module")
def prose(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some pages of Python's manual."""
    text = "".join(piece.text for piece in open_corpus("python-reference").pieces())
    path = tmp_path_factory.mktemp("prose") / "prose.txt"
    path.write_text(text[100_000:106_000], encoding="utf-8")
    return path


@pytest.mark.parametrize("choices", [
    {"steps": 5}, {"epochs": 2}, {"tokenizer": "char"}, {"vocab_size": 500}, {"base": "none"}, {"base": "elsewhere"},
    {"size_name": "0.1M"}, {"preset_name": "gpt2"}, {"preset_name": "notebook"},
    {"layers": ({"model": {"n_layers": 3}},)}, {"layers": ({"base": {"folder": "none"}},)}])
def test_a_choice_that_says_what_a_run_begins_from_stays(choices: dict[str, Any]) -> None:
    assert not leaves_base_open(merge_overrides(**choices))


@pytest.mark.parametrize("choices", [
    {}, {"minutes": 3}, {"tokenizer": "auto"}, {"seed": 4, "validation": 0.2},
    {"layers": ({"model": {"dropout": 0.2, "context_length": 64}, "train": {"learning_rate": 0.1}},)}])
def test_any_other_choice_leaves_the_base_open(choices: dict[str, Any]) -> None:
    assert leaves_base_open(merge_overrides(**choices))


def test_a_text_of_a_few_words_says_too_little() -> None:
    for n_words, tried in ((5, False), (MIN_BYTES, True)):
        text = open_text(tinylm.text.reading.sources.Texts(["word " * n_words]), {})
        assert is_tried(merge_overrides(), text) is tried


@pytest.mark.parametrize(("base", "counted", "n_bytes", "helps"), [
    # what was measured on texts of the experiments (LOG.md, "The base by default")
    (1.71, 2.59, 20_000, True), (1.71, 2.44, 100_000, True), (2.15, 3.38, 20_000, True), (2.22, 1.82, 20_000, True),
    (2.9, 0.9, 20_000, False),
    (2.24, 1.98, 200_000, True), (2.37, 2.27, 1_000_000, True),
    (4.39, 2.75, 20_000, False), (5.50, 2.23, 20_000, False), (4.74, 2.03, 200_000, False),
    (1.70, 1.10, 10_000_000, False)])
def test_the_base_helps_where_it_knows_the_kind_of_text(base: float, counted: float, n_bytes: int, helps: bool) -> None:
    trial = Trial(BaseFit(None, base, counted), from_nothing_bits(counted, n_bytes),  # type: ignore[arg-type]
                  fine_tuned_bits(base, counted))
    assert trial.helps is helps


def test_a_plan_begins_from_the_base_and_says_what_it_expects_of_either_way(prose: Path) -> None:
    planned = tinylm.plan(prose, minutes=0.5)
    assert planned["config"]["base"]["folder"] == "english"
    forecast = planned["forecast"]
    assert forecast["bits_per_byte"] < forecast["from_nothing_bits_per_byte"]
    line = (f"base       begins from english: expects {forecast['bits_per_byte']:.2f} bits a byte; from nothing "
            f"{forecast['from_nothing_bits_per_byte']:.2f}; --from none switches it off")
    assert planned["notes"][1] == line
    assert any("begins from the model english" in sentence for sentence in planned["sentences"])


def test_what_is_expected_from_nothing_is_what_a_plan_from_nothing_expects(prose: Path) -> None:
    """It reads the text letter by letter, and n-grams of the base's tokens would promise it too much."""
    begun, nothing = (tinylm.plan(prose, minutes=60, base=base)["forecast"] for base in (None, "none"))
    assert begun["from_nothing_bits_per_byte"] == pytest.approx(nothing["bits_per_byte"], rel=0.03)
    assert begun["ngram_bits_per_byte"] < 0.97 * nothing["ngram_bits_per_byte"]


def test_what_is_no_language_begins_from_nothing_and_says_why(tmp_path: Path) -> None:
    letters = random.Random(0)
    (tmp_path / "dna.txt").write_text("\n".join("".join(letters.choices("ACGT", k=60)) for _ in range(60)))
    planned = tinylm.plan(tmp_path / "dna.txt", minutes=0.5)
    assert "base" not in planned["config"]
    assert planned["config"]["data"]["tokenizer"] == "char"
    assert "begins from nothing: english does not know this kind of text well" in planned["notes"][1]


def test_held_out_text_decides_nothing(prose: Path, tmp_path: Path) -> None:
    (tmp_path / "code.txt").write_text(inspect.getsource(argparse), encoding="utf-8")
    lines = [tinylm.plan(prose, minutes=0.5, validation=held_out, config={"train": {"precision": "float32"}})
             ["config"]["base"]["folder"] for held_out in (0, str(tmp_path / "code.txt"))]
    assert lines == ["english", "english"]


def test_a_run_from_the_base_says_what_each_has_brought(prose: Path, tmp_path: Path,
                                                        capsys: pytest.CaptureFixture[str]) -> None:
    lm = tinylm.train(prose, minutes=0.25, out=tmp_path / "run")
    assert "base       begins from english" in capsys.readouterr().out
    assert lm.config.base.folder == "english"
    assert "--from english" in lm.config.command()
    began = json.loads((tmp_path / "run" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert lm.evaluate().bits_per_byte <= began["baselines"]["base"] + 1e-5 < began["baselines"]["ngram"]
    assert "The base alone has" in (tmp_path / "run" / "README.md").read_text(encoding="utf-8")
