"""The data of a run: a text, split, encoded, and counted. Loading it needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from tinylm.chat.corpus import open_source
from tinylm.config.schema import DataConfig
from tinylm.errors import TinyLMError
from tinylm.evaluation.report import Baselines, baselines_of_run
from tinylm.evaluation.training_text import (
    absolute_source,
    absolute_validation,
    open_beside,
    validation_fingerprint,
)
from tinylm.text.corpus import Corpus
from tinylm.text.dataset import Dataset, Part, build_dataset
from tinylm.text.left_out import NOTHING, measure, share_unknown
from tinylm.text.reading.sources import Options, SourceLike
from tinylm.text.split import Split, share_to_hold_out, split_corpus, train_tokenizer
from tinylm.text.tokenizer import Tokenizer
from tinylm.text.tokenizer_choice import TokenizerChoice, choose_tokenizer
from tinylm.text.turns import NONE_TOO_LONG, TooLong, too_long, whole_turns

LONG_TEXT_BYTES = 20_000_000
"""Reading so many takes long enough to announce it."""
NUMBERS_SAMPLE, NUMBERS_SHARE = 1000, 0.4
"""Answers that are looked at, and the share of digits among their characters with which they are numbers."""


@dataclass(frozen=True)
class RunData:
    """The text of a run, ready to be trained on.

    Attributes:
        config: how the text was read, split and tokenized; what nobody chose is filled in.
        split: the text as characters, `dataset` as ids.
        baselines: the bits a byte that counting and compressing reach on the text that the run is validated on.
        replay: the ids of a text that is mixed in: of the base's own, or of one read beside conversations.
        too_long: counts of conversations that do not fit into a row.
    """

    config: DataConfig
    tokenizer: Tokenizer
    split: Split
    dataset: Dataset
    baselines: Baselines
    replay: Part | None = None
    too_long: TooLong = NONE_TOO_LONG

    @classmethod
    def of(cls, config: DataConfig, tokenizer: Tokenizer, split: Split, replay: Part | None = None) -> RunData:
        """Encodes a split text, or finds its ids in the cache, and measures the baselines."""
        dataset = build_dataset(split, tokenizer)
        if split.beside:
            replay = build_dataset(Split(split.beside, None, ""), tokenizer).train
        return cls(config, tokenizer, split, dataset, baselines_of_run(split, dataset, tokenizer, config.packing),
                   replay)

    def fitted(self, context_length: int) -> RunData:
        """The data with its conversations in stretches of whole turns that fit into rows of so many tokens.

        Raises:
            TinyLMError: no question of the training text fits with its answer, or none of those held out.
        """
        dataset = fitted(self.dataset, context_length)
        if all(new is old for new, old in zip(dataset.parts, self.dataset.parts, strict=True)):
            return self
        if not dataset.train.n_tokens:
            raise TinyLMError(f"no question fits with its answer into a row of {context_length:,} tokens",
                              where=self.corpus.name, remedy="Raise it: --set model.context_length=N")
        if dataset.validation and not dataset.validation.n_tokens:
            raise TinyLMError(f"no question that is held out fits with its answer into a row of {context_length:,} "
                              "tokens, so that nothing could be judged", where="--validation", remedy="Raise it: --set "
                              "model.context_length=N. Or hold out nothing: --validation none")
        return replace(self, dataset=dataset, too_long=too_long(self.dataset.train, context_length))

    @property
    def corpus(self) -> Corpus:
        """The text that is trained on, whole, with the part of it that is held out."""
        return self.split.train.corpus

    @property
    def validation_tokens(self) -> int:
        """Tokens that are held out; 0 if none are."""
        return self.dataset.validation.n_tokens if self.dataset.validation else 0


def fitted(dataset: Dataset, context_length: int) -> Dataset:
    """The ids with conversations in stretches of whole turns that fit into rows of so many tokens."""
    train, validation = dataset.parts
    return replace(dataset, train=whole_turns(train, context_length),
                   validation=whole_turns(validation, context_length) if validation else None)


@dataclass(frozen=True)
class OpenedText:
    """The text of a run before it is encoded: read, and split.

    Attributes:
        chosen: the settings of the section `data` that were chosen, and where the text is.
    """

    split: Split
    chosen: dict[str, Any]

    def load(self, tokenizer: Tokenizer | None = None, replay: Part | None = None,
             log: Callable[[str], None] = lambda _: None) -> RunData:
        """Makes tokenizer and ids, and fills in the settings of the section `data` that nobody chose. Args, raises: as
        `load_data`."""
        values, corpus = dict(self.chosen), self.split.train.corpus
        if tokenizer is not None:
            check_knows(tokenizer, self.split)
            values["tokenizer"] = tokenizer.kind
        elif values.get("tokenizer", "auto") == "auto":
            choice = tokenizer_for(self.split)
            values["tokenizer"] = choice.kind
            if values.get("vocab_size") is None:
                values["vocab_size"] = choice.vocab_size
        config = DataConfig(**values)
        if corpus.stats().bytes >= LONG_TEXT_BYTES:
            log(f"reading    {corpus.stats().bytes / 1e6:,.0f} megabytes, to make a tokenizer and ids from; the ids "
                "are kept for the next time")
        if tokenizer is None:
            tokenizer = train_tokenizer(self.split, config.tokenizer, vocab_size=config.vocab_size,
                                        unknown_token=config.unknown_token)
        return RunData.of(config, tokenizer, self.split, replay)


def open_text(source: SourceLike, overrides: Mapping[str, Any]) -> OpenedText:
    """Opens a text, and splits it.

    Args:
        overrides: the settings of the section `data` that were chosen.

    Raises:
        TinyLMError: the text cannot be read, or a setting does not suit it.
    """
    values = dict(overrides)
    corpus = open_source(source, Options.of(DataConfig(**values)))
    values.setdefault("validation", share_to_hold_out(corpus))
    split = split_corpus(corpus, values["validation"])
    values.setdefault("packing", "windows" if corpus.documents == "text" else "packed")
    is_chat = corpus.has_turns
    values |= {"source": absolute_source(source, is_chat=is_chat), "fingerprint": corpus.stats().fingerprint,
               "validation": absolute_validation(values["validation"], is_chat=is_chat),
               "validation_fingerprint": validation_fingerprint(split, values["validation"])}
    beside = open_beside(DataConfig(**values), lambda *_: "Name a text with --text")
    if beside:
        values |= {"text": absolute_source(values["text"]), "text_fingerprint": beside.corpus.stats().fingerprint}
    return OpenedText(replace(split, beside=beside), values)


def tokenizer_for(split: Split) -> TokenizerChoice:
    """The tokenizer that suits a text: by its size; characters where answers are numbers, which can be worked out digit
    by digit alone."""
    if answers_are_numbers(split):
        return TokenizerChoice("char", None, "characters, because the answers are numbers, to be worked out by digits")
    return choose_tokenizer((split.beside or split.train).corpus.stats())


def answers_are_numbers(split: Split) -> bool:
    """True if the answers of conversations are numbers, for the most part."""
    if not split.train.corpus.has_turns:
        return False
    text = "".join(piece.text for piece in islice(split.train.targets(), NUMBERS_SAMPLE))
    return sum(map(str.isdigit, text)) > NUMBERS_SHARE * len(text)


def load_data(source: SourceLike, overrides: Mapping[str, Any], *, tokenizer: Tokenizer | None = None,
              replay: Part | None = None, log: Callable[[str], None] = lambda _: None) -> RunData:
    """Opens a text, makes its tokenizer and ids, and fills in the settings of the section `data` that nobody chose.

    Args:
        overrides: the settings of the section that were chosen.
        tokenizer: that of a base; None: one is trained on the text.
        replay: the ids of the base's own text, to be mixed in.
        log: gets a line before a text is read that takes long.

    Raises:
        TinyLMError: the text cannot be read, or a setting does not suit it; the base's tokenizer does not know a part
            of it.

    >>> load_data("hello", {"tokenizer": "word"}).tokenizer.vocab_size
    13
    """
    return open_text(source, overrides).load(tokenizer, replay, log)


def check_knows(tokenizer: Tokenizer, split: Split) -> None:
    """Raises: TinyLMError: the tokenizer of a base knows a part of the text neither as it is nor as `<unk>`."""
    if tokenizer.unk_id is not None:
        return
    for name, part in (("training", split.train), ("validation", split.validation)):
        left_out = measure(part, tokenizer) if part else NOTHING
        if part and left_out.unknown:
            raise TinyLMError(f"the base does not know {share_unknown(left_out)} of the {name} text: "
                              f"{', '.join(map(repr, left_out.examples))}", where=part.corpus.name,
                              remedy="Replace them in the text, or begin from a base whose tokenizer is bpe, which "
                                     "knows every text, or from nothing: --from none")
