"""Positions: without a signal of them attention sees a set of tokens, not a sequence. Three ways, one interface.

Axis letters: B batch, T positions, D d_model, H heads, K d_head.
A position signal is either added to the residual stream (`add`) or turns queries and keys (`angles`,
then `apply_rotary`).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinylm.config.schema import ModelConfig
from tinylm.model.layout import rotary_angles

Angles = tuple[Tensor, Tensor]
"""Cosines and sines, (T, K/2) each; (B, 1, T, K/2) if the rows of a batch stand at positions of their own."""


class NoPositions(nn.Module):
    """Absence of a signal, the notebook's choice: a model knows of order only through the causal mask."""

    def add(self, x: Tensor, positions: Tensor) -> Tensor:  # noqa: ARG002
        return x

    def angles(self, positions: Tensor) -> Angles | None:  # noqa: ARG002
        return None


class LearnedPositions(NoPositions):
    """Learned vectors, one a position, which are added to the embedding (GPT-2's choice)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(config.context_length, config.d_model))

    def add(self, x: Tensor, positions: Tensor) -> Tensor:
        """(B, T, D), and positions (T,) or (B, T) -> (B, T, D)."""
        return x + F.embedding(positions, self.weight)


class RotaryPositions(NoPositions):
    """Rotary positions: turn each pair of dimensions of queries and keys by an angle that grows with the position, so
    that their products depend on the distance alone (Su et al. 2021, arXiv 2104.09864). Pairs are (i, i + K/2), as in
    Llama's files."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.d_head, self.theta = config.d_head, config.rope_theta

    def angles(self, positions: Tensor) -> Angles:
        """Positions (T,) or (B, T) -> cosines and sines, (T, K/2) or (B, 1, T, K/2); the 1 is for the heads."""
        dimensions = torch.arange(0, self.d_head, 2, device=positions.device, dtype=torch.float32)
        angles = rotary_angles(positions.float(), dimensions, self.d_head, self.theta)
        if positions.dim() == 2:
            angles = angles.unsqueeze(1)
        return angles.cos(), angles.sin()


def apply_rotary(x: Tensor, angles: Angles) -> Tensor:
    """Turns queries or keys (B, H, T, K) by the angles of their positions."""
    cos, sin = (part.to(x.dtype) for part in angles)  # (T, K/2)
    first, second = x.chunk(2, dim=-1)  # (B, H, T, K/2) each
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)


def make_positions(config: ModelConfig) -> NoPositions:
    """The position signal that the config names."""
    if config.positions == "learned":
        return LearnedPositions(config)
    if config.positions == "rotary":
        return RotaryPositions(config)
    return NoPositions()
