"""Exercises of page 3, learning, and of page 4, the embedding."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tinylm.learn.code_exercise import CodeExercise, WrongFunction
from tinylm.learn.exercise import Answer, Exercise, Mistake, ValueExercise
from tinylm.learn.facts import encoded, word_tokenizer

if TYPE_CHECKING:
    from torch import Tensor

RATE, LARGE, SMALL = 0.001, 5.0, 0.0005
SENTENCE = "hello , how are you ?"


def gradient_of_logits() -> Answer:
    """The gradient of the loss at the right logit and at each other one, where all 12 logits are equal."""
    import torch

    from tinylm.training.loss import total_loss

    logits = torch.zeros(1, 1, word_tokenizer().vocab_size, requires_grad=True)
    total_loss(logits, torch.tensor([[3]])).backward()
    assert logits.grad is not None
    return float(logits.grad[0, 0, 3]), float(logits.grad[0, 0, 0])


def first_steps() -> Answer:
    """The distances that the first step of Adam moves two weights with a large and a small gradient."""
    import torch

    from tinylm.training.optimizer import Adam

    weights = torch.zeros(2, requires_grad=True)
    weights.grad = torch.tensor([LARGE, SMALL])
    Adam([{"params": [weights], "lr": RATE, "betas": (0.9, 0.999), "weight_decay": 0.0}]).step()
    large, small = weights.abs().tolist()
    return large, small


def head_inputs() -> tuple[Tensor, ...]:
    """Inputs (T, D) of an output head, its weight (V, D), and targets (T,)."""
    import torch

    generator = torch.Generator().manual_seed(0)
    x, weight = (torch.randn(*shape, generator=generator) for shape in ((5, 4), (6, 4)))
    return x, weight, torch.tensor([0, 3, 3, 5, 1])


def head_gradient(x: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """The gradient of the mean loss at the weight of the output head, by autograd: (V, D)."""
    import torch

    from tinylm.training.loss import total_loss

    weight = weight.detach().requires_grad_()
    loss = total_loss((x @ weight.T).unsqueeze(0), targets.unsqueeze(0)) / len(targets)
    found, = torch.autograd.grad(loss, weight)
    return found


def _errors(x: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    """Probabilities less 1 at each target: (T, V)."""
    import torch.nn.functional as F

    return (x @ weight.T).softmax(-1) - F.one_hot(targets, len(weight))


def rows_without_gradient() -> Answer:
    """The ids whose rows of `embed` the sentence gives no gradient."""
    import torch

    from tinylm.config.schema import ModelConfig
    from tinylm.model.transformer import TinyLM
    from tinylm.training.loss import total_loss

    ids = torch.tensor([word_tokenizer().encode(SENTENCE)])
    model = TinyLM(ModelConfig.preset("notebook", vocab_size=word_tokenizer().vocab_size)).eval()
    total_loss(model(ids[:, :-1]), ids[:, 1:]).backward()
    assert model.embed.weight.grad is not None
    return tuple(map(float, (model.embed.weight.grad.abs().sum(-1) == 0).nonzero().flatten().tolist()))


def _missing(*given: int) -> Answer:
    return tuple(float(id) for id in range(word_tokenizer().vocab_size)
                 if id not in encoded()[0] and id not in given)


LEARNING: tuple[Exercise, ...] = (
    ValueExercise(
        "3.1", "A model of 12 entries has learned nothing: all its logits are equal. What is the gradient of the loss "
        "at the "
        "logit of the right entry, and what is it at each of the others?", "RIGHT,OTHER",
        ("The gradient at a logit is its probability, less 1 if it is the right one.",
         "1/12 - 1, and 1/12."),
        gradient_of_logits,
        (Mistake(lambda: tuple(-float(value) for value in gradient_of_logits()),
                 "The sign: the loss falls as the right logit rises, so its gradient is negative."),
         Mistake(lambda: (0.0, 1 / 12), "At the right logit, 1 is subtracted from the probability."),
         Mistake(lambda: (-1.0, 0.0), "That were a model that gives the right entry nothing at all."))),
    ValueExercise(
        "3.2", f"Adam makes its first step, at the learning rate {RATE}. How far does a weight move whose gradient is "
        f"{LARGE:g}, and how far one whose gradient is {SMALL:g}?", "FAR,FAR",
        ("In the first step the mean of the gradients is the gradient itself, and so is the root of the mean of the "
         "squares, but for the sign.",
         "The gradient is divided by its own size: what is left is 1, times the learning rate."),
        first_steps,
        (Mistake(lambda: (RATE * LARGE, RATE * SMALL),
                 "That is plain gradient descent. Adam divides by the size of the gradient."),
         Mistake(lambda: (RATE * 0.1 * LARGE, RATE * 0.1 * SMALL),
                 "Adam's means begin at 0 and are corrected for it, so the first mean is the whole gradient."))),
    CodeExercise(
        "3.3", "Write `head_gradient(x, weight, targets)`: the gradient of the mean loss at the weight of the output "
        "head. The "
        "logits are `x @ weight.T`; `x` is (T, D), `weight` is (V, D), `targets` are T ids; the result is (V, D). "
        "Without "
        "`backward` or `torch.autograd`.", "head_gradient(x, weight, targets)",
        ("At the logits the gradient is softmax(logits), less 1 at the target, divided by T.",
         "A logit is the product of a row of `weight` with `x`: multiply the gradient at the logits, transposed, by "
         "x."),
        "head_gradient", head_gradient, head_inputs,
        (WrongFunction(lambda x, weight, targets: _errors(x, weight, targets).T @ x,
                       "That is the gradient of the sum over positions: the loss is their mean, so divide by T."),
         WrongFunction(lambda x, weight, targets: -_errors(x, weight, targets).T @ x / len(targets),
                       "The sign is turned round: probability less 1, not 1 less probability."),
         WrongFunction(lambda x, weight, targets: (x @ weight.T).softmax(-1).T @ x / len(targets),
                       "At the target, subtract 1 from the probability: nothing tells your function what was right."),
         WrongFunction(lambda x, weight, targets: x.T @ _errors(x, weight, targets) / len(targets),
                       "It is transposed: one row for each entry of the vocabulary.")),
        "errors = (x @ weight.T).softmax(-1)\n"
        "errors[torch.arange(len(targets)), targets] -= 1\n"
        "return errors.T @ x / len(targets)", gradients=False),
)

EMBEDDING: tuple[Exercise, ...] = (
    ValueExercise(
        "4.1", f"A model of `hello` takes one training step on `{SENTENCE}` alone. For which ids is the gradient of "
               f"their row "
        "of `embed` zero?", "ID,ID,...",
        ("A row gets a gradient if its id is among the inputs; the output head has weights of its own.",
         "The inputs are <bos> and the words. <eos> is a target only."),
        rows_without_gradient,
        (Mistake(_missing, "<eos> is predicted, and never an input here: its row has no gradient, either."),
         Mistake(lambda: _missing(0), "Both <pad> and <eos> are no inputs here."))),
    ValueExercise(
        "4.2", "What is the cosine of the angle between the vectors (3, 4) and (4, 3)? (The product of the two, "
        "divided by both "
        "lengths.)", "COSINE",
        ("Both vectors have the length 5.", "(3 * 4 + 4 * 3) / (5 * 5)"),
        lambda: ((3 * 4 + 4 * 3) / (math.hypot(3, 4) * math.hypot(4, 3)),),
        (Mistake(lambda: (24.0,), "That is the product; divide by the lengths of both vectors."),
         Mistake(lambda: (24 / 5,), "Divide by the lengths of both vectors, 5 times 5."))),
    ValueExercise(
        "4.3", "How many weights has the embedding of the notebook's model (12 entries, d_model 32), and how many "
        "that of the "
        "smallest GPT-2 (50257 entries, d_model 768)?", "N,N",
        ("One row for each entry, d_model numbers in a row.", "12 * 32, and 50257 * 768"),
        lambda: (12.0 * 32, 50257.0 * 768)),
)

EXERCISES = LEARNING + EMBEDDING
