"""Kind E: a model judged on another text, which holds what its tokenizer does not know."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

import tinylm as product
from tests.cases.recipes import accented, book, curly, script

SHAPE = {"model": {"context_length": 16, "n_layers": 1, "d_model": 16, "n_heads": 1}, "train": {"batch_size": 2}}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models of two steps, of characters (also in NFD) and of words with and without <unk>."""
    folder = tmp_path_factory.mktemp("foreign")
    (folder / "book.txt").write_text(book(9000), encoding="utf-8")
    (folder / "nfd.txt").write_text(accented("NFD")[:9000], encoding="utf-8")
    for name, text, data in (("char", "book", {"tokenizer": "char"}), ("nfd", "nfd", {"tokenizer": "char"}),
                             ("word", "book", {"tokenizer": "word"}),
                             ("strict", "book", {"tokenizer": "word", "unknown_token": False, "validation": 0.0})):
        product.train(folder / f"{text}.txt", steps=2, out=folder / name, quiet=True, config={**SHAPE, "data": data})
    return folder


def other(place: Path, text: str, name: str = "other.txt") -> Path:
    (place / name).write_text(text, encoding="utf-8")
    return place / name


def test_case_18_a_text_with_one_new_character_is_judged_and_it_is_counted(tinylm, place) -> None:
    plain = tinylm("evaluate", place / "char", other(place, book(9000)[:4000]), "--json").json
    text = book(9000)[:4000] + "Straße."
    said = tinylm("evaluate", place / "char", other(place, text))
    assert said.code == 0, said.err
    assert f"  1 of {len(text):,} characters (0.025%) are unknown to this model: 'ß'; the bits a byte" in said.out
    told = tinylm("evaluate", place / "char", place / "other.txt", "--json").json
    left_out = told["left_out"]
    assert (left_out["unknown"], left_out["units"], left_out["examples"]) == (1, len(text), ["ß"])
    assert told["bytes"] == len(text.encode())
    assert told["tokens"] == len(text) - 1 + 1, "the unknown one has no id, and the end has one"
    assert told["bits_per_byte"] == pytest.approx(
        (told["loss"] * told["tokens"] / math.log(2) + left_out["bits"]) / told["bytes"])
    assert plain["left_out"]["bits"] == 0
    assert 0 < told["bits_per_byte"] - plain["bits_per_byte"] < 0.05, "one character changes little"


FOREIGN = {
    "another script": (script("zh", 2000), 0.9),
    "emoji now and then": (book(2000, seed=3) + "😀" * 5, 0.002),
    "accents": (accented("NFC")[:2000], 0.02),
    "curly quotes": (curly()[:2000], 0.01),
    "nothing but one unknown character": ("ß" * 300, 1.0),
    "Greek": (script("el", 2000), 0.7),
}


@pytest.mark.parametrize("model", ["char", "strict", "word"])
@pytest.mark.parametrize("case", FOREIGN)
def test_every_text_gets_an_answer_with_the_share_first(tinylm, place, case: str, model: str) -> None:
    text, share = FOREIGN[case]
    said = tinylm("evaluate", place / model, other(place, text))
    assert said.code == 0, said.err
    first = said.out.splitlines()[1]
    assert "are unknown to this model" in first
    report = product.load(place / model).evaluate(place / "other.txt")
    left_out = report.left_out
    if model == "char":
        known = set(book(9000))
        assert left_out.unknown == sum(character not in known for character in text)
        assert left_out.unknown / left_out.units >= share
    else:
        known = set(book(9000).split() if model == "strict" else book(9000)[:8100].split())
        assert left_out.unknown == sum(word not in known for word in text.split())
    assert math.isfinite(report.bits_per_byte)
    assert min(report.baselines.values()) > 0
    spelled = {name: bits for name, bits in report.baselines.items() if name != "zstd"}
    assert all(bits >= left_out.bits / report.bytes for bits in spelled.values()), "counting is charged for it as well"


def test_the_charge_is_less_than_guessing_bytes_and_more_than_nothing(place) -> None:
    report = product.load(place / "char").evaluate(other(place, script("zh", 2000)))
    assert 1 < report.bits_per_byte < 8


def test_another_normal_form_is_the_same_text(tinylm, place) -> None:
    text = accented("NFC")[:3000]
    said = tinylm("evaluate", place / "nfd", other(place, text))
    assert said.code == 0, said.err
    assert "  the text was read in Unicode's form NFD, of which the model knows more" in said.out
    report = product.load(place / "nfd").evaluate(place / "other.txt")
    assert (report.left_out.unknown, report.left_out.form, report.bytes) == (0, "NFD", len(text.encode()))
    import unicodedata

    apart = product.load(place / "nfd").evaluate(other(place, unicodedata.normalize("NFD", text)))
    assert report.loss == pytest.approx(apart.loss)
    assert report.bits_per_byte > apart.bits_per_byte, "for it is told over the bytes that are there"


def test_line_ends_of_another_system_are_no_unknown_characters(tinylm, place) -> None:
    text = book(9000)[:2000]
    (place / "crlf.txt").write_bytes(text.replace("\n", "\r\n").encode())
    told = tinylm("evaluate", place / "char", place / "crlf.txt", "--json").json
    assert told["left_out"]["unknown"] == 0
    assert told["loss"] == pytest.approx(tinylm("evaluate", place / "char", other(place, text), "--json").json["loss"])


def test_the_models_own_text_is_judged_as_before(place) -> None:
    report = product.load(place / "char").evaluate()
    assert report.left_out.bits == 0
    assert report.bits_per_byte == pytest.approx(report.loss * report.tokens / math.log(2) / report.bytes)


def test_without_the_training_text_the_charge_stays(place) -> None:
    text = other(place, "the straße and the house. " * 40, "more.txt")
    beside = product.load(place / "char").evaluate(text)
    (place / "book.txt").rename(place / "away.txt")
    try:
        alone = product.load(place / "char").evaluate(text)
    finally:
        (place / "away.txt").rename(place / "book.txt")
    assert list(alone.baselines) == ["uniform"]
    assert alone.bits_per_byte == beside.bits_per_byte
    assert alone.baselines["uniform"] == beside.baselines["uniform"]
