"""Exercises of page 7, the stream, and of page 8, a run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tinylm.learn.code_exercise import CodeExercise, WrongFunction
from tinylm.learn.exercise import Answer, Condition, Exercise, Found, Mistake, RunExercise, ValueExercise
from tinylm.learn.exercises.counting import LOSS
from tinylm.learn.facts import n_padded, n_tokens, word_tokenizer

if TYPE_CHECKING:
    from torch import Tensor

    from tinylm.reports.history import History

VECTOR = (1.0, 2.0, 3.0, 4.0)
EPS = 1e-5
WORSE, AS_GOOD = 1.05, 1.02
"""The last validation loss over the best one: from here on it is overfitting, up to here it is not."""


def norm_ends() -> Answer:
    """The first and the last number of the vector after LayerNorm, and after RMSNorm."""
    import torch

    from tinylm.model.norms import LayerNorm, RMSNorm

    x = torch.tensor(VECTOR)
    return tuple(norm(x)[i].item() for norm in (LayerNorm(4, EPS, bias=True), RMSNorm(4, EPS)) for i in (0, -1))


def rms_norm(x: Tensor, weight: Tensor) -> Tensor:
    """RMSNorm with the shipped module's arithmetic: (T, D), (D,) -> (T, D)."""
    import torch.nn.functional as F

    return F.rms_norm(x, weight.shape, weight, EPS)


def norm_inputs() -> tuple[Tensor, ...]:
    """Vectors (3, 8), the last one tiny, and a weight (8,)."""
    import torch

    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 8, generator=generator) * torch.tensor([[1.0], [3.0], [0.002]])
    return x, 1 + torch.rand(8, generator=generator)


def layer_weights() -> Answer:
    """The weights of the MLP, and of attention, in one layer of the notebook's model."""
    from tinylm.config.schema import ModelConfig
    from tinylm.inspection.structure import parameter_table

    table = parameter_table(ModelConfig.preset("notebook", vocab_size=word_tokenizer().vocab_size))
    return tuple(float(sum(each.count for each in table if each.name.startswith(f"layers.0.{part}.")))
                 for part in ("mlp", "attn"))


def history_of(found: Found) -> History:
    """The records of the training of a model; empty for one that was not trained here."""
    from tinylm.model_folder import METRICS
    from tinylm.reports.history import History, read_events

    path = found.lm.folder and found.lm.folder / METRICS
    return History.of(read_events(path) if path and path.is_file() else ())


def rise(found: Found) -> float:
    """The last validation loss over the best one; not a number where nothing was held out."""
    history = history_of(found)
    return history.validations[-1].loss / history.best.loss if history.best else math.nan


def best_step(found: Found) -> int:
    """The step of the best validation."""
    best = history_of(found).best
    return best.step if best else 0


HELD_OUT = Condition(lambda found: not math.isnan(rise(found)),
                     "Nothing was held out in this run, so nobody can tell: take a text of your own, or zen.txt.")

STREAM: tuple[Exercise, ...] = (
    ValueExercise(
        "7.1", "What do LayerNorm and RMSNorm (weights 1, no bias) make of (1, 2, 3, 4)? Give the first and the last "
        "number of "
        "each.", "L1,L4,R1,R4",
        ("LayerNorm takes the mean away, 2.5, and divides by the root of the variance, 1.25. RMSNorm divides by the "
         "root "
         "of the mean of the squares, 7.5.",
         "(1 - 2.5) / 1.25 ** 0.5, and 1 / 7.5 ** 0.5"),
        norm_ends,
        (Mistake(lambda: (-1.5 / 1.6666667**0.5, 1.5 / 1.6666667**0.5, *norm_ends()[2:]),
                 "The variance is the mean of the squares, divided by 4, not by 3."),
         Mistake(lambda: (*norm_ends()[:2], 1 / 30**0.5, 4 / 30**0.5), "RMSNorm: the mean of the squares, not their "
         "sum."),
         Mistake(lambda: (-1.2, 1.2, 1 / 7.5, 4 / 7.5), "Divide by the root."))),
    CodeExercise(
        "7.2", "Write `rms_norm(x, weight)`: each row of `x` (T, D) divided by the root of the mean of its squares "
        "plus 1e-5, times "
        "`weight` (D,).", "rms_norm(x, weight)",
        ("`x.square().mean(-1, keepdim=True)` is one number for each row.",
         "The 1e-5 stands under the root, beside the mean: torch.sqrt(mean + 1e-5)."),
        "rms_norm", rms_norm, norm_inputs,
        (WrongFunction(lambda x, weight: x / (x.square().mean(-1, keepdim=True).sqrt() + EPS) * weight,
                       "Is your 1e-5 outside the root? It belongs under it."),
         WrongFunction(lambda x, weight: x / (x.square().sum(-1, keepdim=True) + EPS).sqrt() * weight,
                       "That is the sum of the squares: take their mean."),
         WrongFunction(lambda x, weight: x / (x.square().mean(0, keepdim=True) + EPS).sqrt() * weight,
                       "The mean runs over a row, the last axis: each position is normalised by itself."),
         WrongFunction(lambda x, weight: x / (x.square().mean() + EPS).sqrt() * weight,
                       "Each row has a mean of its own: mean(-1, keepdim=True)."),
         WrongFunction(lambda x, weight: (x - x.mean(-1, keepdim=True))
                       / (x.var(-1, keepdim=True, unbiased=False) + EPS).sqrt() * weight,
                       "That is LayerNorm: RMSNorm leaves the mean where it is."),
         WrongFunction(lambda x, weight: x / (x.square().mean(-1, keepdim=True) + EPS).sqrt() + 0 * weight,
                       "Multiply by the weight at the end.")),
        "return x / torch.sqrt(x.square().mean(-1, keepdim=True) + 1e-5) * weight"),
    ValueExercise(
        "7.3", "The notebook's model has d_model 32 and d_mlp 64, and biases everywhere. How many weights has the MLP "
        "of a layer, "
        "and how many its attention?", "MLP,ATTENTION",
        ("A matrix has in * out weights, and its bias out more: (in + 1) * out.",
         "33 * 64 + 65 * 32, and four times 33 * 32"),
        layer_weights,
        (Mistake(lambda: (2.0 * 32 * 64, 4.0 * 32 * 32), "You left out the biases."),
         Mistake(lambda: (layer_weights()[0], 3.0 * 33 * 32), "Attention has four matrices: q, k, v and o."))),
)

RUN: tuple[Exercise, ...] = (
    RunExercise(
        "8.1", "Make a model that learns its text by heart: a short text, no dropout, no weight decay, many steps. "
        "Give its folder; "
        "the validation loss must have risen by 5% above its best.", "RUN",
        ("Any text of some hundred words will do: `python -c \"import this\" > zen.txt`.",
         "`--set model.dropout=0 --set train.weight_decay=0`, and enough `--steps`; validate often, with "
         "`--set train.evaluate_every=10`."),
        (HELD_OUT,
         Condition(lambda found: rise(found) >= WORSE,
                   "The validation loss has not risen by 5% above its best: more steps, or a shorter text.")),
        lambda found: f"It rose to {rise(found):.2f} times its best, of step {best_step(found):,}, whose "
                      "weights the folder holds. That is overfitting.",
        ('python -c "import this" > zen.txt',
         "tinylm train zen.txt --from none --size 0.1M --steps 150 --set train.evaluate_every=10 --set model.dropout=0 "
         "--set train.weight_decay=0 --set train.batch_size=4 --out runs/by-heart",
         "tinylm learn check 8.1 runs/by-heart")),
    RunExercise(
        "8.2", "Now mend it, by more text, fewer steps, dropout or weight decay: a model whose last validation loss "
        "is within 2% "
        "of its best.", "RUN",
        ("The best step of the last exercise is a good number of --steps.",
         "Or a text of 100 KB: the same steps see each passage fewer times."),
        (HELD_OUT,
         Condition(lambda found: len(history_of(found).validations) >= 3,
                   "Fewer than three validations show no curve: --set train.evaluate_every=5."),
         Condition(lambda found: rise(found) <= AS_GOOD,
                   "The validation loss still rises towards the end: fewer steps, or more text.")),
        lambda found: f"The last validation loss is {rise(found):.3f} times the best.",
        ("tinylm train zen.txt --from none --size 0.1M --steps 15 --set train.evaluate_every=5 --set model.dropout=0 "
         "--set train.weight_decay=0 --set train.batch_size=4 --out runs/mended",
         "tinylm learn check 8.2 runs/mended")),
    ValueExercise(
        "8.3", f"In a batch of `hello`, 6 of the 32 targets are padding. A model has {LOSS} nats a token on the 26 "
               f"tokens, and "
        "predicts the padding perfectly. What is its loss if padding is counted?", "LOSS",
        ("Perfectly predicted targets cost nothing, and make the mean smaller.", f"{LOSS} * 26 / 32"),
        lambda: (LOSS * n_tokens() / n_padded(),),
        (Mistake(lambda: (LOSS * n_padded() / n_tokens(),), "The other way round: padding makes the mean smaller."),
         Mistake(lambda: (LOSS,), "The mean is over 32 targets now, 6 of which cost nothing."))),
)

EXERCISES = STREAM + RUN
