"""The doctor: reads the events of a run, and finds what is wrong with it, how that shows, and what would help.

The doctor says too little rather than too much: every limit was set so that healthy runs of all presets, sizes and
lengths get no finding (LOG.md, "The doctor's limits").
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from tinylm.text.units import bits_per_byte
from tinylm.training.diagnostics import messages
from tinylm.training.diagnostics.messages import Finding
from tinylm.training.diagnostics.statistics import LayerGradients, LossCurve, Validation
from tinylm.training.early_stopping import PATIENCE_VALIDATIONS, overfits
from tinylm.training.events import Began, Event, Finished, RolledBack, Stepped, Validated

__all__ = ["Doctor", "Finding", "examine"]

WARNING_PATIENCE = PATIENCE_VALIDATIONS - 2
"""Validations in a row that are worse than the best before the doctor speaks of overfitting: two earlier than early
stopping ends the run."""
FLAT_STEPS, FLAT_SHARE = 100, 0.01
"""A loss that fell by less than this share in so many steps after warm-up does not move."""
MIN_STEPS_TO_LEARN = 50
"""A run of fewer steps is no wonder if it has not learned enough."""
STILL_FALLING = 0.12
"""Share by which the validation loss falls in the last quarter of a run that was too short. Where the learning rate
decays to zero, as it does by default, 8.5% are healthy."""
OVERFITTING_GAP, UNLIKE_GAP = 0.5, 0.3
"""Shares of the validation loss by which the training loss lies below it: at the end of a run that learned its text by
heart, and in the first epoch where the two texts differ. Text that was read once cannot have been learned by heart."""
MIN_GAP_NATS = 0.2
"""Such a gap is at least so wide, in nats a token."""
NGRAM_MARGIN = 0.02
"""Bits a byte by which a model must be worse than n-grams to be called so."""
LONG_AGO = 0.75
"""Share of a run at which its best validation is long past: with a decaying learning rate it lies near the end."""
MAX_REPEATED, MAX_UNKNOWN = 0.2, 0.05
"""Shares of the validation text that may be repeated from the training text, or unknown, without a finding."""
MIN_TOKENS_PER_ENTRY, LARGE_VOCABULARY = 10.0, 512
"""Tokens of text for each entry of a large vocabulary; with fewer, most entries are hardly ever met."""
MIN_QUESTIONS, MAX_COMMONEST, MAX_LEFT_OUT = 100, 0.5, 0.02
"""Of conversations: questions from which on a model learns to answer; the share of one answer among all, and of
questions that do not fit into the context, without a finding."""
MAX_BITS_PER_BYTE = 10.0
"""Bits that it takes to name a token, for each byte of text in it. Bytes themselves take 8."""


def examine(events: Iterable[Event]) -> list[Finding]:
    """Collects all findings on a run, such as one read from metrics.jsonl.

    >>> from tinylm.training.events import RolledBack
    >>> [finding.topic for finding in examine([RolledBack(40, 35, "the loss", 0.5)])]
    ['not finite']
    """
    doctor = Doctor()
    return [finding for event in events for finding in doctor(event)]


class Doctor:
    """The doctor of one run. A call with each event of the run, in order, returns findings, mostly none."""

    def __init__(self) -> None:
        self._began: Began | None = None
        self._newest: Stepped | None = None
        self._curve, self._gradients = LossCurve(), LayerGradients()
        self._validations: list[Validation] = []
        self._peak = 0.0
        self._steps_after_warmup = 0
        self._said: dict[str, int] = {}

    @property
    def _is_fine_tuning(self) -> bool:
        return self._began is not None and self._began.is_fine_tuning

    def __call__(self, event: Event) -> list[Finding]:
        return [finding for finding in self._findings(event) if self._is_news(finding)]

    def _is_news(self, finding: Finding) -> bool:
        """True for a topic's first finding. A spike or an odd gradient is news again in a run twice as long; a number
        that is not finite, always."""
        before = self._said.get(finding.topic)
        comes_and_goes = finding.topic in ("spike", "gradient")
        if before is not None and finding.topic != "not finite" and not (comes_and_goes and finding.step >= 2 * before):
            return False
        self._said[finding.topic] = finding.step
        return True

    def _findings(self, event: Event) -> Iterator[Finding]:
        match event:
            case Began():
                self._began = event
                yield from _text(event)
            case Stepped():
                yield from self._stepped(event)
            case Validated():
                yield from self._validated(event)
            case RolledBack():
                self._validations = [each for each in self._validations if each.step <= event.to_step]
                yield messages.rolled_back(event, self._peak)
            case Finished():
                yield from self._finished(event)

    def _stepped(self, event: Stepped) -> Iterator[Finding]:
        if not math.isfinite(event.loss):  # a rollback, or the end, follows as an event of its own
            return
        self._newest = event
        self._steps_after_warmup = 0 if event.learning_rate > self._peak else self._steps_after_warmup + 1
        self._peak = max(self._peak, event.learning_rate)
        curve = self._curve
        curve.add(event.loss)
        self._gradients.add(event.layer_gradients)
        if curve.jumped:
            yield messages.spike(event.step, curve, self._peak)
        odd = self._gradients.odd()
        if odd is not None:
            yield messages.gradient(event.step, odd, self._peak)
        if self._steps_after_warmup == FLAT_STEPS and curve.usual > (1 - FLAT_SHARE) * curve.start:
            if curve.usual > (1 + FLAT_SHARE) * curve.start:
                yield messages.rose(event.step, curve, self._peak)
            elif not self._is_fine_tuning:  # a base may have known the text as well as it can
                yield messages.does_not_move(event.step, curve, self._peak)

    def _validated(self, event: Validated) -> Iterator[Finding]:
        epoch = self._newest.epoch if self._newest is not None else 0.0
        self._validations.append(Validation(event.step, event.loss, self._curve.level, epoch))
        if overfits([each.loss for each in self._validations], WARNING_PATIENCE):
            yield from self._overfitting()

    def _overfitting(self) -> Iterator[Finding]:
        """Yields a finding if the training loss falls on: where both losses rise, something else is wrong."""
        best, now = self._best(), self._validations[-1]
        if now.training_loss < best.training_loss:
            yield messages.overfitting(best, now, self._is_fine_tuning)

    def _best(self) -> Validation:
        return min(self._validations, key=lambda each: each.loss)

    def _best_long_ago(self, end: Finished) -> Validation | None:
        """The best validation, if it is long past and the training loss has fallen on since."""
        best, now = (self._best(), self._validations[-1]) if self._validations else (None, None)
        if best is None or now is None or best.step > LONG_AGO * end.step or now.training_loss >= best.training_loss:
            return None
        return best

    def _finished(self, event: Finished) -> Iterator[Finding]:
        if event.reason == "not finite":
            yield messages.ended_not_finite(event, self._peak)
            return
        if event.reason == "overfitting" and self._validations:
            yield from self._overfitting()
            yield messages.stopped_overfitting(event, self._best(), self._validations[-1])
        if self._validations and not (self._began is not None and self._began.padding_counted):
            yield from self._far_apart()
        if event.reason == "finished" and event.step >= MIN_STEPS_TO_LEARN and "overfitting" not in self._said:
            yield from self._underfitting(event)

    def _far_apart(self) -> Iterator[Finding]:
        """Yields a finding on a training loss far below the validation loss, whatever the latter did on the way."""
        now, fresh = self._validations[-1], [each for each in self._validations if each.epoch <= 1]
        if fresh and _is_gap(fresh[-1], UNLIKE_GAP):
            yield messages.unlike(fresh[-1], now)
        elif _is_gap(now, OVERFITTING_GAP):
            yield messages.large_gap(self._best(), now, self._is_fine_tuning)

    def _underfitting(self, event: Finished) -> Iterator[Finding]:
        began = self._began
        ngram = began.baselines.get("ngram") if began is not None else None
        if began is not None and ngram is not None and event.best_loss is not None:
            bits = bits_per_byte(event.best_loss * began.validation_tokens, began.validation_bytes)
            bits += began.left_out_bits / max(1, began.validation_bytes)
            if bits > ngram + NGRAM_MARGIN:
                yield messages.worse_than_counting(event, bits, ngram, self._best_long_ago(event), began.is_fine_tuning)
        before = [each for each in self._validations if 0.7 * event.step <= each.step <= 0.8 * event.step]
        if before and self._validations[-1].loss < (1 - STILL_FALLING) * before[0].loss:
            yield messages.still_falling(event, before[0], self._validations[-1], self._is_fine_tuning)


def _is_gap(validation: Validation, share: float) -> bool:
    return validation.gap >= share and validation.loss - validation.training_loss >= MIN_GAP_NATS


def _conversations(began: Began) -> Iterator[Finding]:
    if began.questions < MIN_QUESTIONS:
        yield messages.few_questions(began)
    elif began.commonest_answer >= MAX_COMMONEST:
        yield messages.same_answers(began)
    if began.questions_left_out > MAX_LEFT_OUT * (began.questions + began.questions_left_out):
        yield messages.questions_too_long(began)


def _text(began: Began) -> Iterator[Finding]:
    """Yields findings on a text and its tokenizer, before the first step."""
    if began.repeated >= MAX_REPEATED:
        yield messages.repeated(began)
    if began.unknown >= MAX_UNKNOWN:
        yield messages.unknown(began)
    few_tokens = began.train_tokens < MIN_TOKENS_PER_ENTRY * began.vocab_size
    if began.vocab_size > LARGE_VOCABULARY and few_tokens and not began.is_fine_tuning:  # a base has met them before
        yield messages.rarely_met(began)
    if began.questions:
        yield from _conversations(began)
        return
    for split, n_bytes, n_tokens in (("training", began.train_bytes, began.train_tokens),
                                     ("validation", began.validation_bytes, began.validation_tokens)):
        if n_tokens and math.log2(max(1, began.vocab_size)) * n_tokens > MAX_BITS_PER_BYTE * n_bytes:
            yield messages.wasteful(began, split, n_bytes / n_tokens)
