"""Special tokens: the ids of a vocabulary that stand for no text, by their role."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from tinylm.errors import TinyLMError

PAD, BOS, EOS, UNKNOWN = "<pad>", "<bos>", "<eos>", "<unk>"
SPELLED_OUT = frozenset((PAD, BOS, EOS, UNKNOWN))
"""Entries of a vocabulary that a text may spell out, and that its encoding never becomes."""


class SpecialTokens(NamedTuple):
    """The ids of one vocabulary's special tokens. A vocabulary may have them anywhere; the defaults are where tinylm
    puts its own.

    Attributes:
        pad: fills up the rows of a batch.
        bos: begins a text; None where the vocabulary has no such token, as GPT-2's has none.
        eos: ends a text.
        unk: stands for an unknown word; None where unknown words are an error, and where every text is known.
        control: further ids that stand for no text, such as the marks of a chat format.
        further_eos: other ids that end a text, too. Imported models may have several.
        add_bos: True: `start` stands before each prompt; False: before an empty one alone.
        add_eos: True: `Tokenizer.encode` ends with `eos`.

    >>> SpecialTokens().hidden == {0, 1, 2}
    True
    >>> SpecialTokens(pad=7, bos=None, eos=5).start
    5
    """

    pad: int = 0
    bos: int | None = 1
    eos: int = 2
    unk: int | None = None
    control: frozenset[int] = frozenset()
    further_eos: frozenset[int] = frozenset()
    add_bos: bool = True
    add_eos: bool = True

    @property
    def ends(self) -> frozenset[int]:
        """The ids that end a text."""
        return self.further_eos | {self.eos}

    @property
    def prefix(self) -> tuple[int, ...]:
        """The ids before the first token of a prompt."""
        return (self.start,) if self.add_bos else ()

    @property
    def start(self) -> int:
        """The id before the first token of a text: `bos`, else `eos`, after which a model begins another text."""
        return self.eos if self.bos is None else self.bos

    @property
    def hidden(self) -> frozenset[int]:
        """The ids that are never shown in a text: all but `unk`, which stands for a word."""
        return frozenset({self.pad, self.start, *self.ends, *self.control})


def special_tokens(vocab: Mapping[str, int], control: Iterable[str] = (), *, has_unknown: bool) -> SpecialTokens:
    """Finds the special tokens of a vocabulary by their entries: `<pad>`, `<bos>`, `<eos>`, `<unk>`.

    Args:
        vocab: entry -> id; must hold `<pad>` and `<eos>`.
        control: entries of further tokens that stand for no text.
        has_unknown: an entry `<unk>` is the token for unknown words, and no text.

    Raises:
        ValueError: the vocabulary lacks `<pad>`, `<eos>` or a control token.

    >>> special_tokens({"a": 0, "<eos>": 1, "<pad>": 2}, has_unknown=False)[:4]
    (2, None, 1, None)
    """
    missing = [entry for entry in (PAD, EOS, *control) if entry not in vocab]
    if missing:
        raise ValueError(f"its vocabulary has no {missing[0]}")
    return SpecialTokens(vocab[PAD], vocab.get(BOS), vocab[EOS], vocab.get(UNKNOWN) if has_unknown else None,
                         frozenset(vocab[entry] for entry in control))


class Vocabulary(Protocol):
    """A tokenizer, as far as its special tokens go."""

    specials: SpecialTokens

    def entry_id(self, entry: str) -> int | None: ...


def special_token_id(entry: str, tokenizer: Vocabulary) -> int:
    """The id of a special token: `<bos>` and `<eos>` by role, whatever the vocabulary calls them; others by entry.

    Raises:
        TinyLMError: the vocabulary lacks it.
    """
    specials = tokenizer.specials
    found = {BOS: specials.start, EOS: specials.eos}.get(entry, tokenizer.entry_id(entry))
    if found is None or found not in specials.hidden:
        raise TinyLMError(f"the vocabulary has no special token {entry}", where="data.chat_format",
                          remedy="Import the model again, or choose the format that it was trained with")
    return found
