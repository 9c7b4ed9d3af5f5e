"""LanguageModel: a model with its tokenizer, as one holds it in a notebook or a program."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, overload

import numpy as np

from tinylm import bundle
from tinylm.config import LARGEST_SEED, RunConfig, SampleConfig
from tinylm.errors import TinyLMError
from tinylm.generation.completion import Completion, Task, Writer, likeliest, log_softmax, write_together
from tinylm.generation.window import Window, fresh_seed, generate_ids
from tinylm.inspection import structure
from tinylm.inspection.copying import Copied, CopyIndex, together
from tinylm.text.corpus import Corpus, open_corpus
from tinylm.text.dataset import Part, Split, build_dataset, split_corpus
from tinylm.text.tokenizer import Tokenizer

if TYPE_CHECKING:  # torch takes a second to import, and writing text does not need it
    from torch import Tensor

    from tinylm.generation.batch import Batch
    from tinylm.generation.beam import Found
    from tinylm.generation.engine.engine import Engine
    from tinylm.generation.logits import Logits
    from tinylm.generation.readers import Reader
    from tinylm.model.transformer import TinyLM
    from tinylm.report import Baselines, Report

SAMPLES, SAMPLE_TOKENS = 3, 200
"""What `evaluate` lets the model write, to see what it copies."""
MOST_TEXTS, MOST_CACHE = 64, 1 << 30
"""Texts that are written side by side, and the bytes that their keys and values may have: more texts gain little."""


class Prediction(NamedTuple):
    """A possible next token and its probability."""

    id: int
    token: str
    probability: float


class LanguageModel:
    """A trained model. From `tinylm.train(...)` or `tinylm.load(folder)`.

    Attributes:
        model: the torch module; `model(ids)` gives logits (B, T, V). It is made when it is first asked for: predicting
            and writing need no torch where the compiled engine serves.
        tokenizer: text <-> ids.
        config: all choices that made it.
        folder: where it lies on the disk, if it does.
    """

    def __init__(self, config: RunConfig, tokenizer: Tokenizer, model: TinyLM | None = None, folder: Path | None = None,
                 *, weights: bundle.Weights | None = None, device: str = "cpu") -> None:
        """Either the module or its weights are given."""
        self.config, self.tokenizer, self.folder = config, tokenizer, folder
        self._weights, self._device = weights, device
        self._copy_index: CopyIndex | None = None
        if model is not None:
            self.model = model.eval()

    @cached_property
    def model(self) -> TinyLM:
        assert self._weights is not None
        from tinylm.training.device import choose_device

        return bundle.make_model(self.config.model, self._weights).to(choose_device(self._device)).eval()

    @classmethod
    def load(cls, folder: str | Path, *, device: str = "cpu") -> LanguageModel:
        """Reads a model folder; runs no code from it.

        Args:
            device: "cpu" (the quickest for small models), "cuda", "mps", or "auto".

        Raises:
            TinyLMError: no such folder, or a damaged one.
        """
        config, tokenizer = bundle.read_config(folder), bundle.read_tokenizer(folder)
        if tokenizer.vocab_size != config.model.vocab_size:
            raise TinyLMError(f"the tokenizer has {tokenizer.vocab_size} entries and the model "
                              f"{config.model.vocab_size}", where=str(folder),
                              remedy="The files of this folder do not belong together")
        weights = bundle.read_weights(folder, config.model)
        if device != "cpu":
            from tinylm.training.device import choose_device

            device = choose_device(device).type
        return cls(config, tokenizer, folder=Path(folder), weights=weights, device=device)

    # ---- asking

    def predict(self, prompt: str, top: int = 5) -> list[Prediction]:
        """The most likely next tokens, best first.

        Raises:
            TinyLMError: words or characters that the tokenizer does not know.
        """
        if top < 1:
            raise TinyLMError(f"{top} predictions cannot be shown", where="top", remedy="Ask for at least 1")
        logits = self.read(self.tokenizer.encode_prompt(prompt)).logits
        shares = np.exp(log_softmax(logits))
        return [Prediction(id, self.tokenizer.token(id), float(shares[id])) for id in likeliest(logits, top)]

    @overload
    def generate(self, prompt: str = "", *, samples: None = None, **settings: Any) -> str: ...

    @overload
    def generate(self, prompt: str | Sequence[str] = "", *, samples: int | None = None,
                 **settings: Any) -> list[str]: ...

    def generate(self, prompt: str | Sequence[str] = "", *, samples: int | None = None,
                 **settings: Any) -> str | list[str]:
        """The text that the model writes after the prompt; a list of texts for a list of prompts, or for `samples`.

        Args:
            samples: so many texts for each prompt, one prompt after another. The first has the seed, each further one
                the next number; of beams they are the best that were found. What is written together is what would be
                written one by one.
            settings: fields of SampleConfig: max_tokens, overflow, force, greedy, ban, logit_bias, repetition_penalty,
                frequency_penalty, presence_penalty, temperature, top_k, top_p, min_p, typical_p, beams,
                length_penalty, early_stopping, stop, seed. What is not given is as in the model's own config.

        Raises:
            TinyLMError: unknown settings, or words or characters that the tokenizer does not know.
        """
        if isinstance(prompt, str) and samples is None:
            return self.complete(prompt, **settings).text
        return [each.text for each in self.complete(prompt, samples=samples, **settings)]

    def stream(self, prompt: str = "", **settings: Any) -> Iterator[str]:
        """The same text piece by piece, as it comes. Settings and errors: as `generate`."""
        yield from self.complete_stepwise(prompt, **settings)

    @overload
    def complete(self, prompt: str = "", *, samples: None = None, logprobs: int | None = None,
                 **settings: Any) -> Completion: ...

    @overload
    def complete(self, prompt: str | Sequence[str] = "", *, samples: int | None = None, logprobs: int | None = None,
                 **settings: Any) -> list[Completion]: ...

    def complete(self, prompt: str | Sequence[str] = "", *, samples: int | None = None, logprobs: int | None = None,
                 **settings: Any) -> Completion | list[Completion]:
        """The same with ids, the reason why it stopped, and the seed. Samples, settings and errors: as `generate`.

        Args:
            logprobs: notes the log-probability of each token, and so many of the likeliest in its place.
        """
        if not isinstance(prompt, str) or samples is not None:
            prompts = [prompt] if isinstance(prompt, str) else list(prompt)
            return self._complete_together(prompts, 1 if samples is None else samples, logprobs, settings)
        steps = self.complete_stepwise(prompt, logprobs=logprobs, **settings)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                completion: Completion = end.value
                return completion

    def complete_stepwise(self, prompt: str = "", *, logprobs: int | None = None,
                          **settings: Any) -> Generator[str, None, Completion]:
        """A generator of pieces of text that returns the `Completion`."""
        config, bias, forced = self._choices(settings, logprobs)
        task, = self._tasks(prompt, 1, logprobs, config, bias, forced)
        window, writer = self.read(task.ids), task.writer
        for id in generate_ids(window, task.config, eos_id=self.tokenizer.eos_id, seed=task.seed, bias=bias,
                               forced=task.forced):
            yield writer.push(id, window.logits)
            if writer.stopped:
                break
        yield writer.finish()
        return writer.completion(window.forgotten)

    def _complete_together(self, prompts: list[str], samples: int, logprobs: int | None,
                           settings: dict[str, Any]) -> list[Completion]:
        config, bias, forced = self._choices(settings, logprobs)
        if samples < 1:
            raise TinyLMError(f"{samples} texts cannot be written", where="samples", remedy="Ask for at least 1")
        tasks: list[Task] = []
        for prompt in prompts:
            tasks += self._tasks(prompt, samples, logprobs, config, bias, forced)
        cache = structure.kv_cache_bytes(self.config.model, self.config.model.context_length)
        most = max(1, min(MOST_TEXTS, MOST_CACHE // max(1, cache)))
        return write_together(self.batch(), tasks, bias, most)

    def _tasks(self, prompt: str, samples: int, logprobs: int | None, config: SampleConfig, bias: Logits,
               forced: list[int]) -> list[Task]:
        """So many texts after one prompt. What a beam search has found is written as if it were forced."""
        ids, tasks = self.tokenizer.encode_prompt(prompt), []
        founds = self._search(ids, samples, config, bias, forced) if config.beams > 1 else [None] * samples
        for number, found in enumerate(founds):
            seed = fresh_seed() if config.seed is None else (config.seed + number) % (LARGEST_SEED + 1)
            writer = Writer(prompt, self.tokenizer, config, seed, logprobs, found and found.score)
            if found:
                config, forced = config.model_copy(update={"max_tokens": len(found.ids)}), found.ids
            tasks.append(Task(ids, config, seed, forced, writer))
        return tasks

    def _search(self, ids: list[int], count: int, config: SampleConfig, bias: Logits,
                forced: list[int]) -> list[Found]:
        from tinylm.generation.beam import beam_search

        if count > config.beams:
            raise TinyLMError(f"a search with {config.beams} beams finds no {count} texts", where="samples",
                              remedy="Ask for fewer texts, or search with more beams")
        return beam_search(self._reader(), ids, config, eos_id=self.tokenizer.eos_id, bias=bias, forced=forced)[:count]

    def _choices(self, settings: dict[str, Any], logprobs: int | None) -> tuple[SampleConfig, Logits, list[int]]:
        """How ids are chosen, what is added to the logits (V,), and the ids that a text has to begin with."""
        from tinylm.generation.sampler import bias_of, forced_ids  # with the compiler: reading a model does without

        if logprobs is not None and logprobs < 0:
            raise TinyLMError(f"{logprobs} tokens cannot be noted", where="logprobs", remedy="Ask for 0 or more")
        config = SampleConfig(**{**self.config.sample.model_dump(), **settings})
        return config, bias_of(config, self.tokenizer), forced_ids(config, self.tokenizer)

    def read(self, ids: list[int]) -> Window:
        """A text that begins with these ids: what the model expects next, and how to go on. By the compiled engine
        where it serves (`served_by`), else by torch."""
        if self.served_by == "engine":
            from tinylm.generation.engine.decoder import EngineDecoder

            return EngineDecoder(self._engine, ids)
        from tinylm.generation.decode import Decoder

        return Decoder(self.model, ids, cores=self._torch_cores())

    def batch(self) -> Batch:
        """A place where texts are written together, none as yet: `add` takes ids, `step` gives new ones. By the engine
        in one call for all; one after another where torch serves."""
        from tinylm.generation.batch import Batch

        return Batch(self._reader(), self.tokenizer.vocab_size, self.tokenizer.eos_id)

    def _reader(self) -> Reader:
        if self.served_by == "engine":
            from tinylm.generation.readers import EngineReader

            return EngineReader(self._engine)
        from tinylm.generation.decode import TorchReader

        return TorchReader(self.model, cores=self._torch_cores())

    def _torch_cores(self) -> int:
        from tinylm.model.threads import cores_for

        return cores_for(structure.flops_per_token(self.config.model, self.config.model.context_length))

    @property
    def served_by(self) -> Literal["engine", "torch"]:
        """What writes: the engine for a model that was loaded, on the CPU, as long as its module is as it was loaded;
        torch for one whose weights change, that hooks listen to, or that sees the future."""
        if self._weights is None or self._device != "cpu" or not self.config.model.causal:
            return "torch"
        return "engine" if "model" not in vars(self) or self._is_as_loaded() else "torch"

    def _is_as_loaded(self) -> bool:
        from tinylm.generation.engine.weights import weights_of

        hooked = any(module._forward_hooks or module._forward_pre_hooks for module in self.model.modules())
        if self.model.switchboard.listener is not None or hooked or self.model.embed.weight.dtype.itemsize != 4:
            return False
        now = weights_of(self.model)
        return all(np.array_equal(now[name], array) for name, array in (self._weights or {}).items())

    @cached_property
    def _engine(self) -> Engine:
        from tinylm.generation.engine.engine import Engine, announce

        assert self._weights is not None
        announce()
        return Engine(self.config.model, self._weights)

    # ---- judging and looking inside

    def evaluate(self, source: str | Path | None = None) -> Report:
        """Loss, perplexity and bits a byte beside the baselines; and what of three texts that the model writes from
        nothing is copied from the training text.

        Args:
            source: a text; None is the validation text of the training run (or the training text, where nothing was
                held out).

        Raises:
            TinyLMError: the training text has moved or changed, or the other text cannot be read.
        """
        from tinylm.report import Text, measure_baselines, texts

        data = self.config.data
        if source is None:
            split = self._training_split()
            dataset = build_dataset(split, self.tokenizer)
            train, judged = texts(split, dataset)
            name = "validation" if dataset.validation else "train"
            report = self._judge(judged.ids, name, measure_baselines(train, judged, self.tokenizer.vocab_size))
        else:
            corpus = open_corpus(source, documents=data.documents, text_field=data.text_field)
            split = split_corpus(corpus, 0.0)
            judged = Text(build_dataset(split, self.tokenizer).train, split.train)
            report = self._judge(judged.ids, corpus.name, self._baselines_of_training(judged))
        return replace(report, copying=self.copying())

    def _judge(self, part: Part, split: str, counted: Baselines) -> Report:
        from tinylm.report import judge

        report = judge(self.model, part, layout=self.config.data.rows, split=split, counted=counted)
        if not math.isfinite(report.loss):
            raise TinyLMError("its loss is not a finite number", where=str(self.folder or "model"),
                              remedy="The model is damaged: restore its folder from a copy, or train again")
        return report

    def _baselines_of_training(self, other: Any) -> Baselines:
        """Counted on the training text if that is still there, else on nothing."""
        from tinylm.report import Baselines, Text, measure_baselines

        try:
            split = self._training_split()
            train = Text(build_dataset(split, self.tokenizer).train, split.train)
        except TinyLMError:
            counted = measure_baselines(other, other, self.tokenizer.vocab_size)
            return Baselines({"uniform": counted.bits_per_byte["uniform"]})
        return measure_baselines(train, other, self.tokenizer.vocab_size)

    def copied(self, text: str) -> Copied:
        """What of a text stands word for word in the training text, and where. The first call reads that, at a second
        or so for each 50 megabytes.

        Raises:
            TinyLMError: the training text has moved or changed.
        """
        if self._copy_index is None:
            self._copy_index = CopyIndex(self._training_split().train)
        return self._copy_index.measure(text)

    def copying(self, index: CopyIndex | None = None) -> Copied | None:
        """What of a few texts that it writes stands in the training text; None where that is not there.

        Args:
            index: of the training text, where there is one already.
        """
        self._copy_index = index or self._copy_index
        written = self.generate(samples=SAMPLES, max_tokens=SAMPLE_TOKENS, seed=0)
        try:
            return together([self.copied(text) for text in written])
        except TinyLMError:
            return None

    def _training_split(self) -> Split:
        data = self.config.data
        if not data.source or data.source == "-":
            raise TinyLMError("the text that it was trained on is not known", where=str(self.folder or "model"),
                              remedy="Name a text to evaluate on: tinylm evaluate RUN SOURCE")
        corpus = open_corpus(data.source, documents=data.documents, text_field=data.text_field)
        _check_same_text(corpus, data.fingerprint)
        return split_corpus(corpus, data.validation)

    def inspect(self) -> dict[str, Any]:
        """Every parameter tensor with its formula, memory and FLOPs; the shape is that of `tinylm inspect --json`."""
        return structure.describe(self.config.model)

    def trace(self, text: str) -> dict[str, Tensor]:
        """Every activation by its name (docs/NAMES.md) for `<bos>` and the text: T = 1 + its tokens, B = 1."""
        from tinylm.inspection import trace

        return trace.trace(self.model, self.tokenizer.encode_prompt(text))

    def save(self, folder: str | Path, *, force: bool = False) -> Path:
        """Writes a model folder, whole or not at all.

        Args:
            force: replace a model that is there.

        Raises:
            TinyLMError: the place is taken or cannot be written.
        """
        with bundle.new_folder(folder, force=force) as temporary:
            self.write_into(temporary)
            if self.folder:
                bundle.copy_records(self.folder, temporary)
        self.folder = Path(folder)
        return self.folder

    def write_into(self, folder: Path) -> None:
        """The files that make a folder loadable."""
        bundle.write_config(folder, self.config)
        self.tokenizer.save(folder / bundle.TOKENIZER)
        bundle.write_weights(folder, self.model)

    def __repr__(self) -> str:
        size = structure.total_parameters(self.config.model)
        return f"<LanguageModel: {size:,} parameters, {self.tokenizer.vocab_size:,} tokens ({self.tokenizer.kind})>"


def _check_same_text(corpus: Corpus, fingerprint: str) -> None:
    if fingerprint and corpus.stats().fingerprint != fingerprint:
        raise TinyLMError("this text has changed since the model was trained on it", where=corpus.name,
                          remedy="Name a text to evaluate on: tinylm evaluate RUN SOURCE")


def load(folder: str | Path, *, device: str = "cpu") -> LanguageModel:
    """Reads a model folder. See `LanguageModel.load`."""
    return LanguageModel.load(folder, device=device)
