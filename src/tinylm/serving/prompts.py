"""A prompt, as text or as ids, turned into what a model goes on from; its mistakes are named down to the place."""

from __future__ import annotations

from typing import NamedTuple

from tinylm.errors import TinyLMError
from tinylm.serving.field_errors import invalid_field, invalid_setting
from tinylm.text.prompts import prompt_ids
from tinylm.text.tokenizer import Tokenizer


class EncodedPrompt(NamedTuple):
    """The beginning of a text.

    Attributes:
        given: the ids that were given, or the text's; without those that were left out.
        ids: `given`, with `<bos>` before it.
        text: what they say.
        warnings: what was left out, or read in another spelling, in sentences.
    """

    given: list[int]
    ids: list[int]
    text: str
    warnings: list[str]


def encode_prompt(tokenizer: Tokenizer, prompt: str | list[int], field: str) -> EncodedPrompt:
    """
    Args:
        field: the name of the prompt in the request, such as `prompt.3`.

    Raises:
        ApiError: what the tokenizer does not know.
    """
    if isinstance(prompt, str):
        try:
            typed = tokenizer.typed(prompt)
            given = tokenizer.encode_text(typed.text)
        except TinyLMError as error:
            raise invalid_setting(error, param=field) from None
        return EncodedPrompt(given, [tokenizer.bos_id, *given], prompt, [*typed.replaced, *typed.unknown])
    unknown = next((index for index, id in enumerate(prompt) if id >= tokenizer.vocab_size), None)
    if unknown is not None:
        raise invalid_field(f"{field}.{unknown}", f"{prompt[unknown]} is no id of this model: they go from 0 to "
                                          f"{tokenizer.vocab_size - 1}")
    found = prompt_ids(tokenizer, prompt)
    return EncodedPrompt(found.given, found.ids, tokenizer.decode(found.ids), found.left_out)
