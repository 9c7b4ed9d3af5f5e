"""The sampler of one sequence: chooses ids by its settings, by the ids that have occurred, and by random numbers.

The random numbers are counter-based: the one that decides a token is a function of the sequence's seed and the token's
index alone, so a seed repeats a text whatever batch it is generated in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
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
    """Chooses the ids of one sequence.

    Args:
        config: how ids are chosen.
        ids: the prompt; its ids count as having occurred.
        bias: (V,), of `bias_of`.
        seed: of this sequence.
        forced: the first ids, of `forced_ids`.
        ends: the ids that end a text, which `min_tokens` keeps out; default: that of tinylm's own vocabularies.

    Attributes:
        bias: (V,), for the next id: that of `bias_of`, and -inf for `<eos>` while there are fewer than `min_tokens`.
        n_accepted: the number of ids chosen so far.
        counts: (V,), the number of times that each id has occurred.
    """

    def __init__(self, config: SampleConfig, ids: Sequence[int], bias: Logits, seed: int,
                 forced: Sequence[int] = (), *, ends: Iterable[int] = SpecialTokens().ends) -> None:
        chosen = {name: getattr(config, name) for name in SamplingParams._fields}
        self.params = SamplingParams(**{**chosen, "greedy": config.is_greedy})
        self.bias, self._bias, self._seed, self.forced, self.n_accepted = bias, bias, seed, forced, 0
        self._min_tokens = config.min_tokens
        if self._min_tokens:
            self.bias = bias.copy()
            self.bias[[*ends]] = -np.inf
        self.counts = np.bincount(np.asarray(ids, np.int64), minlength=len(bias)).astype(np.int32)

    def next(self, logits: Logits) -> int:
        """Chooses the next id from logits (V,): a forced one, if there is one left; the likeliest if greedy; else a
        draw from the ids that the filters leave.

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

    def same_bias_steps(self, max_steps: int) -> int:
        """The number of next ids that share a bias, at least 1 and at most `max_steps`."""
        early = self._min_tokens - self.n_accepted
        return min(max_steps, early) if early > 0 else max_steps

    def uniforms(self, count: int) -> NDArray[np.float64]:
        """The random numbers (count,) that decide the next ids, for a caller that chooses them all in one call."""
        return uniform(self._seed, np.arange(self.n_accepted, self.n_accepted + count, dtype=np.uint64))

    def accept(self, *ids: int) -> int:
        """Takes the next ids, which the caller has chosen and added to `counts`. Returns the last of them.

        Raises:
            TinyLMError: the last is no id but a code of `choose`.
        """
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


def uniform(seed: int, index: Any) -> Any:
    """The random number at an index of the stream of a seed, evenly distributed over 0 <= number < 1.

    The generator is SplitMix64 (Steele, Lea, Flood 2014), whose state is its own hash of the seed plus a multiple of
    the index: any number is computed without those before it.

    Args:
        index: a number, or an array of uint64.

    >>> uniform(3, 0) == uniform(3, 0) != uniform(3, 1)
    True
    """
    return (_mixed(_mixed(seed + _GOLDEN) + (index + 1) * _GOLDEN) >> 11) / 2**53


def _mixed(value: Any) -> Any:
    value &= _ALL
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9 & _ALL
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _ALL
    return value ^ value >> 31


def bias_of(config: SampleConfig, tokenizer: Tokenizer) -> Logits:
    """The bias (V,) that is added to the logits: the numbers of `logit_bias`, and -inf for banned tokens.

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
    """The first ids of a text: those of the texts in `prefix`, where `#id` stands for an id.

    Raises:
        TinyLMError: a text that the tokenizer does not know, or a number that is no id.
    """
    ids: list[int] = []
    for text in config.prefix:
        number = _number(text, tokenizer, "sample.prefix")
        ids += tokenizer.encode_typed(text) if number is None else [number]
    return ids


def token_id(token: str, tokenizer: Tokenizer, where: str) -> int:
    """The id of a token given as its text, or as `#` and its number: a special token has no other name.

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
    """The id in `#id`; None for a text. Raises: TinyLMError: there is no such id."""
    number = token.removeprefix("#")
    if number == token or not (number.isascii() and number.isdigit()):
        return None
    if int(number) < tokenizer.vocab_size:
        return int(number)
    raise TinyLMError(f"there is no token {token}: the ids are 0 to {tokenizer.vocab_size - 1}", where=where)
