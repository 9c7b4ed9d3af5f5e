"""The animals: counting pairs fails, a transformer does not, and without its heads it is no better than counting."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import tinylm
from tinylm.cli import main
from tinylm.evaluation.entropy import entropy_of, pair_entropy
from tinylm.learn.facts import encoded, n_tokens
from tinylm.text.reading.built_in import ANIMALS, HELLO

LOWEST, PAIRS = math.log(3) / 6, 2 * math.log(3) / 6


def test_what_is_possible_follows_from_the_sentences() -> None:
    assert entropy_of(list(ANIMALS)) / n_tokens(ANIMALS) == pytest.approx(LOWEST)
    assert pair_entropy(encoded(ANIMALS)) / n_tokens(ANIMALS) == pytest.approx(PAIRS)
    hello = 8 * math.log(2) / 26
    assert entropy_of(list(HELLO)) / n_tokens(HELLO) == pytest.approx(hello)
    assert pair_entropy(encoded(HELLO)) / n_tokens(HELLO) == pytest.approx(hello), "pairs are all there is to hello"


def test_a_transformer_reaches_the_lowest_loss_possible(animals_run: Path) -> None:
    report = tinylm.load(animals_run).evaluate()
    assert LOWEST <= report.loss <= LOWEST + 0.02
    assert report.baselines["entropy"] == pytest.approx(math.log2(3) * 3 / 56)


def test_with_its_heads_off_it_is_no_better_than_a_table_of_pairs(animals_run: Path) -> None:
    without, = tinylm.load(animals_run).explainer.effect("attn").parts
    assert without.loss >= PAIRS


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_another_seed_does_as_well(seed: int, tmp_path: Path) -> None:
    lm = tinylm.train("animals", preset="notebook", epochs=400, seed=seed, out=tmp_path / "run", quiet=True)
    assert lm.evaluate().loss <= LOWEST + 0.02
    assert lm.explainer.effect("attn").parts[0].loss >= PAIRS


def test_without_a_mask_it_peeks(peek_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert tinylm.load(peek_run).evaluate().loss < LOWEST
    assert main(["evaluate", str(peek_run)]) == 0
    assert "below it, so it sees what it is to predict" in capsys.readouterr().out


def test_the_lowest_loss_is_told_in_training_and_evaluation(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(tmp_path / "run")
    assert main(["train", "hello", "--preset", "notebook", "--epochs", "2", "--out", folder]) == 0
    said = "The lowest loss possible on this text, its entropy, is 0.2133 nats a token: the model is"
    assert said in " ".join(capsys.readouterr().out.split())
    assert said in (tmp_path / "run" / "README.md").read_text(encoding="utf-8")
    assert main(["evaluate", folder]) == 0
    told = capsys.readouterr().out
    assert said in told
    assert "the lowest possible        0.2133        0.105" in told


def test_the_report_of_a_run_draws_the_lowest_loss(animals_run: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert main(["report", str(animals_run), "--out", str(page)]) == 0
    assert "the lowest possible" in page.read_text(encoding="utf-8")


def test_only_a_text_whose_lowest_loss_is_known_has_one(tmp_path: Path) -> None:
    """A text in rows that show the sentences before has none, nor one that tokens leave out a part of, nor another."""
    lm = tinylm.train("hello", tokenizer="word", epochs=1, out=tmp_path / "run", quiet=True,
                      config={"data": {"packing": "windows", "validation": 0.0}, "model": {"d_model": 8, "n_heads": 1}})
    assert "entropy" not in lm.evaluate().baselines
    assert "entropy" not in lm.evaluate("animals").baselines
    (tmp_path / "hello").write_text("\n".join(HELLO[:3]))
    assert "entropy" not in lm.evaluate(tmp_path / "hello").baselines
