"""Asking a model: what comes next, and what it writes. LanguageModel's larger half, and the way into generation/."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeGuard, overload

import numpy as np

from tinylm import model_folder
from tinylm.config.overrides import check_overrides
from tinylm.config.schema import MAX_SEED, RunConfig, SampleConfig, WeightDtype
from tinylm.config.section import whole_number
from tinylm.errors import TinyLMError
from tinylm.generation.completion import (
    Completion,
    CompletionBuilder,
    GenerationRequest,
    TokenLogprobs,
    log_softmax,
    top_ids,
    write_together,
)
from tinylm.generation.context import Decoder, fresh_seed, generate_ids
from tinylm.inspection import structure
from tinylm.text.prompts import is_ids, prompt_ids
from tinylm.text.tokenizer import Tokenizer, Typed

if TYPE_CHECKING:  # torch takes a second to import, and writing text does not need it
    from tinylm.engine.engine import Engine
    from tinylm.generation.backend import Backend
    from tinylm.generation.batch import Batch
    from tinylm.generation.beam import Hypothesis
    from tinylm.model.tensors import Weights
    from tinylm.model.transformer import TinyLM
    from tinylm.sampling.filters import Logits

Prompts = str | list[int] | Sequence[str] | Sequence[list[int]]
"""A text, ids, or a list of either."""
MAX_TEXTS, MAX_CACHE_BYTES = 64, 1 << 30
"""Texts that are written side by side, and the bytes that their keys and values may have: more texts gain little."""


class NearFormWarning(UserWarning):
    """A text was read in another spelling than it was given, which looks the same."""


class Prediction(NamedTuple):
    """A possible next token and its probability."""

    id: int
    token: str
    probability: float


def is_one(prompt: Prompts) -> TypeGuard[str | list[int]]:
    """True for one prompt, false for a list of prompts. What is neither counts as one, which is then refused."""
    return isinstance(prompt, str) or is_ids(prompt) or not isinstance(prompt, Iterable)


class TextGenerator:
    """A model with its tokenizer, as far as it predicts and writes. Attributes: as `LanguageModel`."""

    def __init__(self, config: RunConfig, tokenizer: Tokenizer, model: TinyLM | None, weights: Weights | None,
                 device: str, weight_dtype: WeightDtype) -> None:
        """Either the module or its weights are given."""
        self.config, self.tokenizer, self.weight_dtype = config, tokenizer, weight_dtype
        self.folder: Path | None = None
        tokenizer.line_ends = config.data.line_ends
        self._weights, self._device = weights, device
        if model is not None:
            self.model = model.eval()

    @cached_property
    def model(self) -> TinyLM:
        assert self._weights is not None
        from tinylm.model.device import choose_device

        return model_folder.make_model(self.config.model, self._weights).to(choose_device(self._device)).eval()

    def predict(self, prompt: str | list[int], top: int = 5) -> list[Prediction]:
        """The most likely next tokens, best first.

        Args:
            prompt: a text, or ids, as in `generate`.

        Raises:
            TinyLMError: words or characters that the tokenizer does not know, in no near form either. A near form is
                taken with a `NearFormWarning`, here and in all that takes texts.
        """
        return self._predictions(self.read(self._ids_of(prompt)).logits, whole_number(top, "top", 1))

    def encode_prompt(self, prompt: str) -> list[int]:
        """`<bos>` and the ids of a text that a person typed. Warns and raises: as `predict`."""
        return self.tokenizer.encode_prompt(_warned(self.tokenizer.typed(prompt)))

    def predict_stepwise(self, ids: list[int], top: int) -> Generator[None, None, list[Prediction]]:
        """The same after these ids, which begin with `<bos>`: a generator that takes a break after each piece of work.
        """
        from tinylm.generation.scoring import logits_stepwise

        logits = yield from logits_stepwise(self._backend(), ids)
        return self._predictions(logits, top)

    def score_stepwise(self, ids: list[int], top: int) -> Generator[None, None, list[TokenLogprobs]]:
        """How likely each of the ids after the first was held, and the `top` likeliest in its place; likewise.

        Raises:
            TinyLMError: the model is damaged: a logit is not finite.
        """
        from tinylm.generation.scoring import logprobs_stepwise

        return (yield from logprobs_stepwise(self._backend(), ids, top, self.tokenizer))

    def _predictions(self, logits: Logits, top: int) -> list[Prediction]:
        shares = np.exp(log_softmax(logits))
        return [Prediction(id, self.tokenizer.token(id), float(shares[id])) for id in top_ids(logits, top)]

    @overload
    def generate(self, prompt: str | list[int] = "", *, samples: None = None, **settings: Any) -> str: ...

    @overload
    def generate(self, prompt: Prompts = "", *, samples: int | None = None, **settings: Any) -> list[str]: ...

    def generate(self, prompt: Prompts = "", *, samples: int | None = None, **settings: Any) -> str | list[str]:
        """The text that the model writes after the prompt; a list of texts for a list of prompts, or for `samples`.

        Args:
            prompt: a text; or ids, such as `tokenizer.encode` gives: an `<eos>` at their end is left out, since a
                model begins another text after it.
            samples: so many texts for each prompt, one prompt after another. The first has the seed, each further one
                the next number; of beams they are the best that were found. What is written together is what would be
                written one by one.
            settings: fields of SampleConfig: max_tokens, min_tokens, overflow, prefix, greedy, banned_tokens,
                logit_bias, repetition_penalty, frequency_penalty, presence_penalty, temperature, top_k, top_p, min_p,
                typical_p, beams, length_penalty, early_stopping, stop, seed. What is not given is as in the model's own
                config.

        Raises:
            TinyLMError: unknown settings, or words or characters that the tokenizer does not know.
        """
        if samples is None and is_one(prompt):
            return self.complete(prompt, **settings).text
        return [each.text for each in self.complete(prompt, samples=samples, **settings)]

    def stream(self, prompt: str | list[int] = "", **settings: Any) -> Iterator[str]:
        """The same text piece by piece, as it comes. Settings and errors: as `generate`."""
        yield from self.complete_stepwise(prompt, **settings)

    @overload
    def complete(self, prompt: str | list[int] = "", *, samples: None = None, logprobs: int | None = None,
                 **settings: Any) -> Completion: ...

    @overload
    def complete(self, prompt: Prompts = "", *, samples: int | None = None, logprobs: int | None = None,
                 **settings: Any) -> list[Completion]: ...

    def complete(self, prompt: Prompts = "", *, samples: int | None = None, logprobs: int | None = None,
                 **settings: Any) -> Completion | list[Completion]:
        """The same with ids, the reason why it stopped, and the seed. Samples, settings and errors: as `generate`.

        Args:
            logprobs: notes the log-probability of each token, and so many of the likeliest in its place.
        """
        if not is_one(prompt) or samples is not None:
            prompts: Any = [prompt] if is_one(prompt) else prompt
            self._warn_of(settings)
            return self._complete_together(self._requests(prompts, 1 if samples is None else samples, logprobs,
                                                          settings))
        steps = self.complete_stepwise(prompt, logprobs=logprobs, **settings)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                completion: Completion = end.value
                return completion

    def complete_stepwise(self, prompt: str | list[int] = "", *, logprobs: int | None = None,
                          **settings: Any) -> Generator[str, None, Completion]:
        """A generator of pieces of text that returns the `Completion`."""
        self._warn_of(settings)
        request, = self.requests(prompt, logprobs=logprobs, **settings)
        yield from self.stream_request(request)
        return request.builder.completion()

    def requests(self, prompt: str | list[int] = "", *, samples: int = 1, logprobs: int | None = None,
              **settings: Any) -> list[GenerationRequest]:
        """Texts to write, for `stream_request`: the `builder` of a request knows at any time what has been written.
        Arguments and errors: as `complete`."""
        return self._requests([prompt], samples, logprobs, settings)

    def _warn_of(self, settings: dict[str, Any]) -> None:
        """Warns of texts in settings that are read in another spelling; who calls `requests` does so in a way of
        its own."""
        from tinylm.sampling.typed import typed_settings

        for each in typed_settings(self.sample_config(**settings), self.tokenizer)[1]:
            _warned(each)

    def sample_config(self, **settings: Any) -> SampleConfig:
        """The model's own way to choose ids, with these settings changed. None stands for what is not given. A
        temperature takes the place of `greedy`, where that is not given, too.

        Raises:
            TinyLMError: unknown settings, or a value that cannot be.
        """
        given = check_overrides({"sample": settings})["sample"]
        if "temperature" in given:
            given.setdefault("greedy", False)
        return SampleConfig(**{**self.config.sample.model_dump(), **given})

    def stream_request(self, request: GenerationRequest) -> Iterator[str]:
        """The text piece by piece, as it comes."""
        window, builder = self.read(request.ids), request.builder
        for id in generate_ids(window, request.config, eos_id=self.tokenizer.eos_id, seed=request.seed,
                               bias=request.bias, forced=request.forced):
            builder.n_dropped = window.n_dropped
            yield builder.push(id, window.logits)
            if builder.stopped:
                break
        yield builder.finish()

    def _complete_together(self, requests: list[GenerationRequest]) -> list[Completion]:
        return write_together(self.batch(), requests, self.max_parallel(MAX_TEXTS))

    def max_parallel(self, most: int) -> int:
        """How many texts are written side by side: at most so many, and no more than the memory should hold."""
        cache = structure.kv_cache_bytes(self.config.model, self.config.model.context_length)
        return max(1, min(most, MAX_CACHE_BYTES // max(1, cache)))

    def _requests(self, prompts: Sequence[str | list[int]], samples: int, logprobs: int | None,
               settings: dict[str, Any]) -> list[GenerationRequest]:
        from tinylm.jit.cache import announce  # with the compiler: reading does without
        from tinylm.sampling.filters import COMPILING, choose
        from tinylm.sampling.sampler import bias_of, forced_ids
        from tinylm.sampling.typed import typed_settings

        if self._weights is not None:  # a run that trains says beforehand what it compiles
            announce(choose, *COMPILING)
        samples = whole_number(samples, "samples", 1)
        logprobs = None if logprobs is None else whole_number(logprobs, "logprobs", 0)
        config, _ = typed_settings(self.sample_config(**settings), self.tokenizer)
        bias, forced = bias_of(config, self.tokenizer), forced_ids(config, self.tokenizer)
        return [request for prompt in prompts
                for request in self._of_prompt(prompt, samples, logprobs, config, bias, forced)]

    def _of_prompt(self, prompt: str | list[int], samples: int, logprobs: int | None, config: SampleConfig,
                   bias: Logits, forced: list[int]) -> Iterator[GenerationRequest]:
        """What a beam search has found is written as if it were forced."""
        ids = self._ids_of(prompt)
        shown = prompt if isinstance(prompt, str) else self.tokenizer.decode(ids)
        founds = self._search(ids, samples, config, bias, forced) if config.beams > 1 else [None] * samples
        for number, found in enumerate(founds):
            seed = fresh_seed() if config.seed is None else (config.seed + number) % (MAX_SEED + 1)
            builder = CompletionBuilder(shown, self.tokenizer, config, seed, logprobs, found and found.score)
            if found:
                config, forced = config.model_copy(update={"max_tokens": len(found.ids)}), found.ids
            yield GenerationRequest(ids, config, seed, bias, forced, builder)

    def _ids_of(self, prompt: str | Sequence[int]) -> list[int]:
        """The ids to go on from. Raises: TinyLMError: as `complete`."""
        if isinstance(prompt, str):
            return self.encode_prompt(prompt)
        return prompt_ids(self.tokenizer, prompt).ids

    def _search(self, ids: list[int], count: int, config: SampleConfig, bias: Logits,
                forced: list[int]) -> list[Hypothesis]:
        from tinylm.generation.beam import beam_search

        if count > config.beams:
            raise TinyLMError(f"a search with {config.beams} beams finds no {count} texts", where="samples",
                              remedy="Ask for fewer texts, or search with more beams")
        return beam_search(self._backend(), ids, config, eos_id=self.tokenizer.eos_id, bias=bias, forced=forced)[:count]

    def read(self, ids: list[int]) -> Decoder:
        """A text that begins with these ids: what the model expects next, and how to go on. By the compiled engine
        where it serves (`served_by`), else by torch."""
        if self._engine_serves():
            from tinylm.generation.engine_decoder import EngineDecoder

            return EngineDecoder(self._engine, ids)
        from tinylm.generation.torch_backend import TorchDecoder

        return TorchDecoder(self.model, ids, cores=self._torch_cores())

    def batch(self) -> Batch:
        """A place where texts are written together, none as yet: `add` takes ids, `step` gives new ones. By the engine
        in one call for all; one after another where torch serves."""
        from tinylm.generation.batch import Batch

        return Batch(self._backend(), self.tokenizer.vocab_size, self.tokenizer.eos_id)

    def _backend(self) -> Backend:
        if self._engine_serves():
            from tinylm.generation.backend import EngineBackend

            return EngineBackend(self._engine)
        from tinylm.generation.torch_backend import TorchBackend

        return TorchBackend(self.model, cores=self._torch_cores())

    def _torch_cores(self) -> int:
        from tinylm.model.threads import threads_for

        return threads_for(structure.flops_per_token(self.config.model, self.config.model.context_length))

    @property
    def served_by(self) -> Literal["engine", "torch"]:
        """What writes: the engine for a model that was loaded, on the CPU, as long as its module is as it was loaded;
        torch for one whose weights change, that hooks listen to, or that sees the future."""
        if self._weights is None or self._device != "cpu" or not self.config.model.causal:
            return "torch"
        return "engine" if "model" not in vars(self) or self._is_as_loaded() else "torch"

    def check_weight_dtype(self) -> None:
        """Raises: TinyLMError: weights of fewer bits are for the engine, and it does not serve."""
        if self.weight_dtype != "fp32" and self.served_by == "torch":
            raise TinyLMError(f"only the compiled engine keeps weights as {self.weight_dtype}, and this model is for "
                              "torch: it sees the future, is not on the CPU, or is not as it was loaded",
                              where="weight_dtype", remedy="Load it as fp32")

    def _engine_serves(self) -> bool:
        """Raises: TinyLMError: as `check_weight_dtype`."""
        self.check_weight_dtype()
        return self.served_by == "engine"

    def _is_as_loaded(self) -> bool:
        from tinylm.engine.weights import weights_of

        hooked = any(module._forward_hooks or module._forward_pre_hooks for module in self.model.modules())
        if self.model.taps.hooks or hooked or self.model.embed.weight.dtype.itemsize != 4:
            return False
        now = weights_of(self.model)
        return all(np.array_equal(now[name], array) for name, array in (self._weights or {}).items())

    @cached_property
    def _engine(self) -> Engine:
        from tinylm.engine.engine import Engine
        from tinylm.engine.forward import forward
        from tinylm.jit.cache import announce

        assert self._weights is not None
        announce(forward, "the engine for this processor", "about 10 seconds")
        return Engine(self.config.model, self._weights, self.weight_dtype)


def _warned(typed: Typed) -> str:
    """The text as it was read, having warned of what was replaced in it."""
    for replaced in typed.replaced:
        warnings.warn(replaced, NearFormWarning, stacklevel=4)
    return typed.text
