"""One training run, from a prepared text to a model folder: train, judge, write."""

from __future__ import annotations

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

import tinylm
from tinylm import bundle
from tinylm.card import write_card
from tinylm.config import Partial
from tinylm.errors import TinyLMError
from tinylm.inspection import structure
from tinylm.lm import LanguageModel
from tinylm.model.threads import threads_for
from tinylm.model.transformer import TinyLM
from tinylm.prepare import Prepared, choices, prepare
from tinylm.progress import Display, duration, say
from tinylm.report import Report, count_baselines, judge, table, verdict
from tinylm.training.evaluate import bits_per_byte
from tinylm.training.events import Event, Finished, Sampled, Validated, to_json_line
from tinylm.training.loop import Training
from tinylm.training.optimizer import make_optimizers
from tinylm.training.schedule import Horizon, StepHorizon, TimeHorizon

FINISHING_SECONDS = 0.7
"""Kept free at the end of a run of minutes for writing the folder and leaving."""
SAMPLE_TOKENS = 60


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
