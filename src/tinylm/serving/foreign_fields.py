"""Fields of other servers, so that their clients can connect: vLLM, llama.cpp, text-generation-webui, KoboldAI, TGI.

Each is in one of these tables. `ALIASES`: another name of a field of `TextRequest`. `IGNORED`: a hint, or a detail of
something that is off; any value is taken. `FIXED`: taken where it asks for what happens anyway, else refused with the
reason; `CHAT_FIXED`: those that `ChatRequest` has beside. `PENALTY_SCOPES`: taken where it asks for what happens
anyway, or no penalty is set. A test holds docs/SERVING.md to them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from tinylm.serving.field_errors import invalid_field

ALIASES = {
    "max_completion_tokens": "max_tokens", "max_new_tokens": "max_tokens", "n_predict": "max_tokens",
    "num_predict": "max_tokens", "min_new_tokens": "min_tokens",
    "repeat_penalty": "repetition_penalty", "rep_pen": "repetition_penalty", "typical": "typical_p",
    "stopping_strings": "stop", "stop_sequence": "stop", "stop_sequences": "stop", "ban_eos_token": "ignore_eos",
    "sampler_seed": "seed",
}
IGNORED = {
    "whoever asks, and how the work is done": (
        "user", "safety_identifier", "metadata", "store", "service_tier", "prompt_cache_key", "request_id", "priority",
        "cache_prompt", "cache_salt", "id_slot", "slot_id", "timings_per_token", "return_progress", "quiet",
        "guided_decoding_backend", "prompt_cache_retention"),
    "details of what is off": (
        "mirostat_tau", "mirostat_eta", "dry_base", "dry_allowed_length", "dry_penalty_last_n", "dry_sequence_breakers",
        "xtc_threshold", "dynatemp_exponent", "dynatemp_low", "dynatemp_high", "smoothing_curve", "length_penalty",
        "early_stopping", "rep_pen_slope", "spaces_between_special_tokens"),
}


class Fixed(NamedTuple):
    """The values of a field that are taken beside null, and the reason why others are not."""

    values: tuple[Any, ...]
    reason: str


_NO_GRAMMAR = "a text cannot be held to a form; give examples in the prompt, and a stop text"
_NO_SAMPLER = "this way to choose tokens is not offered; temperature, top_k, top_p, min_p and typical_p are"
_ALWAYS_BOS = "every text of these models begins with <bos>"
_NO_SPECIALS = "<bos> and <eos> are never shown in a text"
_NO_CUT = "a prompt is read whole, and its front forgotten where the model sees less; shorten it yourself"
_NO_BAN = "tokens are banned by a logit_bias of -100"
_NO_ORDER = "the filters have one order: temperature, top_k, top_p, min_p, typical_p"
_NO_PROBABILITIES = "probabilities are told by 'logprobs', those of the prompt by 'echo' with it"
FIXED = {
    **dict.fromkeys(("grammar", "grammar_string", "guided_regex", "guided_grammar"), Fixed(("",), _NO_GRAMMAR)),
    **dict.fromkeys(("json_schema", "guided_json", "guided_whitespace_pattern", "structured_outputs"),
                    Fixed((), _NO_GRAMMAR)),
    "guided_choice": Fixed(([],), _NO_GRAMMAR),
    "response_format": Fixed(({"type": "text"},), _NO_GRAMMAR),
    **dict.fromkeys(("mirostat", "mirostat_mode", "top_a", "dry_multiplier", "xtc_probability", "dynatemp_range",
                     "smoothing_factor", "penalty_alpha", "no_repeat_ngram_size", "epsilon_cutoff", "eta_cutoff",
                     "min_keep"), Fixed((0,), _NO_SAMPLER)),
    **dict.fromkeys(("tfs", "tfs_z", "encoder_repetition_penalty", "guidance_scale"), Fixed((1,), _NO_SAMPLER)),
    "top_n_sigma": Fixed((-1, 0), _NO_SAMPLER),
    "dynamic_temperature": Fixed((False,), _NO_SAMPLER),
    "negative_prompt": Fixed(("",), _NO_SAMPLER),
    "logits_processors": Fixed(([],), _NO_SAMPLER),
    **dict.fromkeys(("samplers", "sampler_order", "sampler_priority"), Fixed((), _NO_ORDER)),
    "temperature_last": Fixed((False,), _NO_ORDER),
    "use_beam_search": Fixed((False,), "beams are for the command line: tinylm generate --beams"),
    "num_beams": Fixed((1,), "beams are for the command line: tinylm generate --beams"),
    "suffix": Fixed(("",), "these models write on from a prompt, and do not fill in before a suffix"),
    "stop_token_ids": Fixed(([], [2]), "a text ends with <eos>, id 2, alone; name other ends by their text, in 'stop'"),
    "include_stop_str_in_output": Fixed((False,), "a stop text is left out of the text"),
    "trim_stop": Fixed((True,), "a stop text is left out of the text"),
    "add_special_tokens": Fixed((True,), _ALWAYS_BOS), "add_bos_token": Fixed((True,), _ALWAYS_BOS),
    "skip_special_tokens": Fixed((True,), _NO_SPECIALS),
    "return_tokens_as_token_ids": Fixed((False,), "tokens are told as text; tinylm tokenize shows their ids"),
    "return_token_ids": Fixed((False,), "tokens are told as text; tinylm tokenize shows their ids"),
    "return_tokens": Fixed((False,), "tokens are told as text; tinylm tokenize shows their ids"),
    **dict.fromkeys(("truncation_length", "max_context_length", "num_ctx"), Fixed((), _NO_CUT)),
    "min_length": Fixed((0,), "it counts the prompt, too; say min_tokens, which counts new tokens alone"),
    "truncate_prompt_tokens": Fixed((-1,), _NO_CUT), "n_keep": Fixed((0,), _NO_CUT), "n_discard": Fixed((0,), _NO_CUT),
    "allowed_token_ids": Fixed(([],), _NO_BAN), "bad_words": Fixed(([],), _NO_BAN),
    "banned_tokens": Fixed(([], ""), _NO_BAN),
    "prompt_logprobs": Fixed((False,), _NO_PROBABILITIES), "n_probs": Fixed((0,), _NO_PROBABILITIES),
    "post_sampling_probs": Fixed((False,), _NO_PROBABILITIES),
    "image_data": Fixed(([],), "these models read text alone"),
    "prompt_embeds": Fixed((), "a prompt is a text or ids"),
    "lora": Fixed(([],), "a model is served as its folder is"),
    "t_max_predict_ms": Fixed((0,), "the time of a request is for whoever keeps the server: --seconds"),
    "max_tokens_second": Fixed((0,), "the pace is for whoever reads"),
    "auto_max_new_tokens": Fixed((False,), "say max_tokens; -1 is as many as the server allows"),
}
_NO_TOOLS = "these models write text, and call no tools"
_NO_TEMPLATE = "the chat format lies in the model's folder"
_TEXT_ALONE = "these models answer in text alone"
CHAT_FIXED = {
    "tools": Fixed(([],), _NO_TOOLS), "functions": Fixed(([],), _NO_TOOLS),
    **dict.fromkeys(("tool_choice", "function_call"), Fixed(("none", "auto"), _NO_TOOLS)),
    "parallel_tool_calls": Fixed((True, False), _NO_TOOLS),
    "modalities": Fixed((["text"],), _TEXT_ALONE), "audio": Fixed((), _TEXT_ALONE),
    "web_search_options": Fixed((), "nothing is searched, here or in the web"),
    "prediction": Fixed((), "an answer is written from its beginning"),
    "reasoning_effort": Fixed(("none", "minimal"), "these models answer at once"),
    "verbosity": Fixed(("medium",), "bound an answer by max_tokens"),
    "chat_template": Fixed((), _NO_TEMPLATE), "chat_template_kwargs": Fixed(({},), _NO_TEMPLATE),
    "add_generation_prompt": Fixed((True,), _NO_TEMPLATE), "continue_final_message": Fixed((False,), _NO_TEMPLATE),
    "documents": Fixed(([],), "what the model should know stands in a message"),
    "echo": Fixed((False,), "an answer comes without its question"),
    "best_of": Fixed((1,), "the best of more answers is not chosen; ask for n of them, and choose"),
    "options": Fixed(({},), "Ollama's options stand beside the messages here, without 'options' around them"),
}
PENALTY_SCOPES: dict[str, Any] = {"repeat_last_n": -1, "rep_pen_range": 0, "repetition_penalty_range": 0,
                                "penalize_nl": True}
"""The value with which each field asks for what happens anyway: penalties count the whole text, line ends included."""
_HINTS = {name for names in IGNORED.values() for name in names}
NAMES = (*ALIASES, *(name for names in IGNORED.values() for name in names), *FIXED, *PENALTY_SCOPES)


class Translated(NamedTuple):
    """Fields under their names here, and the client's names of those that it calls otherwise."""

    values: dict[str, Any]
    names: dict[str, str]


def translate(given: dict[str, Any], fixed_fields: Mapping[str, Fixed] = FIXED) -> Translated:
    """Translates the fields of a request for texts: aliases get their name here, the others are dropped.

    Args:
        fixed_fields: `FIXED`, and `CHAT_FIXED` for answers.

    Raises:
        ApiError: a field asks for what is not offered, or two names of one field contradict each other.
    """
    values = {name: value for name, value in given.items() if name not in _HINTS}
    for name, fixed in fixed_fields.items():
        _check_fixed(name, values.pop(name, None), fixed)
    names: dict[str, str] = {}
    for other, name in ALIASES.items():
        value = values.pop(other, None)
        if value is not None:
            names.setdefault(name, other if values.get(name) is None else name)
            _check_alias(names[name], values.get(name), other, value)
            values[name] = value
    _check_penalties(values)
    return Translated(values, names)


def _check_fixed(name: str, value: Any, fixed: Fixed) -> None:
    if value is None or any(_equal(value, each) for each in fixed.values):
        return
    allowed = [json.dumps(each) for each in fixed.values]
    remedy = f"Leave it out, or give {' or '.join(allowed)}" if allowed else "Leave it out"
    raise invalid_field(name, f"{fixed.reason}. {remedy}")


def _check_alias(name: str, before: Any, other: str, value: Any) -> None:
    if before is not None and not (_is_plain(before) and _is_plain(value) and _equal(before, value)):
        raise invalid_field(other, f"is another name of {name}, and they do not say the same. Give one of them")


def _is_plain(value: Any) -> bool:
    """True for a value without depth, which can be compared at once."""
    return not isinstance(value, dict | list) or (
        isinstance(value, list) and not any(isinstance(each, dict | list) for each in value))


def _check_penalties(values: dict[str, Any]) -> None:
    """Removes the fields that say which tokens a penalty counts."""
    has_penalty = any(values.get(name) not in (None, none) for name, none in
                      (("repetition_penalty", 1), ("presence_penalty", 0), ("frequency_penalty", 0)))
    for name, whole in PENALTY_SCOPES.items():
        value = values.pop(name, None)
        if has_penalty and value is not None and not _equal(value, whole):
            raise invalid_field(name, f"penalties count the whole text, line ends included. Leave it out, or give "
                              f"{json.dumps(whole)}")


def _equal(one: Any, other: Any) -> bool:
    """True if both are the same JSON: true is not 1."""
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def schema(fixed_fields: Mapping[str, Fixed] = FIXED) -> dict[str, Any]:
    """Properties for the OpenAPI document: the values that are taken, and what each field is for. Aliases stand in the
    descriptions of the fields that they name."""
    found: dict[str, Any] = {}
    for about, names in IGNORED.items():
        found |= {name: {"description": f"taken, and of no effect: {about}"} for name in names}
    for name, fixed in fixed_fields.items():
        found[name] = {"enum": [None, *fixed.values], "description": f"nothing else: {fixed.reason}"}
    return found


def other_names(field: str) -> list[str]:
    """The aliases of a field of `TextRequest`."""
    return [other for other, name in ALIASES.items() if name == field]
