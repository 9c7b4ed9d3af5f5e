"""The text generator: predictions and texts of a model, from prompts as text or ids. The way into generation/."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterable, Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

from tinylm.config.overrides import check_overrides
from tinylm.config.sample_settings import MAX_SEED
from tinylm.config.schema import SampleConfig
from tinylm.config.section import whole_number
from tinylm.errors import TinyLMError
from tinylm.generation.completion import (
    Completion,
    CompletionBuilder,
    GenerationRequest,
    TokenLogprobs,
    complete_together,
)
from tinylm.generation.context import fresh_seed
from tinylm.generation.loaded_model import LoadedModel
from tinylm.inspection import structure
from tinylm.sampling.predictions import Prediction, likeliest
from tinylm.text.prompts import is_ids, prompt_ids
from tinylm.text.tokenizer import Tokenizer, Typed

if TYPE_CHECKING:  # the compiler and the engine are not needed to load a model
    from tinylm.generation.batch import Batch
    from tinylm.generation.beam import Hypothesis
    from tinylm.generation.prefix_caches import PrefixCaches
    from tinylm.sampling.filters import Logits

Prompt = str | list[int]
"""A text, or ids."""
Prompts = Prompt | Sequence[str] | Sequence[list[int]]
"""A prompt, or a list of prompts."""
MAX_TEXTS, MAX_CACHE_BYTES = 64, 1 << 30
"""Texts that are generated together, and the bytes of all their caches: more texts gain little."""
MAX_STREAM_STEPS = 256
"""Steps of a call at most, where somebody reads along."""


class ReadPrompt(NamedTuple):
    """A prompt as the ids to go on from, and as text."""

    ids: list[int]
    text: str


class NearFormWarning(UserWarning):
    """A text was read in another Unicode spelling than it was given in, since the tokenizer knows the other alone.

    The two spellings look the same: "é" as one character, and as "e" with a combining accent. `predict`, `generate`,
    `stream` and `complete` warn of it in prompts, and in the texts among the settings.

    >>> tinylm.Tokenizer.train("char", ["cafe\\u0301"]).typed("caf\\u00e9").replaced
    ["'é' was read as 'e' + U+0301, as the training text has it"]
    """


def is_one(prompt: Prompts) -> TypeGuard[Prompt]:
    """True for one prompt, false for a list of prompts. A value that is neither counts as one, and is then refused."""
    return isinstance(prompt, str) or is_ids(prompt) or not isinstance(prompt, Iterable)


class TextGenerator:
    """Predicts and generates with one model.

    Args:
        model: computes.
        tokenizer: text <-> ids.
        sample: the model's own sampling settings, which each call may change.
    """

    def __init__(self, model: LoadedModel, tokenizer: Tokenizer, sample: SampleConfig) -> None:
        self.model, self.tokenizer, self.sample = model, tokenizer, sample

    # ---- predicting

    def predict(self, prompt: Prompt, top: int) -> list[Prediction]:
        """Predicts the next token, as `LanguageModel.predict`."""
        from tinylm.generation.scoring import next_logits

        top = whole_number(top, "top", 1)
        return likeliest(next_logits(self.model.backend(), self.ids_of(prompt)), top, self.tokenizer)

    def predict_stepwise(self, ids: list[int], top: int) -> Generator[None, None, list[Prediction]]:
        """The predictions after ids that begin with `<bos>`: a generator that yields None after each piece of work."""
        from tinylm.generation.scoring import logits_stepwise

        logits = yield from logits_stepwise(self.model.backend(), ids)
        return likeliest(logits, top, self.tokenizer)

    def score_stepwise(self, ids: list[int], top: int) -> Generator[None, None, list[TokenLogprobs]]:
        """The log-probability of each id after the first, with the `top` likeliest alternatives: a generator that
        yields None after each piece of work.

        Raises:
            TinyLMError: the model is damaged: a logit is not finite.
        """
        from tinylm.generation.scoring import logprobs_stepwise

        return (yield from logprobs_stepwise(self.model.backend(), ids, top, self.tokenizer))

    # ---- generating

    def complete(self, prompts: Sequence[Prompt], samples: int, logprobs: int | None,
                 settings: dict[str, Any]) -> list[Completion]:
        """The completions of prompts, `samples` of each, generated together. Raises: as `LanguageModel.complete`."""
        self._warn_of(settings)
        requests = self._requests(map(self._read_prompt, prompts), samples, logprobs, settings)
        return complete_together(self.batch(), requests, self.max_parallel(MAX_TEXTS))

    def complete_stepwise(self, prompt: Prompt = "", *, logprobs: int | None = None,
                          **settings: Any) -> Generator[str, None, Completion]:
        """A generator that yields the text piece by piece, and returns the `Completion`."""
        self._warn_of(settings)
        request, = self.requests(prompt, logprobs=logprobs, **settings)
        yield from self.stream_request(request)
        return request.builder.completion()

    def stream_request(self, request: GenerationRequest) -> Iterator[str]:
        """The text of a request, a piece for each token. The request's builder knows at any time all that has come."""
        from tinylm.generation.run_tuner import RunTuner

        batch, builder, tuner = self.batch(), request.builder, RunTuner(MAX_STREAM_STEPS)
        sequence = request.add_to(batch)
        while batch.running and not builder.stopped:
            new = tuner.run(batch)
            builder.n_dropped = sequence.n_dropped
            for _, ids, logits in new:
                for id, row in zip(ids, logits, strict=True):
                    yield builder.push(id, row)
                    if builder.stopped:
                        break
        if sequence.error and not builder.stopped:
            raise sequence.error
        yield builder.finish()

    def requests(self, prompt: Prompt = "", *, samples: int = 1, logprobs: int | None = None,
                 **settings: Any) -> list[GenerationRequest]:
        """Requests for `stream_request` or a batch, one for each sample. Arguments and errors: as
        `LanguageModel.complete`. Texts in another spelling are read without a warning."""
        return self._requests(map(self._read_prompt, [prompt]), samples, logprobs, settings)

    def requests_after(self, ids: list[int], *, samples: int = 1, logprobs: int | None = None,
                       **settings: Any) -> list[GenerationRequest]:
        """Requests that go on from ids as they are, since those of a conversation may end with `<eos>`; else as
        `requests`."""
        return self._requests([ReadPrompt(ids, self.tokenizer.decode(ids))], samples, logprobs, settings)

    def batch(self) -> Batch:
        """An empty batch on the backend that serves: `add` takes ids, `step` gives new ones."""
        from tinylm.generation.backend import EngineBackend
        from tinylm.generation.batch import Batch

        backend = self.model.backend()
        prefixes = self._prefixes if isinstance(backend, EngineBackend) else None
        return Batch(backend, self.tokenizer.vocab_size, self.tokenizer.eos_id,
                     self.tokenizer.specials.further_eos, prefixes)

    @cached_property
    def _prefixes(self) -> PrefixCaches:
        """The caches of the last texts, for those that begin in the same way."""
        from tinylm.generation.prefix_caches import PrefixCaches

        return PrefixCaches()

    def max_parallel(self, most: int) -> int:
        """The number of texts that are generated together: at most `most`, and no more than the memory should hold."""
        cache = structure.kv_cache_bytes(self.model.config, self.model.config.context_length)
        return max(1, min(most, MAX_CACHE_BYTES // max(1, cache)))

    # ---- reading prompts and settings

    def encode_prompt(self, prompt: str) -> list[int]:
        """`<bos>` and the ids of a text that a person typed. Warns and raises: as `LanguageModel.predict`."""
        return self.tokenizer.encode_prompt(_warned(self.tokenizer.typed(prompt)))

    def sample_config(self, **settings: Any) -> SampleConfig:
        """Changes settings, as `LanguageModel.sample_config`."""
        given = check_overrides({"sample": settings})["sample"]
        if "temperature" in given:
            given.setdefault("greedy", False)
        return SampleConfig(**{**self.sample.model_dump(), **given})

    def _warn_of(self, settings: dict[str, Any]) -> None:
        """Warns of texts in settings that are read in another spelling; a caller of `requests` tells of them itself."""
        from tinylm.sampling.typed import typed_settings

        for each in typed_settings(self.sample_config(**settings), self.tokenizer)[1]:
            _warned(each)

    def ids_of(self, prompt: Prompt) -> list[int]:
        """The ids to go on from. Raises: TinyLMError: as `LanguageModel.complete`."""
        if isinstance(prompt, str):
            return self.encode_prompt(prompt)
        return prompt_ids(self.tokenizer, prompt).ids

    def _read_prompt(self, prompt: Prompt) -> ReadPrompt:
        ids = self.ids_of(prompt)
        return ReadPrompt(ids, prompt if isinstance(prompt, str) else self.tokenizer.decode(ids))

    def _requests(self, prompts: Iterable[ReadPrompt], samples: int, logprobs: int | None,
                  settings: dict[str, Any]) -> list[GenerationRequest]:
        from tinylm.sampling.sampler import bias_of, forced_ids
        from tinylm.sampling.typed import typed_settings

        samples = whole_number(samples, "samples", 1)
        logprobs = None if logprobs is None else whole_number(logprobs, "logprobs", 0)
        config, _ = typed_settings(self.sample_config(**settings), self.tokenizer)
        bias, forced = bias_of(config, self.tokenizer), forced_ids(config, self.tokenizer)
        return [request for prompt in prompts
                for request in self._of_prompt(prompt, samples, logprobs, config, bias, forced)]

    def _of_prompt(self, prompt: ReadPrompt, samples: int, logprobs: int | None, config: SampleConfig,
                   bias: Logits, forced: list[int]) -> Iterator[GenerationRequest]:
        """The requests of one prompt. The hypotheses of a beam search are generated as if they were forced."""
        ids, shown = prompt
        found = self._search(ids, samples, config, bias, forced) if config.beams > 1 else [None] * samples
        for number, each in enumerate(found):
            seed = fresh_seed() if config.seed is None else (config.seed + number) % (MAX_SEED + 1)
            builder = CompletionBuilder(shown, self.tokenizer, config, seed, logprobs, each and each.score)
            if each:
                config, forced = config.model_copy(update={"max_tokens": len(each.ids)}), each.ids
            yield GenerationRequest(ids, config, seed, bias, forced, builder)

    def _search(self, ids: list[int], count: int, config: SampleConfig, bias: Logits,
                forced: list[int]) -> list[Hypothesis]:
        from tinylm.generation.beam import beam_search

        if count > config.beams:
            raise TinyLMError(f"a search with {config.beams} beams finds no {count} texts", where="samples",
                              remedy="Ask for fewer texts, or search with more beams")
        return beam_search(self.model.backend(), ids, config, ends=self.tokenizer.specials.ends, bias=bias,
                           forced=forced)[:count]


def _warned(typed: Typed) -> str:
    """The text as it was read, having warned of what was replaced in it."""
    for replaced in typed.replaced:
        warnings.warn(replaced, NearFormWarning, stacklevel=4)
    return typed.text
