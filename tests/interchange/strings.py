"""Strings on which two tokenizers are compared: usual and hostile ones, those of each kind of tokenizer."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Sequence

from tinylm.text.tokenizer import Tokenizer

SCALARS = [chr(n) for n in range(0x110000) if not 0xD800 <= n < 0xE000]
"""Every Unicode scalar."""
CONTROL = ["<eos>", "<bos>", "<pad>", "<unk>", " <eos>", "a<eos>b", "<eos><eos>", "<|endoftext|>", "</s>", "<", "eos>",
           "hello <eos>", "<eos> hello", "<bos>hello<eos>"]
_WHITE = " \t\n\r\x0b\x0c\x1c\x1f\x85\xa0\u1680\u2003\u2028\u3000"
_ANY = ("abcXYZ 0123456789.,;:!?'\"<>|/\\_-ßéêñçøåàïœ"
        "漢字かなカナ한국어עבריתعربىไทย🙂👩‍👩‍👧🏳️‍🌈\u0301\u200b\ufeff\ufffd\x00\x01\x7f\xad▁Ġ")


def strings(tokenizer: Tokenizer, number: int, seed: int = 0) -> list[str]:
    """Strings that a tokenizer encodes: of its own alphabet for characters, of anything else for words and BPE."""
    chance = random.Random(seed)
    entries = [tokenizer.token(id) for id in range(tokenizer.vocab_size) if id not in tokenizer.specials.hidden]
    if tokenizer.kind == "char":
        pieces = entries
        found = [text for text in CONTROL if tokenizer.knows(text)]
    else:
        pieces = [*entries, *_ANY, *_WHITE, *CONTROL, "it's", "we'll", "1234567", "  ", "\n\n", "word" * 20]
        found = list(CONTROL)
    while len(found) < number:
        found.append("".join(chance.choice(pieces) + chance.choice(["", "", " "]) * (tokenizer.kind != "char")
                             for _ in range(chance.randrange(40))))
    return found[:number]


def strings_of_scalars(at_once: int = 100) -> list[str]:
    """Strings that hold every Unicode scalar in two surroundings, so many of them each."""
    return ["".join(f"a{scalar} {scalar}b" for scalar in SCALARS[start:start + at_once])
            for start in range(0, len(SCALARS), at_once)]


def digest(ids: Sequence[Sequence[int]]) -> str:
    """SHA-256 of many lists of ids, as JSON without blanks: there are too many to hand them over."""
    return hashlib.sha256(json.dumps(ids, separators=(",", ":")).encode()).hexdigest()
