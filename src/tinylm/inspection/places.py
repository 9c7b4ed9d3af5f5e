"""Places in a model as people write them: heads, attentions, MLPs, layers, or any tap, at one position or at all.

    1.0                    head 0 of layer 1
    1.attn  1.mlp  1       attention, MLP, or both, of layer 1
    attn  mlp              the same of every layer
    layers.1.resid_post    an activation by the name of its tap (docs/NAMES.md)
    layers.1.attn.q.0      head 0 of an activation that has heads
    1.0:3  1.mlp:-1        at position 3 alone (from 0), or at the last one
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from tinylm.config.schema import ModelConfig
from tinylm.errors import TinyLMError, did_you_mean
from tinylm.model.taps import TAPS, tap_names

if TYPE_CHECKING:
    from torch import Tensor

_AXES = {tap.name: tap.shape.strip("()").split(", ") for tap in TAPS}
_POSITION = re.compile(r"(?P<name>[^:]*)(?::(?P<position>-?\d{1,9}))?")
_PART = re.compile(r"(?P<layer>\d{1,9})|(?P<of>(?:\d{1,9}\.)?)(?P<kind>attn|mlp)|(?P<at>\d{1,9})\.(?P<head>\d{1,9})")
_TAP_HEAD = re.compile(r"(?P<tap>.*\D)\.(?P<head>\d{1,9})")


class Place(NamedTuple):
    """A place: an activation, or a piece of it.

    Attributes:
        tap: the name of the activation.
        head: the number of a head; None: all of them, or there are none.
        position: the number of a position, from 0, or from -1 at the end; None: all.
    """

    tap: str
    head: int | None = None
    position: int | None = None

    def slices(self, activation: Tensor) -> tuple[slice, ...]:
        """The index of the piece in an activation; every axis stays, with length 1 where one was chosen.

        Raises:
            TinyLMError: the activation has no such position.

        >>> import torch
        >>> place = Place("layers.0.attn.z", head=1, position=-1)
        >>> torch.zeros(1, 2, 5, 8)[place.slices(torch.zeros(1, 2, 5, 8))].shape
        torch.Size([1, 1, 1, 8])
        """
        axes = axes_of(self.tap)
        length = activation.shape[axes.index("T")]
        if self.position is not None and not -length <= self.position < length:
            raise TinyLMError(f"there is no position {self.position}: they go from 0 to {length - 1}", where=self.name,
                              remedy="The last one is -1")
        chosen = {"T": self.position, "H": self.head, "G": self.head}
        return tuple(_slice(chosen.get(axis), size) for axis, size in zip(axes, activation.shape, strict=True))

    @property
    def name(self) -> str:
        """The place as a person writes it: `1.0`, `1.attn`, `1.mlp`, or the name of a tap.

        >>> Place("layers.1.attn.z", head=0, position=3).name, Place("layers.1.mlp_out").name
        ('1.0:3', '1.mlp')
        """
        parts = self.tap.split(".")
        name = self.tap if self.head is None else f"{self.tap}.{self.head}"
        if self.tap.endswith(".attn.z") and self.head is not None:
            name = f"{parts[1]}.{self.head}"
        elif parts[-1] in ("attn_out", "mlp_out"):
            name = f"{parts[1]}.{parts[-1].removesuffix('_out')}"
        return name if self.position is None else f"{name}:{self.position}"


def axes_of(tap: str) -> list[str]:
    """The axes of an activation, in the letters of docs/NAMES.md.

    >>> axes_of("layers.1.attn.z")
    ['B', 'H', 'T', 'K']
    """
    return _AXES[re.sub(r"^layers\.\d+\.", "layers.i.", tap)]


def _slice(chosen: int | None, size: int) -> slice:
    if chosen is None:
        return slice(None)
    first = chosen % size
    return slice(first, first + 1)


def heads_and_mlps(config: ModelConfig) -> list[Place]:
    """Lists the heads and the MLPs, layer by layer.

    >>> [place.name for place in heads_and_mlps(ModelConfig.preset("notebook", vocab_size=12))]
    ['0.0', '0.1', '0.mlp', '1.0', '1.1', '1.mlp']
    """
    return [place for layer in range(config.n_layers)
            for place in (*(Place(f"layers.{layer}.attn.z", head) for head in range(config.n_heads)),
                          Place(f"layers.{layer}.mlp_out"))]


def find_places(text: str, config: ModelConfig, where: str = "") -> list[Place]:
    """Finds the places that a person named, separated by commas.

    Args:
        text: in the notation at the head of this module.
        where: the option or argument that the text stands in, for errors.

    Raises:
        TinyLMError: the model has no such place.

    >>> find_places("1.0:3, 0.mlp", ModelConfig.preset("notebook", vocab_size=12))
    [Place(tap='layers.1.attn.z', head=0, position=3), Place(tap='layers.0.mlp_out', head=None, position=None)]
    """
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise TinyLMError("names no part of the model", where=where, remedy=_notation(config))
    return [place for name in names for place in _places(name, config, where)]


def find_head(text: str, config: ModelConfig, where: str = "") -> tuple[int, int]:
    """The layer and the number of a head that a person named as `L.H`.

    Raises:
        TinyLMError: the model has no such head.

    >>> find_head("1.0", ModelConfig.preset("notebook", vocab_size=12))
    (1, 0)
    """
    found = _PART.fullmatch(text.strip())
    if found is None or found["head"] is None:
        raise TinyLMError(f"{text!r} is not a head", where=where, remedy=_notation(config))
    layer, head = int(found["at"]), int(found["head"])
    check_head(layer, head, config, where)
    return layer, head


def check_head(layer: int, head: int, config: ModelConfig, where: str = "") -> None:
    """Raises: TinyLMError: the model has no such head."""
    if not (0 <= layer < config.n_layers and 0 <= head < config.n_heads):
        raise TinyLMError(f"there is no head {layer}.{head}", where=where, remedy=_notation(config))


def _places(name: str, config: ModelConfig, where: str) -> Iterator[Place]:
    split = _POSITION.fullmatch(name)
    if split is None:
        raise TinyLMError(f"{name!r} has no number after the colon", where=where,
                          remedy="A position is a number from 0, or -1 for the last: 1.0:3")
    position = int(split["position"]) if split["position"] else None
    part = _PART.fullmatch(split["name"])
    if part is None:
        yield _tap(split["name"], config, where)._replace(position=position)
    elif part["head"]:
        check_head(int(part["at"]), int(part["head"]), config, where)
        yield Place(f"layers.{int(part['at'])}.attn.z", int(part["head"]), position)
    else:
        yield from _parts(part, config, position, where)


def _parts(part: re.Match[str], config: ModelConfig, position: int | None, where: str) -> Iterator[Place]:
    number = part["layer"] or part["of"].rstrip(".")
    if number and int(number) >= config.n_layers:
        raise TinyLMError(f"there is no layer {number}", where=where, remedy=_notation(config))
    for layer in [int(number)] if number else range(config.n_layers):
        if part["kind"] != "mlp":
            yield Place(f"layers.{layer}.attn.z", None, position)
            yield Place(f"layers.{layer}.attn_out", None, position)
        if part["kind"] != "attn":
            yield Place(f"layers.{layer}.mlp_out", None, position)


def _tap(name: str, config: ModelConfig, where: str) -> Place:
    """The place of a tap by its name, or of a head of it."""
    known = tap_names(config.n_layers)
    if name in known:
        return Place(name)
    with_head = _TAP_HEAD.fullmatch(name)
    if with_head and with_head["tap"] in known:
        axes = axes_of(with_head["tap"])
        most = config.n_heads if "H" in axes else config.n_kv_heads if "G" in axes else 0
        if int(with_head["head"]) < most:
            return Place(with_head["tap"], int(with_head["head"]))
        raise TinyLMError(f"{with_head['tap']} has no head {with_head['head']}: it has {most}", where=where)
    remedy = did_you_mean(name, known) if name.startswith(("layers.", "embed", "ln_f", "logits")) else ""
    raise TinyLMError(f"there is no part {name!r} in this model", where=where,
                      remedy=remedy if remedy.startswith("Did you") else _notation(config))


def _notation(config: ModelConfig) -> str:
    if not config.n_layers:
        return "This model has no layers: embed, ln_f and logits are all that it has"
    return (f"Layers go from 0 to {config.n_layers - 1} and heads from 0 to {config.n_heads - 1}: 0.0 is a head, 0.mlp "
            "an MLP, 0.attn all heads of a layer, 0 a whole layer; or give the name of a tap, such as "
            "layers.0.resid_post")
