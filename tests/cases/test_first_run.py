"""The first run that a newcomer sees, and what is said of one that learned its text by heart: on the terminal, in the
card, on the page."""

from __future__ import annotations

import re

import pytest

import make
import tinylm as library
from tinylm.evaluation.report import Report
from tinylm.learn.demo import NEXT
from tinylm.reports.html_page import make_page
from tinylm.reports.sentences import verdict
from tinylm.text.corpus import open_corpus

from .recipes import QUICK, book

BY_HEART = ("--size", "0.1M", "--steps", "200", "--tokenizer", "char", "--set", "train.batch_size=8",
            "--set", "train.evaluate_every=200", "--set", "model.dropout=0", "--set", "train.weight_decay=0")


def demo_commands() -> list[list[str]]:
    """The arguments of each tinylm command of `make demo`."""
    return [arguments for program, *arguments in make.TARGETS["demo"].programs if program == "tinylm"]


# ---- learned by heart

def test_a_run_that_ends_far_below_its_validation_loss_is_overfitting_wherever_it_is_told(tinylm, tmp_path):
    (tmp_path / "note.txt").write_text(book(2_000), encoding="utf-8")
    said = tinylm("train", tmp_path / "note.txt", *BY_HEART, "--out", tmp_path / "run")
    assert said.code == 0, said.err
    terminal = " ".join((said.out + said.err).split())
    assert "the model is overfitting: it learns the text" in terminal
    assert "a smaller --size" in terminal
    card = (tmp_path / "run" / "README.md").read_text(encoding="utf-8")
    assert "the model is overfitting" in card
    page = make_page(tmp_path / "run", version="1")
    assert "The model is overfitting" in page
    assert "looks wrong" not in page


def test_the_same_text_and_a_longer_one_of_its_kind_are_told_apart(tinylm, tmp_path):
    """A run that read a text twice at most is not said to know it by heart."""
    (tmp_path / "book.txt").write_text(book(60_000), encoding="utf-8")
    said = tinylm("train", tmp_path / "book.txt", *QUICK, "--out", tmp_path / "run")
    assert "overfitting" not in said.out + said.err
    assert "looks wrong" in make_page(tmp_path / "run", version="1")


def test_an_end_of_another_kind_is_said_to_be_unlike(tinylm, tmp_path):
    letters = str.maketrans("abcdefghijklmnopqrstuvwxyz", "qwertyuiopasdfghjklzxcvbnm")
    text = book(60_000)
    (tmp_path / "mixed.txt").write_text(text[:54_000] + text[54_000:].translate(letters), encoding="utf-8")
    said = tinylm("train", tmp_path / "mixed.txt", "--size", "0.1M", "--steps", "80", "--tokenizer", "char",
                  "--set", "train.batch_size=4", "--out", tmp_path / "run")
    terminal = " ".join((said.out + said.err).split())
    assert "the validation text is unlike the training text" in terminal
    assert "overfitting" not in terminal


# ---- make demo

def test_the_demo_trains_on_the_manual_and_asks_that_model():
    demo, train, *questions = demo_commands()
    assert demo == ["demo"]
    assert train[:6] == ["train", "python-reference", "--from", "none", "--minutes", "1.5"]
    folder = train[train.index("--out") + 1]
    assert [question[0] for question in questions] == ["predict", "generate"]
    assert {question[1] for question in questions} == {folder}
    assert any("train python-reference --minutes 2" in command for command, _ in NEXT)


def test_the_prompts_of_the_demo_are_from_its_text():
    text = "".join(piece.text for piece in open_corpus("python-reference").pieces())
    for _, _, prompt, *_ in demo_commands()[2:]:
        assert text.count(" ".join(prompt.split()[-3:])) >= 5, prompt


def test_the_manual_is_told_with_its_documents_and_baselines_that_can_be_beaten(tinylm, tmp_path):
    said = tinylm("train", "python-reference", *QUICK, "--out", tmp_path / "run")
    terminal = " ".join((said.out + said.err).split())
    assert re.search(r"python-reference: \d{3},\d{3} characters in \d{3} documents; validation is the last \d\d of",
                     terminal)
    assert float(re.search(r"compressing with zstd (\d\.\d+)", terminal)[1]) > 1.75
    assert "stands word for word" not in terminal


def stands_first(report: Report) -> float:
    """By how many bits a byte a model is better than the best of its baselines."""
    return min(report.baselines.values()) - report.bits_per_byte


def test_a_tenth_of_the_demos_work_beats_every_baseline(tmp_path):
    model = library.train("python-reference", size="0.3M", steps=200, out=tmp_path / "run", quiet=True)
    report = model.evaluate()
    assert set(report.baselines) == {"uniform", "unigram", "ngram", "zstd"}
    assert stands_first(report) > 0.03
    assert verdict(report).startswith("better than")


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_demo_beats_every_baseline_by_far(tmp_path):
    """700 steps are what two quiet cores with bfloat16 make in a minute and a half."""
    model = library.train("python-reference", size="0.8M", steps=700, out=tmp_path / "run", quiet=True)
    assert stands_first(model.evaluate()) > 0.15
