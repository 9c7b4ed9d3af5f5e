"""Training of low-rank additions (model/lora.py), by the same paths that train all weights: these give the gradients of
the dense matrices, of which the chain rule makes those of the additions."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from tinylm.model.lora import LoRA
from tinylm.model.tensors import Weights
from tinylm.model.transformer import TinyLM
from tinylm.text.rows import Batch
from tinylm.training.backend import Compute, Ids, TrainingBackend


def trained_module(model: TinyLM, base: Weights | None, rank: int, seed: int,
                   compute: Compute) -> tuple[nn.Module, TrainingBackend]:
    """The module whose parameters a run trains, and its backend: the model itself, or additions to it.

    Args:
        base: the weights of the base; None for a run from nothing.
        rank: of the additions; 0: there are none.
        seed: of the first additions.
    """
    if not rank:
        return model, TrainingBackend(model, compute)
    assert base is not None, "additions have a base"
    lora = LoRA(model, base, rank, seed)
    return lora, LoRABackend(lora, compute)


class LoRABackend(TrainingBackend):
    """Computes losses of a model with low-rank additions, and the gradients of these.

    >>> import numpy as np
    >>> from tinylm import ModelConfig
    >>> from tinylm.model.tensors import weights_of
    >>> from tinylm.training.backend import REFERENCE
    >>> model, ids = TinyLM(ModelConfig(vocab_size=4, d_model=8, n_layers=1, n_heads=1)), np.array([[1, 2, 3]])
    >>> base = {name: array.copy() for name, array in weights_of(model).items()}
    >>> lora = LoRA(model, base, rank=2, seed=0)
    >>> _ = LoRABackend(lora, REFERENCE).backward([(ids, ids)], n_targets=3, dropout_seed=0)
    >>> model.layers[0].mlp.down_proj.weight.grad, lora.layers[0].mlp.down_proj.b.grad.shape
    (None, torch.Size([8, 2]))
    """

    def __init__(self, lora: LoRA, compute: Compute) -> None:
        super().__init__(lora.model, compute)
        self._lora = lora

    def backward(self, batches: Sequence[Batch], n_targets: float, dropout_seed: int) -> Tensor:
        """Computes what `TrainingBackend.backward` does, for the `.grad` of the additions."""
        self.write_weights()
        loss = super().backward(batches, n_targets, dropout_seed)
        self._lora.take_gradients()
        return loss

    def loss(self, inputs: Ids, targets: Ids) -> Tensor:
        """Computes what `TrainingBackend.loss` does."""
        self.write_weights()
        return super().loss(inputs, targets)

    def write_weights(self) -> None:
        self._lora.write_weights()
