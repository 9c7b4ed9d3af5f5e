"""Chooses the ids of one text: its settings, what it has said so far, and chance of its own.

Chance is counted, not kept: the number that decides a token follows from the text's seed and the token's place alone,
so a seed repeats a text whatever batch it is written in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinylm.config.schema import SampleConfig
from tinylm.errors import TinyLMError
from tinylm.sampling.filters import NOT_FINITE, NOTHING_LEFT, Logits, SamplingParams, choose
from tinylm.text.special_tokens import SpecialTokens
from tinylm.text.tokenizer import Tokenizer

_ALL = 2**64 - 1
_GOLDEN = 0x9E3779B97F4A7C15


class Sampler:
    """
    Args:
        config: how ids are chosen.
        ids: the text so far; what it holds counts as having occurred.
        bias: (V,), of `bias_of`.
        seed: of this text.
        forced: the first ids, of `forced_ids`.
        eos_id: the id of `<eos>`, which `min_tokens` keeps out; default: that of tinylm's own vocabularies.

    Attributes:
        bias: (V,), of the next id: that of `bias_of`, and -inf for `<eos>` while there are fewer than `min_tokens`.
        n_accepted: how many ids it has chosen.
        counts: (V,), how often each id has occurred.
    """

    def __init__(self, config: SampleConfig, ids: Sequence[int], bias: Logits, seed: int,
                 forced: Sequence[int] = (), *, eos_id: int = SpecialTokens().eos) -> None:
        chosen = {name: getattr(config, name) for name in SamplingParams._fields}
        self.params = SamplingParams(**{**chosen, "greedy": config.is_greedy})
        self.bias, self._bias, self._seed, self.forced, self.n_accepted = bias, bias, seed, forced, 0
        self._min_tokens = config.min_tokens
        if self._min_tokens:
            self.bias = bias.copy()
            self.bias[eos_id] = -np.inf
        self.counts = np.bincount(np.asarray(ids, np.int64), minlength=len(bias)).astype(np.int32)

    def next(self, logits: Logits) -> int:
        """The next id: the one that is forced, if any; the likeliest one if greedy; else a draw from what the filters
        leave. (V,) -> id.

        Raises:
            TinyLMError: every id is banned, or a penalty leaves no finite number.
        """
        if self.n_accepted < len(self.forced):
            id = self.forced[self.n_accepted]
        else:
            id = int(choose(logits, self.bias, self.counts, self.params, uniform(self._seed, self.n_accepted)))
        self.accept(id)
        self.counts[id] += 1
        return id

    def same_bias_steps(self, most: int) -> int:
        """The number of next ids that share a bias, at least one and at most `most`."""
        return min(most, self._min_tokens - self.n_accepted) if self.n_accepted < self._min_tokens else most

    def uniforms(self, count: int) -> NDArray[np.float64]:
        """The numbers (count,) that decide the next ids, for whoever chooses them all in one call."""
        return uniform(self._seed, np.arange(self.n_accepted, self.n_accepted + count, dtype=np.uint64))

    def accept(self, *ids: int) -> int:
        """Notes that these were the next ids, and counted by whoever chose them. Returns the last, which may be no id.
        Raises: TinyLMError: as `next`."""
        id = ids[-1]
        if id == NOTHING_LEFT:
            raise TinyLMError("every token is banned", where="sample.banned_tokens", remedy="Ban fewer")
        if id == NOT_FINITE:
            raise TinyLMError("these settings leave no probabilities to draw from", where="sample.repetition_penalty",
                              remedy="Give a value nearer to 1")
        self.n_accepted += len(ids)
        if self.n_accepted >= self._min_tokens:
            self.bias = self._bias
        return id


def uniform(seed: int, place: Any) -> Any:
    """A number of its own for every place of every seed, evenly between 0 and 1 (1 is never reached): the counter-based
    generator SplitMix64 (Steele, Lea, Flood 2014), begun where its own hash of the seed says.

    Args:
        place: a number, or some as uint64.
    """
    return (_mixed(_mixed(seed + _GOLDEN) + (place + 1) * _GOLDEN) >> 11) / 2**53


def _mixed(value: Any) -> Any:
    value &= _ALL
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & _ALL
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _ALL
    return value ^ value >> 31


def bias_of(config: SampleConfig, tokenizer: Tokenizer) -> Logits:
    """What is added to the logits (V,): the numbers of `logit_bias`, and -inf for what is banned.

    Raises:
        TinyLMError: a text that is not one token, or a number that is no id.
    """
    bias = np.zeros(tokenizer.vocab_size, np.float32)
    for token, number in config.logit_bias.items():
        bias[token_id(token, tokenizer, "sample.logit_bias")] += np.float32(number)
    for token in config.banned_tokens:
        bias[token_id(token, tokenizer, "sample.banned_tokens")] = -np.inf
    return bias


def forced_ids(config: SampleConfig, tokenizer: Tokenizer) -> list[int]:
    """What a text has to begin with: the ids of the texts in `prefix`, and of what is written as `#id` there.

    Raises:
        TinyLMError: a text that the tokenizer does not know, or a number that is no id.
    """
    ids: list[int] = []
    for text in config.prefix:
        number = _number(text, tokenizer, "sample.prefix")
        ids += tokenizer.encode_typed(text) if number is None else [number]
    return ids


def token_id(token: str, tokenizer: Tokenizer, where: str) -> int:
    """The id of a token given as its text, or as `#` and its number, which is the only way to name a special one.

    Raises:
        TinyLMError: a text that is not one token, or a number that is no id.
    """
    number = _number(token, tokenizer, where)
    if number is not None:
        return number
    ids = tokenizer.encode_typed(token)
    if len(ids) == 1:
        return ids[0]
    raise TinyLMError(f"{token!r} is {len(ids)} tokens, and has to be one", where=where,
                      remedy="tinylm tokenize RUN TEXT shows the tokens; an id is written as #12")


def _number(token: str, tokenizer: Tokenizer, where: str) -> int | None:
    """The id in `#id`; none for a text. Raises: TinyLMError: there is no such id."""
    number = token.removeprefix("#")
    if number == token or not (number.isascii() and number.isdigit()):
        return None
    if int(number) < tokenizer.vocab_size:
        return int(number)
    raise TinyLMError(f"there is no token {token}: the ids are 0 to {tokenizer.vocab_size - 1}", where=where)
