"""Report on a model: its loss on a text beside the baselines, which counting reaches on the same text."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any, NamedTuple

from tinylm.evaluation import baselines
from tinylm.evaluation.memorization import Overlap
from tinylm.model.transformer import TinyLM
from tinylm.text.dataset import Dataset, Part
from tinylm.text.left_out import NOTHING, LeftOut, measure, share_unknown, white_space
from tinylm.text.rows import Packing, Rows
from tinylm.text.split import Slice, Split
from tinylm.text.tokenizer import Tokenizer
from tinylm.training.backend import TrainingBackend
from tinylm.training.evaluate import bits_per_byte, evaluate

MAX_COUNTED_TOKENS = 5_000_000
"""Tokens. Counting more takes longer than a run of minutes can spare: of a longer text, to learn from or to judge on,
the first so many count."""
MAX_ORDER_TOKENS = 1_000_000
"""Tokens at its beginning that the order of the n-gram is chosen on."""
EVALUATION_BATCH_TOKENS = 8192
MIN_TELLING_TOKENS = 1000
"""Below it, the loss on a text says little of another text like it: it is off by 3% or more."""


MAX_COMPRESSED_CHARACTERS = 1 << 20
"""The compressor is measured on the first so many characters of a longer text, ..."""
MAX_DICTIONARY_CHARACTERS = 1 << 21
"""... having read the last so many of the training text: one second or two."""


class EncodedText(NamedTuple):
    """A text in both of its forms: ids and characters."""

    ids: Part
    text: Slice


@dataclass(frozen=True)
class Baselines:
    """Baselines of a text, which need no model, in bits a byte of it: `uniform`, `unigram`, `ngram`, `zstd`.

    Attributes:
        ngram_order: n of the n-gram; 0 where there is none.
        left_out: the part of the text that its ids leave out. Every baseline that knows the text by its ids is charged
            for it.
    """

    bits_per_byte: dict[str, float]
    ngram_order: int = 0
    left_out: LeftOut = NOTHING


@dataclass(frozen=True)
class Report:
    """`loss` in nats a token; `bits_per_byte` and the baselines in bits a byte of the text, which compares across
    tokenizers: they charge for what the tokens leave out (`left_out`), and `loss` and `perplexity` do not.
    `ngram_order`: see `Baselines`. `copying`: what stands in the training text of some texts that the model wrote; None
    where nobody looked, or where the training text is not there. `notes`: how the text was read, in sentences."""

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

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def make_report(model: TinyLM, part: Part, *, packing: Packing, split: str, baselines: Baselines,
          should_stop: Callable[[], bool] = lambda: False, backend: TrainingBackend | None = None) -> Report:
    """The loss of the model on every token of a text, in fixed rows.

    Args:
        split: what the text is: "validation", "train", or the name of another source.
        baselines: from `measure_baselines`.
        backend: computes the losses of the model; None: the reference.
    """
    width = min(model.config.context_length, max(1, part.n_tokens))  # a row no longer than the text
    rows = Rows(part, packing=packing, context_length=width)
    batches = rows.evaluation(max(1, EVALUATION_BATCH_TOKENS // width))
    nats, tokens = evaluate(model, batches, backend=backend, should_stop=should_stop)
    loss = nats / max(1, tokens)
    perplexity = math.exp(min(loss, 700.0))
    left_out = baselines.left_out
    return Report(split, loss, perplexity, bits_per_byte(nats, part.n_bytes) + left_out.bits / max(1, part.n_bytes),
                  tokens, part.n_bytes, baselines.bits_per_byte, baselines.ngram_order, left_out=left_out)


def encoded_texts(split: Split, dataset: Dataset) -> tuple[EncodedText, EncodedText]:
    """The text to train on, and the one that is evaluated: what was held out, else the same."""
    train = EncodedText(dataset.train, split.train)
    if dataset.validation is None or split.validation is None:
        return train, train
    return train, EncodedText(dataset.validation, split.validation)


def baselines_of_run(split: Split, dataset: Dataset, tokenizer: Tokenizer) -> Baselines:
    """The baselines of the text that a run is evaluated by."""
    train, evaluated = encoded_texts(split, dataset)
    return measure_baselines(train, evaluated, tokenizer.vocab_size, measure(evaluated.text, tokenizer))


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
    # Read before counting begins: beside it, reading took 250 MB more.
    read = _last_characters(train.text), _first_characters(evaluated.text)
    with ThreadPoolExecutor(1) as beside:  # the compressor leaves Python to others while it works
        compressed = beside.submit(baselines.compressor, *read)
        order = baselines.best_order(train.ids.ids[:MAX_ORDER_TOKENS], vocab_size)
        counted = _count(train, evaluated, vocab_size, order, left_out)
        return replace(counted, bits_per_byte={**counted.bits_per_byte, "zstd": compressed.result()})


def _count(train: EncodedText, evaluated: EncodedText, vocab_size: int, order: int, left_out: LeftOut) -> Baselines:
    """The baselines that count, up to n-grams of that order; 0: none of these."""
    known, ids = train.ids.ids[:MAX_COUNTED_TOKENS], evaluated.ids.ids[:MAX_COUNTED_TOKENS]
    nats = {"uniform": baselines.uniform(vocab_size, len(ids)), "unigram": baselines.unigram(known, ids, vocab_size)}
    if order:
        nats["ngram"] = baselines.ngram(known, ids, vocab_size, order)
    n_bytes = round(evaluated.ids.n_bytes * len(ids) / max(1, evaluated.ids.n_tokens))
    rest = left_out.bits / max(1, evaluated.ids.n_bytes)
    return Baselines({name: bits_per_byte(total, n_bytes) + rest for name, total in nats.items()}, order, left_out)


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


class ComparisonRow(NamedTuple):
    """A line of the table: who, and its loss in both units. Both are of the whole text: where the tokens leave
    something out, the nats are those of a token and of its share in that."""

    name: str
    nats_per_token: float
    bits_per_byte: float


def comparison(report: Report) -> list[ComparisonRow]:
    """The model and the baselines, best first, with their names for people. Nats a token are of the tokens alone, as
    the loss is; a compressor's are of all that it keeps."""
    nats_a_bit = math.log(2) / max(1, report.tokens)
    rows = [ComparisonRow("this model", report.loss, report.bits_per_byte)]
    for name, bits in report.baselines.items():
        charged = 0.0 if name == "zstd" else report.left_out.bits
        nats = nats_a_bit * (bits * report.bytes - charged)
        rows.append(ComparisonRow(baseline_label(name, report.ngram_order), nats, bits))
    return sorted(rows, key=lambda row: row.bits_per_byte)


def rounded(value: float, places: int) -> str:
    """A number with so many decimals; one that is less than the last of them is not told as 0.

    >>> rounded(0.25, 3), rounded(0.00002, 3), rounded(0.0, 3)
    ('0.250', '2e-05', '0.000')
    """
    return f"{value:.1g}" if 0 < value < 0.5 * 10**-places else f"{value:.{places}f}"


def bits_comparison(report: Report) -> list[tuple[str, float]]:
    """The same in bits a byte alone."""
    return [(row.name, row.bits_per_byte) for row in comparison(report)]


def baseline_label(name: str, ngram_order: int = 0) -> str:
    """A baseline's name for people."""
    if name == "ngram" and ngram_order:
        return f"counting {ngram_order}-grams"
    return {"uniform": "guessing", "unigram": "counting tokens", "ngram": "counting n-grams",
            "zstd": "compressing with zstd"}.get(name, name)


def verdict(report: Report) -> str:
    """Sentence that compares the model with the best of the baselines."""
    name, best = min(report.baselines.items(), key=lambda item: item[1])
    difference = best - report.bits_per_byte
    if abs(difference) < 0.005:
        return f"as good as {baseline_label(name, report.ngram_order)}, to a hundredth of a bit a byte"
    better = "better" if difference >= 0 else "worse"
    return f"{better} than {baseline_label(name, report.ngram_order)} by {abs(difference):.2f} bits a byte"


def cautions(report: Report) -> list[str]:
    """Sentences to read before the numbers of a report are compared: on what the tokens leave out, and on a text that
    is too short to judge by."""
    return [*describe_left_out(report.left_out, report.bytes), *_few_tokens(report)]


def describe_left_out(left_out: LeftOut, n_bytes: int) -> list[str]:
    """Sentences on what the tokens of a text leave out, and on the bits a byte that are charged for it."""
    parts, spaces = [], white_space(left_out)
    if left_out.unknown:
        examples = ", ".join(map(repr, left_out.examples)) + (", .." if len(left_out.examples) > 4 else "")
        parts.append(f"{share_unknown(left_out)} are unknown to this model: {examples}")
    if spaces:
        parts.append(f"words alone are predicted, without {spaces}")
    if left_out.bits:
        parts.append(f"the bits a byte include {left_out.bits / max(1, n_bytes):.3f} for what the tokens leave out, "
                     "loss and perplexity nothing")
    read = f"the text was read in Unicode's form {left_out.form}, of which the model knows more"
    return [*([read] if left_out.form else []), *(["; ".join(parts)] if parts else [])]


def _few_tokens(report: Report) -> list[str]:
    """The mean of n losses that scatter as widely as their mean is off by a share of about 1 / sqrt(n)."""
    if report.split == "train" or report.tokens >= MIN_TELLING_TOKENS:
        return []
    return [f"{report.tokens:,} tokens are few to judge by: by chance alone, such a loss is off by some "
            f"{100 / math.sqrt(max(1, report.tokens)):.0f}%"]


def describe_overlap(copied: Overlap) -> list[str]:
    """The copy figures in sentences, without what is said before and after."""
    text = "the training text"
    if copied.searched:
        text = f"the first {copied.searched / 1e6:,.0f} MB of the training text, which are all that was searched"
    if copied.where is None:
        return [f"no {copied.unit.removesuffix('s')} of it stands in {text}"]
    unit = copied.unit if copied.longest > 1 else copied.unit.removesuffix("s")
    said = [f"the longest run copied word for word has {copied.longest} {unit}: {_short(copied.run)!r}",
            f"it stands in {copied.where.file}, line {copied.where.line}: {_short(copied.where.text)!r}"]
    if copied.windows:
        said.append(f"of all runs of {copied.ngram} {copied.unit}, {copied.share:.1%} stand in {text}")
    return said


def _short(text: str, most: int = 80) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[:most - 1] + "…"
