"""The terminal's view of a training run: a reader of its events, in a terminal, a notebook or a log file."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from tinylm.config.schema import DataConfig
from tinylm.errors import command
from tinylm.evaluation.report import Report
from tinylm.reports.sentences import (
    baseline_label,
    bits_comparison,
    cautions,
    describe_answers,
    describe_entropy,
    describe_overlap,
    rounded,
    verdict,
    without_entropy,
    wrong_answers,
)
from tinylm.system.untrusted import LINE_END, escape_control_codes, replace_control_codes
from tinylm.text.opening import without_cut_word
from tinylm.training.diagnostics.doctor import Finding
from tinylm.training.events import Began, Event, Finished, Sampled, Stepped, Validated
from tinylm.training.schedule import Horizon


def on_one_line(text: str, most: int = 160) -> str:
    """A text of a model on one line: a mark stands for every line end, of whatever kind, with the space around it."""
    line = re.sub(rf"\s*(?:{LINE_END.pattern})\s*", " ↵ ", replace_control_codes(text).strip())
    return line if len(line) <= most else line[:most - 1] + "…"


def duration(seconds: float) -> str:
    """`48 s`, `3 min 05 s`, `2 h 10 min`."""
    if not math.isfinite(seconds):
        return "–"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


class Display:
    """Prints a line a validation (or a tenth of the run, where there is none), under it a sample, and below all of it
    a bar with what is going on now. A log file gets the lines alone.

    Args:
        bits_per_byte: makes bits a byte of a validation loss.
        data: of the text.
    """

    def __init__(self, console: Console, horizon: Horizon, bits_per_byte: Callable[[float], float] | None,
                 data: DataConfig) -> None:
        self.console, self.horizon, self.bits_per_byte, self.data = console, horizon, bits_per_byte, data
        self._loss = math.nan
        self._tokens, self._since, self._tokens_then = 0, time.perf_counter(), 0
        self._rate = math.nan
        self._next_line = 0.1
        self._progress = Progress(
            TextColumn("  ", markup=False), BarColumn(bar_width=28),
            TextColumn("{task.percentage:>3.0f}%  {task.description}", markup=False),
            console=console, transient=True, refresh_per_second=4, disable=not console.is_terminal)
        self._task: TaskID | None = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        with self._progress:
            self._task = self._progress.add_task("", total=1.0)
            yield

    def __call__(self, event: Event) -> None:
        if isinstance(event, Stepped):
            self._stepped(event)
        elif isinstance(event, Validated):
            self._validated(event)
        elif isinstance(event, Began):
            self._began(event)
        elif isinstance(event, Sampled):
            self._sampled(event)
        elif isinstance(event, Finished):
            self._progress.stop()

    def remark(self, remark: Finding) -> None:
        print_lines(self.console, [Text.assemble("  ", ("!", "yellow"), f" {escape_control_codes(remark.sentence)}")])

    def _began(self, event: Began) -> None:
        """Prints the baselines that the model has to beat, best first. (Without a validation text there are none.)"""
        if event.validation_tokens:
            beat = sorted(without_entropy(event.baselines).items(), key=lambda item: item[1])
            baselines = ", ".join(f"{baseline_label(name, event.ngram_order)} {bits:.3f}" for name, bits in beat)
            print_lines(self.console, [f"to beat    in bits a byte: {baselines}"])

    def _sampled(self, event: Sampled) -> None:
        copied = f"  ({event.longest_copied} {event.copied_unit} copied)" if event.copied_share > 0 else ""
        width = (self.console.width - 8 if self.console.is_terminal else 160) - len(copied)
        text = without_cut_word(event.text, self.data) if not event.prompt else (
            event.prompt + (" → " if self.data.chat_format else "") + event.text)
        line = on_one_line(text, width)
        self.console.print(Text.assemble("      ", (line, "dim"), (copied, "yellow")), soft_wrap=True)

    def _stepped(self, event: Stepped) -> None:
        self._loss = event.loss if math.isnan(self._loss) else 0.9 * self._loss + 0.1 * event.loss
        now, self._tokens = time.perf_counter(), event.tokens_seen
        if now - self._since > 1:
            self._rate = (event.tokens_seen - self._tokens_then) / (now - self._since)
            self._since, self._tokens_then = now, event.tokens_seen
        progress = self.horizon.progress(event.step)
        if self._task is not None:
            rate = "" if math.isnan(self._rate) else f"  {self._rate:,.0f} tokens/s"
            self._progress.update(self._task, completed=progress, description=(
                f"step {event.step:,}  loss {self._loss:.3f}{rate}  {duration(self.horizon.time_left(event.step))} left"
            ))
        if self.bits_per_byte is None and progress >= self._next_line - 1e-9:
            self._next_line += 0.1
            self.console.print(Text(f"  epoch {event.epoch:,.0f}  step {event.step:,}  loss {event.loss:.4f}"))

    def _validated(self, event: Validated) -> None:
        bits = f"  {self.bits_per_byte(event.loss):.3f} bits a byte" if self.bits_per_byte else ""
        best = ("best", "green") if event.best else ("not better", "yellow")
        trained = f"step {event.step:>6,}  loss {self._loss:.3f}" if event.step else f"{'the base':<23}"
        self.console.print(Text.assemble(f"  {trained}  validation {event.loss:.4f}{bits}  ", best))
        self._since, self._tokens_then = time.perf_counter(), self._tokens  # validation is not training time


_ENDINGS = {
    "interrupted": "Stopped early, as asked. ",
    "until": "Reached the loss that was asked for. ",
    "overfitting": "Stopped early: it was overfitting, learning its text by heart. ",
    "not finite": "A number was not finite, even at a lower learning rate, so the run was ended. ",
}


def print_result(console: Console, folder: Path, parameters: int, seconds: float, finished: Finished,
                 report: Report | None, *, prompt: str) -> None:
    """Prints how a run ended, where its model is, how good the model is, and what to type next.

    Args:
        prompt: words of the text, to try the model with.
    """
    print_lines(console, closing_lines(folder, parameters, seconds, finished, report))
    if finished.reason == "interrupted":
        print_lines(console, ["", "To go on with the training:"])
        print_commands(console, [command("train", "--resume", "--out", folder)])
    print_lines(console, ["", "Now try:"])
    print_commands(console, next_commands(folder, prompt, is_chat=bool(report and report.answers)))


def closing_lines(folder: Path, parameters: int, seconds: float, finished: Finished,
                  report: Report | None) -> list[str | Text]:
    """Lines that say how a run ended, where its model is and how good the model is."""
    weights = f"weights of step {finished.best_step:,}"
    if report and "base" in report.baselines and not finished.best_step:
        weights = "none of which was better than the base on the text held out: these are its weights"
    made = f"{duration(seconds)} ({finished.step:,} steps, {weights})"
    end = Text.assemble(_ENDINGS.get(finished.reason, ""), (escape_control_codes(folder), "bold"),
                        f" holds a model of {parameters:,} parameters, made in {made}.")
    return ["", end, *(_quality_lines(report) if report else [])]


def _quality_lines(report: Report) -> list[str]:
    """Sentences that say how good the model is."""
    beside = ", ".join(f"{name} {rounded(value, 2)}" for name, value in bits_comparison(report))
    return [f"On the {report.split} text: loss {rounded(report.loss, 4)} nats a token, "
            f"{rounded(report.bits_per_byte, 3)} bits a byte.",
            *(f"Note: {caution}." for caution in cautions(report)),
            f"That is {verdict(report)}.", *describe_entropy(report), f"In bits a byte, less is better: {beside}.",
            *([f"{describe_answers(report.answers).capitalize()}.", *(
                f"  {line}" for line in wrong_answers(report.answers, 3))] if report.answers else []),
            *([f"Of {'its answers' if report.answers else 'a few texts that it wrote'}, "
               f"{describe_overlap(report.copying)[0]}."] if report.copying else [])]


def next_commands(folder: Path, prompt: str, *, is_chat: bool = False) -> Iterator[str]:
    """Commands that a person can type next, each as it stands."""
    if is_chat:
        yield command("chat", folder)
        yield command("evaluate", folder)
    else:
        for name in ("generate", "predict"):
            yield command(name, folder, text=prompt)
    yield command("inspect", folder)


def print_lines(console: Console, lines: Iterable[str | Text]) -> None:
    """Whole lines for a file or a program, wrapped between words for a terminal. Strings may hold names and texts of
    anybody: they are no markup, and drive no terminal."""
    for line in lines:
        console.print(line if isinstance(line, Text) else Text(escape_control_codes(line)),
                      soft_wrap=not console.is_terminal)


def print_commands(console: Console, commands: Iterable[str]) -> None:
    """Commands to be copied, each on a line of its own that is never broken."""
    for each in commands:
        console.print(Text(f"  {escape_control_codes(each)}"), soft_wrap=True)
