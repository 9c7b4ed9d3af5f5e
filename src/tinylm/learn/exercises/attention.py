"""Exercises of page 5, attention by hand, and of page 6, seeing only the past."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tinylm.learn.code_exercise import CodeExercise, WrongFunction
from tinylm.learn.exercise import Answer, Condition, Exercise, Mistake, RunExercise, ValueExercise
from tinylm.learn.facts import n_tokens
from tinylm.text.reading.built_in import ANIMALS

if TYPE_CHECKING:
    from torch import Tensor

QUERY = (1.0, 2.0)
KEYS = ((1.0, 0.0), (0.0, 1.0), (1.0, 1.0))
FAR_SCORES, PRODUCTS = (4.0, 0.0, -4.0), 16


def attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention without a mask, made of the shipped functions."""
    from tinylm.model.transformer import attention_scores, weighted_sum

    return weighted_sum(attention_scores(q, k, None).softmax(-1), v)


def one_query(scale: float | None = None) -> Answer:
    """The vector that one query fetches from three positions, whose keys are their values.

    Args:
        scale: of the scores; None: the right one.
    """
    import torch

    q, k = torch.tensor([[QUERY]]).unsqueeze(0), torch.tensor(KEYS)[None, None]
    found = attention(q * (1 if scale is None else scale * math.sqrt(len(QUERY))), k, k)
    return tuple(map(float, found.flatten()))


def second_share(divisor: float) -> float:
    """The share of the second of three positions whose scores are divided."""
    import torch

    return float((torch.tensor(FAR_SCORES) / divisor).softmax(-1)[1])


def tensors() -> tuple[Tensor, ...]:
    """Queries (2, 3, 4, 8), and keys and values (2, 3, 5, 8)."""
    import torch

    generator = torch.Generator().manual_seed(0)
    return tuple(torch.randn(2, 3, n, 8, generator=generator) for n in (4, 5, 5))


def _scaled(scale: float, hint: str, axis: int = -1) -> WrongFunction:
    """Attention whose scores are scaled so, with the softmax over this axis."""
    return WrongFunction(lambda q, k, v: (q @ k.transpose(-2, -1) * scale).softmax(axis) @ v, hint)


def rotated(*pairs: tuple[int, int]) -> Answer:
    """The products of a query and a key (1, 0) that rotary positions turned by one radian a position."""
    import torch

    from tinylm.model.positions import apply_rotary

    def turned(position: int) -> Tensor:
        angle = torch.tensor([[float(position)]])
        return apply_rotary(torch.tensor([[1.0, 0.0]]), (angle.cos(), angle.sin()))

    return tuple(float((turned(q) * turned(k)).sum()) for q, k in pairs)


def may_look(positions: int) -> float:
    """Pairs of positions of which the first may look at the second."""
    from tinylm.model.transformer import causal_mask

    return float(causal_mask(positions, positions).sum())


def floor() -> float:
    """The lowest loss possible on the animals, in nats a token."""
    from tinylm.evaluation.entropy import entropy_of

    return entropy_of(list(ANIMALS)) / n_tokens(ANIMALS)


ATTENTION: tuple[Exercise, ...] = (
    ValueExercise(
        "5.1", "A query is (1, 2). Three positions have the keys (1, 0), (0, 1), (1, 1), and each has its key as its "
        "value; "
        "d_head is 2. What does the query fetch? (Two numbers.)", "Z,Z",
        ("The scores are the products of the query with each key, divided by the root of 2: 1, 2 and 3 before that.",
         "The softmax of 0.707, 1.414, 2.121 is the pattern; the values, summed with these shares, are the answer."),
        one_query,
        (Mistake(lambda: one_query(scale=1.0), "The scores were not divided by the root of d_head."),
         Mistake(lambda: one_query(scale=1 / 2), "The scores are divided by the root of d_head, not by d_head."),
         Mistake(lambda: one_query(scale=math.sqrt(2)), "Divide by the root of d_head; you multiplied."),
         Mistake(lambda: (1 * 1 + 3 * 1.0, 2 * 1 + 3 * 1.0), "The scores become shares by softmax before they weigh "
                                                             "the values."))),
    ValueExercise(
        "5.2", "Products of 16 numbers of size about 1 gave the scores 4, 0 and -4. What share gets the second "
        "position without "
        "the division by the root of d_head, and what share with it (d_head is 16)?", "WITHOUT,WITH",
        ("Softmax: e to each score, divided by the sum of the three.",
         "Without: 1 / (e^4 + 1 + e^-4). With: the scores are 1, 0 and -1."),
        lambda: (second_share(1), second_share(math.sqrt(PRODUCTS))),
        (Mistake(lambda: (second_share(math.sqrt(PRODUCTS)), second_share(1)), "These two are the wrong way round."),
         Mistake(lambda: (second_share(1), second_share(PRODUCTS)), "You divided by 16: it is the root of 16."))),
    CodeExercise(
        "5.3", "Write `attention(q, k, v)`, without a mask: `q` is (B, H, T, K), `k` and `v` are (B, H, S, K), and so "
        "is the "
        "result (B, H, T, K). Values and gradients are compared with the shipped code's.", "attention(q, k, v)",
        ("Three steps: scores, softmax over the keys, weighted sum of the values.",
         "`k.transpose(-2, -1)` turns the keys so that `q @` gives one score for each query and key; K is "
         "q.shape[-1]."),
        "attention", attention, tensors,
        (_scaled(1.0, "Divide the scores by the root of d_head, which is q.shape[-1]."),
         _scaled(1 / 8, "Divide by the root of d_head, not by d_head itself."),
         _scaled(math.sqrt(8), "Divide by the root of d_head; you multiplied."),
         _scaled(1 / math.sqrt(24), "d_head is the width of one head, q.shape[-1], not that of all heads."),
         _scaled(1 / math.sqrt(8), "The softmax runs over the keys, the last axis: each row sums to 1.", axis=-2),
         WrongFunction(lambda q, k, v: (q @ k.transpose(-2, -1) / math.sqrt(8)) @ v,
                       "The scores have to become shares: apply softmax over the keys before you sum the values."),
         WrongFunction(lambda q, k, v: (k @ k.transpose(-2, -1) / math.sqrt(8)).softmax(-1) @ v,  # noqa: ARG005
                       "Rows of the scores are queries: q on the left, k on the right.")),
        "scores = q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])\nreturn scores.softmax(-1) @ v"),
)

PAST: tuple[Exercise, ...] = (
    ValueExercise(
        "6.1", "A text has six positions, so there are 36 pairs of a query and a key. How many of them does the "
        "causal mask "
        "leave?", "N",
        ("The first position sees 1 key, the second 2, ...", "1 + 2 + 3 + 4 + 5 + 6"),
        lambda: (may_look(6),),
        (Mistake(lambda: (may_look(5),), "A position also sees itself: the diagonal is in."),
         Mistake(lambda: (36.0,), "That is without a mask."),
         Mistake(lambda: (18.0,), "It is a little more than half: the diagonal is in."))),
    RunExercise(
        "6.2", "Train a model of `animals` without the causal mask (`--set model.causal=false`) and give its folder. "
        "Its loss "
        "falls below the lowest that is possible: how can that be?", "RUN",
        ("The preset `notebook` will do: `tinylm train animals --preset notebook --set model.causal=false --out "
         "runs/peek`.",
         "The folder is the answer: `tinylm learn check 6.2 runs/peek`."),
        (Condition(lambda found: found.lm.config.data.source == "animals", "This model was not trained on `animals`."),
         Condition(lambda found: not found.lm.config.model.causal,
                   "This model has its mask: add --set model.causal=false."),
         Condition(lambda found: found.report.loss < floor(),
                   "Its loss is not below the floor yet: train it longer, for example with --epochs 400.")),
        lambda found: f"Its loss is {found.report.loss:.4f} nats a token, and {floor():.4f} is the lowest for a model "
                      f"that "
                      "does not see what it is to predict. It looks at the next word, and copies it.",
        ("tinylm train animals --preset notebook --set model.causal=false --out runs/peek",
         "tinylm learn check 6.2 runs/peek")),
    ValueExercise(
        "6.3", "Rotary positions turn a pair of numbers by one radian a position. Query and key are both (1, 0) "
        "before that. What "
        "is their product for positions 3 and 1, and what for 10 and 8?", "PRODUCT,PRODUCT",
        ("Two arrows of length 1: their product is the cosine of the angle between them.",
         "Both times the angle between them is 2 radians."),
        lambda: rotated((3, 1), (10, 8)),
        (Mistake(lambda: (math.cos(3), math.cos(10)), "The key is turned, too: by its own position."),
         Mistake(lambda: (math.cos(4), math.cos(18)), "The angles are subtracted, not added."),
         Mistake(lambda: (math.cos(math.radians(2)),) * 2, "The angle is in radians: math.cos(2)."))),
)

EXERCISES = ATTENTION + PAST
