"""A tokenizer as llama.cpp reads it from the keys of a GGUF file.

Byte-level BPE goes out as it is, and so does SentencePiece's BPE of an imported model. Characters become a byte-level
BPE whose only merges put the bytes of one character together. Words become SentencePiece's unigram model (UGM), with a
table that turns all white space into blanks.

The text of a control token is free. llama.cpp looks for these texts in what a person types, so here they are texts that
nobody types; a typed `<eos>` stays five characters of text, as in tinylm.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

from tokenizers import pre_tokenizers

from tinylm.errors import TinyLMError
from tinylm.interchange.gguf.charsmap import charsmap
from tinylm.interchange.gguf.format import TokenType
from tinylm.interchange.gguf.pretokenizers import pretokenizer_name
from tinylm.interchange.gguf.sentencepiece import BLANK, BYTES, normalizers, scores_of
from tinylm.interchange.gguf.writer import Value
from tinylm.text.special_tokens import SpecialTokens
from tinylm.text.tokenizer import Tokenizer

FURTHER_ENDS = ("eot", "eom")
"""Roles of ids that end a text beside `eos`: the end of a turn, and of a message."""

_WHITE_SPACE = [character for character in map(chr, range(0x3001)) if character.isspace()]
"""Characters at which `str.split()` splits; none comes after U+3000."""
_PRIVATE_USE = range(0xE000, 0xF900)


def tokenizer_keys(tokenizer: Tokenizer, vocab_size: int) -> dict[str, Value]:
    """The keys `tokenizer.ggml.*` of a tokenizer.

    Args:
        vocab_size: the rows of the embedding; those without an entry become entries that no text uses.

    Raises:
        TinyLMError: GGUF has no such tokenizer.

    >>> keys = tokenizer_keys(Tokenizer.train("char", ["abc"]), 7)
    >>> keys["tokenizer.ggml.model"], keys["tokenizer.ggml.tokens"][3:]
    ('gpt2', ['a', 'b', 'c', '<|tinylm:unused 6|>'])
    """
    specials, parts = tokenizer.specials, json.loads(tokenizer.to_json())
    if tokenizer.kind == "imported":
        return {**_imported(parts, specials, vocab_size), **_roles(specials)}
    model = parts["model"]
    entries = sorted(model["vocab"], key=model["vocab"].__getitem__)
    if tokenizer.kind == "bpe":
        keys = _byte_level(entries, [(left, right) for left, right in model["merges"]])
    elif tokenizer.kind == "char":
        keys = _characters(entries, specials)
    else:
        keys = _words(entries, specials)
    texts: Any = keys["tokenizer.ggml.tokens"]
    tokens = [_control_text(entries[id]) if id in specials.hidden or id == specials.unk else text
              for id, text in enumerate(texts)]
    unused = [_unused_text(id) for id in range(len(tokens), vocab_size)]
    kinds = [_kind(id, specials) for id in range(len(tokens))] + [TokenType.UNUSED] * len(unused)
    unknown = specials.pad if specials.unk is None else specials.unk
    return {
        **keys, "tokenizer.ggml.tokens": tokens + unused, "tokenizer.ggml.token_type": [int(kind) for kind in kinds],
        "tokenizer.ggml.scores": [-1.0 if kind is TokenType.NORMAL else 0.0 for kind in kinds],
        **({"tokenizer.ggml.unknown_token_id": unknown} if tokenizer.kind == "word" else {}), **_roles(specials),
    }


def _roles(specials: SpecialTokens) -> dict[str, Value]:
    ends = zip(FURTHER_ENDS, sorted(specials.further_eos), strict=False)
    return {"tokenizer.ggml.bos_token_id": specials.start, "tokenizer.ggml.eos_token_id": specials.eos,
            **{f"tokenizer.ggml.{name}_token_id": id for name, id in ends},
            "tokenizer.ggml.padding_token_id": specials.pad, "tokenizer.ggml.add_bos_token": specials.add_bos,
            "tokenizer.ggml.add_eos_token": False}


def _unused_text(id: int) -> str:
    return f"<|tinylm:unused {id}|>"


def _imported(parts: dict[str, Any], specials: SpecialTokens, vocab_size: int) -> dict[str, Value]:
    """BPE of another program, as it came: its control tokens keep their texts, which its users know."""
    model = parts["model"]
    merges = [tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in model.get("merges", ())]
    added = {token["id"]: token["content"] for token in parts["added_tokens"]}
    texts = {**{id: entry for entry, id in model["vocab"].items()}, **added} if model["type"] == "BPE" else {}
    bytes_apart = BYTES if model.get("byte_fallback") else ()
    kinds = [_imported_kind(id, texts, specials, added, bytes_apart) for id in range(vocab_size)]
    tokens = [texts.get(id, _unused_text(id)) for id in range(vocab_size)]
    normal = [text for text, kind in zip(tokens, kinds, strict=True) if kind is TokenType.NORMAL]
    keys = _sentencepiece(parts, tokens, normal, merges) if bytes_apart else _known_byte_level(parts, tokens, merges)
    if keys is None:
        raise TinyLMError("llama.cpp has no tokenizer that splits text as this one does", where="data.tokenizer",
                          remedy="Choose --to hf or --to onnx")
    return {**keys, "tokenizer.ggml.token_type": [int(kind) for kind in kinds]}


def _imported_kind(id: int, texts: Mapping[int, str], specials: SpecialTokens, added: Collection[int],
                   bytes_apart: Collection[str]) -> TokenType:
    if id not in texts:
        return TokenType.UNUSED
    if id in specials.hidden:
        return TokenType.CONTROL
    if id in added:
        return TokenType.USER_DEFINED
    return TokenType.BYTE if texts[id] in bytes_apart else TokenType.NORMAL


def _known_byte_level(parts: dict[str, Any], tokens: list[str],
                      merges: Sequence[tuple[str, ...]]) -> dict[str, Value] | None:
    """Byte-level BPE; None: llama.cpp does not know how it cuts words."""
    model = parts["model"]
    name = pretokenizer_name(parts["pre_tokenizer"], model.get("ignore_merges", False))
    if model["type"] != "BPE" or parts["normalizer"] or name is None:
        return None
    return {**_byte_level(tokens, merges), "tokenizer.ggml.pre": name}


def _sentencepiece(parts: dict[str, Any], tokens: list[str], normal: list[str],
                   merges: Sequence[tuple[str, ...]]) -> dict[str, Value] | None:
    """SentencePiece's BPE; None: no scores say what it does."""
    normalizer = parts["normalizer"] or {}
    found = normalizer.get("normalizers", [normalizer])
    if parts["pre_tokenizer"] or found not in (normalizers(adds_blank=True), normalizers(adds_blank=False)):
        return None
    entries = set(normal)
    try:
        scores = scores_of(normal, [merge for merge in merges if entries >= {*merge, "".join(merge)}])
    except ValueError:
        return None
    return {"tokenizer.ggml.model": "llama", "tokenizer.ggml.pre": "default", "tokenizer.ggml.tokens": tokens,
            "tokenizer.ggml.scores": [scores.get(token, 0.0) for token in tokens],
            "tokenizer.ggml.add_space_prefix": len(found) == 2}


def special_text(tokenizer: Tokenizer, id: int) -> str:
    """The text of a special token in a GGUF file.

    >>> special_text(Tokenizer.train("char", ["abc"]), 2)
    '<|tinylm:eos|>'
    """
    entry = tokenizer.token(id)
    return entry if tokenizer.kind == "imported" else _control_text(entry)


def _control_text(entry: str) -> str:
    return f"<|tinylm:{entry.strip('<>')}|>"


def _kind(id: int, specials: SpecialTokens) -> TokenType:
    if id in specials.hidden:
        return TokenType.CONTROL
    return TokenType.UNKNOWN if id == specials.unk else TokenType.NORMAL


def _byte_level(entries: list[str], merges: Sequence[tuple[str, ...]]) -> dict[str, Value]:
    """Entries and merges in GPT-2's letters for bytes. llama.cpp wants the list of merges also where it is idle."""
    return {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2", "tokenizer.ggml.tokens": entries,
            "tokenizer.ggml.merges": [" ".join(merge) for merge in merges] or [" ".join(entries[:1] * 2)]}


def _characters(entries: list[str], specials: SpecialTokens) -> dict[str, Value]:
    """Characters spelled in GPT-2's letters, and merges that build each from its first byte on. The bytes of UTF-8 tell
    where a character begins, so that no merge joins two."""
    to_letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    spelled = [entry if id in specials.hidden else to_letters.pre_tokenize_str(entry)[0][0]
               for id, entry in enumerate(entries)]
    merges: dict[tuple[str, str], None] = {}
    for id, letters in enumerate(spelled):
        if id not in specials.hidden:
            merges |= dict.fromkeys((letters[:i], letters[i:j]) for i, j in pairwise(range(1, len(letters) + 1)))
    return _byte_level(spelled, list(merges))


def _words(entries: list[str], specials: SpecialTokens) -> dict[str, Value]:
    """Words as the pieces of UGM, each with its blank before it. In words, letters that the model reads as more than a
    letter give way to others that no word has: the letter for a blank, and the zero at which C ends a text."""
    known = set().union(*entries)
    free = (character for character in map(chr, _PRIVATE_USE) if character not in known)
    instead = {ord(BLANK): next(free), 0: next(free)}
    table = dict.fromkeys(_WHITE_SPACE, " ") | {BLANK: instead[ord(BLANK)]}
    pieces = [entry if id in specials.hidden or id == specials.unk else BLANK + entry.translate(instead)
              for id, entry in enumerate(entries)]
    return {"tokenizer.ggml.model": "t5", "tokenizer.ggml.pre": "default", "tokenizer.ggml.tokens": pieces,
            "tokenizer.ggml.precompiled_charsmap": charsmap(table), "tokenizer.ggml.add_space_prefix": True,
            "tokenizer.ggml.remove_extra_whitespaces": True}
