"""Contributions: direct logit attribution, the share of each part of a model in the difference of two logits.

The residual stream is a sum: of the embedding and of what each head and each MLP added. The norms on its way to the
logits divide by a number that depends on the whole stream; that number is held at what it was (the usual choice, as in
Elhage et al. 2021, "A mathematical framework for transformer circuits"). A norm is then a linear map, the logits are
one, too, and a difference of two logits is a sum with a term for each part. In a pre-norm model `ln_f` is the one norm
on the way; in a post-norm model the stream also passes each `norm1` and `norm2` behind the part, and each is held so.

Axis letters: D d_model, H heads, K d_head; N parts so far.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tinylm.model.norms import LayerNorm, RMSNorm
from tinylm.model.transformer import Layer, PostNormLayer, TinyLM

NOTICEABLE = 1e-4
"""The share of the stream from which on a change by a hook is a part of its own, and not rounding."""


@dataclass(frozen=True)
class Contribution:
    """The term of one part in a difference of two logits.

    Attributes:
        part: `embed`, `positions` (learned ones), `L.H` for a head, `L.mlp`; a bias by the name of its tensor's module,
            such as `ln_f.bias`; and `NAME.change` for what a hook put there instead of a sum.
        value: its term.
    """

    part: str
    value: float


def contributions(model: TinyLM, activations: Mapping[str, Tensor], position: int, token: int,
                  against: int | None = None) -> list[Contribution]:
    """Splits the logit of a token, less that of another, into the terms of the parts.

    Args:
        activations: what `trace` returned; of its rows, the first is split.
        position: after which the logits stand; from 0, or from -1 at the end.
        token: the id whose logit counts.
        against: the id whose logit is taken off; None: the mean of all logits.

    Returns:
        the terms in the order in which they arise. They add up to the difference, in 64 bits.

    >>> from tinylm import ModelConfig
    >>> from tinylm.inspection.trace import trace
    >>> model = TinyLM(ModelConfig.preset("notebook", vocab_size=12))
    >>> activations = trace(model, [1, 5, 7])
    >>> terms = contributions(model, activations, -1, token=3, against=4)
    >>> [term.part for term in terms][:4]
    ['embed', '0.0', '0.1', '0.attn.bias']
    >>> logits = activations["logits"][0, -1]
    >>> abs(sum(term.value for term in terms) - float(logits[3] - logits[4])) < 1e-4
    True
    """
    at = {name: _at_position(name, activation, position) for name, activation in activations.items()}
    length = activations["logits"].shape[1]
    stream = _Stream("embed", at["embed"])
    if model.config.positions == "learned":
        zeros = torch.zeros_like(activations["embed"][:1])
        learned = model.positions.add(zeros, torch.arange(length, device=zeros.device))
        stream.add("positions", learned[0, position])
    for i, layer in enumerate(model.layers):
        assert isinstance(layer, Layer)
        _pass_layer(stream, layer, f"{i}", {name.removeprefix(f"layers.{i}."): activation for name, activation
                                            in at.items() if name.startswith(f"layers.{i}.")})
    stream.through(model.ln_f, "ln_f")
    stream.settle("ln_f", at["ln_f"])
    return _read_out(stream, model, at["logits"], token, against)


class _Stream:
    """The residual stream at one position as a sum of named parts, in 64 bits."""

    def __init__(self, name: str, vector: Tensor) -> None:
        self.names, self.parts = [name], vector.double()[None]  # (N, D)

    def add(self, name: str, vector: Tensor | None) -> None:
        if vector is not None:
            self.names.append(name)
            self.parts = torch.cat([self.parts, vector.double()[None]])

    def settle(self, name: str, actual: Tensor) -> None:
        """Adds a part for what a hook made of the sum, if that is more than rounding."""
        rest = actual.double() - self.parts.sum(0)
        if rest.abs().max() > NOTICEABLE * (1 + actual.abs().max()):
            self.add(f"{name}.change", rest)

    def through(self, norm: LayerNorm | RMSNorm, name: str) -> None:
        """Applies a norm, whose divisor is that of the sum: a linear map of each part, and a bias."""
        if isinstance(norm, LayerNorm):
            self.parts = self.parts - self.parts.mean(-1, keepdim=True)
        divisor = (self.parts.sum(0).square().mean() + norm.eps).sqrt()
        self.parts = self.parts / divisor * norm.weight.double()
        self.add(f"{name}.bias", norm.bias if isinstance(norm, LayerNorm) else None)


def _at_position(name: str, activation: Tensor, position: int) -> Tensor:
    """The activation of the first row at a position, without these two axes."""
    has_heads = ".attn." in name  # (B, H, T, ...); without heads (B, T, ...)
    return activation[0, :, position] if has_heads else activation[0, position]


@torch.no_grad()
def _pass_layer(stream: _Stream, layer: Layer, number: str, at: Mapping[str, Tensor]) -> None:
    """Adds what the heads and the MLP of a layer gave."""
    post = isinstance(layer, PostNormLayer)
    stream.settle(f"layers.{number}.resid_pre", at["resid_pre"])
    before = stream.parts.sum(0)
    z, o_proj = at["attn.z"].double(), layer.attn.o_proj  # (H, K)
    heads = torch.einsum("hk,dhk->hd", z, o_proj.weight.double().unflatten(1, z.shape))
    for head, vector in enumerate(heads):
        stream.add(f"{number}.{head}", vector)
    stream.add(f"{number}.attn.bias", o_proj.bias)
    stream.settle(f"layers.{number}.attn_out", before + at["attn_out"].double())
    if post:
        stream.through(layer.norm1, f"{number}.norm1")
    stream.settle(f"layers.{number}.resid_mid", at["resid_mid"])
    stream.add(f"{number}.mlp", at["mlp_out"])
    if post:
        stream.through(layer.norm2, f"{number}.norm2")
    stream.settle(f"layers.{number}.resid_post", at["resid_post"])


@torch.no_grad()
def _read_out(stream: _Stream, model: TinyLM, logits: Tensor, token: int, against: int | None) -> list[Contribution]:
    """The terms of the parts of the normalised stream in the difference of the two logits."""
    def difference(rows: Tensor) -> Tensor:
        rows = rows.double()
        return rows[token] - (rows.mean(0) if against is None else rows[against])

    terms = (stream.parts @ difference(model.out_head.weight)).tolist()
    names: Sequence[str] = stream.names
    found = [Contribution(name, value) for name, value in zip(names, terms, strict=True)]
    if model.out_head.bias is not None:
        found.append(Contribution("out_head.bias", float(difference(model.out_head.bias))))
    rest = float(difference(logits)) - sum(each.value for each in found)
    if abs(rest) > NOTICEABLE * (1 + float(logits.abs().max())):
        found.append(Contribution("logits.change", rest))
    return found
