"""What a tokenizer knows: its entries, how they are chosen from a text, and the file that holds them."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

import tokenizers
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from tinylm.errors import TinyLMError

Kind = Literal["word", "char", "bpe"]

SPECIALS = ("<pad>", "<bos>", "<eos>")
UNKNOWN = "<unk>"
SPELLED_OUT = frozenset((*SPECIALS, UNKNOWN))
DEFAULT_BPE_VOCAB = 4096


# ---- text, as the vocabularies take it


def checked_text(text: str) -> str:
    """Half a surrogate pair can be in a Python string, but in no file and in no alphabet."""
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
    """The notebook's words, but a spelled-out special in two: as a whole it would hit the special's entry."""
    words = text.split()
    if not any(special in text for special in SPELLED_OUT):
        return words
    return list(itertools.chain.from_iterable(map(word_parts, words)))


def word_parts(word: str) -> list[str]:
    return ["<", word[1:]] if word in SPELLED_OUT else [word]


# ---- entries chosen from a text


def _numbered(first: Sequence[str], rest: Iterable[str]) -> dict[str, int]:
    return {entry: id for id, entry in enumerate([*first, *rest])}


def word_vocab(texts: Iterable[str], vocab_size: int | None, unknown_token: bool) -> dict[str, int]:
    """Words in order of first appearance; where there are too many, the most frequent ones."""
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(split_words(text))
    first = (*SPECIALS, UNKNOWN) if unknown_token else SPECIALS
    room = len(counts) if vocab_size is None else vocab_size - len(first)
    if room < len(counts) and not unknown_token:
        raise _too_small(vocab_size, len(first) + len(counts), "to know every word of the text without <unk>")
    if room < 1 <= len(counts):
        raise _too_small(vocab_size, len(first) + 1, "for the specials and one word")
    kept = {word for word, _ in counts.most_common(room)}  # a stable sort: ties by first appearance
    return _numbered(first, (word for word in counts if word in kept))


def char_vocab(texts: Iterable[str], vocab_size: int | None) -> dict[str, int]:
    alphabet = sorted(set().union(*map(checked_text, texts)))
    if vocab_size is not None and vocab_size < len(SPECIALS) + len(alphabet):
        raise _too_small(vocab_size, len(SPECIALS) + len(alphabet), "to hold every character of the text")
    return _numbered(SPECIALS, alphabet)


def bpe_vocab(texts: Iterable[str], vocab_size: int) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Trained without the specials, which the trainer would make added tokens of; they are put in front.

    The same on every machine: ties between pairs go by their ids, and the whole alphabet is numbered beforehand.
    A special cannot come out as a merged token, because the pattern keeps `<`, letters and `>` apart.
    """
    if vocab_size < len(SPECIALS) + 256:
        raise _too_small(vocab_size, len(SPECIALS) + 256, "for the specials and all 256 bytes")
    library = tokenizers.Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    stretches = itertools.chain.from_iterable(map(_stretches, texts))
    library.train_from_iterator(stretches, trainers.BpeTrainer(
        vocab_size=vocab_size - len(SPECIALS), min_frequency=2, show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    model = json.loads(library.to_str())["model"]
    return _numbered(SPECIALS, model["vocab"]), [(left, right) for left, right in model["merges"]]


def _stretches(text: str) -> Iterator[str]:
    """A text cut within its longest words, over which the trainer takes time by the square of their length."""
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


def file_format(kind: Kind, vocab: dict[str, int], merges: Sequence[tuple[str, str]]) -> tokenizers.Tokenizer:
    """The tokenizer in the library's terms, which is what `tokenizer.json` holds."""
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
    library.post_processor = processors.TemplateProcessing(
        single="<bos> $A <eos>", pair="<bos> $A <eos> $B:1 <eos>:1", special_tokens=[("<bos>", 1), ("<eos>", 2)])
    return library


_PYTHON_WHITESPACE = r"[\t-\r\x1c-\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]+"
"""Where `str.split()` splits, for the library's regular expressions."""


def parse_file(data: dict[str, Any]) -> tuple[Kind, dict[str, int], list[tuple[str, str]]]:
    """Kind, vocabulary and merges of a tokenizer.json, if every other part is as we write it."""
    model = data["model"]
    kind: Kind = "word" if model["type"] == "WordLevel" else "bpe" if data["pre_tokenizer"] else "char"
    vocab: dict[str, int] = model["vocab"]
    merges = [(left, right) for left, right in model.get("merges", ())]
    if list(vocab.values()) != list(range(len(vocab))) or tuple(vocab)[:len(SPECIALS)] != SPECIALS:
        raise ValueError("its vocabulary does not start with <pad>, <bos>, <eos>, numbered from 0")
    if kind == "char" and (merges or any(len(entry) != 1 for entry in list(vocab)[len(SPECIALS):])):
        raise ValueError("its alphabet holds more than characters")
    if kind == "bpe" and not vocab.keys() >= set(_BYTE_OF):
        raise ValueError("its vocabulary does not hold all 256 bytes")
    if not _agrees(data, json.loads(file_format(kind, vocab, merges).to_str())):
        raise ValueError("it splits text in another way")
    return kind, vocab, merges


def _agrees(found: Any, ours: Any) -> bool:
    """Equal as far as both have a field: another version of the library may write more fields, or fewer."""
    if isinstance(found, dict) and isinstance(ours, dict):
        return all(_agrees(found[name], ours[name]) for name in found.keys() & ours.keys())
    return bool(found == ours)


def _byte_letters() -> dict[str, int]:
    """The letter by which GPT-2's files write each byte: printable ones as themselves, others from U+0100 on."""
    printable = {*range(33, 127), *range(161, 173), *range(174, 256)}
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + n): byte for n, byte in enumerate(others)}


_BYTE_OF = _byte_letters()


def entry_bytes(kind: Kind, entry: str) -> bytes:
    if kind != "bpe" or entry in SPECIALS:
        return entry.encode()
    return bytes(_BYTE_OF[letter] for letter in entry)
