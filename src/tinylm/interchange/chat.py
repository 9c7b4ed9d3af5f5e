"""Chat formats of models from elsewhere: which one a template writes, and whether the vocabulary has its marks."""

from __future__ import annotations

from typing import Final, NamedTuple

from tinylm.chat.chat_format import ChatFormat
from tinylm.chat.encode import special_id
from tinylm.chat.fingerprints import find_format
from tinylm.errors import TinyLMError
from tinylm.text.tokenizer import Tokenizer

CONTINUATION: Final = "{% for message in messages %}{{ message['content'] }}{% endfor %}"
"""The chat template of a model that was never taught to chat: what was said, to go on from. Without a template
llama.cpp takes ChatML's, whose marks such a model spells letter by letter."""
UNKNOWN_TEMPLATE: Final = ("Its chat template is not known here: a prompt is a text to go on from. Exports carry the "
                           "template on.")
"""The note of an import whose chat template tinylm cannot write."""


class FoundFormat(NamedTuple):
    """The chat format of a model from elsewhere.

    Attributes:
        name: of the format; empty: none.
        tokenizer: of the model; the token that ends an answer is among those that end a text.
        notes: sentences for people.
    """

    name: str
    tokenizer: Tokenizer
    notes: list[str]


def find_chat_format(template: str, tokenizer: Tokenizer) -> FoundFormat:
    """The chat format that a template writes, by its fingerprint.

    Args:
        template: empty: the model has none.

    >>> find_chat_format("{{ messages }}", Tokenizer.train("char", ["abc"])).notes == [UNKNOWN_TEMPLATE]
    True
    """
    if template in ("", CONTINUATION):
        return FoundFormat("", tokenizer, [])
    form = find_format(template)
    if form is None:
        return FoundFormat("", tokenizer, [UNKNOWN_TEMPLATE])
    try:
        end = _check_marks(form, tokenizer)
    except TinyLMError as error:
        return FoundFormat("", tokenizer, [f"Its chat template writes the format {form.name}, but {error.what}: a "
                                           "prompt is a text to go on from."])
    note = f"It answers in conversations, in the format {form.name}."
    return FoundFormat(form.name, _ending_at(end, tokenizer), [note])


def _check_marks(form: ChatFormat, tokenizer: Tokenizer) -> int:
    """The id that ends an answer. Raises: TinyLMError: the vocabulary lacks a special token of the format."""
    for special in form.specials:
        special_id(special, tokenizer)
    return special_id(form.end, tokenizer)


def _ending_at(end: int, tokenizer: Tokenizer) -> Tokenizer:
    """The tokenizer with one more id that ends a text."""
    specials = tokenizer.specials
    if end in specials.ends:
        return tokenizer
    known = frozenset(id for id in specials.control if tokenizer.entry_id(tokenizer.token(id)) is not None)
    return Tokenizer.imported(tokenizer.to_json(), specials._replace(
        control=known - {end}, further_eos=specials.further_eos | {end}), tokenizer.vocab_size)
