"""Tokenizers as pages hold them: entries, roles and rules as JSON, for text/tokenizer.js."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tinylm.errors import TinyLMError
from tinylm.text.foreign_tokenizer import SPELLED_CASE, UNCASED
from tinylm.text.special_tokens import SPELLED_OUT
from tinylm.text.tokenizer import Tokenizer
from tinylm.text.vocabulary import BYTE_OF
from tinylm.text.white_space import WHITESPACE

_LETTER_OF = {byte: letter for letter, byte in BYTE_OF.items()}
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_NORMAL_FORMS = ("NFC", "NFD", "NFKC", "NFKD")


def tokenizer_data(tokenizer: Tokenizer) -> dict[str, Any]:
    """A tokenizer as JSON values.

    Raises:
        TinyLMError: an imported tokenizer that is not byte-level BPE, or has a part that a page does not know.

    >>> data = tokenizer_data(Tokenizer.train("char", ["abc"]))
    >>> data["kind"], data["entries"], data["hidden"]
    ('char', ['<pad>', '<bos>', '<eos>', 'a', 'b', 'c'], [0, 1, 2])
    """
    specials = tokenizer.specials
    by_bytes = tokenizer.kind in ("bpe", "imported")
    data: dict[str, Any] = {
        "kind": "bpe" if by_bytes else tokenizer.kind,
        "entries": [_entry(tokenizer, id, by_bytes=by_bytes) for id in range(tokenizer.vocab_size)],
        "hidden": sorted(specials.hidden), "unk": specials.unk, "prefix": list(specials.prefix),
        "start": specials.start, "ends": sorted(specials.ends),
        "white_space": WHITESPACE + r"\x1c-\x1f", "spelled_out": sorted(SPELLED_OUT)}
    if by_bytes:
        data["byte_pairs"] = _byte_pairs(json.loads(tokenizer.to_json()), specials.hidden)
    return data


def _entry(tokenizer: Tokenizer, id: int, *, by_bytes: bool) -> str:
    text = tokenizer.token(id)
    if not by_bytes:
        return text
    return "".join(_LETTER_OF[byte] for byte in tokenizer.token_bytes(id) or text.encode())


def _byte_pairs(parts: dict[str, Any], hidden: frozenset[int]) -> dict[str, Any]:
    """Merges and rules of byte-level BPE, given a tokenizer.json."""
    model, decoder = parts["model"], parts.get("decoder") or {}
    if model["type"] != "BPE" or decoder.get("type") != "ByteLevel" or model.get("byte_fallback"):
        raise _unknown(f"{model['type']} without byte level" if model["type"] == "BPE" else model["type"])
    vocab = {entry: id for entry, id in model["vocab"].items() if id not in hidden}
    merges = (each.split(" ") if isinstance(each, str) else each for each in model["merges"])
    known = [(left, right) for left, right in merges if {left, right, left + right} <= vocab.keys()]
    return {"merges": [[vocab[left], vocab[right]] for left, right in known],
            "cuts": [_javascript(cut) for cut in _cuts(parts["pre_tokenizer"])],
            "normalize": _normal_form(parts["normalizer"]),
            "whole": list(_whole(parts["added_tokens"], hidden)),
            "whole_words": bool(model.get("ignore_merges"))}


def _cuts(part: Any) -> Iterator[str]:
    """The regular expressions by which a pre-tokenizer cuts a text, one after another."""
    kind = part["type"] if part else None
    if kind == "Sequence":
        for child in part["pretokenizers"]:
            yield from _cuts(child)
    elif kind == "ByteLevel" and not part["add_prefix_space"]:
        if part.get("use_regex", True):
            yield _GPT2
    elif kind == "Digits":
        yield r"\p{N}" if part["individual_digits"] else r"\p{N}+"
    elif kind == "Split" and part["behavior"] == "Isolated" and not part["invert"] and "Regex" in part["pattern"]:
        yield part["pattern"]["Regex"]
    else:
        raise _unknown(kind)


def _javascript(pattern: str) -> str:
    """A regular expression of the library as JavaScript reads it under the flag u: its white space is another."""
    if "\\w" in pattern or "\\x{" in pattern:
        raise _unknown(f"Split with the pattern {pattern}")
    found = pattern.replace(UNCASED, SPELLED_CASE).replace(r"\d", r"\p{Nd}")
    return found.replace(r"[^\s", f"[^{WHITESPACE}").replace(r"\S", f"[^{WHITESPACE}]").replace(
        r"\s", f"[{WHITESPACE}]")


def _normal_form(part: Any) -> str | None:
    if part is None:
        return None
    children = part.get("normalizers", [part])
    if len(children) != 1 or children[0]["type"] not in _NORMAL_FORMS:
        raise _unknown(", ".join(child["type"] for child in children))
    return str(children[0]["type"])


def _whole(added: list[dict[str, Any]], hidden: frozenset[int]) -> Iterator[str]:
    """The texts of added tokens that are text, longest first as the library looks for them."""
    for each in sorted(added, key=lambda each: -len(each["content"])):
        if each["id"] not in hidden:
            if each.get("lstrip") or each.get("rstrip") or each.get("single_word"):
                raise _unknown(f"an added token, {each['content']!r}, that takes in what stands beside it")
            yield each["content"]


def _unknown(part: object) -> TinyLMError:
    return TinyLMError(f"a page knows byte-level BPE, and this imported tokenizer has {part}", where="data.tokenizer",
                       remedy="Choose --to hf or --to onnx")
