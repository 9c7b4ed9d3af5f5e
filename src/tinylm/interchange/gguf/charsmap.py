"""The table by which llama.cpp rewrites a text before it splits the text into words (`precompiled_charsmap`).

A trie over bytes, as an XOR-compressed compact double array: the child of a state by the byte c lies at index
base XOR c, and holds c, so that a look-up knows it. States here are blocks of 256 entries, and all texts with one
replacement end in one state. An entry of 32 bits:

    bits 0-7    the byte c
    bit 8       a text ends here: the entry at the base of the next state is the place of its replacement
    bit 9       0: the base is written as it is
    bits 10-30  the base of the next state XOR the index of this entry
    bit 31      1: the entry is a place, and no child

Source: `llm_tokenizer_ugm_session` in src/llama-vocab.cpp of llama.cpp, and SentencePiece, whose format it is.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

_BLOCK = 256
_ENDS, _PLACE = 1 << 8, 1 << 31


def charsmap(replacements: Mapping[str, str]) -> bytes:
    """The table for these replacements. No text in it may begin another one.

    >>> len(charsmap({" ": " ", "\\n": " "}))  # a length, two states of 256 entries of four bytes, a blank and a zero
    2054
    """
    bases: dict[bytes, int] = {b"": 0}
    entries = np.zeros(_BLOCK, np.uint32)
    places, texts = {}, b""
    for new in dict.fromkeys(replacements.values()):
        places[new] = len(texts)
        texts += new.encode() + b"\0"

    def state(name: bytes) -> int:
        """The base of the state of this name, made at first use."""
        nonlocal entries
        if name not in bases:
            bases[name] = len(entries)
            entries = np.concatenate([entries, np.zeros(_BLOCK, np.uint32)])
        return bases[name]

    for old, new in replacements.items():
        path = old.encode()
        for length, byte in enumerate(path):
            is_last = length + 1 == len(path)
            index = state(path[:length]) + byte
            following = state(b"\0" + new.encode() if is_last else path[:length + 1])
            entries[index] = byte | (_ENDS if is_last else 0) | (following ^ index) << 10
            if is_last:
                entries[following] = _PLACE | places[new]
    array = entries.astype("<u4").tobytes()
    return len(array).to_bytes(4, "little") + array + texts
