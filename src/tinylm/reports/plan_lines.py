"""The plan of a run in lines for people: text, tokenizer, model, training, machine, forecast."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tinylm.chat.chat_format import chat_format
from tinylm.chat.corpus import ChatCorpus, conversations_of
from tinylm.chat.files import counted, shown
from tinylm.config.presets import PartialConfig
from tinylm.config.schema import TrainConfig
from tinylm.inspection import structure
from tinylm.planning.data import RunData, tokenizer_for
from tinylm.planning.default_base import Trial
from tinylm.planning.forecast import Forecast
from tinylm.planning.setup import RunSetup
from tinylm.reports.terminal import duration
from tinylm.text.corpus import Corpus
from tinylm.text.left_out import NOTHING, left_out_by_words, measure, share_unknown, white_space
from tinylm.text.turns import TooLong


def plan_lines(setup: RunSetup, forecast: Forecast, overrides: PartialConfig, trial: Trial | None = None) -> list[str]:
    """The plan, a line each.

    Args:
        overrides: what a person chose; the rest of the config is said with its reason.
        trial: of the default base, where it was tried.
    """
    model, train = setup.config.model, setup.config.train
    return [*_data_lines(setup, overrides["data"], _describe_base(setup, forecast, trial)),
            f"model      {forecast.parameters:,} parameters: {model.n_layers} layers, d_model {model.d_model}, "
            f"{model.n_heads} heads, context of {model.context_length} tokens, dropout {model.dropout:g}",
            *_describe_lora(setup),
            f"training   {_describe_horizon(train, setup.n_steps)}; "
            f"{train.optimizer}, weight decay {train.weight_decay:g}, batches of "
            f"{train.batch_size} rows; about {forecast.tokens:,} tokens, {forecast.epochs:.1f} times the text",
            f"machine    {setup.compute}; about {forecast.peak_memory_bytes / 1e9:.2f} GB of memory",
            f"forecast   {_describe_forecast(forecast)}"]


TOKENS = {"char": "single characters", "word": "words"}
"""Tokens of a kind of tokenizer, for people; of any other, pieces of words."""


def plan_sentences(setup: RunSetup, forecast: Forecast) -> list[str]:
    """The plan in sentences for a person who has never trained a model."""
    model, data, train = setup.config.model, setup.data, setup.config.train
    tokens = TOKENS.get(data.tokenizer.kind, "pieces of words")
    found = [f"The model has {forecast.parameters:,} parameters: {model.n_layers} layers of {model.n_heads} heads. "
             f"It reads and writes {tokens}, of which it knows {data.tokenizer.vocab_size:,}, and sees "
             f"{model.context_length:,} of them at once.",
             f"Training takes about {duration(forecast.seconds)}, and reads the text {forecast.epochs:.1f} times."]
    if train.max_epochs is not None and forecast.epochs >= 0.95 * train.max_epochs:
        found.append("That is as often as is good: a text that is read more often is learned by heart.")
    if setup.config.base.folder:
        found.append(f"It begins from the model {Path(setup.config.base.folder).name}, which can read already, and not "
                     "from nothing.")
    if forecast.bits_per_byte is not None:
        found.append(f"Expect some {forecast.bits_per_byte:.2f} bits a byte on the part of the text that is held out; "
                     f"plain counting needs {forecast.ngram_bits_per_byte:.2f}, and less is better. This is an "
                     "expectation, no more.")
    if setup.config.base.folder:
        beside = "" if forecast.from_nothing_bits_per_byte is None else (
            f" From nothing, some {forecast.from_nothing_bits_per_byte:.2f} bits a byte would be expected.")
        found.insert(0, f"It goes on from the model {Path(setup.config.base.folder).name}, which knows its language "
                        f"already.{beside}")
    if lost := _lost_white_space(data):
        found.append(f"Words alone are kept, and {lost} are lost.")
    return found


def describe_documents(corpus: Corpus) -> str:
    """The length of a text, such as `2,800 characters in 1 document`."""
    stats = corpus.stats()
    documents = counted(corpus.conversations) if isinstance(corpus, ChatCorpus) else (
        f"{stats.documents:,} document{'s' * (stats.documents != 1)}")
    return f"{stats.characters:,} characters in {documents}"


def _data_lines(setup: RunSetup, overrides: Mapping[str, Any], base: list[str]) -> list[str]:
    data = setup.data
    held_out = f" and {data.validation_tokens:,} to validate on" if data.dataset.validation else ""
    lost = _lost_white_space(data)
    notes = [*_unused_settings(data, overrides),
             *([f"words alone are kept, and {lost} are lost; --tokenizer bpe or char keeps them"] if lost else []),
             *_describe_too_long(data.too_long, setup.config.model.context_length), *_unknown_to_base(setup),
             *([data.dataset.note] if data.dataset.note else [])]
    is_chat, train = data.corpus.has_turns, data.dataset.train
    learned = f", of which the answers, {train.n_targets:,}, are learned" if is_chat else ""
    label = "chat" if is_chat else "text"
    return [f"{label:<10} {data.corpus.name}: {describe_documents(data.corpus)}; {data.split.description}",
            *(f"note       {sentence}" for sentence in data.split.notes()),
            *_describe_beside(setup),
            *(f"base       {sentence}" for sentence in base),
            f"tokenizer  {_reason_for_tokenizer(setup, overrides)}: {data.tokenizer.vocab_size:,} entries, "
            f"{train.n_tokens:,} tokens to train on{held_out}{learned}",
            *([f"first      {_first_conversation(setup)}"] if is_chat else []),
            *(f"note       {sentence}" for sentence in notes)]


def _first_conversation(setup: RunSetup) -> str:
    """The first conversation as it is trained on, its special tokens visible; what is learned stands in brackets."""
    return shown(conversations_of(setup.data.split.train)[0], chat_format(setup.config.data.chat_format))


def _reason_for_tokenizer(setup: RunSetup, overrides: Mapping[str, Any]) -> str:
    chosen = overrides.get("tokenizer", "auto")
    if setup.config.base.folder:
        return f"{setup.data.tokenizer.kind}, the base's"
    return tokenizer_for(setup.data.split).reason if chosen == "auto" else f"{chosen}, as asked for"


def _describe_base(setup: RunSetup, forecast: Forecast, trial: Trial | None) -> list[str]:
    """Sentence on what the run begins from, and where that was tried, on why; none where nobody asked for a base."""
    base = setup.config.base.folder
    if not trial:
        return [f"{base}{_describe_replay(setup)}"] if base else []
    if trial.is_chat:
        reads = f"the language of the answers, which it reads with {trial.fit.bits_per_byte:.2f} bits a byte"
        return [f"begins from {base}, which knows {reads}; --from none switches it off" if base else
                f"begins from nothing: {trial.fit.base.folder} does not know {reads}"]
    if base:
        expected = forecast.bits_per_byte or trial.fine_tuned
        nothing = forecast.from_nothing_bits_per_byte or trial.from_nothing
        return [f"begins from {base}: expects {expected:.2f} bits a byte; from nothing {nothing:.2f}; --from none "
                "switches it off"]
    fit = trial.fit
    if trial.is_known:
        return [f"begins from nothing: expects {trial.from_nothing:.2f} bits a byte; from {fit.base.folder} "
                f"{trial.fine_tuned:.2f}"]
    return [f"begins from nothing: {fit.base.folder} does not know this kind of text well, which it reads with "
            f"{fit.bits_per_byte:.2f} bits a byte; counting n-grams with {fit.counted_bits_per_byte:.2f}"]


def _describe_beside(setup: RunSetup) -> list[str]:
    beside, replay = setup.data.split.beside, setup.data.replay
    if not beside or not replay:
        return []
    own = setup.data.dataset.train.n_tokens
    return [f"text       {beside.corpus.name}: {describe_documents(beside.corpus)}, {replay.n_tokens:,} tokens, read "
            f"beside the {own:,} of the conversations"]


def _describe_replay(setup: RunSetup) -> str:
    replay = setup.data.replay if setup.config.base.replay else None
    return f"; {setup.config.base.replay:.0%} of the rows are of its own {replay.n_tokens:,} tokens" if replay else ""


def _unknown_to_base(setup: RunSetup) -> list[str]:
    """Sentence on the words of the training text that a base reads as `<unk>`."""
    data = setup.data
    left_out = measure(data.split.train, data.tokenizer) if setup.config.base.folder else NOTHING
    if not left_out.unknown:
        return []
    return [f"{share_unknown(left_out)} are unknown to the base, and read as <unk>: "
            f"{', '.join(map(repr, left_out.examples))}; a base whose tokenizer is bpe knows every text"]


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


def _lost_white_space(data: RunData) -> str:
    """The white space of the training text that a word tokenizer does not keep: line breaks, indents; "" for none."""
    return white_space(left_out_by_words(data.split.train)) if data.tokenizer.kind == "word" else ""


def _describe_lora(setup: RunSetup) -> list[str]:
    rank, count = setup.config.base.lora, structure.count_additions(setup.config)
    return [f"LoRA       {count:,} numbers are trained: additions of rank {rank} to the matrices in the layers"
            ] if rank else []


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
    beside = [f"counting n-grams: {forecast.ngram_bits_per_byte:.2f}"]
    if forecast.base_bits_per_byte is not None:
        beside = [f"the base as it is: {forecast.base_bits_per_byte:.2f}",
                  f"from nothing: {forecast.from_nothing_bits_per_byte:.2f}", *beside]
    return f"{takes}; an expectation, no more: {forecast.bits_per_byte:.2f} bits a byte ({', '.join(beside)})"


def _describe_too_long(found: TooLong, context_length: int) -> list[str]:
    """Sentences on conversations that do not fit into a row; none where all fit."""
    lines = []
    if found.conversations:
        lines.append(f"{_count(found.conversations, 'conversation is', 'conversations are')} longer than the context "
                     f"of {context_length:,} tokens, and cut between two turns")
    if found.exchanges:
        lines.append(f"{_count(found.exchanges, 'question does', 'questions do')} not fit with the answer into the "
                     f"context of {context_length:,} tokens, and {'is' if found.exchanges == 1 else 'are'} left out")
    return lines


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
