"""A plain GPT in PyTorch, in 32 bits, trained on the characters of a text as most introductions do it.

    python -m benchmarks.peers.gpt TEXT [options]

Learned positions, LayerNorm before attention and MLP, one product for queries, keys and values, PyTorch's own fused
attention and update, GELU, no biases, head and embedding are one matrix. AdamW, warm-up, cosine, clipping.

Axis letters: B batch, T positions, D width, V vocabulary.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import AdamW

from benchmarks import STARTED

HELD_OUT = 0.1
BETAS, WEIGHT_DECAY, LARGEST_NORM = (0.9, 0.99), 0.1, 1.0
WARM_UP, LAST_SHARE = 100, 0.1
"""Steps until the learning rate is whole, and the share of it that is left at the end of the schedule."""
WINDOWS_AT_ONCE = 64


@dataclass(frozen=True)
class Shape:
    """What a model is built from."""

    vocab_size: int
    context: int = 64
    n_layers: int = 4
    n_heads: int = 4
    width: int = 128
    dropout: float = 0.0

    @property
    def parameters(self) -> int:
        """Embedding and positions; in each layer attention (3 + 1), the MLP (4 + 4) and two norms; the last norm."""
        return ((self.vocab_size + self.context) * self.width
                + self.n_layers * (12 * self.width**2 + 2 * self.width) + self.width)


class Attention(nn.Module):
    """Lets each position gather from itself and those before it."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.n_heads, self.dropout = shape.n_heads, nn.Dropout(shape.dropout)
        self.qkv = nn.Linear(shape.width, 3 * shape.width, bias=False)
        self.out = nn.Linear(shape.width, shape.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, length, width = x.shape
        heads = self.qkv(x).view(batch, length, 3, self.n_heads, width // self.n_heads)
        q, k, v = heads.permute(2, 0, 3, 1, 4)  # each (B, heads, T, D / heads)
        dropout = self.dropout.p if self.training else 0.0
        mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)
        return self.dropout(self.out(mixed.transpose(1, 2).reshape(batch, length, width)))


class Block(nn.Module):
    """Adds to each position what attention gathered, then what the MLP makes of it."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.LayerNorm(shape.width, bias=False) for _ in range(2))
        self.attention = Attention(shape)
        self.mlp = nn.Sequential(nn.Linear(shape.width, 4 * shape.width, bias=False), nn.GELU())
        self.out = nn.Linear(4 * shape.width, shape.width, bias=False)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.dropout(self.out(self.mlp(self.norm2(x))))


class GPT(nn.Module):
    """Ids (B, T) to logits (B, T, V)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.embed, self.positions = (nn.Embedding(n, shape.width) for n in (shape.vocab_size, shape.context))
        self.dropout = nn.Dropout(shape.dropout)
        self.blocks = nn.Sequential(*(Block(shape) for _ in range(shape.n_layers)))
        self.norm = nn.LayerNorm(shape.width, bias=False)
        for name, parameter in self.named_parameters():
            if parameter.ndim == 2:  # what is added to the stream begins smaller, the more layers add to it
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * shape.n_layers if ".out." in name else 1))

    def forward(self, ids: Tensor) -> Tensor:
        x = self.embed(ids) + self.positions.weight[:ids.shape[1]]
        return F.linear(self.norm(self.blocks(self.dropout(x))), self.embed.weight)


def make_optimizer(model: nn.Module, learning_rate: float) -> AdamW:
    """Matrices are decayed, norms are not."""
    matrices, vectors = ([p for p in model.parameters() if (p.ndim == 2) is wanted] for wanted in (True, False))
    groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}]
    return AdamW(groups, learning_rate, betas=BETAS, fused=True)


def learning_rate_share(step: int, horizon: int) -> float:
    """Of the peak, at a step: up in a line, down in half a cosine."""
    if step < WARM_UP:
        return (step + 1) / WARM_UP
    way = min(1.0, (step - WARM_UP) / max(1, horizon - WARM_UP))
    return LAST_SHARE + (1 - LAST_SHARE) * (1 + math.cos(math.pi * way)) / 2


def train_step(model: nn.Module, optimizer: AdamW, inputs: Tensor, targets: Tensor) -> None:
    loss = F.cross_entropy(model(inputs).flatten(0, 1), targets.flatten())
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), LARGEST_NORM)
    optimizer.step()


def encode(text: str) -> tuple[Tensor, Tensor, int]:
    """Ids of the part to train on and of the part held out, and how many characters there are."""
    numbers = {character: i for i, character in enumerate(sorted(set(text)))}
    ids = torch.tensor([numbers[character] for character in text])
    cut = int((1 - HELD_OUT) * len(ids))
    return ids[:cut], ids[cut:], len(numbers)


def random_windows(ids: Tensor, batch: int, context: int) -> tuple[Tensor, Tensor]:
    """Inputs and targets, (B, T) each, from anywhere in the text."""
    places = torch.randint(len(ids) - context, (batch, 1)) + torch.arange(context)
    return ids[places], ids[places + 1]


@torch.no_grad()
def evaluate(model: nn.Module, ids: Tensor, context: int) -> float:
    """Nats a token over the whole text but its first token, in windows that follow one another."""
    was_training = model.training
    model.eval()
    whole = (len(ids) - 1) // context * context
    inputs, targets = ids[:whole].view(-1, context), ids[1:whole + 1].view(-1, context)
    batches = [*zip(inputs.split(WINDOWS_AT_ONCE), targets.split(WINDOWS_AT_ONCE), strict=True),
               (ids[None, whole:-1], ids[None, whole + 1:])]
    nats = sum(F.cross_entropy(model(x).flatten(0, 1), y.flatten(), reduction="sum").item()
               for x, y in batches if y.numel())
    model.train(was_training)
    return nats / (len(ids) - 1)


def train(model: GPT, ids: Tensor, *, steps: int, horizon: int, batch: int, context: int,
          learning_rate: float) -> list[float]:
    """Trains, and returns the seconds of each step."""
    optimizer = make_optimizer(model, learning_rate)
    seconds = []
    for step in range(steps):
        began = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * learning_rate_share(step, horizon)
        train_step(model, optimizer, *random_windows(ids, batch, context))
        seconds.append(time.perf_counter() - began)
    return seconds


def parse(given: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("text", type=Path)
    for name, default in (("layers", 4), ("heads", 4), ("width", 128), ("context", 64), ("batch", 12), ("steps", 2000),
                          ("horizon", 0), ("seed", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--time-only", action="store_true", help="do not judge what was learned")
    return parser.parse_args(given)


def main() -> None:
    given = parse()
    torch.manual_seed(given.seed)
    ids, held_out, vocab_size = encode(given.text.read_bytes().decode())
    shape = Shape(vocab_size, given.context, given.layers, given.heads, given.width, given.dropout)
    model = GPT(shape)
    seconds = train(model, ids, steps=given.steps, horizon=given.horizon or given.steps, batch=given.batch,
                    context=given.context, learning_rate=given.learning_rate)
    loss = None if given.time_only else evaluate(model, held_out, given.context)
    print(json.dumps({
        "seconds": time.perf_counter() - STARTED, "loss": loss, "steps": given.steps,
        "tokens_per_second": given.batch * given.context * len(seconds) / sum(seconds),
        "step_seconds": statistics.median(seconds[1:] or seconds), "training_seconds": sum(seconds),
        "parameters": shape.parameters, "learning_rate": given.learning_rate}))


if __name__ == "__main__":
    main()
