"""The choice of a tokenizer for a text where nobody made it."""

from __future__ import annotations

from typing import NamedTuple

from tinylm.text.corpus import CorpusStats
from tinylm.text.vocabulary import Kind

_BPE_SIZES = ((3_000_000, 2048), (15_000_000, 4096), (100_000_000, 8192))
"""(bytes, entries): the entries for a text of fewer bytes."""


class TokenizerChoice(NamedTuple):
    """The choice of `auto`, with the reason as a sentence for people."""

    kind: Kind
    vocab_size: int | None
    reason: str


def choose_tokenizer(stats: CorpusStats) -> TokenizerChoice:
    """Chooses a tokenizer for a text: characters for a small text, else BPE with a vocabulary that grows with the text.

    A BPE token must occur often enough to be learned, in some 300 bytes of text for each entry; more entries than that
    made a model of an English novel better at equal time (LOG.md, "How many entries").
    """
    size = f"{stats.characters:,} characters"
    if stats.bytes < 300_000 and len(stats.alphabet) <= 512:
        return TokenizerChoice("char", None, f"characters, because a text of {size} is too small to learn words from")
    vocab_size = next((entries for most, entries in _BPE_SIZES if stats.bytes < most), 16384)
    return TokenizerChoice("bpe", vocab_size, f"BPE with {vocab_size:,} entries, which suits a text of {size}")
