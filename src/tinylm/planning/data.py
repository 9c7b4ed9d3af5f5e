"""The data of a run: a text, split, encoded, and counted. Loading it needs no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tinylm.config.schema import DataConfig
from tinylm.evaluation.report import Baselines, baselines_of_run
from tinylm.evaluation.training_text import absolute_source, absolute_validation, validation_fingerprint
from tinylm.text.corpus import Corpus, open_corpus
from tinylm.text.dataset import Dataset, build_dataset
from tinylm.text.reading.sources import Options, SourceLike
from tinylm.text.split import Split, share_to_hold_out, split_corpus, train_tokenizer
from tinylm.text.tokenizer import Tokenizer, choose_tokenizer

LONG_TEXT_BYTES = 20_000_000
"""Reading so many takes long enough to announce it."""


@dataclass(frozen=True)
class RunData:
    """The text of a run, ready to be trained on.

    Attributes:
        config: how the text was read, split and tokenized; what nobody chose is filled in.
        split: the text as characters, `dataset` as ids.
        baselines: the bits a byte that counting and compressing reach on the text that the run is validated on.
    """

    config: DataConfig
    tokenizer: Tokenizer
    split: Split
    dataset: Dataset
    baselines: Baselines

    @classmethod
    def of(cls, config: DataConfig, tokenizer: Tokenizer, split: Split) -> RunData:
        """Encodes a split text, or finds its ids in the cache, and measures the baselines."""
        dataset = build_dataset(split, tokenizer)
        return cls(config, tokenizer, split, dataset, baselines_of_run(split, dataset, tokenizer))

    @property
    def corpus(self) -> Corpus:
        """The text that is trained on, whole, with the part of it that is held out."""
        return self.split.train.corpus

    @property
    def validation_tokens(self) -> int:
        """Tokens that are held out; 0 if none are."""
        return self.dataset.validation.n_tokens if self.dataset.validation else 0


def load_data(source: SourceLike, overrides: Mapping[str, Any], *,
              log: Callable[[str], None] = lambda _: None) -> RunData:
    """Opens a text, makes its tokenizer and ids, and fills in the settings of the section `data` that nobody chose.

    Args:
        overrides: the settings of the section that were chosen.
        log: gets a line before a text is read that takes long.

    Raises:
        TinyLMError: the text cannot be read, or a setting does not suit it.

    >>> load_data("hello", {"tokenizer": "word"}).tokenizer.vocab_size
    13
    """
    values = dict(overrides)
    corpus = open_corpus(source, Options.of(DataConfig(**values)))
    values.setdefault("validation", share_to_hold_out(corpus))
    split = split_corpus(corpus, values["validation"])
    if values.get("tokenizer", "auto") == "auto":
        choice = choose_tokenizer(corpus.stats())
        values["tokenizer"] = choice.kind
        if values.get("vocab_size") is None:
            values["vocab_size"] = choice.vocab_size
    values.setdefault("packing", "windows" if corpus.documents == "text" else "packed")
    values |= {"source": absolute_source(source), "fingerprint": corpus.stats().fingerprint,
               "validation": absolute_validation(values["validation"]),
               "validation_fingerprint": validation_fingerprint(split, values["validation"])}
    config = DataConfig(**values)
    if corpus.stats().bytes >= LONG_TEXT_BYTES:
        log(f"reading    {corpus.stats().bytes / 1e6:,.0f} megabytes, to make a tokenizer and ids from; the ids are "
            "kept for the next time")
    tokenizer = train_tokenizer(split, config.tokenizer, vocab_size=config.vocab_size,
                                unknown_token=config.unknown_token)
    return RunData.of(config, tokenizer, split)
