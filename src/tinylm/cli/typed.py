"""Typed texts in the model's own spelling; a note tells what was read in another spelling than it was typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinylm.cli.output import print_note

if TYPE_CHECKING:
    from tinylm.lm import LanguageModel
    from tinylm.text.tokenizer import Tokenizer, Typed


def read_typed(tokenizer: Tokenizer, text: str) -> str:
    """The text as the tokenizer reads it. Raises: TinyLMError: as `Tokenizer.typed`."""
    return _noted(tokenizer.typed(text))


def read_settings(lm: LanguageModel, settings: dict[str, Any]) -> dict[str, Any]:
    """Settings whose texts are as the tokenizer reads them. Raises: TinyLMError: a setting that cannot be."""
    from tinylm.sampling.typed import typed_settings

    config, read = typed_settings(lm.sample_config(**settings), lm.tokenizer)
    for each in read:
        _noted(each)
    texts = settings.keys() & {"prefix", "banned_tokens", "logit_bias", "stop"}
    return settings | {name: getattr(config, name) for name in texts}


def _noted(typed: Typed) -> str:
    for line in (*typed.replaced, *typed.unknown):
        print_note(f"note: {line}")
    return typed.text
