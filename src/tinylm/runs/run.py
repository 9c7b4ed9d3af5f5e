"""One training run, from a setup to a model folder: train, judge, write; or go on where it stopped."""

from __future__ import annotations

import math
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from safetensors import SafetensorError

import tinylm
from tinylm import model_folder
from tinylm.config.overrides import merge_overrides
from tinylm.config.schema import PartialConfig
from tinylm.errors import TinyLMError, command, sentences
from tinylm.evaluation.memorization import CopyIndex
from tinylm.evaluation.overlap import repeated_share, stretch_tokens, unknown_share
from tinylm.evaluation.report import Report, make_report
from tinylm.inspection import structure
from tinylm.lm import LanguageModel
from tinylm.model.dropout import without_dropout
from tinylm.model.threads import flush_denormals
from tinylm.model.transformer import TinyLM
from tinylm.reports.history import read_events
from tinylm.reports.model_card import make_card, repeat_folder
from tinylm.reports.terminal import Display, closing_lines, duration, next_commands, print_commands, print_lines
from tinylm.runs.prepare import RunSetup, plan_run
from tinylm.runs.recorder import Recorder
from tinylm.runs.resume import already_finished, load_setup
from tinylm.system.files import legal_name, write_atomically
from tinylm.system.paths import IN_MEMORY, given_path
from tinylm.system.standard_streams import tolerant_console
from tinylm.text.opening import opening
from tinylm.text.reading.packed import PACKED
from tinylm.text.reading.sources import Given, Texts, chosen_source
from tinylm.training.backend import TrainingBackend
from tinylm.training.controller import ScheduleController
from tinylm.training.diagnostics.doctor import Doctor, Finding
from tinylm.training.evaluate import Interrupted, bits_per_byte
from tinylm.training.events import Began, Event, Finished, Sampled, Validated
from tinylm.training.loop import QUICK_SECONDS, Training
from tinylm.training.optimizer import make_optimizers
from tinylm.training.schedule import StepHorizon, TimeHorizon

FINISHING_SECONDS = 0.7
"""Kept free at the end of a run of minutes for writing the folder and leaving."""
SAMPLE_TOKENS = 60


@dataclass
class RunResult:
    """What came of a run. `report` is None if it was stopped before the model could be judged."""

    lm: LanguageModel
    folder: Path
    report: Report | None
    finished: Finished
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        return {"folder": str(self.folder), "seconds": round(self.seconds, 2), **asdict(self.finished),
                "report": self.report.to_dict() if self.report else None,
                "parameters": structure.total_parameters(self.lm.config.model)}


def train(source: str | Path | None = None, *, texts: str | Iterable[str] | None = None,
          out: str | Path | None = None, preset: str = "tinylm", size: str | None = None,
          config: PartialConfig | str | Path | None = None, force: bool = False, resume: bool = False, quiet: bool = False,
          **flags: Any) -> LanguageModel:
    """Trains a model on a text and writes its folder.

    Args:
        source: a path, or a built-in text: "hello", "python-reference", "python-stdlib".
        texts: strings instead of a source, each of them a document; a run that goes on needs them again.
        out: the model folder; by default runs/ and the name of the text.
        preset: "tinylm", "notebook", "gpt2", "llama", "qwen3".
        size: a name from config.SIZES, such as "0.8M"; by default what suits text and time.
        config: values by section, e.g. {"train": {"learning_rate": 1e-3}}; or the path of a TOML file with such.
        force: replace a model that is in `out`; it is kept as `out`.old.
        resume: go on with the run in `out` where it stopped. Of its settings only steps, epochs, minutes and target_loss may
            be given anew.
        quiet: print nothing.
        flags: as on the command line: tokenizer, documents, text_field, skip_bad, encoding, validation, minutes, ...

    Raises:
        TinyLMError: anything in the text or the choices that cannot work; nothing is written then. Or the disk is full:
            the run can be resumed.
    """
    chosen = merge_overrides(preset_name=preset, size_name=size, layers=(() if config is None else (config,)), **flags)
    console = tolerant_console(quiet=quiet)
    given = chosen_source(source, texts)
    if resume:
        return resume_run(given, chosen, out=out, console=console).lm
    if given is None:
        raise TypeError("train() needs a source or texts")
    return train_run(given, chosen, out=out, force=force, console=console).lm


def train_run(source: Given, chosen: PartialConfig, *, out: str | Path | None = None, force: bool = False,
              console: Console, started: float | None = None) -> RunResult:
    """`train` for the command line.

    Args:
        started: a reading of time.perf_counter, from which a run of minutes counts.
    """
    started = time.perf_counter() if started is None else started
    folder = run_folder(source, out)
    model_folder.check_free(folder, force=force)
    prepared = plan_run(source, chosen, log=lambda line: print_lines(console, [line]))
    print_lines(console, prepared.notes)
    run = _Runner(prepared, folder, console, started)
    with _with_resume_command(folder, console), ExitStack() as held:
        run.create(held, force=force)
        return run.go()


def resume_run(source: Given | None, chosen: PartialConfig, *, out: str | Path | None = None, console: Console,
               started: float | None = None) -> RunResult:
    """`train --resume` for the command line.

    Args:
        source: the text, or the run's folder where `out` is not given. None: the text is where it was.
    """
    started = time.perf_counter() if started is None else started
    if out is None and isinstance(source, str | Path) and (given_path(source) / model_folder.CONFIG).is_file():
        source, out = None, source
    if source is None and out is None:
        raise TinyLMError("which run is to go on?", where="--resume", remedy="Name its folder: --out RUN")
    folder = run_folder(source or "", out)
    with model_folder.locked(folder):
        setup, changes = load_setup(folder, chosen, source)
        with _with_resume_command(folder, console):
            run = _Runner(setup, folder, console, started)
            print_lines(console, [*run.resume(), *changes])
            model_folder.write_config(folder, setup.config)
            return run.go()


def run_folder(source: Given, out: str | Path | None) -> Path:
    """The folder that was asked for, else runs/ and the name of the text, as far as every system takes it."""
    if out is not None:
        return given_path(out)
    suffix = rf"(\.(txt|text|md|jsonl|ndjson|{'|'.join(kind[1:] for kind in PACKED)}))+$"
    path = Path("texts") if isinstance(source, Texts) else Path(os.path.abspath(given_path(source)))
    name = legal_name(re.sub(suffix, "", path.name, flags=re.I))
    return Path(model_folder.RUNS, "stdin" if str(source) == "-" else name or "model")


@contextmanager
def _with_resume_command(folder: Path, console: Console) -> Iterator[None]:
    """However the training ends, its owner is told how to go on."""
    going_on = command("train", "--resume", "--out", folder)
    try:
        yield
    except (OSError, SafetensorError) as error:
        raise TinyLMError(f"could not be written ({getattr(error, 'strerror', None) or error})", where=str(folder),
                          remedy=f"Make room there, then go on with: {going_on}") from None
    except TinyLMError as error:
        if not model_folder.has_checkpoints(folder) or "--resume" in error.remedy or "--force" in error.remedy:
            raise
        raise TinyLMError(error.what, where=error.where,
                          remedy=sentences(error.remedy, f"Then go on with: {going_on}")) from None
    except KeyboardInterrupt:
        print_lines(console, ["", "Left at once. To go on from the last checkpoint:"])
        print_commands(console, [going_on])
        raise


class _Runner:
    """The parts of one run, put together."""

    def __init__(self, setup: RunSetup, folder: Path, console: Console, started: float) -> None:
        self.setup, self.folder, self.console = setup, folder, console
        config, held_out = setup.config, setup.dataset.validation
        model = TinyLM(config.model, config.train.seed).to(setup.device)
        self.lm = LanguageModel(config, setup.tokenizer, model)
        self.lm.evaluator.training_corpus = setup.split.train.corpus if config.data.source in ("-", IN_MEMORY) else None
        self.judged = held_out or setup.dataset.train
        self.split = "validation" if held_out else "train"
        self.recorder = Recorder(folder, started)
        self.horizon = self._horizon(started)
        self.compute = setup.compute()
        self.backend = TrainingBackend(model, self.compute)
        self.controller = ScheduleController(config.train, self.horizon, setup.validations(),
                                             should_save=self.recorder.is_due)
        self.training = Training(model, make_optimizers(model, config.train, self.compute), setup.rows(), config.train,
                                 self.controller, self._validate if held_out else None, self.backend,
                                 self.recorder.load_last_good, self._save)
        self.doctor, self.remarks = Doctor(), list[Finding]()
        self.samples: list[Sampled] = []
        self.report: Report | None = None
        self.copies = CopyIndex(setup.split.train)
        self.is_new = True

    def _horizon(self, started: float, first: int = 0) -> StepHorizon | TimeHorizon:
        minutes, steps = self.setup.config.train.minutes, self.setup.steps
        if minutes is not None:
            return TimeHorizon(60 * minutes, started, finishing=FINISHING_SECONDS, most_steps=steps or math.inf)
        assert steps is not None
        return StepHorizon(steps, first)

    # ---- where it begins

    def create(self, held: ExitStack, *, force: bool) -> None:
        """The folder appears with its first checkpoint in it, so that there is always one to go on from; and locked, so
        that nobody comes between. The lock goes with it to its place, and is held as long as `held`."""
        with model_folder.new_folder(self.folder, force=force, keep_old=True) as temporary:
            model_folder.write_config(temporary, self.setup.config)
            self.setup.tokenizer.save(temporary / model_folder.TOKENIZER)
            self.recorder.folder = temporary
            with self.recorder:
                self.recorder.save(self.training)
            held.enter_context(model_folder.locked(temporary))
        self.recorder.folder = self.folder

    def resume(self) -> list[str]:
        """Back to the last checkpoint. Returns what is to be told."""
        state, seconds, remarks = self.recorder.resume()
        self.horizon = self.controller.horizon = self._horizon(self.recorder.started, state.numbers["step"])
        self.training.restore(state)
        events = [*read_events(self.folder / model_folder.METRICS), *read_events(self.folder / model_folder.SAMPLES)]
        self.is_new = not events
        for event in events:
            self._keep(event)
        return [*remarks, f"going on from step {self.training.step:,}, {duration(seconds)} into the run",
                *already_finished(self.setup, self.training.step, self.folder)]

    # ---- the way through

    def go(self) -> RunResult:
        finished: Finished | None = None
        with ExitStack() as stack:
            stack.enter_context(flush_denormals())
            stack.enter_context(self.compute.running())
            self.controller.should_stop = stack.enter_context(_stop_on_signals(self.console))
            stack.enter_context(self.recorder)
            self.display = self._display()
            with self.display.shown():
                for event in self._events():
                    finished = event if isinstance(event, Finished) else finished
                    self._publish(event)
                assert finished is not None
            if finished.reason == "not finite" and finished.best_loss is None:
                raise _never_finite(finished)
            self.lm.model.eval()
            return self._write(finished)

    def _events(self) -> Iterator[Event]:
        """Those of the training, saved on the way. What comes after the last save can be done again."""
        if self.is_new:
            yield self._began()
        yield from self.training.steps()
        self._save()
        yield from self.training.end()

    def _save(self) -> None:
        """Writes a checkpoint, and keeps time for two more at the end of a run of minutes."""
        self.recorder.save(self.training)
        if isinstance(self.horizon, TimeHorizon):
            self.horizon.finishing = FINISHING_SECONDS + 2 * self.recorder.save_seconds

    def _began(self) -> Began:
        config, train, held_out = self.setup.config.model, self.setup.dataset.train, self.setup.dataset.validation
        repeated = unknown = 0.0
        if held_out:
            width = stretch_tokens(held_out.n_tokens, held_out.n_bytes)
            repeated = repeated_share(train.ids, held_out.ids, width)
            unknown = unknown_share(held_out.ids, self.setup.tokenizer.unk_id)
        return Began(
            parameters=structure.total_parameters(config), vocab_size=config.vocab_size,
            context_length=config.context_length, train_tokens=train.n_tokens, train_bytes=train.n_bytes,
            validation_tokens=held_out.n_tokens if held_out else 0,
            validation_bytes=held_out.n_bytes if held_out else 0, baselines=self.setup.baselines.bits_per_byte,
            repeated=repeated, unknown=unknown, ngram_order=self.setup.baselines.ngram_order,
            padding_counted=self.setup.config.train.loss_on_padding,
            left_out_bits=self.setup.baselines.left_out.bits)

    def _publish(self, event: Event) -> None:
        for each in (event, *self._sampled(event)):
            self.recorder.write(each)
            self.display(each)
            for remark in self._keep(each):
                self.display.remark(remark)

    def _keep(self, event: Event) -> list[Finding]:
        if isinstance(event, Sampled):
            self.samples.append(event)
        remarks = self.doctor(event)
        self.remarks += remarks
        return remarks

    def _sampled(self, event: Event) -> Iterator[Sampled]:
        if isinstance(event, Validated):
            with without_dropout(self.lm.model):
                text = self.lm.generate("", max_tokens=SAMPLE_TOKENS, seed=event.step)
            copied = self.copies.measure(text)
            yield Sampled(event.step, "", text, copied.longest, copied.unit, copied.share)

    def _display(self) -> Display:
        part, left_out = self.setup.dataset.validation, self.setup.baselines.left_out
        return Display(self.console, self.horizon, (lambda loss: bits_per_byte(
            loss * part.n_tokens, part.n_bytes) + left_out.bits / max(1, part.n_bytes)) if part else None)

    # ---- judging and writing

    def _validate(self, should_stop: Callable[[], bool]) -> float:
        report = self._evaluate(should_stop)
        if self.training.best_loss is None or report.loss < self.training.best_loss:
            self.report = report  # of the weights that the training keeps
        return report.loss

    def _evaluate(self, should_stop: Callable[[], bool]) -> Report:
        return make_report(self.lm.model, self.judged, packing=self.setup.config.data.packing, split=self.split,
                           baselines=self.setup.baselines, should_stop=should_stop, backend=self.backend)

    def _evaluate_kept_weights(self, finished: Finished) -> None:
        """Where no validation of this process judged the weights that are kept. Who wants to leave waits no longer than
        for a quick one."""
        leave = time.perf_counter() + QUICK_SECONDS if finished.reason == "interrupted" else math.inf
        with suppress(Interrupted):
            self.report = self._evaluate(lambda: time.perf_counter() > leave)

    def _write(self, finished: Finished) -> RunResult:
        if self.report is None or self.report.loss != finished.best_loss:
            self._evaluate_kept_weights(finished)
        if self.report:
            self.report = replace(self.report, copying=self.lm.copying(self.copies))
        model_folder.write_weights(self.folder, self.lm.model)
        if self.report:
            write_atomically(self.folder / model_folder.CARD, self._card(self.report, finished))
        self.lm.folder = self.folder
        result = RunResult(self.lm, self.folder, self.report, finished, time.perf_counter() - self.recorder.started)
        parameters = structure.total_parameters(self.lm.config.model)
        print_lines(self.console, closing_lines(self.folder, parameters, result.seconds, finished, self.report))
        if finished.reason == "interrupted":
            print_lines(self.console, ["", "To go on with the training:"])
            print_commands(self.console, [command("train", "--resume", "--out", self.folder)])
        print_lines(self.console, ["", "Now try:"])
        print_commands(self.console, next_commands(self.folder, self._prompt(self.console.encoding)))
        return result

    def _prompt(self, encoding: str) -> str:
        return opening((piece.text for piece in self.setup.split.train.pieces()), self.setup.tokenizer, encoding)

    def _card(self, report: Report, finished: Finished) -> str:
        config = self.setup.config
        written = [each.text for each in self.samples if each.step == finished.best_step]
        return make_card(config, report, finished, name=self.setup.name, folder=self.folder,
                         version=tinylm.__version__, documents=self.setup.documents, samples=written,
                         remarks=[remark.sentence for remark in self.remarks],
                         command=config.command(repeat_folder(self.folder)), prompt=self._prompt("utf-8"))


def _never_finite(finished: Finished) -> TinyLMError:
    return TinyLMError(f"a number was not finite in step {finished.step + 1:,}, in {finished.where}, and there is no "
                       "earlier model to keep", where="training",
                       remedy="Try a lower learning rate, with --force: --set train.learning_rate=0.001 "
                              "--set train.muon_learning_rate=0.005")


@contextmanager
def _stop_on_signals(console: Console) -> Iterator[Callable[[], bool]]:
    """Within the block, the first Ctrl-C or SIGTERM asks the run to end in good order; a second Ctrl-C ends it now."""
    asked = threading.Event()

    def ask(number: int, _frame: object) -> None:
        if asked.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.set()
        print_lines(console, ["", "  Stopping after this step; press Ctrl-C again to leave at once."])

    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
