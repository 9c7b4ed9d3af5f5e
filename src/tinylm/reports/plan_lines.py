"""The plan of a run in lines for people: text, tokenizer, model, training, machine, forecast."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinylm.config.presets import PartialConfig
from tinylm.config.schema import TrainConfig
from tinylm.planning.data import RunData
from tinylm.planning.forecast import Forecast
from tinylm.planning.setup import RunSetup
from tinylm.reports.terminal import duration
from tinylm.text.corpus import Corpus
from tinylm.text.left_out import left_out_by_words, white_space
from tinylm.text.tokenizer import choose_tokenizer


def plan_lines(setup: RunSetup, forecast: Forecast, overrides: PartialConfig) -> list[str]:
    """The plan, a line each.

    Args:
        overrides: what a person chose; the rest of the config is said with its reason.
    """
    model, train = setup.config.model, setup.config.train
    return [*_data_lines(setup.data, overrides["data"]),
            f"model      {forecast.parameters:,} parameters: {model.n_layers} layers, d_model {model.d_model}, "
            f"{model.n_heads} heads, context of {model.context_length} tokens, dropout {model.dropout:g}",
            f"training   {_describe_horizon(train, setup.n_steps)}; "
            f"{train.optimizer}, weight decay {train.weight_decay:g}, batches of "
            f"{train.batch_size} rows; about {forecast.tokens:,} tokens, {forecast.epochs:.1f} times the text",
            f"machine    {setup.compute}; about {forecast.peak_memory_bytes / 1e9:.2f} GB of memory",
            f"forecast   {_describe_forecast(forecast)}"]


def describe_documents(corpus: Corpus) -> str:
    """The length of a text, such as `2,800 characters in 1 document`."""
    stats = corpus.stats()
    return f"{stats.characters:,} characters in {stats.documents:,} document{'s' * (stats.documents != 1)}"


def _data_lines(data: RunData, overrides: Mapping[str, Any]) -> list[str]:
    chosen = overrides.get("tokenizer", "auto")
    reason = choose_tokenizer(data.corpus.stats()).reason if chosen == "auto" else f"{chosen}, as asked for"
    held_out = f" and {data.validation_tokens:,} to validate on" if data.dataset.validation else ""
    notes = [*_unused_settings(data, overrides), *_lost_white_space(data),
             *([data.dataset.note] if data.dataset.note else [])]
    return [f"text       {data.corpus.name}: {describe_documents(data.corpus)}; {data.split.description}",
            *(f"note       {sentence}" for sentence in data.split.notes()),
            f"tokenizer  {reason}: {data.tokenizer.vocab_size:,} entries, "
            f"{data.dataset.train.n_tokens:,} tokens to train on{held_out}",
            *(f"note       {sentence}" for sentence in notes)]


def _unused_settings(data: RunData, overrides: Mapping[str, Any]) -> list[str]:
    """Sentences on settings that a person chose and that have no effect on this text and its tokenizer."""
    sentences = []
    asked, entries = overrides.get("vocab_size") or 0, data.tokenizer.vocab_size
    if data.tokenizer.kind == "char" and asked > entries:
        sentences.append(f"a vocabulary of {asked:,} was asked for, and one of characters has {entries:,}; "
                         "--tokenizer bpe learns as many as asked for")
    if overrides.get("text_field", "text") != "text" and not data.corpus.has_records:
        sentences.append("a text field was named, and this text has no records with fields, so it is read whole")
    return sentences


def _lost_white_space(data: RunData) -> list[str]:
    """Sentence on what a word tokenizer does not keep of the training text: line breaks, indents, other white space."""
    lost = white_space(left_out_by_words(data.split.train)) if data.tokenizer.kind == "word" else ""
    return [f"words alone are kept, and {lost} are lost; --tokenizer bpe or char keeps them"] if lost else []


def _describe_horizon(train: TrainConfig, n_steps: int | None) -> str:
    if train.minutes is not None and train.max_epochs is not None:
        return (f"{train.minutes:g} minutes, or {train.max_epochs:g} epochs if they come first, since what is read "
                "more often is learned by heart")
    if train.minutes is not None:
        return f"{train.minutes:g} minutes"
    return f"{n_steps:,} steps" + (f" ({train.epochs:g} epochs)" if train.epochs is not None else "")


def _describe_forecast(forecast: Forecast) -> str:
    takes = f"{duration(forecast.seconds)}, about {forecast.steps:,} steps"
    if forecast.bits_per_byte is None:
        return takes
    return (f"{takes}; an expectation, no more: {forecast.bits_per_byte:.2f} bits a byte "
            f"(counting n-grams: {forecast.ngram_bits_per_byte:.2f})")
