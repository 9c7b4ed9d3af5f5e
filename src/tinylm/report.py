"""How good a model is, said honestly: its loss on a text beside what plain counting reaches on the same text."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from tinylm.inspection import baselines
from tinylm.model.transformer import TinyLM
from tinylm.text.dataset import Part
from tinylm.text.rows import Layout, Rows
from tinylm.training.evaluate import bits_per_byte, evaluate

MOST_TO_COUNT = 20_000_000
"""n-grams of a longer training text would not fit a laptop's memory; the counts are of its first so many tokens."""
TOKENS_AT_ONCE = 8192


@dataclass(frozen=True)
class Report:
    """`loss` in nats a token; `bits_per_byte` and the baselines in bits a byte of the text, which compares across
    tokenizers."""

    split: str
    loss: float
    perplexity: float
    bits_per_byte: float
    tokens: int
    bytes: int
    baselines: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def judge(model: TinyLM, part: Part, *, layout: Layout, split: str, counted: dict[str, float],
          should_stop: Callable[[], bool] = lambda: False) -> Report:
    """The loss of the model on every token of a text, in fixed rows.

    Args:
        split: what the text is: "validation", "train", or the name of another source.
        counted: the baselines, from `count_baselines`.
    """
    width = min(model.config.context_length, max(1, part.n_tokens))  # a row no longer than the text
    rows = Rows(part, layout=layout, context_length=width)
    batches = rows.evaluation(max(1, TOKENS_AT_ONCE // width))
    nats, tokens = evaluate(model, batches, device=model.embed.weight.device, should_stop=should_stop)
    loss = nats / max(1, tokens)
    perplexity = math.exp(min(loss, 700.0))
    return Report(split, loss, perplexity, bits_per_byte(nats, part.n_bytes), tokens, part.n_bytes, counted)


def count_baselines(train: Part, judged: Part, vocab_size: int) -> dict[str, float]:
    """Bits a byte of the judged text for three ways of counting. The n-gram is left out where the text is judged that
    it was counted on, since it would know that by heart."""
    ids = train.ids[:MOST_TO_COUNT]
    nats = {"uniform": baselines.uniform(vocab_size, judged.n_tokens),
            "unigram": baselines.unigram(ids, judged.ids, vocab_size)}
    if judged is not train:
        nats["ngram"] = baselines.ngram(ids, judged.ids, vocab_size)
    return {name: bits_per_byte(total, judged.n_bytes) for name, total in nats.items()}


_NAMES = {"uniform": "guessing", "unigram": "counting tokens", "ngram": "counting n-grams"}


def verdict(report: Report) -> str:
    """One sentence: where the model stands beside the best of the baselines."""
    name, best = min(report.baselines.items(), key=lambda item: item[1])
    difference = best - report.bits_per_byte
    better = "better" if difference >= 0 else "worse"
    sentence = f"{abs(difference):.2f} bits a byte {better} than {_NAMES.get(name, name)} ({best:.2f})"
    return sentence if difference >= 0 else f"{sentence}: it has not learned enough yet"


def table(report: Report) -> list[tuple[str, float]]:
    """The model and the baselines in bits a byte, best first, with their names for people."""
    rows = [(_NAMES.get(name, name), value) for name, value in report.baselines.items()]
    return sorted([("this model", report.bits_per_byte), *rows], key=lambda row: row[1])

