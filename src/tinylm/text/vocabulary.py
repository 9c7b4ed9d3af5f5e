"""Vocabularies: entries chosen from a text, and the file that holds them, tokenizer.json."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from tinylm.errors import TinyLMError
from tinylm.text.special_tokens import BOS, EOS, PAD, SPELLED_OUT, UNKNOWN

Kind = Literal["word", "char", "bpe", "imported"]

SPECIALS = (PAD, BOS, EOS)
"""The first entries of every vocabulary that is trained here; `<unk>` comes next, for words."""
DEFAULT_BPE_VOCAB = 4096
"""Entries."""


# ---- text, as the vocabularies take it


def checked_text(text: str) -> str:
    """Returns the text if it is valid Unicode: a Python string may hold half a surrogate pair, a file may not.

    Raises:
        TinyLMError: the value is not a string, or holds half a surrogate pair.
    """
    if not isinstance(text, str):
        raise TinyLMError(f"a text must be a string, but it is of type {type(text).__name__}")
    try:
        text.isascii() or text.encode()
    except UnicodeEncodeError as error:
        raise TinyLMError(f"the text is not valid Unicode: its character {error.start + 1} is "
                          f"U+{ord(text[error.start]):04X}, half of a surrogate pair",
                          remedy="Read it with errors='replace', or write the character itself") from None
    return text


def split_words(text: str) -> list[str]:
    """Splits a text at white space, as the notebook does. A spelled-out special token becomes two words, since the
    whole word would be the entry of that token.

    >>> split_words("how are <eos> you")
    ['how', 'are', '<', 'eos>', 'you']
    """
    words = text.split()
    if not any(special in text for special in SPELLED_OUT):
        return words
    return list(itertools.chain.from_iterable(map(word_parts, words)))


def word_parts(word: str) -> list[str]:
    """The words that stand for one word of a text: the word itself, or a spelled-out special token in two."""
    return ["<", word[1:]] if word in SPELLED_OUT else [word]


# ---- entries chosen from a text


def _numbered(first: Sequence[str], rest: Iterable[str]) -> dict[str, int]:
    return {entry: id for id, entry in enumerate([*first, *rest])}


def word_vocab(texts: Iterable[str], vocab_size: int | None, unknown_token: bool) -> dict[str, int]:
    """The vocabulary of words, in order of first appearance; of too many words, the most frequent ones.

    Raises:
        TinyLMError: `vocab_size` is too small for what must be in it.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(split_words(text))
    first = (*SPECIALS, UNKNOWN) if unknown_token else SPECIALS
    most = len(counts) if vocab_size is None else vocab_size - len(first)
    if most < len(counts) and not unknown_token:
        raise _too_small(vocab_size, len(first) + len(counts), "to know every word of the text without <unk>")
    if most < 1 <= len(counts):
        raise _too_small(vocab_size, len(first) + 1, "for the specials and one word")
    kept = {word for word, _ in counts.most_common(most)}  # a stable sort: ties by first appearance
    return _numbered(first, (word for word in counts if word in kept))


def char_vocab(texts: Iterable[str], vocab_size: int | None) -> dict[str, int]:
    """The vocabulary of characters, sorted by code point. Raises: TinyLMError: `vocab_size` is below their number."""
    alphabet = sorted(set().union(*map(checked_text, texts)))
    if vocab_size is not None and vocab_size < len(SPECIALS) + len(alphabet):
        raise _too_small(vocab_size, len(SPECIALS) + len(alphabet), "to hold every character of the text")
    return _numbered(SPECIALS, alphabet)


def bpe_vocab(texts: Iterable[str], vocab_size: int) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """The vocabulary and merges of byte-level BPE (Sennrich et al. 2016, arXiv 1508.07909) with GPT-2's pattern.

    The library trains without the special tokens, which it would make added tokens of; they are put in front. The
    result is the same on every machine: ties between pairs go by their ids, and the whole alphabet is numbered before
    training. A special token cannot be the result of merges, because the pattern keeps `<`, letters and `>` apart.

    Raises:
        TinyLMError: `vocab_size` is below the number of special tokens and bytes.
    """
    if vocab_size < len(SPECIALS) + 256:
        raise _too_small(vocab_size, len(SPECIALS) + 256, "for the specials and all 256 bytes")
    library = tokenizers.Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bounded = itertools.chain.from_iterable(map(_bounded_words, texts))
    library.train_from_iterator(bounded, trainers.BpeTrainer(
        vocab_size=vocab_size - len(SPECIALS), min_frequency=2, show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    model = json.loads(library.to_str())["model"]
    return _numbered(SPECIALS, model["vocab"]), [(left, right) for left, right in model["merges"]]


def _bounded_words(text: str) -> Iterator[str]:
    """Yields a text cut within its longest words, since the trainer's time grows by the square of a word's length."""
    start = 0
    for run in _LONG_RUN.finditer(checked_text(text)):
        yield text[start:run.end()]
        start = run.end()
    yield text[start:]


_LONG_RUN = re.compile(r"\S{128}|\s{128}")


def _too_small(vocab_size: int | None, least: int, purpose: str) -> TinyLMError:
    return TinyLMError(f"a vocabulary of {vocab_size} is too small {purpose}", where="data.vocab_size",
                       remedy=f"Give at least --vocab-size {least}")


# ---- the file


def library_tokenizer(kind: Kind, vocab: dict[str, int], merges: Sequence[tuple[str, str]],
                      control: Sequence[str]) -> tokenizers.Tokenizer:
    """The tokenizer of the Hugging Face library that `tokenizer.json` holds. Its post-processor puts `<bos>`, if the
    vocabulary has it, and `<eos>` around a text, and lists the control tokens."""
    if kind == "word":
        library = tokenizers.Tokenizer(models.WordLevel(vocab=vocab, unk_token=UNKNOWN))
        library.pre_tokenizer = pre_tokenizers.Sequence([
            pre_tokenizers.Split(tokenizers.Regex(_PYTHON_WHITESPACE), "removed"),
            pre_tokenizers.Split(tokenizers.Regex(r"\A<(?=(?:pad|bos|eos|unk)>\z)"), "isolated")])
    else:
        library = tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=list(merges)))
        library.decoder = decoders.Fuse() if kind == "char" else decoders.ByteLevel()
        if kind == "bpe":
            library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    begin = f"{BOS} " if BOS in vocab else ""
    around = [entry for entry in (BOS, EOS) if entry in vocab]
    library.post_processor = processors.TemplateProcessing(
        single=f"{begin}$A {EOS}", pair=f"{begin}$A {EOS} $B:1 {EOS}:1",
        special_tokens=[(entry, vocab[entry]) for entry in (*around, *control)])
    return library


_PYTHON_WHITESPACE = r"[\t-\r\x1c-\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]+"
"""A class of the characters at which `str.split()` splits, for the library's regular expressions."""


class Parsed(NamedTuple):
    """The parts of a tokenizer.json. `control`: entries that stand for no text, besides <pad>, <bos> and <eos>."""

    kind: Kind
    vocab: dict[str, int]
    merges: list[tuple[str, str]]
    control: list[str]


def parse_file(data: dict[str, Any]) -> Parsed:
    """Reads a tokenizer.json whose parts, but for vocabulary, merges and control tokens, are as tinylm writes them.

    Raises:
        ValueError, KeyError, TypeError, ...: it is not such a file.
    """
    model = data["model"]
    kind: Kind = "word" if model["type"] == "WordLevel" else "bpe" if data["pre_tokenizer"] else "char"
    vocab: dict[str, int] = model["vocab"]
    merges = [(left, right) for left, right in model.get("merges", ())]
    control = [entry for entry in data["post_processor"]["special_tokens"] if entry not in (BOS, EOS)]
    if list(vocab.values()) != list(range(len(vocab))):
        raise ValueError("its vocabulary is not numbered from 0")
    if control and kind == "word":
        raise ValueError("its control tokens could be words of a text")
    if kind == "char" and (merges or any(len(entry) != 1 for entry in vocab.keys() - {*SPECIALS, *control})):
        raise ValueError("its alphabet holds more than characters")
    if kind == "bpe" and not vocab.keys() >= set(BYTE_OF):
        raise ValueError("its vocabulary does not hold all 256 bytes")
    if not _agrees(data, json.loads(library_tokenizer(kind, vocab, merges, control).to_str())):
        raise ValueError("it splits text in another way")
    return Parsed(kind, vocab, merges, control)


LAST = "<last>"
"""The role, in the file of an imported tokenizer, of the last id of its model's vocabulary."""


def holds_roles(data: Any) -> bool:
    """True if a tokenizer.json holds the roles of ids, as an imported one does (imported.py).

    >>> holds_roles({"post_processor": None})
    False
    """
    template = data.get("post_processor") if isinstance(data, dict) else None
    roles = template.get("special_tokens") if isinstance(template, dict) else None
    return isinstance(roles, dict) and LAST in roles


def _agrees(found: Any, ours: Any) -> bool:
    """True if both are equal in every field that both have: another version of the library may write more or fewer."""
    if isinstance(found, dict) and isinstance(ours, dict):
        return all(_agrees(found[name], ours[name]) for name in found.keys() & ours.keys())
    return bool(found == ours)


def _byte_letters() -> dict[str, int]:
    """Maps the letters by which GPT-2's files write bytes to the bytes: printable bytes are themselves, the others are
    numbered from U+0100 on."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


BYTE_OF = _byte_letters()
"""Letters of GPT-2's files -> bytes."""


def entry_bytes(kind: Kind, entry: str, *, is_special: bool) -> bytes:
    """The UTF-8 bytes of an entry. An entry of BPE spells its bytes in GPT-2's letters, a special token itself."""
    if kind != "bpe" or is_special:
        return entry.encode()
    return bytes(BYTE_OF[letter] for letter in entry)
