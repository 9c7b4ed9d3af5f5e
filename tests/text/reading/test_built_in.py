"""The texts that every machine has: Python's manual as prose without repeats, its last tenth a sample of the whole."""

from __future__ import annotations

import re

import pytest

from tinylm.evaluation.overlap import repeated_share, stretch_tokens
from tinylm.evaluation.report import encoded_texts, measure_baselines
from tinylm.text.corpus import open_corpus
from tinylm.text.dataset import Dataset, build_dataset
from tinylm.text.split import Split, share_to_hold_out, split_corpus, train_tokenizer
from tinylm.text.tokenizer_choice import choose_tokenizer

Made = tuple[Split, Dataset]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """The manual as training makes it, in characters."""
    corpus = open_corpus("python-reference")
    split = split_corpus(corpus, share_to_hold_out(corpus))
    return split, build_dataset(split, train_tokenizer(split, "char"), cache_dir=tmp_path_factory.mktemp("cache"))


def test_it_is_prose_in_many_documents() -> None:
    stats = open_corpus("python-reference").stats()
    assert 150 <= stats.documents <= 400
    assert 200_000 <= stats.characters < 300_000
    assert choose_tokenizer(stats).kind == "char"


def test_no_paragraph_stands_in_it_twice() -> None:
    text = "".join(piece.text for piece in open_corpus("python-reference").pieces())
    paragraphs = [line for line in text.splitlines() if len(line.split()) >= 5]
    titles = len(paragraphs) - len(set(paragraphs))
    assert titles <= 2, "sections of the same title may be"
    assert not re.search(r"::=|>>>|[+|]-{3}|={3}", text)


def test_hardly_anything_that_is_held_out_stands_in_what_is_read(made: Made) -> None:
    _, dataset = made
    held_out = dataset.validation
    width = stretch_tokens(held_out.n_tokens, held_out.n_bytes)
    assert repeated_share(dataset.train.ids, held_out.ids, width) < 0.06


def test_what_is_held_out_samples_the_whole(made: Made) -> None:
    """Its documents begin with letters all over the alphabet, and a tenth of the text is in them, give or take."""
    split, dataset = made
    share = dataset.validation.n_bytes / (dataset.train.n_bytes + dataset.validation.n_bytes)
    assert 0.06 < share < 0.15
    openings = {piece.text.lstrip('"*_')[0].upper() for piece in split.validation.pieces()}
    assert min(openings) < "G"
    assert max(openings) > "P"
    assert len(openings) >= 7


def test_a_compressor_finds_little_to_copy(made: Made) -> None:
    """zstd reached 1.45 bits a byte of the manual as it was, which repeats whole passages."""
    split, dataset = made
    counted = measure_baselines(*encoded_texts(split, dataset), vocab_size=200).bits_per_byte
    assert counted["zstd"] > 1.75
    assert counted["ngram"] > 1.7


def test_it_can_be_read_by_lines_too() -> None:
    lines = [piece.text for piece in open_corpus("python-reference", documents="line").pieces()]
    assert len(lines) > 800
    assert all("\n" not in line for line in lines)
