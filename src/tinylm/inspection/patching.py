"""The map of activation patching: which activation of one text, put into another, carries the difference."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tinylm.errors import TinyLMError
from tinylm.inspection.interventions import patch
from tinylm.inspection.places import Place
from tinylm.model.dropout import without_dropout
from tinylm.model.taps import Hook, hooked
from tinylm.model.transformer import TinyLM
from tinylm.sampling.predictions import Prediction

ROWS_TOGETHER = 64
"""Patched texts that are computed in one batch."""


@dataclass(frozen=True)
class PatchMap:
    """The difference of two logits after the last token, for each activation that is patched alone.

    Attributes:
        token, against: the two tokens, with their probabilities after the text as it is.
        unpatched: the logit of `token` less that of `against` after the text as it is.
        source: the same after the other text.
        stream: (layers, positions), with `layers.i.resid_pre` of one position from the other text.
        heads: (layers, heads), with what a head took in at every position.
        mlps: (layers), with what an MLP computed at every position.
    """

    token: Prediction
    against: Prediction
    unpatched: float
    source: float
    stream: list[list[float]]
    heads: list[list[float]]
    mlps: list[float]


def patch_map(model: TinyLM, ids: Sequence[int], source: Mapping[str, Tensor], token: Prediction, against: Prediction,
              hooks: Sequence[Hook] = ()) -> PatchMap:
    """Patches each activation in turn.

    Args:
        ids: of the text that is patched into.
        source: the activations of the other text, as `trace` gives them.
        token, against: whose logits are compared.
        hooks: changes that hold as well.

    Raises:
        TinyLMError: the two texts differ in length.
    """
    length, config = len(ids), model.config
    if source["logits"].shape[1] != length:
        raise TinyLMError(f"the texts have {length} and {source['logits'].shape[1]} tokens, and patching one by one "
                          "needs equally many", where="the other text",
                          remedy="Name one place, such as 1.0:-1; or give a text with as many tokens")
    row = torch.tensor([ids], device=source["logits"].device)

    def differences(patches: Sequence[Hook]) -> list[float]:
        found: list[float] = []
        for first in range(0, len(patches), ROWS_TOGETHER):
            some = patches[first:first + ROWS_TOGETHER]
            with without_dropout(model), torch.no_grad(), hooked(model, *hooks, _row_by_row(some)):
                logits = model(row.expand(len(some), -1))[:, -1].double()
            found += (logits[:, token.id] - logits[:, against.id]).tolist()
        return found

    def patches(places: Sequence[Place]) -> list[Hook]:
        return [patch([place], source) for place in places]

    last = source["logits"][0, -1].double()
    layers = range(config.n_layers)
    return PatchMap(
        token, against, differences([_unchanged])[0], float(last[token.id] - last[against.id]),
        [differences(patches([Place(f"layers.{i}.resid_pre", position=at) for at in range(length)])) for i in layers],
        [differences(patches([Place(f"layers.{i}.attn.z", head) for head in range(config.n_heads)])) for i in layers],
        differences(patches([Place(f"layers.{i}.mlp_out") for i in layers])))


def _unchanged(_name: str, activation: Tensor) -> Tensor:
    return activation


def _row_by_row(hooks: Sequence[Callable[[str, Tensor], Tensor]]) -> Hook:
    """Makes a hook of a batch, each of whose rows has a hook of its own."""
    def hook(name: str, activation: Tensor) -> Tensor:
        rows = [each(name, row) for each, row in zip(hooks, activation.split(1), strict=True)]
        same = all(new.data_ptr() == old.data_ptr() for new, old in zip(rows, activation.split(1), strict=True))
        return activation if same else torch.cat(rows)

    return hook
