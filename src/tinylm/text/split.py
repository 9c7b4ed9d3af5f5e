"""What of a corpus is trained on, and what is held out; and a tokenizer made from the former alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Literal

from tinylm.errors import TinyLMError
from tinylm.system.memory import trim_heap
from tinylm.text.corpus import Corpus, Piece
from tinylm.text.tokenizer import Tokenizer

MANY_DOCUMENTS = 10
"""From so many on, whole documents are held out for validation rather than the end of the text."""
MOST_HELD_OUT = 2_000_000
"""Characters."""
MOST_FOR_BPE = 1 << 24
"""A longer text trains its BPE on every second, third, ... piece, about this many characters in all."""


@dataclass(frozen=True)
class Slice:
    """Part of a corpus: documents or characters [start, stop), read from its start as often as wanted."""

    corpus: Corpus
    unit: Literal["documents", "characters"]
    start: int
    stop: int

    def pieces(self) -> Iterator[Piece]:
        position = 0
        for piece in self.corpus.pieces():
            if self.unit == "documents":
                if self.start <= position < self.stop:
                    yield piece
                position += piece.ends_document
            else:
                yield from self._cut(piece, position)
                position += len(piece.text)
            if position >= self.stop:
                return

    def _cut(self, piece: Piece, position: int) -> Iterator[Piece]:
        first = max(0, self.start - position)
        text = piece.text[first:max(0, self.stop - position)]
        if text:
            ends = piece.ends_document and position + len(piece.text) <= self.stop
            line = piece.line + (0 if piece.in_one_line else piece.text.count("\n", 0, first))
            yield piece._replace(text=text, ends_document=ends, line=line)


@dataclass(frozen=True)
class Split:
    """The text to train on and the text held out. `description` tells a person what was held out."""

    train: Slice
    validation: Slice | None
    description: str

    @property
    def alphabet(self) -> str:
        """Every character of both, sorted."""
        slices = [self.train, *([self.validation] if self.validation else [])]
        return "".join(sorted(set().union(*(part.corpus.stats().alphabet for part in slices))))

    def notes(self) -> list[str]:
        """`Corpus.notes` of the text, and of another source to validate on, which is named."""
        notes = self.train.corpus.notes()
        if self.validation and self.validation.corpus is not self.train.corpus:
            other = self.validation.corpus
            notes += [sentence if sentence.startswith(f"{other.name}: ") else f"{other.name}: {sentence}"
                      for sentence in other.notes()]
        return notes


def split_corpus(corpus: Corpus, validation: float | str = 0.1) -> Split:
    """Holds out the end of a corpus, or takes another source.

    Args:
        validation: a share: the last so many documents (at least one) where there are 10 or more, or at least 2
            lines or records; else the last so many characters, rounded in favour of validation. 0: nothing is held
            out. A string: a source as `open_corpus` takes it, opened in the same way.

    Raises:
        TinyLMError: the corpus cannot be read (its first pass happens here), or holds too little to train on.
    """
    stats = corpus.stats()
    _check_size(corpus)
    if isinstance(validation, str):
        other = corpus.another(validation)
        return Split(_whole(corpus), _whole(other), f"validation is {other.name}")
    if validation == 0:
        return Split(_whole(corpus), None, "nothing is held out for validation")
    if stats.documents >= MANY_DOCUMENTS or (corpus.documents != "text" and stats.documents >= 2):
        held_out = min(stats.documents - 1, max(1, round(stats.documents * validation)))
        return _cut_at(corpus, "documents", stats.documents - held_out, stats.documents)
    cut = min(stats.characters - 1, int((1 - validation) * stats.characters))
    return _cut_at(corpus, "characters", cut, stats.characters)


def share_to_hold_out(corpus: Corpus) -> float:
    """The share that `split_corpus` is given where nobody chose one: a tenth, but of a text of over 20 million
    characters only 2 million. They judge a model as exactly, and each of some 20 times in less time."""
    return min(0.1, (MOST_HELD_OUT - 0.5) / corpus.stats().characters)  # the half is for what a share rounds off


def _whole(corpus: Corpus) -> Slice:
    return Slice(corpus, "documents", 0, corpus.stats().documents)


def _cut_at(corpus: Corpus, unit: Literal["documents", "characters"], cut: int, stop: int) -> Split:
    return Split(Slice(corpus, unit, 0, cut), Slice(corpus, unit, cut, stop),
                 f"validation is the last {stop - cut:,} of {stop:,} {unit}")


def _check_size(corpus: Corpus) -> None:
    """A word is not a text. (Characters are counted besides, for scripts that write without spaces.)"""
    size = corpus.stats().characters
    if size < 100 and sum(len(piece.text.split()) for piece in corpus.pieces()) < 2:
        raise TinyLMError(f"holds a single word of {size} characters, which is no text yet", where=corpus.name,
                          remedy="Give at least some sentences; to learn from, a few hundred thousand characters are "
                                 "better")


def train_tokenizer(split: Split, kind: str, *, vocab_size: int | None = None,
                    unknown_token: bool = True) -> Tokenizer:
    """A tokenizer made from the training text alone, so that validation is met as new text is.

    Except for "char", whose alphabet is of both: it has no way to write a character that it does not know, and that a
    character exists says nothing about the text.

    Raises:
        TinyLMError: as `Tokenizer.train`.
    """
    if kind == "char":
        return Tokenizer.train(kind, [split.alphabet], vocab_size=vocab_size)
    texts: Iterator[str] = (piece.text for piece in split.train.pieces())
    if kind == "bpe":
        # Counting words takes a second for two megabytes, and more text hardly changes which pairs are frequent.
        texts = islice(texts, None, None, -(-split.train.corpus.stats().characters // MOST_FOR_BPE))
    tokenizer = Tokenizer.train(kind, texts, vocab_size=vocab_size, unknown_token=unknown_token)
    trim_heap()
    return tokenizer
