"""The tokenizer of a foreign GGUF file as a tokenizer.json, which makes the same ids as llama.cpp.

Read are byte-level BPE with a known pre-tokenizer, SentencePiece's BPE with bytes for unknown characters, and tinylm's
own exports, which become again what they were.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from tinylm.errors import TinyLMError
from tinylm.interchange.gguf.format import TokenType
from tinylm.interchange.gguf.pretokenizers import PRETOKENIZERS
from tinylm.interchange.gguf.reader import GGUFFile
from tinylm.interchange.gguf.sentencepiece import BLANK, tokenizer_json
from tinylm.interchange.gguf.tokenizer import FURTHER_ENDS, tokenizer_keys
from tinylm.system.untrusted import quoted
from tinylm.text.special_tokens import BOS, EOS, PAD, UNKNOWN, SpecialTokens
from tinylm.text.tokenizer import Tokenizer
from tinylm.text.vocabulary import entry_bytes


class ForeignTokenizer(NamedTuple):
    """A tokenizer from elsewhere.

    Attributes:
        json: the text of its tokenizer.json. Control tokens are entries of the vocabulary, no added tokens: a text
            that spells one stays text.
        specials: the ids by role.
        add_bos: a prompt begins with `specials.bos`.
    """

    json: str
    specials: SpecialTokens
    add_bos: bool


_REMEDY = "Choose another file of the model"
_OURS: Final = {f"<|tinylm:{entry.strip('<>')}|>": entry for entry in (PAD, BOS, EOS, UNKNOWN)}
"""The texts that an export gives to the special tokens -> tinylm's own."""


def read_tokenizer(file: GGUFFile, vocab_size: int) -> Tokenizer | ForeignTokenizer:
    """The tokenizer of a file.

    Args:
        vocab_size: rows of the embedding: the file must have as many entries.

    Raises:
        TinyLMError: its kind is not read here, or its keys do not fit together.

    >>> from tinylm.interchange.gguf.reader import read_gguf
    >>> read_tokenizer(read_gguf("book-gguf/model.gguf"), 39).kind
    'char'
    """
    entries = _Entries(file, vocab_size)
    if own := _own(entries):
        return own
    make = {"gpt2": _byte_level, "llama": _sentencepiece}.get(entries.model)
    if make is None:
        raise entries.refuse("model", f"is {quoted(entries.model)}, and tinylm reads gpt2 (byte-level BPE) and llama "
                                      "(SentencePiece's BPE)")
    return make(entries)


class _Entries:
    """The keys `tokenizer.ggml.*` of a file."""

    def __init__(self, file: GGUFFile, vocab_size: int) -> None:
        self.file = file
        self.model = self.get("model", str)
        self.tokens: list[str] = self.get("tokens", list)
        self.merges: list[str] = self.get("merges", list, [])
        kinds = self.get("token_type", np.ndarray, np.ones(len(self.tokens), np.int32))
        if len(self.tokens) != vocab_size or kinds.shape != (vocab_size,):
            raise self.refuse("tokens", f"has {len(self.tokens):,} entries, and the model {vocab_size:,}")
        if len(set(self.tokens)) != len(self.tokens):
            raise self.refuse("tokens", "has an entry twice")
        self.kinds: list[int] = kinds.tolist()

    def refuse(self, name: str, what: str) -> TinyLMError:
        return TinyLMError(what, where=f"{self.file.where}: tokenizer.ggml.{name}", remedy=_REMEDY)

    def get(self, name: str, kind: type, *default: Any) -> Any:
        value = self.file.keys.get(f"tokenizer.ggml.{name}", *default)
        if not isinstance(value, kind):
            raise self.refuse(name, "is missing" if value is None else "is of a wrong kind")
        return value

    def id(self, name: str) -> int | None:
        """The id of a role; None: the file does not name it."""
        value = self.file.keys.get(f"tokenizer.ggml.{name}_token_id")
        if value is not None and (type(value) is not int or not 0 <= value < len(self.tokens)):
            raise self.refuse(f"{name}_token_id", f"is {quoted(value)}, which is no entry")
        return value if isinstance(value, int) else None

    def with_kind(self, *kinds: TokenType) -> list[int]:
        return [id for id, kind in enumerate(self.kinds) if kind in kinds]


# ---- byte-level BPE


def _byte_level(entries: _Entries) -> ForeignTokenizer:
    name = entries.get("pre", str, "default")
    if name not in PRETOKENIZERS:
        raise entries.refuse("pre", f"is {quoted(name)}, and tinylm reads {', '.join(PRETOKENIZERS)}")
    if found := entries.with_kind(TokenType.BYTE):
        raise entries.refuse("token_type", f"has an entry of the type BYTE: {quoted(entries.tokens[found[0]])}")
    for key in ("add_space_prefix", "add_sep_token"):
        if entries.file.keys.get(f"tokenizer.ggml.{key}", False) is not False:
            raise entries.refuse(key, "is true, which tinylm does not do for this tokenizer")
    vocab = {entry: id for id, entry in enumerate(entries.tokens)}
    pretokenizer = PRETOKENIZERS[name]
    text = json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "normalizer": None,
        "added_tokens": _added(entries),
        "pre_tokenizer": pretokenizer.json, "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False,
                  "ignore_merges": pretokenizer.whole_words, "vocab": vocab, "merges": _merges(entries, vocab)},
    }, ensure_ascii=False)
    # llama.cpp's rule: byte-level BPE begins no text with `bos`, if the file says nothing else; llama-bpe does
    return _foreign(entries, text, add_bos=pretokenizer.whole_words)


def _foreign(entries: _Entries, text: str, *, add_bos: bool) -> ForeignTokenizer:
    """Args: add_bos: what llama.cpp does where the file says nothing."""
    specials = _specials(entries)
    add_bos = bool(entries.get("add_bos_token", bool, add_bos)) and specials.bos is not None
    return ForeignTokenizer(text, specials, add_bos)


def _added(entries: _Entries) -> list[dict[str, Any]]:
    """The entries that are found in a text before the text is cut into words."""
    return [{"id": id, "content": entries.tokens[id], "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": False} for id in entries.with_kind(TokenType.USER_DEFINED)]


def _merges(entries: _Entries, vocab: dict[str, int]) -> list[list[str]]:
    """The merges, each of two entries that become a third. llama.cpp lets through a piece that is none, and spells it
    in bytes; here it is refused."""
    merges = [merge.split(" ") for merge in entries.merges]
    for merge in merges:
        if len(merge) != 2 or not vocab.keys() >= {*merge, "".join(merge)}:
            raise entries.refuse("merges", f"holds {quoted(' '.join(merge))}, which are no two entries of a third")
    return merges


def _specials(entries: _Entries) -> SpecialTokens:
    eos, bos = entries.id("eos"), entries.id("bos")
    if eos is None:
        raise entries.refuse("eos_token_id", "is missing")
    pad = entries.id("padding")
    further = frozenset(id for name in FURTHER_ENDS if (id := entries.id(name)) is not None) - {eos}
    hidden = frozenset(entries.with_kind(TokenType.CONTROL, TokenType.UNUSED, TokenType.UNKNOWN))
    pad = eos if pad is None else pad
    return SpecialTokens(pad, bos, eos, None, hidden - {pad, bos, eos} - further, further)


# ---- SentencePiece's BPE


def _sentencepiece(entries: _Entries) -> ForeignTokenizer:
    scores = entries.get("scores", np.ndarray)
    if scores.shape != (len(entries.tokens),) or not np.isfinite(scores).all():
        raise entries.refuse("scores", "are no finite numbers, one for each entry")
    vocab = {entry: id for id, entry in enumerate(entries.tokens)}
    adds_blank = entries.get("add_space_prefix", bool, True)
    try:
        normal = {entries.tokens[id]: float(scores[id]) for id in entries.with_kind(TokenType.NORMAL)}
        values = tokenizer_json(vocab, normal, _added(entries), adds_blank)
    except ValueError as error:
        raise entries.refuse("tokens", f"cannot be held as merges: {quoted(error)}") from None
    return _foreign(entries, json.dumps(values, ensure_ascii=False), add_bos=True)


# ---- tinylm's own exports


def _own(entries: _Entries) -> Tokenizer | None:
    """The tokenizer that tinylm exported, or None: a candidate of each kind is made, and exported again."""
    if not {PAD, EOS} <= {_OURS.get(token) for token in entries.tokens[:4]}:
        return None
    for make in (_own_words,) if entries.model == "t5" else (_own_characters, _own_bpe):
        try:
            tokenizer = make(entries)
            again = tokenizer_keys(tokenizer, len(entries.tokens))
        except (TinyLMError, ValueError, LookupError):
            continue
        if all(_equal(again.get(f"tokenizer.ggml.{name}"), entries.file.keys.get(f"tokenizer.ggml.{name}"))
               for name in _COMPARED):
            return tokenizer
    return None


_COMPARED = ("model", "pre", "tokens", "merges", "token_type", "precompiled_charsmap", "bos_token_id", "eos_token_id",
             "padding_token_id", "unknown_token_id")


def _equal(ours: Any, theirs: Any) -> bool:
    def plain(value: Any) -> Any:
        return list(value) if isinstance(value, bytes) else value.tolist() if isinstance(value, np.ndarray) else value

    return bool(plain(ours) == plain(theirs))


def _vocabulary(entries: _Entries, spelled: Callable[[str], str]) -> dict[str, int]:
    kept = [token for token in entries.tokens if not token.startswith("<|tinylm:unused ")]
    return {_OURS[token] if token in _OURS else spelled(token): id for id, token in enumerate(kept)}


def _own_words(entries: _Entries) -> Tokenizer:
    return Tokenizer("word", _vocabulary(entries, lambda token: token.removeprefix(BLANK)))


def _own_characters(entries: _Entries) -> Tokenizer:
    def character(token: str) -> str:
        text = entry_bytes("bpe", token, is_special=False).decode()
        if len(text) != 1:
            raise ValueError("no character")
        return text

    return Tokenizer("char", _vocabulary(entries, character))


def _own_bpe(entries: _Entries) -> Tokenizer:
    """Merges that make no entry are left out: the idle one, which stands for an empty list, and what damage made, by
    which the library would panic."""
    vocab = _vocabulary(entries, str)
    merges = [(left, right) for left, right in (merge.split(" ") for merge in entries.merges)
              if vocab.keys() >= {left, right, left + right}]
    return Tokenizer("bpe", vocab, merges)
