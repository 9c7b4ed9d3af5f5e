"""Sentences and tables about a report, for people: the terminal, the model card and the page say the same."""

from __future__ import annotations

import math
from typing import NamedTuple

from tinylm.evaluation.answers import Answers
from tinylm.evaluation.memorization import Overlap
from tinylm.evaluation.report import Report
from tinylm.text.left_out import LeftOut, share_unknown, white_space

MIN_TELLING_TOKENS = 1000
"""Below it, the loss on a text says little of another text like it: it is off by 3% or more."""


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
    """A number with so many decimals; one that is less than the last of them is not written as 0.

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
            "zstd": "compressing with zstd", "base": "the base", "entropy": "the lowest possible"}.get(name, name)


def verdict(report: Report) -> str:
    """Sentence that compares the model with the best of the baselines."""
    name, best = min(without_entropy(report.baselines).items(), key=lambda item: item[1])
    difference = best - report.bits_per_byte
    if abs(difference) < 0.005:
        return f"as good as {baseline_label(name, report.ngram_order)}, to a hundredth of a bit a byte"
    better = "better" if difference >= 0 else "worse"
    return f"{better} than {baseline_label(name, report.ngram_order)} by {abs(difference):.2f} bits a byte"


def without_entropy(baselines: dict[str, float]) -> dict[str, float]:
    """The baselines that a model can beat."""
    return {name: bits for name, bits in baselines.items() if name != "entropy"}


def describe_entropy(report: Report) -> list[str]:
    """Sentence on the lowest loss possible; none where it is not known.

    >>> describe_entropy(Report("train", 0.2399, 1.27, 0.1184, 26, 76, {"uniform": 1.226, "entropy": 0.10526}))
    ['The lowest loss possible on this text, its entropy, is 0.2133 nats a token: the model is 0.0266 above it.']
    """
    if "entropy" not in report.baselines:
        return []
    lowest = next(row for row in comparison(report) if row.name == baseline_label("entropy")).nats_per_token
    above = report.loss - lowest
    where = (f"{rounded(above, 4)} above it" if above >= 0 else
             f"{rounded(-above, 4)} below it, so it sees what it is to predict, or knows the order of the sentences")
    return [f"The lowest loss possible on this text, its entropy, is {rounded(lowest, 4)} nats a token: the model is "
            f"{where}."]


def describe_base(report: Report) -> list[str]:
    """Sentence on what base and training text have brought, each alone and together; none without a base.

    >>> describe_base(Report("validation", 1.2, 3.3, 1.71, 900, 3000, {"ngram": 2.6, "base": 1.95}, ngram_order=3))
    ['The base alone has 1.95 bits a byte, the training text alone 2.60 (counting 3-grams of it), both together 1.71']
    """
    base, ngram = report.baselines.get("base"), report.baselines.get("ngram")
    if base is None or ngram is None:
        return []
    counting = baseline_label("ngram", report.ngram_order)
    return [f"The base alone has {rounded(base, 2)} bits a byte, the training text alone {rounded(ngram, 2)} "
            f"({counting} of it), both together {rounded(report.bits_per_byte, 2)}"]


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
    lines = [f"the longest run copied word for word has {copied.longest} {unit}: {_short(copied.run)!r}",
             f"it stands in {copied.where.file}, line {copied.where.line}: {_short(copied.where.text)!r}"]
    if copied.windows:
        lines.append(f"of all runs of {copied.ngram} {copied.unit}, {copied.share:.1%} stand in {text}")
    return lines


def _short(text: str, most: int = 80) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[:most - 1] + "…"


def describe_answers(answers: Answers) -> str:
    """Sentence on the answers of a model to questions.

    >>> describe_answers(Answers(questions=200, exact=150, ended=199))
    'answers that are those of the file to the letter: 150 of 200 (75.0%); that come to an end: 199 (99.5%)'
    """
    n = max(1, answers.questions)
    return (f"answers that are those of the file to the letter: {answers.exact:,} of {answers.questions:,} "
            f"({answers.exact / n:.1%}); that come to an end: {answers.ended:,} ({answers.ended / n:.1%})")


def wrong_answers(answers: Answers, most: int = 5) -> list[str]:
    """Lines on some of the other answers."""
    return [f"{_short(each.question)} → {_short(each.answer) or '(nothing)'}; the file has: {_short(each.expected)}"
            for each in answers.wrong[:most]]
