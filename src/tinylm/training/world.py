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

from tinylm.errors import TinyLMError
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
    one. The block ends when all ranks have come to its end; an error of one ends the others as well.

    Raises:
        TinyLMError: some of torchrun's variables are missing; or the ranks cannot be connected.
    """
    size = launched_size()
    if size == 1:
        yield ALONE
        return
    rank, _ = _number("RANK"), _number("MASTER_PORT")
    if rank >= size or not os.environ.get("MASTER_ADDR"):
        raise _not_launched("MASTER_ADDR" if rank < size else "RANK")
    from tinylm.training.process_group import connected  # which takes time to import

    with connected(rank, size) as world:
        yield world


def launched_size() -> int:
    """The number of processes that torchrun, or a program like it, has started; 1 without one. Raises: TinyLMError:
    WORLD_SIZE is no such number."""
    return max(1, _number("WORLD_SIZE")) if "WORLD_SIZE" in os.environ else 1


def _number(variable: str) -> int:
    given = os.environ.get(variable, "")
    if not (given.isascii() and given.isdecimal()):
        raise _not_launched(variable)
    return int(given)


def _not_launched(variable: str) -> TinyLMError:
    given = os.environ.get(variable)
    state = "is not set" if given is None else f"is {given!r}"
    return TinyLMError(f"the variable {state}, and several processes need it to find each other", where=variable,
                       remedy="Start them by torchrun; or take WORLD_SIZE out of the environment of one process alone")


def to_bytes(value: Any) -> Tensor:
    """Plain data as JSON in a tensor of bytes, for collectives: no pickle."""
    return torch.from_numpy(np.frombuffer(json.dumps(value).encode(), np.uint8).copy())


def from_bytes(data: Tensor) -> Any:
    """The inverse of `to_bytes`.

    >>> from_bytes(to_bytes({"loss": 1.5}))
    {'loss': 1.5}
    """
    return json.loads(data.numpy().tobytes())
