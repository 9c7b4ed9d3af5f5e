"""Where a model stands: the baselines on the same text, in both units, and the sentences made of them."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from tinylm.evaluation import report as report_module
from tinylm.evaluation.memorization import Overlap, TextLocation
from tinylm.evaluation.report import Report, encoded_texts, measure_baselines
from tinylm.reports.sentences import comparison, describe_overlap, verdict
from tinylm.text.corpus import open_corpus
from tinylm.text.dataset import build_dataset
from tinylm.text.split import split_corpus, train_tokenizer

REPORT = Report("validation", loss=1.0, perplexity=math.e, bits_per_byte=1.2, tokens=500, bytes=600,
                baselines={"uniform": 5.0, "ngram": 1.39, "zstd": 1.5}, ngram_order=5)


def test_the_table_has_both_units_best_first():
    rows = comparison(REPORT)
    assert [row.name for row in rows] == ["this model", "counting 5-grams", "compressing with zstd", "guessing"]
    assert (rows[0].nats_per_token, rows[0].bits_per_byte) == (1.0, 1.2)
    assert rows[1].nats_per_token == pytest.approx(1.39 * 600 * math.log(2) / 500)


def test_a_sentence_says_where_the_model_stands():
    assert verdict(REPORT) == "better than counting 5-grams by 0.19 bits a byte"
    assert verdict(replace(REPORT, bits_per_byte=1.5)).startswith("worse than counting 5-grams by 0.11 bits a byte")
    assert "compressing with zstd" in verdict(replace(REPORT, baselines={"zstd": 2.0}))
    assert "counting n-grams" in verdict(replace(REPORT, ngram_order=0))


COPIED = Overlap("words", 3, 9, "one\ntwo x", 0.25, 8, 12, TextLocation("a.txt", 7, "so one"))


def test_what_is_copied_in_sentences():
    assert describe_overlap(COPIED) == ["the longest run copied word for word has 3 words: 'one two x'",
                                        "it stands in a.txt, line 7: 'so one'",
                                        "of all runs of 8 words, 25.0% stand in the training text"]
    part = replace(COPIED, searched=134_000_000)
    assert describe_overlap(part)[2].endswith(
        "in the first 134 MB of the training text, which are all that was searched")
    assert "in the first 134 MB of" in describe_overlap(replace(part, longest=0, where=None))[0]
    assert "1 word:" in describe_overlap(replace(COPIED, longest=1))[0]
    assert len(describe_overlap(replace(COPIED, windows=0))) == 2
    assert describe_overlap(replace(COPIED, longest=0, where=None)) == ["no word of it stands in the training text"]


@pytest.fixture(scope="module")
def measured(book):
    split = split_corpus(open_corpus(book))
    tokenizer = train_tokenizer(split, "char")
    return split, build_dataset(split, tokenizer), tokenizer.vocab_size


def test_baselines_of_what_was_held_out(measured):
    split, dataset, vocab_size = measured
    counted = measure_baselines(*encoded_texts(split, dataset), vocab_size)
    assert list(counted.bits_per_byte) == ["uniform", "unigram", "ngram", "zstd"]
    assert counted.bits_per_byte["uniform"] == pytest.approx(
        math.log2(vocab_size) * dataset.validation.n_tokens / dataset.validation.n_bytes)
    assert 2 <= counted.ngram_order <= 8
    assert 1 < counted.bits_per_byte["ngram"] < counted.bits_per_byte["unigram"] < counted.bits_per_byte["uniform"]
    assert 1 < counted.bits_per_byte["zstd"] < counted.bits_per_byte["unigram"]


def test_nothing_is_judged_by_what_knows_the_text_by_heart(measured):
    split, dataset, vocab_size = measured
    train, _ = encoded_texts(split, dataset)
    counted = measure_baselines(train, train, vocab_size)
    assert (list(counted.bits_per_byte), counted.ngram_order) == (["uniform", "unigram"], 0)


def test_of_long_texts_the_compressor_sees_the_end_and_the_beginning(measured, monkeypatch):
    split, _, _ = measured
    monkeypatch.setattr(report_module, "MAX_DICTIONARY_CHARACTERS", 1000)
    monkeypatch.setattr(report_module, "MAX_COMPRESSED_CHARACTERS", 500)
    train, validation = ("".join(piece.text for piece in part.pieces()) for part in (split.train, split.validation))
    assert report_module._last_characters(split.train) == train[-1000:].encode()
    assert report_module._first_characters(split.validation) == validation[:500].encode()
