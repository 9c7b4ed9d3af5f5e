"""Prompts as ids: without the special tokens that would end or pad the text.

`tokenizer.encode`, `tinylm tokenize` and the library `tokenizers` make `<bos>` text `<eos>` of a text, and after
`<eos>` a model begins another one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from operator import index
from typing import NamedTuple

from tinylm.errors import TinyLMError
from tinylm.text.tokenizer import Tokenizer


class PromptIds(NamedTuple):
    """A prompt's ids.

    Attributes:
        given: the ids as they were given, without those left out.
        ids: `given`, with the start token (`<bos>`) before it where it lacks that.
        left_out: a sentence for each kind of special token that was left out.
    """

    given: list[int]
    ids: list[int]
    left_out: list[str]


def prompt_ids(tokenizer: Tokenizer, given: Iterable[int]) -> PromptIds:
    """Prepares ids to go on from: without `<eos>` and `<pad>` at the end, without `<pad>` and all but one `<bos>` at
    the beginning. In a vocabulary without `<bos>`, `<eos>` begins a text (`SpecialTokens.start`).

    Raises:
        TinyLMError: an id outside the vocabulary, or something other than ids.
    """
    ids = _whole_numbers(given)
    for extreme in (min(ids, default=0), max(ids, default=0)):
        tokenizer.token(extreme)
    specials = tokenizer.specials
    front, back = (specials.pad, specials.start), (specials.pad, specials.eos)
    start = next((position for position, id in enumerate(ids) if id not in front), len(ids))
    end = next((position for position in range(len(ids), start, -1) if ids[position - 1] not in back), start)
    before, after = ids[:start], ids[end:]
    begins = [specials.start] if specials.start in before else []
    text = list(ids[start:end])
    left_out = []
    if specials.eos in after:
        left_out.append("The ids of the prompt ended in <eos>, after which a model begins another text: it was left "
                        "out, and the text goes on")
    if specials.pad in (*before, *after):
        left_out.append("The ids of the prompt were filled up with <pad>, which stands for nothing: it was left out")
    if before.count(specials.start) > 1:
        left_out.append(f"The ids of the prompt began with {tokenizer.token(specials.start)} more than once: one was "
                        "kept")
    return PromptIds([*begins, *text], [*begins, *text] if begins else tokenizer.with_prefix(text), left_out)


def _whole_numbers(prompt: object) -> list[int]:
    """The ids of a list or an array. Raises: TinyLMError: the value holds no ids, such as bytes, a path or None."""
    if isinstance(prompt, Iterable) and not isinstance(prompt, str | bytes | bytearray):
        try:
            return [index(id) for id in prompt]
        except TypeError:
            pass
    raise TinyLMError(f"must be a text, or a list of ids, but it is of type {type(prompt).__name__}", where="prompt",
                      remedy="Decode it first: data.decode()" if isinstance(prompt, bytes | bytearray) else "")


def is_ids(prompt: object) -> bool:
    """True for a list of ids, which is one prompt; false for a text, and for a list of prompts."""
    return isinstance(prompt, Sequence) and not isinstance(prompt, str) and len(prompt) > 0 and all(
        isinstance(id, int) and not isinstance(id, bool) for id in prompt)
