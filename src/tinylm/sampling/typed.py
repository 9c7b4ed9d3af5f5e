"""The texts in a person's settings, in the tokenizer's own spelling (text/near.py)."""

from __future__ import annotations

from collections.abc import Iterable

from tinylm.config.schema import SampleConfig
from tinylm.errors import TinyLMError
from tinylm.text.tokenizer import Tokenizer, Typed


def typed_settings(config: SampleConfig, tokenizer: Tokenizer) -> tuple[SampleConfig, list[Typed]]:
    """The settings with near forms in the place of what the tokenizer does not know, and how each text was read.

    Raises:
        TinyLMError: a text of prefix, banned_tokens or logit_bias that the tokenizer does not know. A stop text that
            can never come is none: programs name some by default.
    """
    prefix, banned, weighed = (_typed(texts, tokenizer)
                               for texts in (config.prefix, config.banned_tokens, config.logit_bias))
    stop = [_stop(text, tokenizer) for text in config.stop]
    read = [*prefix, *banned, *weighed, *stop]
    if not any(each.replaced for each in read):
        return config, read
    return config.model_copy(update={
        "prefix": _texts(prefix), "banned_tokens": _texts(banned), "stop": _texts(stop),
        "logit_bias": dict(zip(_texts(weighed), config.logit_bias.values(), strict=True))}), read


def _typed(texts: Iterable[str], tokenizer: Tokenizer) -> list[Typed]:
    """Reads each text; one that names a token as `#id` stays as it is."""
    return [Typed(text, [], []) if text[:1] == "#" and text[1:].isdigit() else tokenizer.typed(text) for text in texts]


def _texts(read: Iterable[Typed]) -> tuple[str, ...]:
    return tuple(each.text for each in read)


def _stop(text: str, tokenizer: Tokenizer) -> Typed:
    """A stop text is looked for in what is written, where words are joined by single spaces."""
    if tokenizer.kind == "word":
        never = text != " " and " ".join(f".{text}.".split()) != f".{text}."
        return Typed(text, [], [f"the stop text {text!r} can never come: words are joined by single spaces"] * never)
    try:
        return tokenizer.typed(text)
    except TinyLMError as error:
        return Typed(text, [], [f"the stop text {text!r} can never come: {error.what}"])
