"""A foreign tokenizer.json, checked before the library reads it: only components that are known to be harmless and that
give each id bytes of its own. Everything else is refused by its name.

Regular expressions are those of a table: the library's engine backtracks, and a hostile one takes for ever.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tinylm.errors import TinyLMError
from tinylm.system.untrusted import quoted
from tinylm.text.vocabulary import BYTE_OF

MAX_DEPTH = 2
"""Levels of sequences of components, at most."""
MAX_PARTS = 32
"""Components of a sequence, at most."""
META = "▁"

UNCASED = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
SPELLED_CASE = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"  # the same, as llama.cpp writes it
_LLAMA_3 = r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_QWEN_2 = _LLAMA_3.replace("{1,3}", "")
KNOWN_PATTERNS = frozenset({
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",  # GPT-2
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)",  # StarCoder of llama.cpp
    *(case + rest for case in (UNCASED, SPELLED_CASE) for rest in (_LLAMA_3, _QWEN_2)),
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",  # o200k
    r"\p{N}", r"\p{N}{1,3}", r"\p{N}+", r"\d", r"\d{1,3}", r"[0-9]", r"[0-9][0-9][0-9]", r"\s+", r"\w+|[^\w\s]+",
    r"[\t-\r\x1c-\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}]+",  # str.split()
})
"""Regular expressions of tokenizers in use, all of which take time in proportion to a text."""

NORMALIZERS = {"NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Strip", "StripAccents", "Replace", "Prepend", "Sequence",
               "Nmt"}
PRE_TOKENIZERS = {"ByteLevel", "Metaspace", "Split", "Digits", "Sequence", "Whitespace", "WhitespaceSplit",
                  "Punctuation", "BertPreTokenizer"}


@dataclass(frozen=True)
class ForeignTokenizer:
    """A tokenizer.json that was checked.

    Attributes:
        data: the file, without truncation, padding and post-processor.
        entries: id -> entry, added tokens among them.
        merges: of BPE; empty for other models.
        added: ids of added tokens, which stand for themselves.
        adds_blank: True if a blank is put before each text.
        to_bytes: an entry of the model -> the bytes that it stands for.
    """

    data: dict[str, Any]
    entries: dict[int, str]
    merges: list[list[str]]
    added: frozenset[int]
    adds_blank: bool
    to_bytes: Callable[[str], bytes]

    @property
    def size(self) -> int:
        """The largest id plus 1."""
        return max(self.entries) + 1

    def bytes_of(self, id: int) -> bytes:
        """The bytes that an id stands for."""
        return self.entries[id].encode() if id in self.added else self.to_bytes(self.entries[id])


def read_foreign(text: str) -> ForeignTokenizer:
    """Reads and checks a tokenizer.json.

    Raises:
        TinyLMError: it is damaged, or holds a component that is not known; the error names the component.
    """
    try:
        data = json.loads(text)
        return _read(data)
    except TinyLMError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise TinyLMError(f"is not a tokenizer of the library tokenizers ({quoted(error)})",
                          where="tokenizer.json") from None


def _read(data: dict[str, Any]) -> ForeignTokenizer:
    data = {"version": "1.0", "added_tokens": [], "normalizer": None, "pre_tokenizer": None, **data,
            "truncation": None, "padding": None, "post_processor": None}
    if unknown := data.keys() - {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
                                 "post_processor", "decoder", "model"}:
        raise _refused("part", min(unknown))
    _check_component(data["normalizer"], "normalizer", NORMALIZERS, "normalizers")
    _check_component(data["pre_tokenizer"], "pre_tokenizer", PRE_TOKENIZERS, "pretokenizers")
    entries, merges = _read_model(data["model"])
    added = _read_added(data["added_tokens"], entries)
    blank, to_bytes = _read_decoder(data.get("decoder"))
    for entry in entries.values():
        to_bytes(entry)  # a KeyError tells of an entry that is not bytes
    return ForeignTokenizer(data, entries, merges, added, blank, to_bytes)


# ---- components


def _refused(part: str, kind: object) -> TinyLMError:
    return TinyLMError(f"has the {part} {quoted(kind)}, which tinylm does not know", where="tokenizer.json",
                       remedy="Such a tokenizer cannot be imported")


def _check_component(found: Any, part: str, known: set[str], children: str, depth: int = 0) -> None:
    if found is None:
        return
    kind = found["type"]
    if kind not in known or depth > MAX_DEPTH:
        raise _refused(part, kind)
    if kind == "Sequence":
        if len(found[children]) > MAX_PARTS:
            raise _refused(part, "Sequence of very many parts")
        for child in found[children]:
            _check_component(child, part, known, children, depth + 1)
    if kind in ("Split", "Replace"):
        _check_pattern(found["pattern"], part)
    if kind in ("Replace", "Prepend") and len(found["content" if kind == "Replace" else "prepend"]) > 8:
        raise _refused(part, f"{kind} with a long text")


def _check_pattern(pattern: Mapping[str, str], part: str) -> None:
    (kind, text), = pattern.items()
    if kind == "String" and text:
        return
    if kind != "Regex" or text not in KNOWN_PATTERNS:
        raise _refused(f"{part} with the pattern", text)


def _read_model(model: Mapping[str, Any]) -> tuple[dict[int, str], list[list[str]]]:
    """The entries by id, and the merges."""
    kind = model.get("type")
    if kind not in ("BPE", "Unigram", "WordLevel"):
        raise _refused("model", kind)
    for name in ("dropout", "continuing_subword_prefix", "end_of_word_suffix"):
        if model.get(name):
            raise _refused("model", f"{kind} with {name}")
    if not isinstance(model.get("unk_token"), str | None) or type(model.get("unk_id", 0)) not in (int, type(None)):
        raise TypeError("what stands for unknown text is no entry")
    if kind == "Unigram":
        for _, score in model["vocab"]:
            if not isinstance(score, float | int) or not -1e9 < score < 1e9:
                raise ValueError("a score is not a number")
        pairs = [(entry, id) for id, (entry, _) in enumerate(model["vocab"])]
    else:
        pairs = list(model["vocab"].items())
    entries = {_id(id): _text(entry) for entry, id in pairs}
    if len(entries) != len(pairs) or len({entry for entry, _ in pairs}) != len(pairs) or not entries:
        raise ValueError("its vocabulary is empty, or two entries are the same")
    if max(entries) >= 2 * len(entries) + 1024:
        raise ValueError("its ids are far apart")
    return entries, [_merge(each) for each in model.get("merges", ())]


def _merge(merge: Any) -> list[str]:
    left, right = merge.split(" ") if isinstance(merge, str) else merge
    return [_text(left), _text(right)]


def _read_added(added: list[dict[str, Any]], entries: dict[int, str]) -> frozenset[int]:
    """Puts the added tokens among the entries. Returns their ids."""
    for each in added:
        id, content = _id(each["id"]), _text(each["content"])
        if not content or entries.setdefault(id, content) != content or id >= 2 * len(entries) + 1024:
            raise ValueError(f"its added token {quoted(content)} has the id of another entry")
    return frozenset(each["id"] for each in added)


def _id(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"an id is {quoted(value)}")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("an entry is not a text")
    value.encode()
    return value


# ---- bytes


def _read_decoder(decoder: Mapping[str, Any] | None) -> tuple[bool, Callable[[str], bytes]]:
    """True if a blank at the beginning of a text is the tokenizer's own; and the bytes of an entry."""
    if decoder is None:
        raise _refused("decoder", "none")
    parts = decoder["decoders"] if decoder["type"] == "Sequence" else [decoder]
    kinds = [part["type"] for part in parts]
    if kinds == ["ByteLevel"]:
        return False, byte_level_bytes
    if kinds == ["Metaspace"] and parts[0].get("replacement", META) == META:
        return parts[0].get("prepend_scheme", "always") != "never", metaspace_bytes
    is_replace = kinds[:1] == ["Replace"] and parts[0]["pattern"] == {"String": META} and parts[0]["content"] == " "
    if is_replace and kinds[1:] in (["ByteFallback", "Fuse"], ["ByteFallback", "Fuse", "Strip"]):
        return kinds[-1] == "Strip", byte_fallback_bytes
    if kinds == ["Fuse"]:
        return False, str.encode
    raise _refused("decoder", " and ".join(map(str, kinds)))


def byte_level_bytes(entry: str) -> bytes:
    """The bytes of an entry in GPT-2's letters; an entry with other letters stands for itself.

    >>> byte_level_bytes("Ġé")
    b' \\xe9'
    """
    return bytes(BYTE_OF[letter] for letter in entry) if all(letter in BYTE_OF for letter in entry) else entry.encode()


def metaspace_bytes(entry: str) -> bytes:
    """The bytes of an entry whose blanks are U+2581.

    >>> metaspace_bytes("▁how")
    b' how'
    """
    return entry.replace(META, " ").encode()


def byte_fallback_bytes(entry: str) -> bytes:
    """The bytes of an entry as `metaspace_bytes`; `<0x41>` is a byte.

    >>> byte_fallback_bytes("<0x41>")
    b'A'
    """
    if len(entry) == 6 and entry[:3] == "<0x" and entry[-1] == ">":
        try:
            return bytes.fromhex(entry[3:5])
        except ValueError:
            pass
    return metaspace_bytes(entry)
