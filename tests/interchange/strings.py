"""Strings on which two tokenizers are compared: usual and hostile ones, those of each kind of tokenizer."""

from __future__ import annotations

import random

from tinylm.text.tokenizer import Tokenizer

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
