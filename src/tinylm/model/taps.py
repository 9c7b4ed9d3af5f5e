"""Taps: every activation of the model has one stable dotted name, and can be heard under it.

A tap is a line such as `q = self.tap("q", q)` in transformer.py. While nobody listens it hands its tensor on, at the
price of one attribute look-up. A hook is called with the full name (`layers.1.attn.q`) and the tensor, and what it
returns flows on instead: return the tensor itself to watch, another one to change what the model computes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Protocol

from torch import Tensor

Hook = Callable[[str, Tensor], Tensor]


class TapRegistry:
    """Where the taps of one model meet the one hook, if there is one."""

    def __init__(self) -> None:
        self.hook: Hook | None = None

    def at(self, path: str) -> Tap:
        """The tap of the part of the model at `path`, e.g. `layers.0.attn`; `""` is the model itself."""
        return Tap(self, f"{path}." if path else "")


class Tap:
    """Gives the activations of one part of the model their names."""

    __slots__ = ("prefix", "taps")

    def __init__(self, taps: TapRegistry, prefix: str) -> None:
        self.taps, self.prefix = taps, prefix

    @property
    def hooked(self) -> bool:
        return self.taps.hook is not None

    def __call__(self, name: str, activation: Tensor) -> Tensor:
        hook = self.taps.hook
        return activation if hook is None else hook(self.prefix + name, activation)


class HasTaps(Protocol):
    """Anything with a tap registry: a TinyLM."""

    taps: TapRegistry


@contextmanager
def hooked(model: HasTaps, hook: Hook) -> Iterator[None]:
    """Within the block, `hook(name, activation)` is called at every tap and its result flows on."""
    before = model.taps.hook
    model.taps.hook = hook
    try:
        yield
    finally:
        model.taps.hook = before


@contextmanager
def capture(model: HasTaps, names: Collection[str] | None = None) -> Iterator[dict[str, Tensor]]:
    """Within the block, the activations of each forward pass are kept in the dict by name, in the order they arise.

    Args:
        names: the only ones to keep; None keeps all.
    """
    kept: dict[str, Tensor] = {}

    def keep(name: str, activation: Tensor) -> Tensor:
        if names is None or name in names:
            kept[name] = activation
        return activation

    with hooked(model, keep):
        yield kept
