"""Splits: the text to train on and the text held out; and a tokenizer made from the former alone."""

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
"""The number of documents from which on whole documents are held out rather than the end of the text."""
MAX_HELD_OUT = 2_000_000
"""Characters that are held out by default, at most."""
MAX_BPE_TEXT = 1 << 24
"""Characters that BPE is trained on, about: of a longer text, every second, third, ... piece."""


@dataclass(frozen=True)
class Slice:
    """A part of a corpus: documents or characters [start, stop). It can be read any number of times."""

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

    def targets(self) -> Iterator[Piece]:
        """Yields the pieces of text that a model learns to write: of conversations, what the assistant says."""
        return (piece for piece in self.pieces() if piece.is_target and not piece.special)

    def _cut(self, piece: Piece, position: int) -> Iterator[Piece]:
        first = max(0, self.start - position)
        text = piece.text[first:max(0, self.stop - position)]
        if text:
            ends = piece.ends_document and position + len(piece.text) <= self.stop
            line = piece.line + (0 if piece.in_one_line else piece.text.count("\n", 0, first))
            yield piece._replace(text=text, ends_document=ends, line=line)


@dataclass(frozen=True)
class Split:
    """The text to train on and the text held out. `description` tells a person what was held out; `beside` is a text
    that is read beside conversations, for its language."""

    train: Slice
    validation: Slice | None
    description: str
    beside: Slice | None = None

    @property
    def alphabet(self) -> str:
        """The distinct characters of all texts, sorted."""
        slices = filter(None, (self.train, self.validation, self.beside))
        return "".join(sorted(set().union(*(part.corpus.stats().alphabet for part in slices))))

    def notes(self) -> list[str]:
        """`Corpus.notes` of the text, and of another source to validate on, with its name."""
        notes = self.train.corpus.notes()
        if self.validation and self.validation.corpus is not self.train.corpus:
            other = self.validation.corpus
            notes += [sentence if sentence.startswith(f"{other.name}: ") else f"{other.name}: {sentence}"
                      for sentence in other.notes()]
        return notes


def split_corpus(corpus: Corpus, validation: float | str = 0.1) -> Split:
    """Holds out the end of a corpus, or takes another source.

    Args:
        corpus: the text.
        validation: a share of 0 or more and below 1, which means the last documents (at least one) of 10 or more, or of
            at least 2 lines or records; else the last characters, rounded in favour of validation. 0: nothing is held
            out. A string: a source as `open_corpus` takes it, opened in the same way. Default: 0.1.

    Raises:
        TinyLMError: the corpus cannot be read (its first pass happens here), or holds too little to train on.
    """
    stats = corpus.stats()
    _check_size(corpus)
    if isinstance(validation, str):
        other = corpus.open_like(validation)
        train = Slice(corpus, "documents", 0, stats.documents - corpus.held_out)  # what it holds out is not trained on
        return Split(train, whole(other), f"validation is {other.name}")
    if validation == 0 or (corpus.has_turns and stats.documents == 1):
        return Split(whole(corpus), None, "nothing is held out for validation")
    if stats.documents >= MANY_DOCUMENTS or (corpus.documents != "text" and stats.documents >= 2):
        held_out = min(stats.documents - 1, max(1, round(stats.documents * validation)))
        return _cut_at(corpus, "documents", stats.documents - held_out, stats.documents)
    cut = min(stats.characters - 1, int((1 - validation) * stats.characters))
    return _cut_at(corpus, "characters", cut, stats.characters)


def share_to_hold_out(corpus: Corpus) -> float:
    """The default share to hold out: what the corpus holds out itself; else a tenth, but at most 2 million characters.
    More would not make a validation loss more exact, and each of some 20 validations in a run would take longer."""
    if corpus.held_out:
        return corpus.held_out / corpus.stats().documents
    return min(0.1, (MAX_HELD_OUT - 0.5) / corpus.stats().characters)  # the half makes up for rounding


def whole(corpus: Corpus) -> Slice:
    """The slice of a corpus that holds all documents."""
    return Slice(corpus, "documents", 0, corpus.stats().documents)


def _cut_at(corpus: Corpus, unit: Literal["documents", "characters"], cut: int, stop: int) -> Split:
    count = f"{stop - cut:,} of {stop:,} {'conversations' if corpus.has_turns else unit}"
    which = (f"the {count} that it holds out itself" if stop - cut == corpus.held_out else
             f"{count}, drawn at random" if corpus.is_shuffled else f"the last {count}")
    return Split(Slice(corpus, unit, 0, cut), Slice(corpus, unit, cut, stop), f"validation is {which}")


def _check_size(corpus: Corpus) -> None:
    """Raises TinyLMError for a single word. (A long one passes, for scripts that write without spaces.)"""
    size = corpus.stats().characters
    if size < 100 and sum(len(piece.text.split()) for piece in corpus.pieces()) < 2:
        raise TinyLMError(f"holds a single word of {size} characters, which is no text yet", where=corpus.name,
                          remedy="Give at least some sentences; to learn from, a few hundred thousand characters are "
                                 "better")


def train_tokenizer(split: Split, kind: str, *, vocab_size: int | None = None,
                    unknown_token: bool = True) -> Tokenizer:
    """Trains a tokenizer on the training text alone, so that the validation text is as new to it as any other text.

    The alphabet of "char" is that of both texts: such a tokenizer cannot write a character that it does not know, and
    the existence of a character says nothing about the text.

    Raises:
        TinyLMError: as `Tokenizer.train`.
    """
    if kind == "char":
        return Tokenizer.train(kind, [split.alphabet], vocab_size=vocab_size)
    read = [split.train, *([split.beside] if split.beside else [])]
    texts: Iterator[str] = (piece.text for part in read for piece in part.pieces() if not piece.special)
    if kind == "bpe":
        # Counting words takes a second for two megabytes, and more text hardly changes which pairs are frequent.
        n_characters = sum(part.corpus.stats().characters for part in read)
        texts = islice(texts, None, None, -(-n_characters // MAX_BPE_TEXT))
    tokenizer = Tokenizer.train(kind, texts, vocab_size=vocab_size, unknown_token=unknown_token)
    trim_heap()
    return tokenizer
