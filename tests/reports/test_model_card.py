"""The card states what is known, in Markdown, and nothing of what is not."""

from __future__ import annotations

import math

import pytest

from tinylm.config.schema import DataConfig, ModelConfig, RunConfig, SampleConfig, TrainConfig
from tinylm.evaluation.memorization import Overlap, TextLocation
from tinylm.evaluation.report import Report
from tinylm.reports.model_card import make_card
from tinylm.training.events import Finished

CONFIG = RunConfig(model=ModelConfig(vocab_size=50), data=DataConfig(source="/home/ann/book.txt", fingerprint="f00d"),
                   train=TrainConfig(minutes=3, batch_size=8), sample=SampleConfig())
REPORT = Report("validation", 1.0, math.e, 1.2, 500, 600, {"uniform": 5.0, "ngram": 1.39}, ngram_order=5)
FINISHED = Finished(1200, "finished", 1000, 1.0, 34_000)
COPIED = Overlap("words", 3, 9, "one two x", 0.25, 8, 12, TextLocation("/home/ann/secret/book.txt", 7, "so one two x"))


def card(**more) -> str:
    return make_card(CONFIG, REPORT, FINISHED, name="book.txt", folder="runs/book", version="1.2",
                     documents="99 characters in 1 document", **more)


@pytest.mark.parametrize("fact", [
    "book.txt, 99 characters in 1 document", "`f00d`", "the last 10%", "For 3 minutes, with seed 0", "8 rows",
    "dropout", "1,200 steps and 34,000 tokens", "weights of step 1,000", "1.0000 nats a token", "1.200 bits a byte",
    "| counting 5-grams | 1.1562 | 1.390 |", "The model is better than counting 5-grams by 0.19 bits a byte.",
    "has 3 words: 'one two x'", "book.txt, line 7: 'so one two x'", "25.0%", "- it is small\n- it is old", "    A text",
    "    Another\n    text", "    tinylm train book.txt --minutes 3", "tinylm generate runs/book",
])
def test_it_states(fact):
    text = card(samples=["A text", "Another\ntext"], copied=COPIED, remarks=["it is small", "it is old"],
                command="tinylm train book.txt --minutes 3")
    assert fact in text
    assert "/home/ann" not in text, "the folders of its owner are nobody's business"


def test_what_is_not_known_has_no_heading():
    text = card()
    for heading in ("What was noticed", "What it copies", "What it writes", "The same again"):
        assert heading not in text
    assert "\n\n\n" not in text
