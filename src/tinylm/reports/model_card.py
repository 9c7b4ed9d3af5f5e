"""The model card: README.md in the model folder, which states what a model was made from and how well it does."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from tinylm.config.schema import RunConfig, TrainConfig
from tinylm.errors import command
from tinylm.evaluation.answers import Answers
from tinylm.evaluation.memorization import Overlap
from tinylm.evaluation.report import Report
from tinylm.inspection import structure
from tinylm.reports.sentences import (
    cautions,
    comparison,
    describe_answers,
    describe_base,
    describe_entropy,
    describe_overlap,
    rounded,
    verdict,
    wrong_answers,
)
from tinylm.system.untrusted import escape_control_codes, replace_control_codes
from tinylm.text.opening import without_cut_word
from tinylm.training.events import Finished

_CARD = """\
# {name}

A small language model made by tinylm {version}.

## What it was trained on
- Text: {name}, {documents}; sha256 of its documents `{fingerprint}`
- Held out for validation: {validation}
- Tokenizer: {tokenizer}, {vocab_size:,} entries{base}

## What it is
{parameters:,} parameters: {n_layers} layers, d_model {d_model}, {n_heads} heads, context of {context_length} tokens.

## How it was trained
{training}

## How well it does
After {steps:,} steps and {tokens_seen:,} tokens ({stopped}); these are the weights of step {best_step:,}.
On the {split} {text} of {tokens:,} tokens the loss is {loss} nats a token (perplexity {perplexity:.2f}), which is
{bits_per_byte} bits a byte. Less is better:

| | nats a token | bits a byte |
|---|---:|---:|
{table}

The model is {verdict}.{cautions}

{answers}{remarks}{copying}{samples}## What it is not
It knows nothing but the patterns of {known}. It states falsehoods as easily as truths, and may repeat passages of the
text word for word: think of that before you publish it or the text is private.{form}

## How to use it

{use}

All settings are in `config.json`; `metrics.jsonl` has every step of the training.
"""


def make_card(config: RunConfig, report: Report, finished: Finished, *, name: str, folder: str | Path, version: str,
              documents: str, sample: str = "", samples: Sequence[str] = (), copied: Overlap | None = None,
              remarks: Sequence[str] = (), command: str = "", prompt: str = "") -> str:
    """The card as Markdown.

    Args:
        documents: how much text of which kind, for people.
        samples: texts of the model; `sample` is one more.
        copied: what of them stands in the training text; None: what the report says of that.
        remarks: what the doctor found, in sentences.
        command: what makes this model once more.
        prompt: words of the text, to try the model with.

    What comes from a text, a model or the name of a file is text in the card, never markup.
    """
    model = config.model
    held_out = config.data.validation
    return _CARD.format(
        name=markdown_text(name), version=version, documents=documents, fingerprint=config.data.fingerprint,
        validation=f"the last {100 * held_out:.2g}%" if isinstance(held_out, float) else markdown_text(held_out),
        tokenizer=config.data.tokenizer, vocab_size=model.vocab_size,
        base="".join(f"\n{line}" for line in _base(config)),
        known="this text and of its base's" if config.base.folder else "this text",
        parameters=structure.total_parameters(model), n_layers=model.n_layers, d_model=model.d_model,
        n_heads=model.n_heads, context_length=model.context_length, training="\n".join(_training(config, command)),
        steps=finished.step, tokens_seen=finished.tokens_seen, stopped=finished.reason, best_step=finished.best_step,
        split=report.split, tokens=report.tokens, loss=rounded(report.loss, 4), perplexity=report.perplexity,
        bits_per_byte=rounded(report.bits_per_byte, 3),
        table="\n".join(f"| {row.name} | {rounded(row.nats_per_token, 4)} | {rounded(row.bits_per_byte, 3)} |"
                        for row in comparison(report)),
        verdict=". ".join((verdict(report), *describe_base(report))),
        cautions="".join([*(f" {sentence}" for sentence in describe_entropy(report)),
                          *(f" Note: {caution}." for caution in cautions(report))]),
        text="answers" if report.answers else "text", form=_FORM.format(structure.total_parameters(model))
        if report.answers else "", answers=_section("How it answers", _answers(report.answers)),
        remarks=_section("What was noticed", [f"- {_escaped(remark)}" for remark in remarks]),
        copying=_section("What it copies", _copying(copied or report.copying)),
        samples=_section("What it writes", _sample_blocks(
            [without_cut_word(text, config.data) for text in (*samples, sample) if text])),
        use="\n".join(_example_commands(Path(folder), prompt, bool(config.data.chat_format))),
    )


_FORM = """
From its conversations it has learned the form of answers, and of facts few: {:,} numbers are no encyclopedia. Asked
what it has not read, it answers all the same."""


def _answers(answers: Answers | None) -> list[str]:
    if answers is None:
        return []
    wrong = [f"- {_escaped(line)}" for line in wrong_answers(answers)]
    others = ["Other answers, for example:", "", *wrong] if wrong else []
    return [f"{describe_answers(answers).capitalize()}.", *others]


def _base(config: RunConfig) -> Iterator[str]:
    """Lines on the base, by the name of its folder alone: the folders of its owner are private."""
    base = config.base
    if not base.folder:
        return
    yield (f"- Begun from: {markdown_text(Path(base.folder).name)}, whose shape and tokenizer it has; sha256 of the "
           f"weights `{base.fingerprint}`")
    if base.lora:
        yield (f"- Trained: additions of rank {base.lora} to its matrices alone (LoRA), "
               f"{structure.count_additions(config):,} numbers, which are also in `adapter/`, as peft reads them")
    if base.replay:
        yield f"- Replayed against forgetting: {base.replay:.0%} of the rows were of the text of that base"


def _example_commands(folder: Path, prompt: str, is_chat: bool) -> Iterator[str]:
    yield f"    {command('chat', folder) if is_chat else command('generate', folder, text=prompt)}"
    yield f"    {command('evaluate', folder)}"


_PLAIN = re.compile(r"[\w .,'()/+-]+")
_MARKED = re.compile(r"(?<!\w)_|_(?!\w)|^\s|\s$|\s\s")


def markdown_text(name: object) -> str:
    """A name in Markdown as it is: plain where nothing in it can be read as markup, else as code, which no reader of
    Markdown looks into."""
    shown = escape_control_codes(name)
    if _PLAIN.fullmatch(shown) and not _MARKED.search(shown):
        return shown
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    space = " " if shown[:1] in ("`", " ") or shown[-1:] in ("`", " ") else ""
    return f"{fence}{space}{shown}{space}{fence}"


def _escaped(sentence: str) -> str:
    """A sentence in Markdown as it is, whatever names and texts it quotes."""
    return re.sub(r"[\\`*\[\]<>|~&]|(?<!\w)_|_(?!\w)", r"\\\g<0>", escape_control_codes(sentence))


def _section(heading: str, lines: Sequence[str]) -> str:
    """Nothing, if it has no lines."""
    return "\n".join([f"## {heading}", *lines, "", ""]) if lines else ""


def _training(config: RunConfig, command: str) -> Iterator[str]:
    train = config.train
    rates = f"learning rate {train.learning_rate:g}"
    if train.optimizer == "muon":
        rates += f" ({train.muon_learning_rate:g} for the matrices inside the layers)"
    yield f"- For {_length(train)}, with seed {train.seed}"
    rows = train.batch_size * train.gradient_accumulation
    yield f"- In batches of {rows} rows of up to {config.model.context_length} tokens, packing `{config.data.packing}`"
    yield f"- By {train.optimizer}: {rates}, {train.warmup_steps} steps of warm-up, decay {train.decay}"
    yield f"- Held back by dropout {config.model.dropout:g} and weight decay {train.weight_decay:g}"
    if command:
        yield f"\nThe same again:\n\n    {command}"


def repeat_folder(folder: Path) -> Path:
    """The folder of a second model that is made like the one in `folder`."""
    path = os.path.abspath(folder) if folder.name in ("", "..") else folder
    return Path(f"{path}-again")


def _length(train: TrainConfig) -> str:
    if train.minutes is not None:
        return f"{train.minutes:g} minutes" + (f", or {train.max_epochs:g} epochs" if train.max_epochs else "")
    return f"{train.steps:,} steps" if train.steps is not None else f"{train.epochs:g} epochs"


def _copying(copied: Overlap | None) -> list[str]:
    """Lines on copies, whose location has the name of the file alone: the folders of its owner are private."""
    if copied is None:
        return []
    if copied.where:
        where = replace(copied.where, file=Path(copied.where.file).name)
        copied = replace(copied, where=where)
    return ["Of the texts that it wrote:", "", *(f"- {_escaped(line)}" for line in describe_overlap(copied))]


def _sample_blocks(samples: Sequence[str]) -> list[str]:
    """Samples as code blocks, each of its own, between rules."""
    blocks = ["\n".join(f"    {line}" for line in replace_control_codes(sample).splitlines()) for sample in samples]
    return ["", "\n\n---\n\n".join(blocks)] if blocks else []
