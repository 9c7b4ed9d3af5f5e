"""The messages of the doctor: each finding in words, with its evidence and a remedy. doctor.py decides on findings."""

from __future__ import annotations

from dataclasses import dataclass

from tinylm.training.diagnostics.statistics import LossCurve, OddGradient, Validation
from tinylm.training.events import Began, Finished, RolledBack


@dataclass(frozen=True)
class Finding:
    """A finding of the doctor.

    Attributes:
        step: the step after which it was found; 0 before the first.
        topic: "overfitting", "underfitting", "unlike", "loss", "spike", "gradient", "not finite", "stopped", "repeated"
            "tokenizer" or "questions".
        text: what is wrong and how it shows, a sentence without its full stop.
        remedy: what would help, likewise.
    """

    step: int
    topic: str
    text: str
    remedy: str

    @property
    def sentence(self) -> str:
        """Step, text and remedy in one line.

        >>> Finding(20, "loss", "the loss does not move", "Raise the learning rate").sentence
        'Step 20: the loss does not move. Raise the learning rate.'
        """
        when = f"Step {self.step:,}: " if self.step else ""
        return f"{when}{self.text}. {self.remedy}."


# ---- the text

def repeated(began: Began) -> Finding:
    return Finding(
        0, "repeated",
        f"{began.repeated:.0%} of the validation text stands word for word in the training text, so its loss is better "
        "than it would be on new text",
        "Judge on other text, with --validation FILE, or take out what the text repeats")


def unknown(began: Began) -> Finding:
    return Finding(
        0, "tokenizer",
        f"{began.unknown:.0%} of the tokens of the validation text are unknown to the tokenizer; <unk> is easy to "
        "predict, so the loss says little",
        "A base whose tokenizer is bpe, which knows every text, or none: --from none" if began.is_fine_tuning else
        "A tokenizer that knows every text: --tokenizer bpe")


def rarely_met(began: Began) -> Finding:
    return Finding(
        0, "tokenizer",
        f"the vocabulary has {began.vocab_size:,} entries, but the text is {began.train_tokens:,} tokens long: each is "
        f"met {began.train_tokens / began.vocab_size:.1f} times on average, too rarely to be learned",
        "A smaller vocabulary: --tokenizer char, or --tokenizer bpe --vocab-size 512")


def wasteful(began: Began, split: str, bytes_per_token: float) -> Finding:
    return Finding(
        0, "tokenizer",
        f"a token stands for only {bytes_per_token:.2f} bytes of the {split} text, little for a vocabulary of "
        f"{began.vocab_size:,} entries: it suits other text",
        "A base whose tokenizer suits it, or none: --from none" if began.is_fine_tuning else
        "Another tokenizer: --tokenizer auto chooses by the text")


# ---- conversations

def few_questions(began: Began) -> Finding:
    return Finding(
        0, "questions",
        f"{began.questions:,} questions are few to learn from: the model will know their answers by heart at best, and "
        "not what a question is",
        "Some hundred questions, each asked in several ways; and a base that has read more: --from english")


def same_answers(began: Began) -> Finding:
    return Finding(
        0, "questions",
        f"{began.commonest_answer:.0%} of the answers are one and the same, so to give it always is nearly right",
        "Take out most of the questions that have this answer")


def questions_too_long(began: Began) -> Finding:
    return Finding(
        0, "questions",
        f"{began.questions_left_out:,} questions do not fit with their answers into the context of "
        f"{began.context_length:,} tokens, and are left out",
        "Shorten them, or take a longer context: --set model.context_length=N")


# ---- the curves

def does_not_move(step: int, curve: LossCurve, learning_rate: float) -> Finding:
    return Finding(
        step, "loss", f"the loss does not move: it began at {curve.start:.3f} and is {curve.usual:.3f} now",
        f"Raise the learning rate tenfold: {_set_learning_rate(10 * learning_rate)}; if that changes nothing, see "
        "whether there is anything to learn in the text")


def rose(step: int, curve: LossCurve, learning_rate: float) -> Finding:
    return Finding(
        step, "loss",
        f"the loss is higher than at the start: it began at {curve.start:.3f} and is {curve.usual:.3f} now",
        _lower(learning_rate).capitalize())


def spike(step: int, curve: LossCurve, learning_rate: float) -> Finding:
    return Finding(
        step, "spike", f"the loss has jumped from {curve.usual:.3f} to {curve.level:.3f} within a few steps",
        f"If it does not come back by itself, {_lower(learning_rate)}")


def gradient(step: int, odd: OddGradient, learning_rate: float) -> Finding:
    numbers = f"in {odd.layer}: its norm is {odd.norm:.2g}, that {odd.compared_with} {odd.usual:.2g}"
    if odd.explodes:
        return Finding(
            step, "gradient", f"the gradient explodes {numbers}",
            f"{_lower(learning_rate).capitalize()}, and clip gradients where that is off: --set train.grad_clip=1")
    return Finding(
        step, "gradient", f"the gradient vanishes {numbers}, so this layer hardly learns",
        "Fewer layers (--set model.n_layers=N), or the wiring that lets gradients through: "
        "--set model.norm_position=pre --set model.init=scaled")


def overfitting(best: Validation, now: Validation, is_fine_tuning: bool = False) -> Finding:
    return Finding(
        now.step, "overfitting",
        f"the model is overfitting: it learns the text by heart, having read it {now.epoch:.0f} times by now; since "
        f"step {best.step:,} the training loss has fallen from {best.training_loss:.3f} to {now.training_loss:.3f}, "
        f"but the validation loss has risen from {best.loss:.3f} to {now.loss:.3f}",
        _kept(best, is_fine_tuning))


def large_gap(best: Validation, now: Validation, is_fine_tuning: bool = False) -> Finding:
    return Finding(
        now.step, "overfitting",
        f"the model is overfitting: it learns the text by heart, having read it {now.epoch:.0f} times by now; the "
        f"training loss ended at {now.training_loss:.3f}, and the validation loss at {now.loss:.3f}",
        _kept(best, is_fine_tuning))


def _kept(best: Validation, is_fine_tuning: bool) -> str:
    size = "" if is_fine_tuning else " a smaller --size,"
    return (f"The weights of step {best.step:,} are kept; better ones need more text,{size} or a higher "
            "train.weight_decay or model.dropout than config.json has")


def unlike(fresh: Validation, now: Validation) -> Finding:
    ended = f"; they ended at {now.training_loss:.3f} and {now.loss:.3f}" if now.step > fresh.step else ""
    return Finding(
        now.step, "unlike",
        f"the validation text is unlike the training text: at step {fresh.step:,}, before any text was read twice, the "
        f"training loss was {fresh.training_loss:.3f} and the validation loss {fresh.loss:.3f}{ended}",
        "Judge on text of the same kind, with --validation FILE; without it the end of the text is held out")


def stopped_overfitting(finished: Finished, best: Validation, now: Validation) -> Finding:
    return Finding(
        finished.step, "stopped",
        f"early stopping ended the run: at step {best.step:,} the validation loss was {best.loss:.3f} "
        f"and now it is {now.loss:.3f}",
        f"Nothing is lost, for the weights of step {best.step:,} are kept; more text would be worth more training")


def worse_than_counting(finished: Finished, bits: float, ngram: float, best: Validation | None,
                        is_fine_tuning: bool = False) -> Finding:
    """A model that is worse than n-grams.

    Args:
        bits, ngram: of the model and of the n-grams, in bits a byte.
        best: a validation long before the end, after which none was better though the training loss fell on.
    """
    more_text = "" if best is None else (
        f"More text: the validation loss has been no better since step {best.step:,}, and more time alone will not "
        "help")
    return Finding(
        finished.step, "underfitting",
        f"the model has not learned enough yet: {bits:.2f} bits a byte, where counting n-grams reaches {ngram:.2f}",
        more_text or _longer(is_fine_tuning))


def still_falling(finished: Finished, before: Validation, now: Validation, is_fine_tuning: bool = False) -> Finding:
    return Finding(
        finished.step, "underfitting",
        f"the run ended while it was learning fast: the validation loss fell from {before.loss:.3f} at step "
        f"{before.step:,} to {now.loss:.3f} at step {now.step:,}",
        _longer(is_fine_tuning))


def _longer(is_fine_tuning: bool) -> str:
    larger = "a larger base" if is_fine_tuning else "a larger --size"
    return f"More time, with --minutes; and once that no longer helps, {larger}"


# ---- numbers that are not finite

def rolled_back(event: RolledBack, learning_rate: float) -> Finding:
    return Finding(
        event.step, "not finite",
        f"a number was not finite in {event.where}: the step was not made, and the run goes on from step "
        f"{event.to_step:,} with {event.learning_rate_scale:.3g} of the planned learning rate",
        f"If it comes again, {_lower(learning_rate)}")


def ended_not_finite(finished: Finished, learning_rate: float) -> Finding:
    where = f" in {finished.where}" if finished.where else ""
    return Finding(
        finished.step, "not finite",
        f"a number was not finite{where} in the step after this one: the run was ended, and the weights of step "
        f"{finished.best_step:,} are kept",
        _lower(learning_rate).capitalize())


def _lower(learning_rate: float) -> str:
    return f"lower the learning rate: {_set_learning_rate(learning_rate / 3)}"


def _set_learning_rate(value: float) -> str:
    return f"--set train.learning_rate={value:.2g} (and train.muon_learning_rate by the same factor)"
