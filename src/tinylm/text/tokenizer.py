"""Text <-> ids: words, characters and byte-level BPE behind one class and one `tokenizer.json`.

The file is in the Hugging Face tokenizers format and stands alone: `tokenizers` and `transformers` make the same ids
from it. Every vocabulary starts with <pad>, <bos>, <eos> (and <unk>, for words). They are entries of the vocabulary
but not "added tokens", which would be searched for in the text: here, a typed `<eos>` is five characters of text.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tokenizers
from numpy.typing import NDArray

from tinylm.errors import TinyLMError, did_you_mean, nearest
from tinylm.text.corpus import WHITESPACE, CorpusStats
from tinylm.text.vocabulary import (
    DEFAULT_BPE_VOCAB,
    SPECIALS,
    SPELLED_OUT,
    UNKNOWN,
    Kind,
    bpe_vocab,
    char_vocab,
    checked_text,
    entry_bytes,
    file_format,
    parse_file,
    split_words,
    word_parts,
    word_vocab,
)
from tinylm.untrusted import quoted, read_whole

Ids = NDArray[np.uint32]
MOST_BYTES = 1 << 28
"""The longest tokenizer.json that is read: some millions of words."""

LONG_TEXT = 1 << 24
"""Bytes from which on compiled code pays for being loaded, and on the first use for being compiled."""

_STRAY_BYTE = re.compile("[\udc80-\udcff]")
_SHOWN = 10
"""An error about unknown words names this many."""


class TokenizerChoice(NamedTuple):
    """What `auto` chose, and why: a sentence for the person."""

    kind: Kind
    vocab_size: int | None
    reason: str


def choose_tokenizer(stats: CorpusStats) -> TokenizerChoice:
    """The rule behind `auto`: characters for a small text, else BPE with a vocabulary that grows with the text.

    A BPE token must be met often enough to be learned: some 300 bytes of text for each entry; more
    entries than that made a model of an English novel better at equal time (LOG.md, "How many entries").
    """
    size = f"{stats.characters:,} characters"
    if stats.bytes < 300_000 and len(stats.alphabet) <= 512:
        return TokenizerChoice("char", None, f"characters, because a text of {size} is too small to learn words from")
    vocab_size = next((entries for most, entries in _BPE_SIZES if stats.bytes < most), 16384)
    return TokenizerChoice("bpe", vocab_size, f"BPE with {vocab_size:,} entries, which suits a text of {size}")


_BPE_SIZES = ((3_000_000, 2048), (15_000_000, 4096), (100_000_000, 8192))
"""(bytes of text below, entries)."""


class Tokenizer:
    """Text <-> ids. Made by `Tokenizer.train`, `Tokenizer.load` or `Tokenizer.from_json`; never changes afterwards."""

    pad_id, bos_id, eos_id = 0, 1, 2

    def __init__(self, kind: Kind, vocab: dict[str, int], merges: Sequence[tuple[str, str]] = ()) -> None:
        self.kind: Kind = kind
        self.unk_id = vocab.get(UNKNOWN) if kind == "word" else None
        library = file_format(kind, vocab, merges)
        self._json = library.to_str(pretty=True) + "\n"
        self._bytes = [entry_bytes(kind, entry) for entry in vocab]
        self._library = library
        self._encode = _encoder(kind, library, vocab)

    @classmethod
    def train(cls, kind: str, texts: Iterable[str], *, vocab_size: int | None = None,
              unknown_token: bool = True) -> Tokenizer:
        """A vocabulary made from texts, the same for the same texts on every machine.

        Args:
            kind: "word" (split at white space), "char", or "bpe" (byte-level, GPT-2's pattern).
            texts: the text, or pieces of it cut at white space, read once.
            vocab_size: most entries, specials included. None: no limit for word and char, 4096 for bpe.
            unknown_token: word only: <unk> stands for unknown words, which are an error otherwise.

        Raises:
            TinyLMError: an unknown kind, or a vocab_size that cannot hold what it must.
        """
        if kind == "word":
            return cls("word", word_vocab(texts, vocab_size, unknown_token))
        if kind == "char":
            return cls("char", char_vocab(texts, vocab_size))
        if kind == "bpe":
            return cls("bpe", *bpe_vocab(texts, vocab_size or DEFAULT_BPE_VOCAB))
        raise TinyLMError(f"there is no tokenizer {kind!r}", where="data.tokenizer",
                          remedy=did_you_mean(kind, ("word", "char", "bpe")))

    @classmethod
    def load(cls, path: str | Path) -> Tokenizer:
        """Raises: TinyLMError when the file is missing, broken, or not a tokenizer of tinylm's."""
        try:
            text = read_whole(Path(path), MOST_BYTES).decode("utf-8")
        except UnicodeDecodeError:
            raise TinyLMError("is not a tokenizer file: it is not UTF-8", where=str(path)) from None
        return cls.from_json(text, where=str(path))

    @classmethod
    def from_json(cls, text: str, *, where: str = "tokenizer.json") -> Tokenizer:
        """The tokenizer that `to_json` wrote. Raises: TinyLMError for anything else."""
        try:
            return cls(*parse_file(json.loads(text)))
        except Exception as error:  # the library raises nothing more exact
            raise TinyLMError(f"is not a tokenizer that tinylm wrote ({quoted(error)})", where=where,
                              remedy="Give the tokenizer.json of a model made by tinylm") from None

    def to_json(self) -> str:
        """The text of `tokenizer.json`."""
        return self._json

    def save(self, path: str | Path) -> None:
        Path(path).write_bytes(self._json.encode())

    @property
    def fingerprint(self) -> str:
        """sha256 of `to_json()`, in hexadecimal."""
        return hashlib.sha256(self._json.encode()).hexdigest()

    @property
    def vocab_size(self) -> int:
        return len(self._bytes)

    def encode(self, text: str) -> list[int]:
        """`<bos>` text `<eos>`, as the notebook does it and as `transformers` does it from the same file.

        Raises:
            TinyLMError: words or characters that the vocabulary does not hold, or half a surrogate pair.
        """
        return [self.bos_id, *self.encode_text(text), self.eos_id]

    def encode_prompt(self, text: str) -> list[int]:
        """`<bos>` text, for the model to go on from."""
        return [self.bos_id, *self.encode_text(text)]

    def encode_text(self, text: str) -> list[int]:
        """The ids of the text alone."""
        return self.encode_arrays([text])[0].tolist()

    def encode_batch(self, texts: Iterable[str]) -> list[list[int]]:
        """The ids of each text alone."""
        return [ids.tolist() for ids in self.encode_arrays(texts)]

    def encode_arrays(self, texts: Iterable[str]) -> list[Ids]:
        """`encode_batch` as arrays of uint32, which is quicker for long texts."""
        return [self._encode(checked_text(text)) for text in texts]

    def encoder(self, n_bytes: int) -> Callable[[str], Ids]:
        """The quickest way to the ids of a text of so many bytes in all, piece by piece; for one thread at a time."""
        if self.kind != "bpe" or n_bytes < LONG_TEXT:
            return self._encode
        from tinylm.text.long_text import LongTextEncoder  # its compiler takes a while to be imported

        return LongTextEncoder(self._library)

    def decode(self, ids: Iterable[int], *, specials: bool = False) -> str:
        """The text of ids, without <pad>, <bos> and <eos> unless `specials`.

        Words are joined by single spaces; characters and BPE give back exactly what was encoded. Where ids end in
        the middle of a character of several bytes, there is a U+FFFD.

        Raises:
            TinyLMError: an id outside the vocabulary.
        """
        chosen = [self._bytes[known] for known in map(self._known, ids) if specials or known >= len(SPECIALS)]
        return (b" " if self.kind == "word" else b"").join(chosen).decode("utf-8", "replace")

    def token(self, id: int) -> str:
        """One token for people to read. Bytes that are no whole character look like <0xE2>."""
        readable = self._bytes[self._known(id)].decode("utf-8", "surrogateescape")
        return _STRAY_BYTE.sub(lambda stray: f"<0x{ord(stray[0]) - 0xDC00:02X}>", readable)

    def tokens(self, ids: Iterable[int]) -> list[str]:
        return [self.token(id) for id in ids]

    def token_bytes(self, id: int) -> bytes:
        """The UTF-8 bytes that a token stands for: none for <pad>, <bos>, <eos>. For streaming, and for bits per byte.

        Raises:
            TinyLMError: an id outside the vocabulary.
        """
        return b"" if self._known(id) < len(SPECIALS) else self._bytes[id]

    def _known(self, id: int) -> int:
        if not 0 <= id < len(self._bytes):
            raise TinyLMError(f"there is no id {id}: they go from 0 to {len(self._bytes) - 1}")
        return int(id)


# ---- text -> ids, one way for each kind; the file says the same in the library's terms


def _encoder(kind: Kind, library: tokenizers.Tokenizer, vocab: dict[str, int]) -> Callable[[str], Ids]:
    if kind == "bpe":
        return _Bytes(library)
    return _Words(vocab) if kind == "word" else _Characters(list(vocab)[len(SPECIALS):])


class _Words:
    def __init__(self, vocab: dict[str, int]) -> None:
        self._vocab, self._unk_id = vocab, vocab.get(UNKNOWN)

    def __call__(self, text: str) -> Ids:
        ids = [self._vocab.get(word, self._unk_id) for word in split_words(text)]
        if None in ids:
            raise self._unknown(text)
        return np.array(ids, np.uint32)

    def _unknown(self, text: str) -> TinyLMError:
        unknown: dict[str, int] = {}
        for place, word in enumerate(text.split(), start=1):
            if any(part not in self._vocab for part in word_parts(word)):
                unknown.setdefault(word, place)
        return TinyLMError(f"not in the vocabulary: {_listed(unknown, 'word', self._like)}",
                           remedy="Use a sub-word tokenizer, --tokenizer bpe, or an <unk> token for unknown words, "
                                  "--set data.unknown_token=true")

    def _like(self, word: str) -> str:
        close = nearest(word, [known for known in self._vocab if abs(len(known) - len(word)) < 3])
        return f", near to {close[0]!r}" if close and close[0] not in SPELLED_OUT else ""


class _Characters:
    def __init__(self, alphabet: list[str]) -> None:
        self._alphabet = alphabet
        self._table = np.zeros(max(map(ord, alphabet), default=0) + 2, np.uint32)
        for id, character in enumerate(alphabet, start=len(SPECIALS)):
            self._table[ord(character)] = id

    def __call__(self, text: str) -> Ids:
        code_points = np.frombuffer(text.encode("utf-32-le"), "<u4")
        ids: Ids = self._table[np.minimum(code_points, len(self._table) - 1)]
        if not ids.all():  # an unknown character has the zero of <pad>, which no text makes
            raise self._unknown(text)
        return ids

    def _unknown(self, text: str) -> TinyLMError:
        known = set(self._alphabet)
        places: dict[str, int] = {}
        for place, character in enumerate(text, start=1):
            if character not in known:
                places.setdefault(character, place)
        return TinyLMError(f"not in the alphabet: {_listed(places, 'character')}",
                           remedy="Use a tokenizer that knows every character: --tokenizer bpe")


def _listed(places: dict[str, int], unit: str, more_about: Callable[[str], str] = lambda _: "") -> str:
    """The first few of the unknown, each with its first place in the text."""
    named = [f"{text!r} ({unit} {place}{more_about(text)})" for text, place in islice(places.items(), _SHOWN)]
    rest = len(places) - _SHOWN
    return ", ".join(named) + (f" and {rest:,} more" if rest > 0 else "")


class _Bytes:
    """BPE of every word once: a text is mostly words that came before, and the library takes 1 s for a megabyte."""

    def __init__(self, library: tokenizers.Tokenizer) -> None:
        self._library = library
        self._known: dict[str, bytes] = {}

    def __call__(self, text: str) -> Ids:
        words = _WORD.findall(text)
        known = {word: self._known.get(word) for word in dict.fromkeys(words)}
        new = [word for word, ids in known.items() if ids is None]
        found = self._library.encode_batch_fast(new, add_special_tokens=False)
        fresh = {word: np.array(encoding.ids, np.uint32).tobytes() for word, encoding in zip(new, found, strict=True)}
        self._remember(fresh)
        known.update(fresh)
        return np.frombuffer(b"".join([known[word] or b"" for word in words]), np.uint32)

    def _remember(self, fresh: dict[str, bytes]) -> None:
        if len(self._known) > _REMEMBERED:
            self._known = {}  # a new dictionary: another thread may be reading the old one
        self._known.update((word, ids) for word, ids in fresh.items() if len(word) <= _LONG_WORD)


_SYMBOLS = r"!-/:-@\[-`{-~"
_WORD = re.compile(rf"[{WHITESPACE}]+(?=[{WHITESPACE}][^{WHITESPACE}])"
                   rf"|[{WHITESPACE}]?(?:[{_SYMBOLS}]*+[A-Za-z0-9]++(?=[{_SYMBOLS}])|[^{WHITESPACE}]+)"
                   rf"|[{WHITESPACE}]+")
"""Parts of a text that can be encoded alone, because GPT-2's pattern ends a token at both of their ends:

- white space up to its last character, where something follows it: `\\s+(?!\\S)` takes just that;
- then that last character and what follows it, up to the next white space,
- or up to a symbol after an ASCII letter or digit: no alternative goes on from those into a symbol.
"""
_REMEMBERED, _LONG_WORD = 300_000, 40
