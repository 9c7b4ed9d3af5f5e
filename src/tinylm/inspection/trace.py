"""Trace: the activations of one forward pass by their names (`TAPS` in model/taps.py, docs/NAMES.md).

Axis letters: B batch, T positions, D d_model, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from tinylm.errors import TinyLMError
from tinylm.inspection.structure import flops_per_token
from tinylm.model.dropout import without_dropout
from tinylm.model.taps import Hook, capture, hooked
from tinylm.model.threads import threads_for, torch_threads
from tinylm.model.transformer import TinyLM


def trace(model: TinyLM, ids: Sequence[int] | Tensor, hooks: Sequence[Hook] = ()) -> dict[str, Tensor]:
    """Records every activation of one forward pass over `ids`.

    The pass has no dropout and no gradients; the model stays in the mode, training or not, that it was in.

    Args:
        ids: a list of T ids, or a tensor (B, T); a list is a batch of one.
        hooks: interventions (interventions.py); what is recorded is what they leave.

    Returns:
        the activations by name, in the order in which they arise; their shapes are in `TAPS`.

    Raises:
        TinyLMError: no ids, or ids that are not in the vocabulary.

    >>> from tinylm import ModelConfig
    >>> activations = trace(TinyLM(ModelConfig.preset("notebook", vocab_size=12)), [1, 5, 7])
    >>> list(activations)[:3]
    ['embed', 'layers.0.resid_pre', 'layers.0.attn.q']
    >>> activations["layers.1.attn.pattern"].shape  # (B, H, T, S)
    torch.Size([1, 2, 3, 3])
    """
    batch = _as_batch(ids, model)
    threads = torch_threads(threads_for(batch.numel() * flops_per_token(model.config, batch.shape[1])))
    with without_dropout(model), torch.no_grad(), threads, hooked(model, *hooks), capture(model) as activations:
        model(batch)
    return activations


def logit_lens(model: TinyLM, activations: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Logit lens: what the model would predict if it ended before its first layer, and after each layer.

    The residual stream is read as if the last layer lay behind it, through `ln_f` and `out_head` (nostalgebraist 2020,
    "interpreting GPT: the logit lens"). After the last layer it is the prediction itself.

    Args:
        activations: what `trace` returned.

    Returns:
        logits (B, T, V) by the name of the stream that they were read from: `layers.0.resid_pre`, then each
        `layers.i.resid_post`. Of a model without layers, the logits alone.

    >>> from tinylm import ModelConfig
    >>> model = TinyLM(ModelConfig.preset("notebook", vocab_size=12))
    >>> lens = logit_lens(model, trace(model, [1, 5, 7]))
    >>> {name: tuple(logits.shape) for name, logits in lens.items()}
    {'layers.0.resid_pre': (1, 3, 12), 'layers.0.resid_post': (1, 3, 12), 'layers.1.resid_post': (1, 3, 12)}
    """
    streams = {name: stream for name, stream in activations.items()
               if name == "layers.0.resid_pre" or name.endswith(".resid_post")}
    if not streams:
        return {"logits": activations["logits"]}
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
