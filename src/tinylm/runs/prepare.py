"""Before the first step: a text is opened, encoded, and everything that nobody chose is filled in."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import torch

from tinylm.config.overrides import merge_overrides
from tinylm.config.schema import DataConfig, ModelConfig, PartialConfig, RunConfig, SampleConfig, TrainConfig
from tinylm.evaluation.report import Baselines, baselines_of_run
from tinylm.evaluation.training_text import absolute_source, absolute_validation, validation_fingerprint
from tinylm.generation.context import generate_ids
from tinylm.generation.torch_backend import TorchDecoder
from tinylm.inspection import structure
from tinylm.jit.cache import announcement
from tinylm.model.device import choose_device
from tinylm.model.transformer import TinyLM
from tinylm.planning import defaults as rules
from tinylm.planning import memory_check
from tinylm.planning.forecast import Forecast, make_forecast
from tinylm.planning.throughput import measure_speed, measure_step_times, smallest_model, warm_up
from tinylm.reports.terminal import duration
from tinylm.runs import precompile
from tinylm.sampling.filters import COMPILING, choose
from tinylm.system.memory import trim_heap
from tinylm.system.signals import interruptible
from tinylm.text.corpus import Corpus, open_corpus
from tinylm.text.dataset import Dataset, build_dataset
from tinylm.text.left_out import left_out_by_words, white_space
from tinylm.text.reading.sources import Given, Options, chosen_source
from tinylm.text.rows import IGNORE, Rows
from tinylm.text.split import Split, share_to_hold_out, split_corpus, train_tokenizer
from tinylm.text.tokenizer import Tokenizer, choose_tokenizer
from tinylm.training.backend import Compute, choose_compute, must_compile
from tinylm.training.cpu import attention
from tinylm.training.schedule import VALIDATIONS, count_validations

LONG_TEXT = 20_000_000
"""Bytes. Reading so many takes long enough to be told of it."""
PROBE_SHARE = 0.012
"""Of a run of minutes, for each of two measurements of speed."""
COUNTED_PROBE_SECONDS = 1.0
"""For the one measurement where steps are counted."""


@dataclass(frozen=True)
class RunSetup:
    """What a run is given to do."""

    name: str
    config: RunConfig
    tokenizer: Tokenizer
    split: Split
    dataset: Dataset
    documents: str
    """How much text of which kind, for people."""
    baselines: Baselines
    """What needs no model reaches on the text that is judged."""
    device: torch.device

    def rows(self) -> Rows:
        """What training reads."""
        data, train = self.config.data, self.config.train
        padding = self.tokenizer.pad_id if train.loss_on_padding else IGNORE
        return Rows(self.dataset.train, packing=data.packing, context_length=self.config.model.context_length,
                    seed=train.seed, target_padding=padding)

    def compute(self) -> Compute:
        """How it is computed."""
        model, train = self.config.model, self.config.train
        tokens = model.context_length * train.batch_size
        return choose_compute(model, self.device, precision=train.precision,
                              flops=structure.training_flops_per_token(model, model.context_length) * tokens)

    def validations(self) -> int:
        """How often it is judged on the way, at most."""
        train, held_out = self.config.train, self.dataset.validation
        if train.minutes is not None or self.steps is None or held_out is None:
            return VALIDATIONS
        tokens = self.steps * train.batch_size * train.gradient_accumulation * self.config.model.context_length
        return count_validations(tokens, held_out.n_tokens)

    @property
    def steps(self) -> int | None:
        """How many; of a run of minutes, at most, and None where the clock alone ends it."""
        return rules.count_steps(self.config.train, self.rows().rows_per_epoch)


@dataclass(frozen=True)
class RunPlan(RunSetup):
    """All that is known before the first step. `notes` says for people what was chosen, and why."""

    forecast: Forecast
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """What `plan` reports."""
        return {"config": self.config.model_dump(mode="json"), "forecast": asdict(self.forecast), "notes": self.notes}


def plan_run(source: Given, chosen: PartialConfig, *, started: float | None = None,
             log: Callable[[str], None] = lambda _: None) -> RunPlan:
    """Opens the text, makes tokenizer and ids, and fills in what was not chosen.

    Args:
        started: a reading of time.perf_counter, from which the forecast counts its seconds; None: from now.
        log: gets a line before each part that takes long.

    Raises:
        TinyLMError: anything in the text or the choices that cannot work.
    """
    started = time.perf_counter() if started is None else started
    data = dict(chosen["data"])
    device = choose_device(chosen["train"].get("device", "auto"))
    if must_compile(smallest_model(chosen["model"]), device):
        for line in announcement(attention.attend, "for this processor", "about ten seconds"):
            log(line)
        precompile.start()
    corpus = open_corpus(source, Options.of(DataConfig(**data)))
    data.setdefault("validation", share_to_hold_out(corpus))
    split = split_corpus(corpus, data["validation"])
    reason = _choose_tokenizer(corpus, data)
    data.setdefault("packing", "windows" if corpus.documents == "text" else "packed")
    data |= {"source": absolute_source(source), "fingerprint": corpus.stats().fingerprint,
             "validation": absolute_validation(data["validation"]),
             "validation_fingerprint": validation_fingerprint(split, data["validation"])}
    config = DataConfig(**data)
    if corpus.stats().bytes >= LONG_TEXT:
        log(f"reading    {corpus.stats().bytes / 1e6:,.0f} megabytes, to make a tokenizer and ids from; the ids are "
             "kept for the next time")
    tokenizer = train_tokenizer(split, config.tokenizer, vocab_size=config.vocab_size,
                                unknown_token=config.unknown_token)
    text = _Data(corpus.name, describe(corpus), config, tokenizer, split, build_dataset(split, tokenizer))
    notes = [f"text       {text.name}: {text.documents}; {split.description}",
             *(f"note       {sentence}" for sentence in split.notes()),
             f"tokenizer  {reason}: {tokenizer.vocab_size:,} entries, {_describe_tokens(text.dataset)}",
             *_notes_on_unused_choices(corpus, chosen["data"], tokenizer),
             *_notes_on_lost_white_space(split, tokenizer),
             *([f"note       {text.dataset.note}"] if text.dataset.note else [])]
    with interruptible():  # who calls from a program of their own has no other guard while kernels are compiled
        return _plan(text, chosen, device, notes, started, log)


def describe(corpus: Corpus) -> str:
    """How much text of which kind, for people."""
    stats = corpus.stats()
    return f"{stats.characters:,} characters in {stats.documents:,} document{'s' * (stats.documents != 1)}"


@dataclass(frozen=True)
class _Data:
    """A text, ready to be read."""

    name: str
    documents: str
    data: DataConfig
    tokenizer: Tokenizer
    split: Split
    dataset: Dataset


def _plan(text: _Data, chosen: PartialConfig, device: torch.device, notes: list[str], started: float,
          log: Callable[[str], None]) -> RunPlan:
    counted = baselines_of_run(text.split, text.dataset, text.tokenizer)
    kind, precision = smallest_model(chosen["model"]), chosen["train"].get("precision", "auto")
    precompile.finish()
    for line in announcement(choose, *COMPILING):
        log(line)
    warm_up(kind, device, precision)
    _warm_up_generation(kind, device)
    trim_heap()
    held_bytes = psutil.Process().memory_info().rss
    config = _fitting_config(text, chosen, device)
    setup = RunSetup(text.name, config, text.tokenizer, text.split, text.dataset, text.documents, counted, device)
    rows, model = setup.rows(), config.model
    compute = setup.compute()
    times = measure_step_times(model, config.train, rows, compute=compute, seconds=_probe_seconds(config.train.minutes))
    forecast = make_forecast(config, text.dataset, steps=setup.steps, validations=setup.validations(), times=times,
                             tokens_per_row=text.dataset.train.n_tokens / rows.rows_per_epoch,
                             baselines=counted, elapsed=time.perf_counter() - started,
                             held_bytes=held_bytes, device=device)
    notes += [f"model      {forecast.parameters:,} parameters: {model.n_layers} layers, d_model {model.d_model}, "
              f"{model.n_heads} heads, context of {model.context_length} tokens, dropout {model.dropout:g}",
              f"training   {_describe_horizon(config.train, setup.steps)}; "
              f"{config.train.optimizer}, weight decay {config.train.weight_decay:g}, batches of "
              f"{config.train.batch_size} rows; about {forecast.tokens:,} tokens, {forecast.epochs:.1f} times the text",
              f"machine    {compute}; about {forecast.peak_memory_bytes / 1e9:.2f} GB of memory",
              f"forecast   {_describe_forecast(forecast)}"]
    return RunPlan(**vars(setup), forecast=forecast, notes=notes)


def _warm_up_generation(kind: ModelConfig, device: torch.device) -> None:
    """Loads what the run's samples need, so that what the process holds tells of it."""
    decoder = TorchDecoder(TinyLM(kind).to(device).eval(), [0])
    list(generate_ids(decoder, SampleConfig(max_tokens=2, greedy=True), eos_id=-1, seed=0))


def _fitting_config(text: _Data, chosen: PartialConfig, device: torch.device) -> RunConfig:
    """The whole config; a size that nobody chose is one that fits into memory.

    Raises:
        TinyLMError: the run does not fit.
    """
    minutes = chosen["train"].get("minutes") or rules.DEFAULT_MINUTES
    counted = any(chosen["train"].get(name) for name in ("steps", "epochs"))
    precision = chosen["train"].get("precision", "auto")
    speed = rules.REFERENCE_SPEED if counted else measure_speed(
        smallest_model(chosen["model"]), device, precision, _probe_seconds(minutes))
    fill_defaults = partial(rules.fill_defaults, chosen, n_bytes=text.dataset.train.n_bytes,
                            n_tokens=text.dataset.train.n_tokens,
                            vocab_size=text.tokenizer.vocab_size, speed=speed)
    judged = text.dataset.validation.n_tokens if text.dataset.validation else 0
    available = memory_check.available_bytes(device)
    config = _config_from(text, chosen, fill_defaults())
    if not rules.has_size(chosen["model"]):
        fitting = memory_check.fitting_sizes(config.model, config.train, judged, available, device)
        config = _config_from(text, chosen, fill_defaults(fitting=fitting))
    memory_check.check_fits(config.model, config.train, judged, available, device)
    return config


def _config_from(text: _Data, chosen: PartialConfig, filled: dict[str, dict[str, Any]]) -> RunConfig:
    model = ModelConfig(**filled["model"])
    if filled["train"]["batch_size"] == "full":
        rows = Rows(text.dataset.train, packing=text.data.packing, context_length=model.context_length)
        filled["train"]["batch_size"] = rows.rows_per_epoch
    return RunConfig(model=model, data=text.data, train=TrainConfig(**filled["train"]),
                     sample=SampleConfig(**chosen["sample"]))


def _probe_seconds(minutes: float | None) -> float:
    return min(2.0, max(0.3, PROBE_SHARE * 60 * minutes)) if minutes else COUNTED_PROBE_SECONDS


def _choose_tokenizer(corpus: Corpus, data: dict[str, Any]) -> str:
    """Fills in what `auto` leaves open; returns the choice and its reason for people."""
    if data.get("tokenizer", "auto") != "auto":
        return f"{data['tokenizer']}, as asked for"
    choice = choose_tokenizer(corpus.stats())
    data["tokenizer"] = choice.kind
    if data.get("vocab_size") is None:
        data["vocab_size"] = choice.vocab_size
    return choice.reason


def _describe_tokens(dataset: Dataset) -> str:
    held_out = f" and {dataset.validation.n_tokens:,} to validate on" if dataset.validation else ""
    return f"{dataset.train.n_tokens:,} tokens to train on{held_out}"


def _notes_on_unused_choices(corpus: Corpus, asked: Mapping[str, Any], tokenizer: Tokenizer) -> list[str]:
    """Notes on choices of a person without effect on this text and its tokenizer."""
    notes = []
    if tokenizer.kind == "char" and (most := asked.get("vocab_size") or 0) > tokenizer.vocab_size:
        notes.append(f"note       a vocabulary of {most:,} was asked for, and one of characters has "
                     f"{tokenizer.vocab_size:,}; --tokenizer bpe learns as many as asked for")
    if asked.get("text_field", "text") != "text" and not corpus.has_records:
        notes.append("note       a text field was named, and this text has no records with fields, so it is read whole")
    return notes


def _notes_on_lost_white_space(split: Split, tokenizer: Tokenizer) -> list[str]:
    """Notes on what a word tokenizer does not keep of the text to train on: line breaks, indents, other white space."""
    lost = white_space(left_out_by_words(split.train)) if tokenizer.kind == "word" else ""
    return [f"note       words alone are kept, and {lost} are lost; --tokenizer bpe or char keeps them"] if lost else []


def _describe_horizon(train: TrainConfig, steps: int | None) -> str:
    if train.minutes is not None and train.max_epochs is not None:
        return (f"{train.minutes:g} minutes, or {train.max_epochs:g} epochs if they come first, since what is read "
                "more often is learned by heart")
    if train.minutes is not None:
        return f"{train.minutes:g} minutes"
    return f"{steps:,} steps" + (f" ({train.epochs:g} epochs)" if train.epochs is not None else "")


def _describe_forecast(forecast: Forecast) -> str:
    takes = f"{duration(forecast.seconds)}, about {forecast.steps:,} steps"
    if forecast.bits_per_byte is None:
        return takes
    return (f"{takes}; an expectation, no more: {forecast.bits_per_byte:.2f} bits a byte "
            f"(counting n-grams: {forecast.ngram_bits_per_byte:.2f})")


def plan(source: str | Path | None = None, *, texts: str | Iterable[str] | None = None, preset: str = "tinylm",
         size: str | None = None, config: PartialConfig | str | Path | None = None, **flags: Any) -> dict[str, Any]:
    """What `train` would do with the same arguments: {"config", "forecast", "notes"}."""
    given = chosen_source(source, texts)
    if given is None:
        raise TypeError("plan() needs a source or texts")
    layers = () if config is None else (config,)
    return plan_run(given, merge_overrides(preset_name=preset, size_name=size, layers=layers, **flags)).to_dict()
