"""Kind O: numbers that compare what they seem to compare, or say that they do not."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest

import tinylm as product
from tests.cases.recipes import QUICK, book
from tinylm.evaluation.report import Report
from tinylm.reports.history import History, read_events
from tinylm.reports.sentences import cautions, rounded, verdict
from tinylm.text.left_out import LeftOut

VERSE = ("Rose is red,", "violets are blue,", "sugar is sweet,", "and so are you.")


def poem(line: str = "\n", indent: str = "    ") -> str:
    return "".join(indent * (number % 2) + VERSE[number % 4] + line for number in range(700))


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("numbers")


@pytest.fixture(scope="module")
def said(place: Path) -> dict[str, tuple[str, Path]]:
    """What a run says, and its folder: words of a poem, of the poem in one line, and its characters."""
    from rich.console import Console

    from tinylm.config.overrides import merge_overrides
    from tinylm.runs.run import train_run

    told = {}
    for name, text, tokenizer in (("poem", poem(), "word"), ("flat", poem(" ", ""), "word"), ("char", poem(), "char")):
        console = Console(record=True, width=300, file=open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        layer = {"train": {"batch_size": 4}, "model": {"context_length": 32}}
        chosen = merge_overrides(size_name="0.1M", layers=(layer,), steps=12, tokenizer=tokenizer)
        train_run(write(place, f"{name}.txt", text), chosen, out=place / name, console=console)
        console.file.close()
        told[name] = console.export_text(), place / name
    return told


def test_case_54_words_are_charged_for_the_white_space_that_they_drop(said) -> None:
    reports = {name: product.load(folder).evaluate() for name, (_, folder) in said.items()}
    words, flat, characters = reports["poem"], reports["flat"], reports["char"]
    assert words.loss == pytest.approx(flat.loss), "its tokens are the same"
    assert words.bits_per_byte > flat.bits_per_byte + 0.1, "and its text is not"
    for name in ("uniform", "unigram", "ngram"):
        assert words.baselines[name] > flat.baselines[name] + 0.1
        assert words.baselines[name] > words.left_out.bits / words.bytes
    assert words.left_out.bits / words.bytes > 0.2
    assert characters.left_out == LeftOut()
    assert min(words.baselines, key=words.baselines.get) == "zstd", "which keeps the spaces, and knows them by heart"


def test_case_54_every_place_that_gives_the_number_gives_the_same_and_says_so(tinylm, said) -> None:
    text, folder = said["poem"]
    report = product.load(folder).evaluate()
    bits = f"{report.bits_per_byte:.3f} bits a byte"
    evaluated = tinylm("evaluate", folder)
    card = (folder / "README.md").read_text(encoding="utf-8")
    for where in (text, evaluated.out, card):
        assert bits in where.replace("which is\n", "")
        assert "words alone are predicted, without 70 line breaks and 35 indents" in where
        assert f"the bits a byte include {report.left_out.bits / report.bytes:.3f} for what the tokens" in where
    tinylm("report", folder)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert f"{report.bits_per_byte:.3f}" in page
    assert "for what the tokens leave out" in page
    history = History.of(read_events(folder / "metrics.jsonl"))
    of_history = history.best.loss * history.bits_per_byte_per_nat + history.left_out_bits
    assert of_history == pytest.approx(report.bits_per_byte)
    assert f"validation {report.loss:.4f}  {bits}" in text
    assert tinylm("evaluate", folder, "--json").json["left_out"]["line_breaks"] == 70


def test_case_55_a_note_when_line_breaks_will_be_lost(tinylm, said, place) -> None:
    assert ("note       words alone are kept, and 630 line breaks and 315 indents are lost; --tokenizer bpe or char "
            "keeps them") in said["poem"][0]
    assert "are lost" not in said["char"][0]
    assert "are lost" not in said["flat"][0]
    planned = tinylm("plan", place / "poem.txt", *QUICK, "--tokenizer", "word", "--json").json["notes"]
    assert any("630 line breaks and 315 indents are lost" in note for note in planned)


SPACES = {
    "double spaces": ("one two  three four. " * 50, "50 other stretches of white space"),
    "tabs": ("one\ttwo\tthree four " * 50, "other stretches of white space"),
    "paragraphs": ("one two three.\n\nfour five six.\n\n" * 50, "line breaks"),
    "code": ("def one():\n\treturn two\n" * 50, "line breaks and 45 indents"),
    "no-break spaces": ("one\xa0two three " * 50, "other stretches of white space"),
}


@pytest.mark.parametrize("case", SPACES)
def test_all_white_space_that_words_lose_is_named(tinylm, tmp_path, case: str) -> None:
    text, lost = SPACES[case]
    options = ("--steps", "1", "--size", "0.1M", "--tokenizer", "word", "--set", "model.context_length=16")
    planned = tinylm("plan", write(tmp_path, "a.txt", text), *options)
    assert planned.code == 0, planned.err
    assert "words alone are kept, and " in planned.out
    assert lost.replace("50 ", "") in planned.out


def test_the_training_text_is_no_new_text(tinylm, said, place) -> None:
    _, folder = said["char"]
    judged = tinylm("evaluate", folder, place / "char.txt")
    assert judged.code == 0
    assert "note: this is the text that the model was trained on" in judged.err
    assert "zstd" not in judged.out, "which would have all of it in its dictionary"
    assert "trained on, so" not in tinylm("evaluate", folder).err


def test_words_of_lines_lose_nothing(tinylm, tmp_path) -> None:
    path = write(tmp_path, "lines.txt", "rose is red\nviolets are blue\n" * 100)
    planned = tinylm("plan", path, *QUICK, "--tokenizer", "word", "--set", "data.documents=line")
    assert "are lost" not in planned.out


def test_the_notebook_has_its_plain_figure(hello_run) -> None:
    report = product.load(hello_run).evaluate()
    assert report.left_out.bits == 0
    assert cautions(report) == []
    assert report.bits_per_byte == pytest.approx(report.loss * report.tokens / math.log(2) / report.bytes)


def test_unknown_words_are_charged_for_their_spelling(tinylm, tmp_path) -> None:
    """Fewer words known: the loss falls, since <unk> is easy, and the bits a byte rise."""
    path = write(tmp_path, "book.txt", book(9000).replace("\n\n", " "))
    losses, bits = [], []
    for size in (60, 5):
        told = tinylm("train", path, *QUICK, "--set", "model.context_length=32", "--tokenizer", "word",
                      "--vocab-size", size, "--out", tmp_path / str(size))
        assert told.code == 0, told.err
        report = product.load(tmp_path / str(size)).evaluate()
        losses.append(report.loss)
        bits.append(report.bits_per_byte)
    assert losses[0] > losses[1]
    assert bits[0] < bits[1]


REPORT = Report("validation", loss=1.0, perplexity=math.e, bits_per_byte=1.2, tokens=5000, bytes=6000,
                baselines={"ngram": 1.2001}, ngram_order=3)


def test_few_tokens_are_said_to_be_few() -> None:
    from dataclasses import replace

    assert cautions(REPORT) == []
    few, = cautions(replace(REPORT, tokens=87))
    assert few == "87 tokens are few to judge by: by chance alone, such a loss is off by some 11%"
    assert cautions(replace(REPORT, tokens=87, split="train")) == [], "which was learned by heart, not judged by chance"


def test_a_difference_that_does_not_show_is_no_victory() -> None:
    assert verdict(REPORT) == "as good as counting 3-grams, to a hundredth of a bit a byte"


def test_a_small_loss_is_not_told_as_none() -> None:
    assert [rounded(value, 4) for value in (1.0, 0.00012, 0.00003, 0.0)] == ["1.0000", "0.0001", "3e-05", "0.0000"]


def test_records_of_an_earlier_tinylm_are_charged_nothing(said, tmp_path) -> None:
    _, folder = said["poem"]
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    began = json.loads(lines[0])
    assert began.pop("left_out_bits") > 0
    path = write(tmp_path, "metrics.jsonl", "\n".join([json.dumps(began), *lines[1:]]) + "\n")
    assert History.of(read_events(path)).left_out_bits == 0
