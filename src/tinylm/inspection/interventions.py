"""Interventions: hooks that replace activations while the model computes. Ablation switches parts off, activation
patching puts what a part computed on one text into the computation on another.

Hooks combine (model/taps.py): several interventions, and a trace of what comes of them, are one list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from tinylm.errors import TinyLMError
from tinylm.inspection.places import Place, axes_of
from tinylm.model.taps import Hook


def replace(places: Sequence[Place], new: Callable[[Place, Tensor], Tensor | float]) -> Hook:
    """Makes a hook that replaces the activations at some places.

    Args:
        places: which activations, or pieces of them.
        new: of a place and the piece that is there, what stands there instead: a tensor that broadcasts to the piece.

    >>> import torch
    >>> from tinylm import ModelConfig, TinyLM
    >>> from tinylm.model.taps import capture, hooked
    >>> model, place = TinyLM(ModelConfig(vocab_size=5)), Place("layers.1.mlp_out", position=-1)
    >>> with hooked(model, replace([place], lambda place, old: 2 * old)), torch.no_grad():
    ...     logits = model(torch.tensor([[1, 2, 3]]))
    """
    at = {place.tap: [each for each in places if each.tap == place.tap] for place in places}

    def hook(name: str, activation: Tensor) -> Tensor:
        for place in at.get(name, ()):
            activation, piece = activation.clone(), place.slices(activation)
            activation[piece] = new(place, activation[piece])
        return activation

    return hook


def ablate(places: Sequence[Place], means: Mapping[str, Tensor] | None = None) -> Hook:
    """Makes a hook that switches parts off.

    Args:
        places: the parts.
        means: of `mean_activations`. A part then gives its mean, which leaves the later parts with numbers of the size
            that they are used to. None: zeros.

    Raises:
        TinyLMError: the mean of an activation that has an entry for each pair of positions.
    """
    if means is None:
        return replace(places, lambda _place, _piece: 0.0)
    for place in places:
        if place.tap not in means:
            raise TinyLMError("has an entry for each pair of positions, so its mean is of no use", where=place.name,
                              remedy="Set it to zero, or name the head instead")
    return replace(places, lambda place, _: means[place.tap][place._replace(position=None).slices(means[place.tap])])


def mean_activations(activations: Mapping[str, Tensor], counts: Tensor | None = None) -> dict[str, Tensor]:
    """The mean of each activation over rows and positions, for `ablate`; these axes stay, with length 1.

    Args:
        activations: by name, as `trace` gives them. Those with an entry for each pair of positions are left out.
        counts: (B, T), True where a position counts; None: all do.
    """
    means = {}
    for name, activation in activations.items():
        if "S" in (axes := axes_of(name)):
            continue
        over = 0, axes.index("T")
        weights = torch.ones(()) if counts is None else counts.to(activation).reshape(
            [size if axis in over else 1 for axis, size in enumerate(activation.shape)])
        total = activation.shape[0] * activation.shape[over[1]] if counts is None else counts.sum()
        means[name] = (activation * weights).sum(over, keepdim=True) / total
    return means


def patch(places: Sequence[Place], source: Mapping[str, Tensor]) -> Hook:
    """Makes a hook that puts activations of another text into this one (activation patching; Vig et al. 2020, arXiv
    2004.12265, and Meng et al. 2022, arXiv 2202.05262).

    Args:
        places: which activations, or pieces of them; a position counted from the end is one in each text.
        source: the activations of the other text by name, as `trace` gives them.

    Raises:
        TinyLMError: within the forward pass, where the two pieces have different shapes.
    """
    def new(place: Place, piece: Tensor) -> Tensor:
        other = source[place.tap][place.slices(source[place.tap])]
        if other.shape[1:] != piece.shape[1:]:
            axis = "positions" if place.position is None else "keys"
            raise TinyLMError(f"the two texts have different numbers of {axis} at {place.name}", where=place.name,
                              remedy="Name one position, such as :-1, or give a text with as many tokens")
        return other

    return replace(places, new)
