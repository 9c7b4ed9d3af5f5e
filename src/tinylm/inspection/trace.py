"""One forward pass, written down: every activation by its name (the list is in model/taps.py and docs/NAMES.md).

Axis letters: B batch, T positions, D d_model, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from tinylm.errors import TinyLMError
from tinylm.model.dropout import without_dropout
from tinylm.model.taps import capture
from tinylm.model.transformer import TinyLM


def trace(model: TinyLM, ids: Sequence[int] | Tensor) -> dict[str, Tensor]:
    """Every activation of one forward pass over `ids`, by name, in the order they arise.

    Without dropout and without gradients; the model is left in the mode, training or not, that it was in.

    Args:
        ids: a list of T ids, or a tensor (B, T); a list is a batch of one.

    Raises:
        TinyLMError: no ids, or ids that are not in the vocabulary.
    """
    batch = _as_batch(ids, model)
    with without_dropout(model), torch.no_grad(), capture(model) as activations:
        model(batch)
    return activations


def logit_lens(model: TinyLM, activations: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the model would predict if it ended after each layer: `layers.i.resid_post` -> logits (B, T, V).

    The residual stream after a layer is read as if it were the last one, through `ln_f` and `out_head`
    (nostalgebraist 2020, "interpreting GPT: the logit lens"). After the last layer it is the prediction itself.

    Args:
        activations: what `trace` returned.
    """
    streams = {name: stream for name, stream in activations.items() if name.endswith(".resid_post")}
    with torch.no_grad():
        return {name: model.out_head(model.ln_f(stream)) for name, stream in streams.items()}


def _as_batch(ids: Sequence[int] | Tensor, model: TinyLM) -> Tensor:
    batch = torch.atleast_2d(torch.as_tensor(ids, dtype=torch.int64, device=model.embed.weight.device))
    size = model.config.vocab_size
    if not batch.numel():
        raise TinyLMError("there are no ids to follow", remedy="Give at least one")
    if batch.min() < 0 or batch.max() >= size:
        raise TinyLMError(f"ids must be from 0 to {size - 1}, but they go from {batch.min()} to {batch.max()}")
    return batch
