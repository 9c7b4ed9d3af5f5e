"""Sampling settings of a request for texts, as a language model takes them."""

from __future__ import annotations

from typing import Any

from tinylm.http.errors import ApiError
from tinylm.lm import LanguageModel
from tinylm.serving.field_errors import invalid_field
from tinylm.serving.limits import Limits
from tinylm.serving.request_schemas import SETTINGS_AS_THEY_ARE, TextRequest

MAX_SCORED_TOKENS = 1 << 16
"""Most tokens of a request whose log-probabilities are sent."""


def read_settings(lm: LanguageModel, request: TextRequest, limits: Limits) -> dict[str, Any]:
    """The settings of the request as `LanguageModel.requests` takes them."""
    if (request.max_tokens or 0) > limits.max_tokens:
        raise invalid_field("max_tokens", f"this server writes {limits.max_tokens:,} tokens at most")
    settings = {name: value for name in SETTINGS_AS_THEY_ARE if (value := getattr(request, name)) is not None}
    wanted = lm.config.sample.max_tokens if request.max_tokens is None else request.max_tokens
    settings["max_tokens"] = limits.max_tokens if wanted == -1 else min(wanted, limits.max_tokens)
    if request.top_k is not None:
        settings["top_k"] = max(0, request.top_k)
    if request.top_p:
        settings["top_p"] = request.top_p
    if request.temperature is not None:
        settings["greedy"] = request.temperature == 0
        settings.update({"temperature": request.temperature} if request.temperature else {})
    if request.top_p == 0 or request.do_sample is False:
        settings["greedy"] = True
    if request.logit_bias:
        settings["logit_bias"] = {f"#{id}": number for id, number in request.logit_bias.items()}
        _check_ids(lm, request.logit_bias)
    if request.ignore_eos:
        settings["banned_tokens"] = (*lm.config.sample.banned_tokens,
                                     *(f"#{id}" for id in sorted(lm.tokenizer.specials.ends)))
    if request.stop is not None:
        stops = [request.stop] if isinstance(request.stop, str) else request.stop
        settings["stop"] = tuple(stop for stop in stops if stop)
    seed = None if request.seed == -1 else request.seed
    return {**settings, "seed": seed, "beams": 1}  # beam search gives no stream of tokens


def _check_ids(lm: LanguageModel, bias: dict[str, float]) -> None:
    most = lm.tokenizer.vocab_size - 1
    for id in bias:
        if int(id) > most:
            raise invalid_field(f"logit_bias.{id}", f"is no id of this model: they go from 0 to {most}")


def check_scored(count: int) -> None:
    """Bounds the tokens of a response whose log-probabilities are sent: an object with very many of them would hold the
    event loop up. Raises: ApiError: there are too many."""
    if count > MAX_SCORED_TOKENS:
        raise ApiError(400, f"logprobs: they are told of {MAX_SCORED_TOKENS:,} tokens at most, and these may be "
                            f"{count:,}", param="logprobs", code="invalid_value")
