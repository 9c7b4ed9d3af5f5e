"""Roles of a foreign tokenizer's ids: which begin, end and fill up a text, and what stands around one by habit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tinylm.errors import TinyLMError
from tinylm.system.untrusted import quoted
from tinylm.text.special_tokens import SpecialTokens

Fields = Mapping[str, Any]


def read_specials(tokenizer_json: str, config: Fields, generation: Fields, tokenizer_config: Fields) -> SpecialTokens:
    """Finds the special tokens.

    Args:
        tokenizer_json: the text of tokenizer.json.
        config, generation, tokenizer_config: the contents of config.json, generation_config.json and
            tokenizer_config.json. The ids of generation_config go before those of config.

    Raises:
        TinyLMError: no token ends a text, or tokenizer.json puts something else than these around one.

    >>> text = '{"model": {"type": "BPE", "vocab": {"a": 0, "<s>": 1, "</s>": 2}}, "added_tokens": []}'
    >>> read_specials(text, {"bos_token_id": 1, "eos_token_id": [2, 0]}, {}, {})[:3]
    (2, 1, 2)
    """
    try:
        return _read(json.loads(tokenizer_json), {**config, **generation}, tokenizer_config)
    except TinyLMError:
        raise
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise TinyLMError(f"is not a tokenizer of the library tokenizers ({quoted(error)})",
                          where="tokenizer.json") from None


def _read(data: dict[str, Any], ids: Fields, names: Fields) -> SpecialTokens:
    added = {each["content"]: each["id"] for each in data.get("added_tokens", ())}
    model = data["model"]
    entries = {entry: id for id, (entry, _) in enumerate(model["vocab"])} if model["type"] == "Unigram" \
        else model["vocab"]

    def named(role: str) -> int | None:
        found = names.get(f"{role}_token")
        text = found.get("content") if isinstance(found, dict) else found
        return None if text is None else added.get(text, entries.get(text))

    def numbered(role: str) -> list[int]:
        found = ids.get(f"{role}_token_id")
        return [id for id in (found if isinstance(found, list) else [found]) if type(id) is int and id >= 0]

    ends = list(dict.fromkeys([*numbered("eos"), *([] if (end := named("eos")) is None else [end])]))
    if not ends:
        raise TinyLMError("names no token that ends a text (eos_token_id)", where="config.json")
    begin = named("bos") if named("bos") is not None else next(iter(numbered("bos")), None)
    before, after = _around(data.get("post_processor"))
    if before not in ([], [begin]) or after not in ([], ends[:1], [named("eos")]):
        raise TinyLMError(f"puts the ids {quoted([*before, *after])} around a text", where="tokenizer.json",
                          remedy="Such a tokenizer cannot be imported")
    add_bos = bool(names["add_bos_token"]) if "add_bos_token" in names else bool(before)
    add_eos = bool(names["add_eos_token"]) if "add_eos_token" in names else bool(after)
    unknown = _unknown(model, entries)
    control = {each["id"] for each in data.get("added_tokens", ()) if each.get("special")} - {unknown}
    pad = named("pad") if named("pad") is not None else next(iter(numbered("pad")), ends[0])
    return SpecialTokens(pad if pad is not None else ends[0], begin, ends[0], unknown, frozenset(control),
                         frozenset(ends[1:]), add_bos and begin is not None, add_eos)


def _unknown(model: Fields, entries: Fields) -> int | None:
    """The id for what the vocabulary does not know; None where bytes stand for that."""
    if model.get("byte_fallback"):
        return None
    if model["type"] == "Unigram":
        return model.get("unk_id")
    unknown = model.get("unk_token")
    return entries.get(unknown) if isinstance(unknown, str) else None


def _around(found: Fields | None) -> tuple[list[int], list[int]]:
    """The ids that a post-processor puts before and after a text."""
    if found is None or found["type"] == "ByteLevel":
        return [], []
    if found["type"] == "Sequence" and len(found["processors"]) < 8:
        parts = [_around(part) for part in found["processors"] if part["type"] != "Sequence"]
        return [id for part in parts for id in part[0]], [id for part in reversed(parts) for id in part[1]]
    if found["type"] != "TemplateProcessing":
        raise TinyLMError(f"has the post_processor {quoted(found['type'])}", where="tokenizer.json",
                          remedy="Such a tokenizer cannot be imported")
    around: tuple[list[int], list[int]] = [], []
    seen = False
    for part in found["single"]:
        if "Sequence" in part:
            seen = True
        else:
            around[seen].extend(found["special_tokens"][part["SpecialToken"]["id"]]["ids"])
    return around
