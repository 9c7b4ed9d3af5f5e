"""Report on a model: its loss on a text beside the baselines, which counting reaches on the same text."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from tinylm.evaluation import baselines
from tinylm.evaluation.answers import Answers
from tinylm.evaluation.entropy import entropy
from tinylm.evaluation.memorization import Overlap
from tinylm.text.dataset import Dataset, Part
from tinylm.text.left_out import NOTHING, LeftOut, measure
from tinylm.text.rows import Batch, Packing, Rows
from tinylm.text.split import Slice, Split
from tinylm.text.tokenizer import Tokenizer
from tinylm.text.units import bits_per_byte

MAX_COUNTED_TOKENS = 5_000_000
"""Tokens that are counted of a longer text, to learn from or to evaluate on: the first ones. Counting more takes longer
than a run of minutes can spare."""
MAX_ORDER_TOKENS = 1_000_000
"""Tokens at the beginning of a text that the order of the n-gram is chosen on."""
MAX_COMPRESSED_CHARACTERS = 1 << 20
"""Characters of a longer text that the compressor is measured on: the first ones, ..."""
MAX_DICTIONARY_CHARACTERS = 1 << 21
"""... after it has read this many characters of the training text, the last ones: one second or two."""
EVALUATION_BATCH_TOKENS = 8192


class EncodedText(NamedTuple):
    """A text in both of its forms: ids and characters."""

    ids: Part
    text: Slice


@dataclass(frozen=True)
class Baselines:
    """Baselines of a text in bits a byte of it: `uniform`, `unigram`, `ngram`, `zstd`, which need no model, and `base`.

    Attributes:
        ngram_order: n of the n-gram; 0 where there is none.
        left_out: the part of the text that its ids leave out. Every baseline that knows the text by its ids is charged
            for it.
    """

    bits_per_byte: dict[str, float]
    ngram_order: int = 0
    left_out: LeftOut = NOTHING

    def with_base(self, nats: float, tokens: int, n_bytes: int) -> Baselines:
        """Adds `base`: the model that the evaluated one was fine-tuned from. Args: as `make_report`."""
        bits = make_report(nats, tokens, n_bytes, split="", baselines=self).bits_per_byte
        return replace(self, bits_per_byte={**self.bits_per_byte, "base": bits})

    def with_entropy(self, evaluated: EncodedText, packing: Packing) -> Baselines:
        """Adds `entropy` where it is known (entropy.py): the least that any model of the text can reach."""
        nats = entropy(evaluated.text, packing)
        if nats is None or self.left_out.bits:  # without some of its words it is another text
            return self
        bits = make_report(nats, 1, evaluated.ids.n_bytes, split="", baselines=self).bits_per_byte
        return replace(self, bits_per_byte={**self.bits_per_byte, "entropy": bits})


@dataclass(frozen=True)
class Report:
    """Report on how well a model predicts a text, beside the baselines.

    Attributes:
        split: the text: "validation", "train", or the name of another source.
        loss: nats a token.
        perplexity: exp(loss), of at most exp(700).
        bits_per_byte: the loss in bits a byte of the text, which compares across tokenizers. It is charged for what the
            tokens leave out, as the baselines are; `loss` and `perplexity` are not.
        tokens, bytes: the length of the text.
        baselines: bits a byte by name: "uniform", "unigram", where the model was trained on another text "ngram" and
            "zstd", of a fine-tuned model "base", and "entropy" where the lowest possible is known.
        ngram_order: n of the n-gram; 0 where there is none.
        copying: the overlap of some texts that the model wrote with its training text; None where nobody looked, or
            where the training text is not there.
        notes: sentences on how the text was read.
        left_out: the part of the text that its tokens leave out.
        answers: how a chat model answered the questions of conversations; None for a model of texts. `tokens` and
            `bytes` are then of the answers alone.

    >>> report = Report("validation", loss=0.5, perplexity=1.65, bits_per_byte=0.72, tokens=100, bytes=100,
    ...                 baselines={"uniform": 8.0, "unigram": 4.5})
    >>> round(min(report.baselines.values()) - report.bits_per_byte, 2)
    3.78
    >>> report.to_dict()["loss"]
    0.5
    """

    split: str
    loss: float
    perplexity: float
    bits_per_byte: float
    tokens: int
    bytes: int
    baselines: dict[str, float]
    ngram_order: int = 0
    copying: Overlap | None = None
    notes: tuple[str, ...] = ()
    left_out: LeftOut = NOTHING
    answers: Answers | None = None

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON has it."""
        return asdict(self)


def make_report(nats: float, tokens: int, n_bytes: int, *, split: str, baselines: Baselines) -> Report:
    """The report on a text, from the loss of a model on all of it.

    Args:
        nats: the loss of all tokens, summed.
        tokens: their number.
        n_bytes: the length of the text in UTF-8.
        split: "validation", "train", or the name of another source.
        baselines: from `measure_baselines`.

    >>> round(make_report(nats=700.0, tokens=100, n_bytes=400, split="validation", baselines=Baselines({})).loss, 2)
    7.0
    """
    loss = nats / max(1, tokens)
    return Report(split, loss, perplexity_of(loss),
                  bits_per_byte(nats, n_bytes) + baselines.left_out.bits / max(1, n_bytes), tokens, n_bytes,
                  baselines.bits_per_byte, baselines.ngram_order, left_out=baselines.left_out)


def perplexity_of(loss: float) -> float:
    """exp(loss in nats a token), of at most exp(700), which a float holds."""
    return math.exp(min(loss, 700.0))


def evaluation_batches(part: Part, packing: Packing, context_length: int,
                       batch_tokens: int = EVALUATION_BATCH_TOKENS) -> Iterator[Batch]:
    """Yields every token of a text once, in fixed rows that are no longer than the text, about `batch_tokens` a batch.
    """
    width = min(context_length, max(1, part.n_tokens))
    rows = Rows(part, packing=packing, context_length=width)
    return rows.evaluation(max(1, batch_tokens // width))


def encoded_texts(split: Split, dataset: Dataset) -> tuple[EncodedText, EncodedText]:
    """The text to train on, and the one that is evaluated: what was held out, else the same."""
    train = EncodedText(dataset.train, split.train)
    if dataset.validation is None or split.validation is None:
        return train, train
    return train, EncodedText(dataset.validation, split.validation)


def baselines_of_run(split: Split, dataset: Dataset, tokenizer: Tokenizer, packing: Packing) -> Baselines:
    """The baselines of the text that a run is evaluated by."""
    train, evaluated = encoded_texts(split, dataset)
    counted = measure_baselines(train, evaluated, tokenizer.vocab_size, measure(evaluated.text, tokenizer))
    return counted.with_entropy(evaluated, packing)


def measure_baselines(train: EncodedText, evaluated: EncodedText, vocab_size: int,
                      left_out: LeftOut | None = None) -> Baselines:
    """Bits a byte that counting and compressing reach on the evaluated text. The n-gram and the compressor are left out
    where that is the text they were made from, since they would know it by heart.

    Args:
        left_out: what the ids of the evaluated text leave out; None: nothing.
    """
    left_out = left_out or NOTHING
    if evaluated is train:
        return _count(train, evaluated, vocab_size, 0, left_out)
    if evaluated.ids.is_target is not None:  # a compressor cannot be asked for the answers alone
        return _count(train, evaluated, vocab_size, _best_order(train.ids, vocab_size), left_out)
    # Read before counting begins: beside it, reading took 250 MB more.
    read = _last_characters(train.text), _first_characters(evaluated.text)
    with ThreadPoolExecutor(1) as beside:  # the compressor leaves Python to others while it works
        compressed = beside.submit(baselines.compressor, *read)
        counted = _count(train, evaluated, vocab_size, _best_order(train.ids, vocab_size), left_out)
        return replace(counted, bits_per_byte={**counted.bits_per_byte, "zstd": compressed.result()})


def _count(train: EncodedText, evaluated: EncodedText, vocab_size: int, order: int, left_out: LeftOut) -> Baselines:
    """The baselines that count, up to n-grams of that order; 0: none of these."""
    known, ids = train.ids.head(MAX_COUNTED_TOKENS), evaluated.ids.head(MAX_COUNTED_TOKENS)
    n_targets = ids.n_targets
    nats = {"uniform": baselines.uniform(vocab_size, n_targets),
            "unigram": baselines.unigram(known.targets, ids.targets, vocab_size)}
    if order:
        nats["ngram"] = baselines.ngram(known.ids, ids.ids, vocab_size, order, ids.is_target)
    n_bytes = round(evaluated.ids.n_bytes * n_targets / max(1, evaluated.ids.n_targets))
    rest = left_out.bits / max(1, evaluated.ids.n_bytes)
    return Baselines({name: bits_per_byte(total, n_bytes) + rest for name, total in nats.items()}, order, left_out)


def _best_order(known: Part, vocab_size: int) -> int:
    head = known.head(MAX_ORDER_TOKENS)
    return baselines.best_order(head.ids, vocab_size, head.is_target)


def _first_characters(text: Slice) -> bytes:
    held = ""
    for piece in text.pieces():
        held += piece.text + "\n" * piece.ends_document
        if len(held) >= MAX_COMPRESSED_CHARACTERS:
            break
    return held[:MAX_COMPRESSED_CHARACTERS].encode()


def _last_characters(text: Slice) -> bytes:
    held: deque[str] = deque()
    size = 0
    for piece in text.pieces():
        held.append(piece.text + "\n" * piece.ends_document)
        size += len(held[-1])
        while size - len(held[0]) >= MAX_DICTIONARY_CHARACTERS:
            size -= len(held.popleft())
    return "".join(held)[-MAX_DICTIONARY_CHARACTERS:].encode()
