"""Taps: every activation of the model has one stable dotted name, and can be heard under it.

A tap is a line such as `q = self.tap("q", q)` in transformer.py. While nobody listens it hands its tensor on, at the
price of one attribute look-up. A listener is called with the full name (`layers.1.attn.q`) and the tensor, and what it
returns flows on instead: return the tensor itself to watch, another one to change what the model computes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Protocol

from torch import Tensor

Listener = Callable[[str, Tensor], Tensor]


class Switchboard:
    """Where the taps of one model meet the one listener, if there is one."""

    def __init__(self) -> None:
        self.listener: Listener | None = None

    def at(self, place: str) -> Tap:
        """The tap of the part of the model at `place`, e.g. `layers.0.attn`; `""` is the model itself."""
        return Tap(self, f"{place}." if place else "")


class Tap:
    """Gives the activations of one part of the model their names."""

    __slots__ = ("prefix", "switchboard")

    def __init__(self, switchboard: Switchboard, prefix: str) -> None:
        self.switchboard, self.prefix = switchboard, prefix

    @property
    def listening(self) -> bool:
        return self.switchboard.listener is not None

    def __call__(self, name: str, activation: Tensor) -> Tensor:
        listener = self.switchboard.listener
        return activation if listener is None else listener(self.prefix + name, activation)


class Tapped(Protocol):
    """Anything with a switchboard: a TinyLM."""

    switchboard: Switchboard


@contextmanager
def listen(model: Tapped, listener: Listener) -> Iterator[None]:
    """Within the block, `listener(name, activation)` is called at every tap and its result flows on."""
    before = model.switchboard.listener
    model.switchboard.listener = listener
    try:
        yield
    finally:
        model.switchboard.listener = before


@contextmanager
def capture(model: Tapped, names: Collection[str] | None = None) -> Iterator[dict[str, Tensor]]:
    """Within the block, the activations of each forward pass are kept in the dict by name, in the order they arise.

    Args:
        names: the only ones to keep; None keeps all.
    """
    kept: dict[str, Tensor] = {}

    def keep(name: str, activation: Tensor) -> Tensor:
        if names is None or name in names:
            kept[name] = activation
        return activation

    with listen(model, keep):
        yield kept
