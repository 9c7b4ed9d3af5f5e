"""One training run, from a text to a model folder: open, plan, train, judge, write."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

import tinylm
from tinylm import bundle
from tinylm.card import write_card
from tinylm.config import (
    DataConfig,
    ModelConfig,
    Partial,
    RunConfig,
    SampleConfig,
    TrainConfig,
    checked,
    merge,
    preset,
    size,
)
from tinylm.errors import TinyLMError
from tinylm.inspection import structure
from tinylm.lm import LanguageModel
from tinylm.model.threads import threads_for
from tinylm.model.transformer import TinyLM
from tinylm.progress import Display, duration, say
from tinylm.report import Report, count_baselines, judge, table, verdict
from tinylm.text.corpus import Corpus, open_corpus
from tinylm.text.dataset import Dataset, build_dataset, split_corpus, train_tokenizer
from tinylm.text.rows import IGNORE, Rows
from tinylm.text.tokenizer import Tokenizer, choose_tokenizer
from tinylm.training import plan as rules
from tinylm.training.device import choose_device, describe_device
from tinylm.training.evaluate import bits_per_byte
from tinylm.training.events import Event, Finished, Sampled, Validated, to_json_line
from tinylm.training.loop import Training
from tinylm.training.optimizer import make_optimizers
from tinylm.training.schedule import Horizon, StepHorizon, TimeHorizon

Settings = Mapping[str, Any]
FINISHING_SECONDS = 0.7
"""Kept free at the end of a run of minutes for writing the folder and leaving."""
SAMPLE_TOKENS = 60


@dataclass(frozen=True)
class Prepared:
    """All that is known before the first step. `notes` says for people what was chosen, and why."""

    name: str
    config: RunConfig
    tokenizer: Tokenizer
    dataset: Dataset
    documents: str
    forecast: rules.Forecast
    steps: int | None
    device: torch.device
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """What `plan` reports."""
        return {"config": self.config.model_dump(mode="json"), "forecast": asdict(self.forecast), "notes": self.notes}

    def rows(self) -> Rows:
        """What training reads."""
        data, train = self.config.data, self.config.train
        padding = self.tokenizer.pad_id if train.loss_on_padding else IGNORE
        return Rows(self.dataset.train, layout=data.rows, context_length=self.config.model.context_length,
                    seed=train.seed, target_padding=padding)


def choices(*, preset_name: str = "tinylm", size_name: str | None = None, layers: tuple[Partial, ...] = (),
            **flags: Any) -> dict[str, dict[str, Any]]:
    """What a person chose, by section: a preset, over it a size, files and settings in order, and single flags.

    Raises:
        TinyLMError: a choice that cannot stand, whatever the text.
    """
    homes = {"tokenizer": "data", "vocab_size": "data", "documents": "data", "validation": "data", "text_field": "data",
             "minutes": "train", "steps": "train", "epochs": "train", "until": "train", "seed": "train",
             "device": "train"}
    given: dict[str, dict[str, Any]] = {}
    for name, value in flags.items():
        if name not in homes:
            raise TypeError(f"train() has no argument {name!r}")
        if value is not None:
            given.setdefault(homes[name], {})[name] = value
    merged = merge(preset(preset_name), size(size_name) if size_name else {})
    for layer in map(checked, (*layers, given)):
        if any(layer.get("train", {}).get(name) is not None for name in ("steps", "epochs", "minutes")):
            for name in ("steps", "epochs", "minutes"):  # a later horizon replaces an earlier one
                merged["train"].pop(name, None)
        merged = merge(merged, layer)
    return merged


def prepare(source: str | Path, chosen: Partial) -> Prepared:
    """Opens the text, makes tokenizer and ids, and fills in what was not chosen.

    Raises:
        TinyLMError: anything in the text or the choices that cannot work.
    """
    data = dict(chosen["data"])
    device = choose_device(chosen["train"].get("device", "auto"))
    corpus = open_corpus(source, documents=data.get("documents", "auto"), text_field=data.get("text_field", "text"))
    split = split_corpus(corpus, data.get("validation", DataConfig.model_fields["validation"].default))
    reason = _choose_tokenizer(corpus, data)
    data.setdefault("rows", "windows" if corpus.documents == "text" else "packed")
    data |= {"source": _lasting(source), "fingerprint": corpus.stats().fingerprint}
    config = DataConfig(**data)
    tokenizer = train_tokenizer(split, config.tokenizer, vocab_size=config.vocab_size,
                                unknown_token=config.unknown_token)
    dataset = build_dataset(split, tokenizer)
    stats = corpus.stats()
    documents = f"{stats.characters:,} characters in {stats.documents:,} document{'s' * (stats.documents != 1)}"
    notes = [f"text       {corpus.name}: {documents}; {split.description}",
             f"tokenizer  {reason}: {tokenizer.vocab_size:,} entries, {_tokens(dataset)}"]
    return _plan(corpus.name, chosen, config, tokenizer, dataset, documents, device, notes)


def _plan(name: str, chosen: Partial, data: DataConfig, tokenizer: Tokenizer, dataset: Dataset, documents: str,
          device: torch.device, notes: list[str]) -> Prepared:
    speed = rules.measure_speed(device)
    train_part = dataset.train
    filled = rules.fill_in(chosen, n_bytes=train_part.n_bytes, n_tokens=train_part.n_tokens,
                           vocab_size=tokenizer.vocab_size, speed=speed)
    model = ModelConfig(**filled["model"])
    rows = Rows(train_part, layout=data.rows, context_length=model.context_length)
    if filled["train"]["batch_size"] == "full":
        filled["train"]["batch_size"] = rows.rows_per_epoch
    train = TrainConfig(**filled["train"])
    config = RunConfig(model=model, data=data, train=train, sample=SampleConfig(**chosen["sample"]))
    steps = rules.count_steps(train, rows.rows_per_epoch)
    parameters = structure.total_parameters(model)
    forecast = rules.forecast(model, train, parameters=parameters, steps=steps, speed=speed,
                              flops_per_token=structure.training_flops_per_token(model, model.context_length),
                              tokens_per_row=train_part.n_tokens / rows.rows_per_epoch)
    epochs = forecast.tokens / max(1, train_part.n_tokens)
    notes += [f"model      {parameters:,} parameters: {model.n_layers} layers, d_model {model.d_model}, "
              f"{model.n_heads} heads, context of {model.context_length} tokens, dropout {model.dropout:g}",
              f"training   {_horizon_for_people(train, steps)}; {train.optimizer}, batches of {train.batch_size} rows; "
              f"about {forecast.tokens:,} tokens, {epochs:.1f} times the text",
              f"machine    {describe_device(device)}; about {forecast.peak_memory_bytes / 1e9:.1f} GB of memory"]
    return Prepared(name, config, tokenizer, dataset, documents, forecast, steps, device, notes)


def _choose_tokenizer(corpus: Corpus, data: dict[str, Any]) -> str:
    """Fills in what `auto` leaves open; returns the choice and its reason for people."""
    if data.get("tokenizer", "auto") != "auto":
        return f"{data['tokenizer']}, as asked for"
    choice = choose_tokenizer(corpus.stats())
    data["tokenizer"] = choice.kind
    if data.get("vocab_size") is None:
        data["vocab_size"] = choice.vocab_size
    return choice.reason


def _tokens(dataset: Dataset) -> str:
    held_out = f" and {dataset.validation.n_tokens:,} to validate on" if dataset.validation else ""
    return f"{dataset.train.n_tokens:,} tokens to train on{held_out}"


def _horizon_for_people(train: TrainConfig, steps: int | None) -> str:
    if train.minutes is not None:
        return f"{train.minutes:g} minutes"
    return f"{steps:,} steps" + (f" ({train.epochs:g} epochs)" if train.epochs is not None else "")


def _lasting(source: str | Path) -> str:
    """A path that still holds from another working folder; built-in names and `-` stay as they are."""
    return os.path.abspath(source) if Path(source).exists() else str(source)


def plan(source: str | Path, *, preset: str = "tinylm", size: str | None = None, config: Partial | None = None,
         **flags: Any) -> dict[str, Any]:
    """What `train` would do with the same arguments: {"config", "forecast", "notes"}."""
    return prepare(source, choices(preset_name=preset, size_name=size, layers=(config or {},), **flags)).to_dict()


# ---- training


@dataclass
class Outcome:
    """A finished run."""

    lm: LanguageModel
    folder: Path
    report: Report
    finished: Finished
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        return {"folder": str(self.folder), "seconds": round(self.seconds, 2), **asdict(self.finished),
                "report": self.report.to_dict(),
                "parameters": structure.total_parameters(self.lm.config.model)}


def train(source: str | Path, *, out: str | Path | None = None, preset: str = "tinylm", size: str | None = None,
          config: Partial | None = None, force: bool = False, quiet: bool = False, **flags: Any) -> LanguageModel:
    """Trains a model on a text and writes its folder.

    Args:
        source: a path, or a built-in text: "hello", "python-reference", "python-stdlib".
        out: the model folder; by default runs/ and the name of the text.
        preset: "tinylm", "notebook", "gpt2", "llama", "qwen3".
        size: a name from config.SIZES, such as "0.8M"; by default what suits the text and the time.
        config: chosen values by section, e.g. {"train": {"learning_rate": 1e-3}}.
        force: replace a model that is in `out`.
        quiet: print nothing.
        flags: tokenizer, vocab_size, documents, text_field, validation, minutes or steps or epochs, until, seed,
            device.

    Raises:
        TinyLMError: anything in the text or the choices that cannot work; nothing is written then.
    """
    chosen = choices(preset_name=preset, size_name=size, layers=(config or {},), **flags)
    return train_run(source, chosen, out=out, force=force, console=Console(quiet=quiet)).lm


def train_run(source: str | Path, chosen: Partial, *, out: str | Path | None = None, force: bool = False,
              console: Console, started: float | None = None) -> Outcome:
    """`train` for the command line.

    Args:
        started: a reading of time.perf_counter, from which a run of minutes counts.
    """
    started = time.perf_counter() if started is None else started
    folder = Path(out) if out is not None else Path("runs", _folder_name(source))
    bundle.check_free(folder, force=force)
    prepared = prepare(source, chosen)
    say(console, prepared.notes)
    with bundle.new_folder(folder, force=force) as temporary:
        outcome = _Run(prepared, temporary, folder, console, started).go()
    say(console, _closing_lines(outcome))
    return outcome


def _folder_name(source: str | Path) -> str:
    name = re.sub(r"(\.(txt|md|jsonl|ndjson|gz|zst))+$", "", Path(os.path.abspath(source)).name)
    return "stdin" if str(source) == "-" else name or "model"


@dataclass
class _Run:
    """The parts of one run, put together."""

    prepared: Prepared
    temporary: Path
    folder: Path
    console: Console
    started: float
    samples: list[Sampled] = field(default_factory=list)

    def go(self) -> Outcome:
        config, dataset = self.prepared.config, self.prepared.dataset
        torch.set_flush_denormal(True)  # numbers too small to mean anything slow a CPU down a hundredfold
        model = TinyLM(config.model, config.train.seed).to(self.prepared.device)
        self.lm = LanguageModel(config, self.prepared.tokenizer, model)
        self.counted = count_baselines(dataset.train, dataset.validation or dataset.train, config.model.vocab_size)
        horizon = self._horizon()
        flops = structure.training_flops_per_token(config.model, config.model.context_length)
        with ExitStack() as stack:
            stack.enter_context(threads_for(flops * config.model.context_length * config.train.batch_size))
            self.should_stop = stack.enter_context(_stop_on_signals(self.console))
            self.training = Training(model, make_optimizers(model, config.train), self.prepared.rows(), config.train,
                                horizon, self._validate if dataset.validation else None, self.should_stop,
                                self.prepared.device)
            finished = self._read(self.training, self._display(horizon))
            model.eval()
            return self._write(finished)

    def _horizon(self) -> Horizon:
        if self.prepared.steps is not None:
            return StepHorizon(self.prepared.steps)
        minutes = self.prepared.config.train.minutes
        assert minutes is not None
        return TimeHorizon(60 * minutes, self.started, reserved=FINISHING_SECONDS)

    def _display(self, horizon: Horizon) -> Display:
        part = self.prepared.dataset.validation
        return Display(self.console, horizon,
                       (lambda loss: bits_per_byte(loss * part.n_tokens, part.n_bytes)) if part else None)

    def _validate(self) -> float:
        part = self.prepared.dataset.validation
        assert part is not None
        report = judge(self.lm.model, part, layout=self.prepared.config.data.rows, split="validation",
                       counted=self.counted, should_stop=lambda: self.should_stop() and not self.training.ending)
        if self.training.best_loss is None or report.loss < self.training.best_loss:
            self.report = report  # of the weights that the training keeps
        return report.loss

    def _read(self, training: Training, display: Display) -> Finished:
        """Drains the events: to the metrics file, to the samples, to the terminal."""
        finished: Finished | None = None
        with open(self.temporary / bundle.METRICS, "w", encoding="utf-8") as metrics, \
             open(self.temporary / bundle.SAMPLES, "w", encoding="utf-8") as samples, display.shown():
            for event in training.events():
                for each in (event, *self._sampled(event)):
                    (samples if isinstance(each, Sampled) else metrics).write(to_json_line(each))
                    display(each)
                if isinstance(event, Finished):
                    finished = event
        assert finished is not None
        if finished.reason == "not finite" and finished.best_loss is None:
            raise TinyLMError(f"the loss was no longer a finite number at step {finished.step}", where="training",
                              remedy="Try a lower learning rate: --set train.learning_rate=0.001 "
                                     "--set train.muon_learning_rate=0.005")
        return finished

    def _sampled(self, event: Event) -> Iterator[Sampled]:
        if not isinstance(event, Validated):
            return
        self.lm.model.eval()
        text = self.lm.generate("", max_tokens=SAMPLE_TOKENS, seed=event.step)
        self.lm.model.train()
        self.samples.append(Sampled(event.step, "", text))
        yield self.samples[-1]

    def _write(self, finished: Finished) -> Outcome:
        dataset, config = self.prepared.dataset, self.prepared.config
        judged = dataset.validation or dataset.train
        if finished.best_loss is None:  # no validation text, or stopped before the first validation
            self.report = judge(self.lm.model, judged, layout=config.data.rows, counted=self.counted,
                                split="validation" if dataset.validation else "train")
        self.lm.write_into(self.temporary)
        sample = next((each.text for each in self.samples if each.step == finished.best_step), "")
        card = write_card(config, self.report, finished, name=self.prepared.name, folder=str(self.folder),
                          version=tinylm.__version__, documents=self.prepared.documents, sample=sample)
        (self.temporary / bundle.CARD).write_text(card, encoding="utf-8")
        self.lm.folder = self.folder
        return Outcome(self.lm, self.folder, self.report, finished, time.perf_counter() - self.started)


def _closing_lines(outcome: Outcome) -> list[str]:
    report, finished = outcome.report, outcome.finished
    stopped = {"interrupted": "Stopped early, as asked. ", "until": "Reached the loss that was asked for. ",
               "not finite": "The numbers were no longer finite, so the run was ended. "}.get(finished.reason, "")
    size = structure.total_parameters(outcome.lm.config.model)
    quoted = '"how are"' if outcome.lm.tokenizer.kind == "word" else '"The"'
    return [
        "",
        f"{stopped}[bold]{outcome.folder}[/bold] holds a model of {size:,} parameters, made in "
        f"{duration(outcome.seconds)} ({finished.step:,} steps, weights of step {finished.best_step:,}).",
        f"On the {report.split} text: loss {report.loss:.4f} nats a token, {report.bits_per_byte:.3f} bits a byte.",
        f"That is {verdict(report)}.",
        "In bits a byte, less is better: " + ", ".join(f"{name} {value:.2f}" for name, value in table(report)) + ".",
        "",
        "Now try:",
        f"  tinylm generate {outcome.folder} {quoted}",
        f"  tinylm predict {outcome.folder} {quoted}",
        f"  tinylm inspect {outcome.folder}",
    ]


@contextmanager
def _stop_on_signals(console: Console) -> Iterator[Callable[[], bool]]:
    """Within the block, the first Ctrl-C or SIGTERM asks the run to end in good order; a second Ctrl-C ends it now."""
    asked = threading.Event()

    def ask(number: int, _frame: object) -> None:
        if asked.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.set()
        console.print("\n  Stopping after this step; press Ctrl-C again to leave at once.", highlight=False)

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
