"""Low-rank adaptation (LoRA, Hu et al. 2021, arXiv 2106.09685): a matrix W of a base becomes W + scale B A, and A and B
alone are trained, whose product has a low rank.

    W (O, I)   A (R, I)   B (O, R)   scale = ALPHA / R        axis letters: O outputs   I inputs   R rank

Every matrix inside the layers gets an addition. The model itself stays dense: its matrices are written anew whenever A
and B have changed, so that whatever reads a model needs to know nothing of additions.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tinylm.model.layout import addition_shapes
from tinylm.model.taps import TapRegistry
from tinylm.model.tensors import Weights
from tinylm.model.transformer import TinyLM

ALPHA = 16.0
"""What the scale is at rank 1. It falls with the rank, so that one learning rate suits all ranks."""


class Addition(NamedTuple):
    """The addition to one matrix.

    Attributes:
        a: (R, I) float32.
        b: (O, R) float32.
        scale: the factor of their product.
    """

    a: NDArray[np.float32]
    b: NDArray[np.float32]
    scale: float


Additions = Mapping[str, Addition]
"""By the name of the matrix that they are added to, such as `layers.0.attn.q_proj.weight`."""


class LoRA(nn.Module):
    """The additions to a model's matrices as a module: its parameters are A and B alone, and it computes what the model
    computes with them.

    A is drawn uniformly within 1/sqrt(I) and B is zero, so that the model begins as its base.

    Args:
        model: of the base's weights. Its matrices inside the layers will change, and everything else is frozen.
        base: the base's weights by name, which are kept and not changed.
        rank: R.
        seed: of the draw.

    Attributes:
        model: as given.

    >>> from tinylm import ModelConfig
    >>> from tinylm.model.tensors import weights_of
    >>> model = TinyLM(ModelConfig(vocab_size=5, d_model=8, n_heads=1, n_layers=1))
    >>> base = {name: array.copy() for name, array in weights_of(model).items()}
    >>> lora = LoRA(model, base, rank=2, seed=0)
    >>> lora.layers[0].mlp.up_proj.a.shape
    torch.Size([2, 8])
    """

    def __init__(self, model: TinyLM, base: Weights, rank: int, seed: int) -> None:
        super().__init__()
        self._model = (model,)  # in a tuple, where torch looks for no submodule: its parameters are not trained
        self.scale = ALPHA / rank
        device = model.embed.weight.device
        generator = torch.Generator().manual_seed(seed)
        for name, shape in addition_shapes(model.config, rank).items():
            drawn = torch.zeros(shape)
            if name.endswith(".a"):
                drawn.uniform_(-1 / math.sqrt(shape[1]), 1 / math.sqrt(shape[1]), generator=generator)
            path, _, letter = name.rpartition(".")
            _submodule(self, path).register_parameter(letter, nn.Parameter(drawn.to(device)))
        parameters = dict(self.named_parameters())
        matrices = dict(model.named_parameters())
        for parameter in matrices.values():
            parameter.requires_grad = False
        self._parts = []
        for name, b in parameters.items():
            if name.endswith(".b"):
                matrix = f"{name.removesuffix('.b')}.weight"
                matrices[matrix].requires_grad = True
                self._parts.append((matrices[matrix], torch.from_numpy(base[matrix]).to(device),
                                    parameters[f"{name.removesuffix('.b')}.a"], b))

    @property
    def model(self) -> TinyLM:
        return self._model[0]

    @property
    def taps(self) -> TapRegistry:
        """The taps of the model."""
        return self.model.taps

    def forward(self, ids: Tensor) -> Tensor:
        """ids (B, T) -> logits (B, T, V)."""
        self.write_weights()
        return self.model(ids)

    def train(self, mode: bool = True) -> LoRA:
        """Puts the model into training or evaluation mode."""
        self.model.train(mode)
        return super().train(mode)

    @torch.no_grad()
    def write_weights(self) -> None:
        """Writes the model's matrices anew."""
        for matrix, base, a, b in self._parts:
            torch.addmm(base, b, a, alpha=self.scale, out=matrix.data)

    @torch.no_grad()
    def take_gradients(self) -> None:
        """Turns the gradients of the matrices into those of A and B, by the chain rule, and adds them to those that are
        there: dA = scale B^T dW, dB = scale dW A^T."""
        for matrix, _, a, b in self._parts:
            gradient, matrix.grad = matrix.grad, None
            if gradient is not None:
                _add_gradient(a, self.scale * (b.T @ gradient))
                _add_gradient(b, self.scale * (gradient @ a.T))


def _submodule(root: nn.Module, path: str) -> nn.Module:
    """The module at a dotted path; what is missing on the way is made."""
    for name in path.split("."):
        if name not in root._modules:
            root.add_module(name, nn.ModuleList() if name == "layers" else nn.Module())
        root = root.get_submodule(name)
    return root


def _add_gradient(parameter: Tensor, gradient: Tensor) -> None:
    parameter.grad = gradient if parameter.grad is None else parameter.grad.add_(gradient)


def additions_of(parameters: Mapping[str, Tensor], rank: int) -> dict[str, Addition]:
    """The additions that A and B make up, by the names of `LoRA`'s parameters."""
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in parameters.items()}
    return {f"{name.removesuffix('.b')}.weight": Addition(arrays[f"{name.removesuffix('.b')}.a"], b, ALPHA / rank)
            for name, b in arrays.items() if name.endswith(".b")}


def stacked(parts: Sequence[Addition]) -> Addition:
    """The addition to matrices that are stacked in one: each A below the other, each B along the diagonal.

    >>> one = Addition(np.ones((1, 3), np.float32), np.ones((2, 1), np.float32), scale=0.5)
    >>> stacked([one, one]).b[:, 0]
    array([1., 1., 0., 0.], dtype=float32)
    """
    if len(parts) == 1:
        return parts[0]
    scale = max((part.scale for part in parts), key=abs) or 1.0
    b = np.zeros((sum(len(part.b) for part in parts), sum(len(part.a) for part in parts)), np.float32)
    row = column = 0
    for part in parts:
        b[row:row + len(part.b), column:column + len(part.a)] = part.b * np.float32(part.scale / scale)
        row, column = row + len(part.b), column + len(part.a)
    return Addition(np.concatenate([part.a for part in parts]), b, scale)


def merged(base: Weights, additions: Additions) -> Weights:
    """The weights of the model that a base and additions to its matrices make up.

    >>> one = Addition(np.ones((1, 3), np.float32), np.ones((2, 1), np.float32), scale=0.5)
    >>> merged({"w": np.zeros((2, 3), np.float32)}, {"w": one})["w"][0]
    array([0.5, 0.5, 0.5], dtype=float32)
    """
    return {**base, **{name: torch.addmm(*map(torch.from_numpy, (base[name], b, a)), alpha=scale).numpy()
                       for name, (a, b, scale) in additions.items()}}
