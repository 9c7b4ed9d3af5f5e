"""The model card: README.md in the model folder, which states what a model was made from and how well it does."""

from __future__ import annotations

from tinylm.config import RunConfig
from tinylm.inspection import structure
from tinylm.report import Report, table, verdict
from tinylm.training.events import Finished

_CARD = """\
# {name}

A small language model made by tinylm {version}.

## What it was trained on
- Text: {name}, {documents}; sha256 of its documents `{fingerprint}`
- Held out for validation: {validation}
- Tokenizer: {tokenizer}, {vocab_size:,} entries

## What it is
{parameters:,} parameters: {n_layers} layers, d_model {d_model}, {n_heads} heads, context of {context_length} tokens.

## How well it does
After {steps:,} steps and {tokens_seen:,} tokens ({stopped}); these are the weights of step {best_step:,}.
On the {split} text of {tokens:,} tokens the loss is {loss:.4f} nats a token (perplexity {perplexity:.2f}).
In bits a byte, less is better:

| | bits a byte |
|---|---|
{table}

{verdict}

{sample}
## What it is not
It knows nothing but the patterns of this text. It states falsehoods as easily as truths, and may repeat passages of the
text word for word: think of that before you publish it or the text is private.

## How to use it
    tinylm generate {folder} "..."
    tinylm evaluate {folder}
All settings are in `config.json`; `metrics.jsonl` has every step of the training.
"""


def write_card(config: RunConfig, report: Report, finished: Finished, *, name: str, folder: str, version: str,
               documents: str, sample: str) -> str:
    """The card as Markdown.

    Args:
        documents: how much text of which kind, for people.
        sample: a text of the model, "" if there is none.
    """
    model = config.model
    held_out = config.data.validation
    return _CARD.format(
        name=name, version=version, documents=documents, fingerprint=config.data.fingerprint,
        validation=f"the last {held_out:.0%}" if isinstance(held_out, float) else held_out,
        tokenizer=config.data.tokenizer, vocab_size=model.vocab_size,
        parameters=structure.total_parameters(model), n_layers=model.n_layers, d_model=model.d_model,
        n_heads=model.n_heads, context_length=model.context_length,
        steps=finished.step, tokens_seen=finished.tokens_seen, stopped=finished.reason, best_step=finished.best_step,
        split=report.split, tokens=report.tokens, loss=report.loss, perplexity=report.perplexity,
        table="\n".join(f"| {name} | {value:.3f} |" for name, value in table(report)),
        verdict=verdict(report)[0].upper() + verdict(report)[1:] + ".",
        sample=_quoted(sample), folder=folder,
    )


def _quoted(sample: str) -> str:
    if not sample:
        return ""
    lines = "\n".join(f"    {line}" for line in sample.splitlines())
    return f"A text it wrote after training:\n\n{lines}\n"
