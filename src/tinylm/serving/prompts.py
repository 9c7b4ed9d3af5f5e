"""Prompts of requests, text or ids, as the ids that a model goes on from; errors name the field and the entry."""

from __future__ import annotations

from typing import NamedTuple

from tinylm.errors import TinyLMError
from tinylm.serving.field_errors import invalid_field, invalid_setting
from tinylm.text.prompts import prompt_ids
from tinylm.text.tokenizer import Tokenizer


class EncodedPrompt(NamedTuple):
    """A prompt in ids.

    Attributes:
        given: the ids of the request, or those of its text; without ids that were left out.
        ids: `given`, with `<bos>` before it.
        text: what the ids say.
        warnings: what was left out, or read in another spelling, in sentences.
    """

    given: list[int]
    ids: list[int]
    text: str
    warnings: list[str]


def encode_prompt(tokenizer: Tokenizer, prompt: str | list[int], field: str) -> EncodedPrompt:
    """Encodes the prompt of a request.

    Args:
        tokenizer: the model's.
        prompt: a text, or ids.
        field: the name of the prompt in the request, such as `prompt.3`.

    Raises:
        ApiError: a text or an id that the tokenizer does not know.
    """
    if isinstance(prompt, str):
        try:
            typed = tokenizer.typed(prompt)
            given = tokenizer.encode_text(typed.text)
        except TinyLMError as error:
            raise invalid_setting(error, param=field) from None
        return EncodedPrompt(given, tokenizer.with_prefix(given), prompt, [*typed.replaced, *typed.unknown])
    unknown = next((index for index, id in enumerate(prompt) if id >= tokenizer.vocab_size), None)
    if unknown is not None:
        raise invalid_field(f"{field}.{unknown}", f"{prompt[unknown]} is no id of this model: they go from 0 to "
                                          f"{tokenizer.vocab_size - 1}")
    found = prompt_ids(tokenizer, prompt)
    return EncodedPrompt(found.given, found.ids, tokenizer.decode(found.ids), found.left_out)
