"""Pre-tokenizers: how llama.cpp cuts a text into words before byte-level BPE, by the name in a file, as parts of a
tokenizer.json.

A file names its pre-tokenizer (`tokenizer.ggml.pre`); llama.cpp knows the regular expressions of each name
(src/llama-vocab.cpp). The tests hold the ids against llama.cpp's own.
"""

from __future__ import annotations

import json
from typing import Any, Final, NamedTuple

_BYTES: Final = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
_GPT2: Final = {**_BYTES, "use_regex": True}
_SINGLE_DIGITS: Final = {"type": "Digits", "individual_digits": True}


def _split(pattern: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def _sequence(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", "pretokenizers": list(parts)}


def _words(digits: str) -> dict[str, Any]:
    """The pattern of GPT-4's kind, which groups so many digits."""
    contractions = r"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
    return _sequence(_split(rf"{contractions}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|{digits}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*"
                            r"|\s*[\r\n]+|\s+(?!\S)|\s+"), _BYTES)


class Pretokenizer(NamedTuple):
    """A pre-tokenizer.

    Attributes:
        json: the `pre_tokenizer` of a tokenizer.json.
        whole_words: a word that is an entry is that entry, whatever the merges say (`ignore_merges`).
    """

    json: dict[str, Any]
    whole_words: bool = False


_OF_GPT2, _OF_SMOLLM = Pretokenizer(_GPT2), Pretokenizer(_sequence(_SINGLE_DIGITS, _GPT2))
_OF_QWEN2, _OF_LLAMA3 = Pretokenizer(_words(r"\p{N}")), Pretokenizer(_words(r"\p{N}{1,3}"), whole_words=True)
PRETOKENIZERS: Final[dict[str, Pretokenizer]] = {
    "gpt-2": _OF_GPT2, "phi-2": _OF_GPT2, "olmo": _OF_GPT2, "mpt": _OF_GPT2, "jais": _OF_GPT2,
    "smollm": _OF_SMOLLM, "starcoder": _OF_SMOLLM, "refact": _OF_SMOLLM, "command-r": _OF_SMOLLM,
    "codeshell": _OF_SMOLLM, "exaone": _OF_SMOLLM,
    "qwen2": _OF_QWEN2, "deepseek-r1-qwen": _OF_QWEN2, "stablelm2": _OF_QWEN2,
    "llama-bpe": _OF_LLAMA3, "llama3": _OF_LLAMA3, "llama-v3": _OF_LLAMA3,
}
"""llama.cpp's names -> pre-tokenizers."""


def pretokenizer_name(pre_tokenizer: Any, whole_words: bool = False) -> str | None:
    """llama.cpp's name of the `pre_tokenizer` of a tokenizer.json; None: it has none.

    >>> pretokenizer_name(PRETOKENIZERS["refact"].json)
    'smollm'
    """
    wanted = json.dumps(_plain(pre_tokenizer), sort_keys=True)
    return next((name for name, known in PRETOKENIZERS.items() if known.whole_words == whole_words
                 and json.dumps(_plain(known.json), sort_keys=True) == wanted), None)


def _plain(part: Any) -> Any:
    """The part without what changes no id: `trim_offsets` moves the places of tokens in a text alone."""
    if isinstance(part, dict):
        return {name: _plain(value) for name, value in part.items() if name != "trim_offsets"}
    return [_plain(each) for each in part] if isinstance(part, list) else part
