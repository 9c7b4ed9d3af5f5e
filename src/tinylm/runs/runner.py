"""The runner of one training run: it trains, records, shows and validates, and writes the model folder."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from torch import Tensor

import tinylm
from tinylm import model_folder
from tinylm.chat.corpus import conversations_of
from tinylm.errors import TinyLMError
from tinylm.evaluation.answers import ask, questions_of
from tinylm.evaluation.evaluator import COPYING_SAMPLES, COPYING_TOKENS
from tinylm.evaluation.memorization import CopyIndex
from tinylm.evaluation.overlap import repeated_share, stretch_tokens, unknown_share
from tinylm.evaluation.report import Baselines, Report, make_report
from tinylm.inspection import structure
from tinylm.lm import LanguageModel
from tinylm.model.dropout import without_dropout
from tinylm.model.tensors import weights_of
from tinylm.model.threads import flush_denormals
from tinylm.planning.forecast import SAMPLE_TOKENS
from tinylm.planning.setup import RunSetup
from tinylm.reports.history import read_events
from tinylm.reports.model_card import make_card, repeat_folder
from tinylm.reports.plan_lines import describe_documents
from tinylm.reports.terminal import Display, duration, print_result
from tinylm.runs.assembly import assemble, first_model
from tinylm.runs.ranks import EVALUATE, TRAIN, VALIDATE_START, lead
from tinylm.runs.recorder import Recorder
from tinylm.runs.resume import already_finished
from tinylm.runs.stopping import stop_requested
from tinylm.runs.weights import write_adapted
from tinylm.system.files import write_atomically
from tinylm.system.paths import IN_MEMORY
from tinylm.text.dataset import Part
from tinylm.text.opening import opening
from tinylm.text.split import Slice
from tinylm.text.units import bits_per_byte
from tinylm.training.controller import ScheduleController
from tinylm.training.diagnostics.doctor import Doctor, Finding
from tinylm.training.evaluate import Interrupted
from tinylm.training.events import Began, Event, Finished, Sampled, Validated
from tinylm.training.loop import QUICK_SECONDS
from tinylm.training.schedule import StepHorizon, TimeHorizon

FINISHING_SECONDS = 0.7
"""Kept free at the end of a run of minutes for writing the folder and leaving."""
LAST_TOKENS = SAMPLE_TOKENS + COPYING_SAMPLES * COPYING_TOKENS
"""Tokens that a run writes after its last step."""
SAMPLED_QUESTIONS, JUDGED_QUESTIONS = 4, 100
"""Questions that a chat model is asked after each validation, and at the end of its run."""


@dataclass
class RunResult:
    """The result of a run. `report` is None if the run was stopped before its model could be evaluated."""

    lm: LanguageModel
    folder: Path
    report: Report | None
    finished: Finished
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """The result as `tinylm train --json` prints it."""
        return {"folder": str(self.folder), "seconds": round(self.seconds, 2), **asdict(self.finished),
                "report": self.report.to_dict() if self.report else None,
                "parameters": structure.total_parameters(self.lm.config.model)}


class Runner:
    """The parts of one run, put together.

    Args:
        folder: the model folder of the run.
        started: a reading of time.perf_counter, from which a run of minutes counts.
    """

    def __init__(self, setup: RunSetup, folder: Path, console: Console, started: float) -> None:
        self.setup, self.folder, self.console = setup, folder, console
        config, data, compute, self.world = setup.config, setup.data, setup.compute, setup.compute.world
        model = first_model(config, setup.weights, compute)
        self.lm = LanguageModel(config, data.tokenizer, model)
        self.lm.evaluator.training_corpus = data.corpus if config.data.source in ("-", IN_MEMORY) else None
        self.recorder = Recorder(folder, started, self._publish_weights)
        self.horizon = self._horizon(started)
        self.controller = ScheduleController(config.train, self.horizon, setup.n_validations,
                                             should_save=self.recorder.is_due)
        self.backend, self.validator, self.training = assemble(
            config, data.dataset, setup.rows, compute, model, setup.weights, self.controller,
            load_last_good=lambda: self.world.share_state(self.recorder.load_last_good()), save=self._save)
        self.doctor, self.findings = Doctor(), list[Finding]()
        self.samples: list[Sampled] = []
        self.sample_seconds: list[float] = []
        """Seconds that each sample took."""
        self.best: tuple[float, int] | None = None
        """The summed loss in nats of the weights that the training keeps, and its number of tokens."""
        self.baselines = data.baselines
        """Of the evaluated text. Those of a fine-tuned model have the base from the first event on."""
        self.copies = CopyIndex(data.split.train)
        self.questions = questions_of(conversations_of(self._evaluated_text()), JUDGED_QUESTIONS)
        self.is_new = True

    def _horizon(self, started: float, first: int = 0) -> StepHorizon | TimeHorizon:
        minutes, steps = self.setup.config.train.minutes, self.setup.n_steps
        if minutes is not None:
            return TimeHorizon(60 * minutes, started, finishing=FINISHING_SECONDS, most_steps=steps or math.inf)
        assert steps is not None
        return StepHorizon(steps, first)

    # ---- where it begins

    def create(self, held: ExitStack, *, force: bool) -> None:
        """Makes the folder. It appears with its first checkpoint in it, so that there is always one to resume from; and
        locked, so that nobody comes between; the lock is held as long as `held`."""
        with model_folder.new_folder(self.folder, force=force, keep_old=True, held=held) as temporary:
            model_folder.write_config(temporary, self.setup.config)
            self.setup.data.tokenizer.save(temporary / model_folder.TOKENIZER)
            self.recorder.folder = temporary
            with self.recorder:
                self.recorder.save(self.training)
        self.recorder.folder = self.folder

    def resume(self) -> list[str]:
        """Goes back to the last checkpoint. Returns lines for people."""
        state, seconds, lines = self.recorder.resume()
        self.horizon = self.controller.horizon = self._horizon(self.recorder.started, state.numbers["step"])
        self.training.restore(state)
        events = [*read_events(self.folder / model_folder.METRICS), *read_events(self.folder / model_folder.SAMPLES)]
        self.is_new = not events
        for event in events:
            self._keep(event)
        return [*lines, f"going on from step {self.training.step:,}, {duration(seconds)} into the run",
                *already_finished(self.setup, self.training.step, self.folder)]

    # ---- the way through

    def run(self) -> RunResult:
        """Trains to the end of the run, and writes the model."""
        finished: Finished | None = None
        with ExitStack() as stack:
            stack.enter_context(flush_denormals())
            stack.enter_context(self.setup.compute.running())
            self.controller.should_stop = stack.enter_context(stop_requested(self.folder, self.console))
            stack.enter_context(self.recorder)
            lead(self.setup, self.folder, self.world)
            self.world.share_state(self.training.state())
            self.display = self._display()
            with self.display.shown():
                for event in self._events():
                    finished = event if isinstance(event, Finished) else finished
                    self._publish(event)
                assert finished is not None
            if finished.reason == "not finite" and finished.best_loss is None:
                raise _never_finite(finished)
            self.backend.write_weights()
            self.lm.model.eval()
            result = self._write(finished)
            self.world.share("")  # no more orders
            return result

    def _events(self) -> Iterator[Event]:
        """Yields the events of the training, and saves on the way. What comes after the last save can be done again."""
        if self.is_new:
            yield from self._first_events()
        self.world.share(TRAIN)
        yield from self.training.steps()
        self._save()
        yield from self.training.end()

    def _save(self) -> None:
        """Writes a checkpoint, and keeps time for two more at the end of a run of minutes, and for the texts that the
        model writes there."""
        self.recorder.save(self.training)
        self._reserve_finishing()

    def _reserve_finishing(self) -> None:
        """Keeps time for the end of a run of minutes, by the quickest sample so far: one that other programs held up
        must not take the time of the steps."""
        samples = JUDGED_QUESTIONS / SAMPLED_QUESTIONS if self.questions else LAST_TOKENS / SAMPLE_TOKENS
        writing = samples * min(self.sample_seconds, default=0.0)
        self.horizon.reserve_finishing(FINISHING_SECONDS + 2 * self.recorder.save_seconds + writing)

    def _first_events(self) -> Iterator[Event]:
        """Yields the facts of the run, and the validation of its base. Nothing, if the run is asked to stop before the
        base was evaluated: resumed, it begins again."""
        if not self.setup.config.base.folder:
            yield self._began(self.baselines)
            return
        if self.training.validate:
            self.world.share(VALIDATE_START)
            validated = list(self.training.validate_start())
            evaluated = bool(validated)
        else:
            validated = []
            evaluated = self._evaluate_now(self.controller.stop_requested)
        if evaluated:
            yield self._began(self.baselines.with_base(*self.validator.result, self._evaluated_part().n_bytes))
            yield from validated

    def _began(self, baselines: Baselines) -> Began:
        config = self.setup.config
        train, held_out = self.setup.data.dataset.train, self.setup.data.dataset.validation
        repeated = unknown = 0.0
        if held_out:
            width = stretch_tokens(held_out.n_tokens, held_out.n_bytes)
            repeated = repeated_share(train.ids, held_out.ids, width)
            unknown = unknown_share(held_out.ids, self.lm.tokenizer.unk_id)
        return Began(
            parameters=structure.total_parameters(config.model), vocab_size=config.model.vocab_size,
            context_length=config.model.context_length, train_tokens=train.n_tokens, train_bytes=train.n_bytes_read,
            validation_tokens=held_out.n_targets if held_out else 0,
            validation_bytes=held_out.n_bytes if held_out else 0, baselines=baselines.bits_per_byte,
            repeated=repeated, unknown=unknown, ngram_order=baselines.ngram_order,
            padding_counted=config.train.loss_on_padding, left_out_bits=baselines.left_out.bits, **self._questions())

    def _questions(self) -> dict[str, Any]:
        """The facts of the conversations to train on; none of a text."""
        answers = Counter(message.content for conversation in conversations_of(self.setup.data.split.train)
                          for message in conversation if message.role == "assistant")
        if not answers:
            return {}
        left_out = self.setup.data.too_long.exchanges
        return {"questions": answers.total() - left_out, "questions_left_out": left_out,
                "commonest_answer": max(answers.values()) / answers.total()}

    def _publish(self, event: Event) -> None:
        if isinstance(event, Validated) and event.best:
            self.best = self.validator.result
        for each in (event, *self._sampled(event)):
            self.recorder.write(each)
            self.display(each)
            for finding in self._keep(each):
                self.display.remark(finding)

    def _keep(self, event: Event) -> list[Finding]:
        if isinstance(event, Sampled):
            self.samples.append(event)
        if isinstance(event, Began):
            self.baselines = replace(self.baselines, bits_per_byte=event.baselines)
        findings = self.doctor(event)
        self.findings += findings
        return findings

    def _sampled(self, event: Event) -> Iterator[Sampled]:
        if isinstance(event, Validated):
            began = time.perf_counter()
            with without_dropout(self.lm.model):
                prompt, text = self._sample(event.step)
            self.sample_seconds.append(time.perf_counter() - began)
            self.horizon.count_sampling(min(self.sample_seconds))
            self._reserve_finishing()
            copied = self.copies.measure(text)
            yield Sampled(event.step, prompt, text, copied.longest, copied.unit, copied.share)

    def _sample(self, step: int) -> tuple[str, str]:
        """A text of the model as it is; of a chat model, a question held out and the answer. A different question is
        shown after each validation, and each time as many are asked, since all are asked together at the end."""
        if not self.questions:
            return "", self.lm.generate("", max_tokens=SAMPLE_TOKENS, seed=step)
        first = len(self.samples)
        asked = [self.questions[(first + number) % len(self.questions)] for number in range(SAMPLED_QUESTIONS)]
        return asked[0].text, ask(self.lm, asked)[0].text

    def _display(self) -> Display:
        part, left_out = self.setup.data.dataset.validation, self.setup.data.baselines.left_out
        n_targets = part.n_targets if part else 0
        return Display(self.console, self.horizon, (lambda loss: bits_per_byte(
            loss * n_targets, part.n_bytes) + left_out.bits / max(1, part.n_bytes)) if part else None,
                       self.setup.config.data)

    # ---- evaluating and writing

    def _evaluated_part(self) -> Part:
        """The text held out; or the one that was trained on, where there is none."""
        dataset = self.setup.data.dataset
        return dataset.validation or dataset.train

    def _evaluated_text(self) -> Slice:
        split = self.setup.data.split
        return split.validation or split.train

    def _evaluate_now(self, should_stop: Callable[[], bool]) -> bool:
        """Evaluates the weights as they are. False if `should_stop()` became true before the end."""
        self.world.share(EVALUATE)
        with suppress(Interrupted):
            self.validator(should_stop)
            return True
        return False

    def _evaluate_kept_weights(self, finished: Finished) -> None:
        """Evaluates the kept weights where no validation of this process did. A person who wants to leave waits no
        longer than for a quick evaluation."""
        leave = time.perf_counter() + QUICK_SECONDS if finished.reason == "interrupted" else math.inf
        if self._evaluate_now(lambda: time.perf_counter() > leave):
            self.best = self.validator.result

    def _report(self, finished: Finished) -> Report | None:
        if self.best is None or self.best[0] / max(1, self.best[1]) != finished.best_loss:
            self._evaluate_kept_weights(finished)
        if self.best is None:
            return None
        split = "validation" if self.setup.data.dataset.validation else "train"
        report = make_report(*self.best, self._evaluated_part().n_bytes, split=split, baselines=self.baselines)
        return self.lm.evaluator.with_writing(report, self._evaluated_text(), self.copies, JUDGED_QUESTIONS)

    def _write(self, finished: Finished) -> RunResult:
        report = self._report(finished)
        self._write_weights()
        if report:
            write_atomically(self.folder / model_folder.CARD, self._card(report, finished))
        self.lm.folder = self.folder
        self.lm.generator.model.freeze()
        result = RunResult(self.lm, self.folder, report, finished, time.perf_counter() - self.recorder.started)
        print_result(self.console, self.folder, structure.total_parameters(self.lm.config.model), result.seconds,
                     finished, report, prompt=self._prompt(self.console.encoding))
        return result

    def _write_weights(self) -> None:
        if self.setup.config.base.lora:
            write_adapted(self.setup, self.folder, dict(self.training.model.named_parameters()))
        else:
            model_folder.write_weights(self.folder, weights_of(self.lm.model))

    def _publish_weights(self, folder: Path, checkpoint: Path, parameters: Mapping[str, Tensor]) -> None:
        """Makes parameters of a checkpoint the folder's model. Raises: OSError: a file cannot be written."""
        if self.setup.config.base.lora:
            write_adapted(self.setup, folder, parameters)
        else:
            model_folder.link_weights(folder, checkpoint)

    def _prompt(self, encoding: str) -> str:
        pieces = self.setup.data.split.train.pieces()
        return opening((piece.text for piece in pieces), self.lm.tokenizer, encoding)

    def _card(self, report: Report, finished: Finished) -> str:
        config, corpus = self.setup.config, self.setup.data.corpus
        written = [each.text for each in self.samples if each.step == finished.best_step]
        return make_card(config, report, finished, name=corpus.name, folder=self.folder,
                         version=tinylm.__version__, documents=describe_documents(corpus), samples=written,
                         remarks=[finding.sentence for finding in self.findings],
                         command=config.command(repeat_folder(self.folder)), prompt=self._prompt("utf-8"))


def _never_finite(finished: Finished) -> TinyLMError:
    return TinyLMError(f"a number was not finite in step {finished.step + 1:,}, in {finished.where}, and there is no "
                       "earlier model to keep", where="training",
                       remedy="Try a lower learning rate, with --force: --set train.learning_rate=0.001 "
                              "--set train.muon_learning_rate=0.005")
