"""SentencePiece's BPE (`tokenizer.ggml.model` is llama) as a tokenizer.json that makes the same ids as llama.cpp.

llama.cpp writes blanks as U+2581, puts one before a text, and begins with single characters. Of all neighbours that
are an entry together it joins those with the highest score, the leftmost first, until none are left; a character that
is no entry becomes its bytes. BPE of the library tokenizers does the same by a list of merges: an entry's score gives
its place in the list. Two entries of one score would be joined by their places in the text, which no list of merges
says: they are refused, as is an entry whose characters are no entries, which BPE does not reach.

Source: `llm_tokenizer_spm_session` in src/llama-vocab.cpp of llama.cpp.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

BLANK: Final = "▁"
"""The letter by which SentencePiece writes a blank (U+2581)."""
BYTES: Final = tuple(f"<0x{byte:02X}>" for byte in range(256))
"""The entries that stand for bytes."""
MAX_LENGTH: Final = 256
"""Characters of an entry, at most."""


def merges_of(scores: Mapping[str, float]) -> list[list[str]]:
    """The merges of entries, the highest score first.

    Args:
        scores: of each entry that a text may become.

    Raises:
        ValueError: two entries that can be joined have one score, an entry has a character that is no entry, or one is
            longer than `MAX_LENGTH`.

    >>> merges_of({"a": 0.0, "b": 0.0, "ab": -2.0, "aba": -1.0})
    [['ab', 'a'], ['a', 'b']]
    """
    found: dict[float, tuple[str, list[list[str]]]] = {}
    for entry, score in scores.items():
        if len(entry) > MAX_LENGTH:
            raise ValueError(f"an entry has {len(entry):,} characters")
        if unknown := set(entry) - scores.keys():
            raise ValueError(f"the entry {entry} has the character {min(unknown)}, which is no entry")
        pairs = [[entry[:i], entry[i:]] for i in range(1, len(entry)) if entry[:i] in scores and entry[i:] in scores]
        if pairs and found.setdefault(score, (entry, pairs))[0] != entry:
            raise ValueError(f"the entries {found[score][0]} and {entry} have one score")
    return [pair for score in sorted(found, reverse=True) for pair in found[score][1]]


def scores_of(entries: Iterable[str], merges: Sequence[Sequence[str]]) -> dict[str, float]:
    """The scores by which llama.cpp joins entries in the order of merges: the way back from `merges_of`.

    Raises:
        ValueError: no scores say this order.

    >>> scores_of(["a", "b", "ab", "aba"], [["ab", "a"], ["a", "b"]])
    {'aba': -1.0, 'ab': -2.0, 'a': -3.0, 'b': -4.0}
    """
    joined = [left + right for left, right in merges]
    ranks = {entry: rank for rank, entry in enumerate(dict.fromkeys([*joined, *entries]), 1)}
    scores = {entry: -float(rank) for entry, rank in ranks.items()}
    in_order = sorted(map(tuple, merges), key=lambda pair: (ranks["".join(pair)], len(pair[0])))
    if [ranks[entry] for entry in joined] != sorted(ranks[entry] for entry in joined) or in_order != [
            (left, right) for left, right in merges_of(scores)]:
        raise ValueError("its merges are not in the order of scores")
    return scores


def normalizers(adds_blank: bool) -> list[dict[str, Any]]:
    """The normalizers of a tokenizer.json.

    >>> normalizers(adds_blank=False)
    [{'type': 'Replace', 'pattern': {'String': ' '}, 'content': '▁'}]
    """
    blanks = {"type": "Replace", "pattern": {"String": " "}, "content": BLANK}
    return [*([{"type": "Prepend", "prepend": BLANK}] if adds_blank else []), blanks]


def tokenizer_json(vocab: Mapping[str, int], scores: Mapping[str, float], added: Collection[dict[str, Any]],
                   adds_blank: bool) -> dict[str, Any]:
    """The values of a tokenizer.json.

    Args:
        vocab: all entries, `BYTES` among them -> ids.
        scores: of the entries that a text may become.
        added: entries that are found before a text is cut.
        adds_blank: a text begins with a blank that nobody typed.

    Raises:
        ValueError: as `merges_of`; or an entry for a byte is missing.

    >>> vocab = {entry: id for id, entry in enumerate([*BYTES, "▁", "a", "▁a"])}
    >>> found = tokenizer_json(vocab, {"▁": -3.0, "a": -2.0, "▁a": -1.0}, [], adds_blank=True)
    >>> import json, tokenizers
    >>> tokenizers.Tokenizer.from_str(json.dumps(found)).encode("a aé").tokens
    ['▁a', '▁a', '<0xC3>', '<0xA9>']
    """
    if missing := set(BYTES) - vocab.keys():
        raise ValueError(f"the byte {min(missing)} is no entry")
    decoders: list[dict[str, Any]] = [
        {"type": "Replace", "pattern": {"String": BLANK}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"}]
    if adds_blank:
        decoders.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": list(added), "pre_tokenizer": None,
        "normalizer": {"type": "Sequence", "normalizers": normalizers(adds_blank)}, "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": decoders},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": True, "ignore_merges": False,
                  "vocab": dict(vocab), "merges": merges_of(scores)}}
