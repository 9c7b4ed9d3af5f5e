"""The processes that train one model together, as torchrun starts them: each has a rank, from 0, and the world a size.

A process that trains alone is a world of one, `ALONE`: its collectives give back what they are given, and torch's
distributed package is not imported. process_group.py makes larger ones.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tinylm.training.checkpoint import State

Piece = tuple[int, Tensor]
"""A tensor that one rank has, and the others have memory for: the rank, and the tensor."""


class World:
    """A world of one, and what larger ones are called by. Every rank makes the same calls in the same order.

    >>> World().gather([1.5]), World().share({"steps": 10})
    ([[1.5]], {'steps': 10})
    """

    rank = 0
    size = 1
    remedy = ""
    """What to try if another rank is lost."""

    def fill(self, pieces: Iterable[Piece]) -> None:
        """Copies the numbers of each tensor from the rank that has them to all others."""

    def gather(self, numbers: Sequence[float]) -> list[list[float]]:
        """The numbers of every rank, by rank; each gives equally many."""
        return [list(numbers)]

    def share(self, value: Any = None) -> Any:
        """The value of rank 0, plain data as JSON has it; those of other ranks are not looked at."""
        return value

    def share_state(self, state: State | None = None) -> State:
        """The state of rank 0. The tensors of other ranks are copies of its own."""
        described = state and [{file: {name: [str(tensor.dtype).removeprefix("torch."), *tensor.shape]
                                       for name, tensor in tensors.items()} for file, tensors in state.tensors.items()},
                               state.numbers]
        shapes, numbers = self.share(described)
        state = state or State({file: {name: torch.empty(shape, dtype=getattr(torch, dtype))
                                       for name, (dtype, *shape) in tensors.items()}
                                for file, tensors in shapes.items()}, numbers)
        self.fill((0, tensor.detach()) for file in shapes for tensor in state.tensors[file].values())
        return state


ALONE = World()


@contextmanager
def joined() -> Iterator[World]:
    """The world that torchrun, or another program by the same variables, has put this process into; else a world of
    one. The block ends when all ranks have come to its end; an error of one ends the others as well."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield ALONE
        return
    from tinylm.training.process_group import connected  # which takes time to import

    with connected(int(os.environ.get("RANK", "0")), int(os.environ["WORLD_SIZE"])) as world:
        yield world


def to_bytes(value: Any) -> Tensor:
    """Plain data as JSON in a tensor of bytes, for collectives: no pickle."""
    return torch.from_numpy(np.frombuffer(json.dumps(value).encode(), np.uint8).copy())


def from_bytes(data: Tensor) -> Any:
    """The inverse of `to_bytes`.

    >>> from_bytes(to_bytes({"loss": 1.5}))
    {'loss': 1.5}
    """
    return json.loads(data.numpy().tobytes())
