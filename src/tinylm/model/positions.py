"""Positions: without them attention sees a set of tokens, not a sequence. Three ways, one interface.

Axis letters: B batch, T positions, D d_model, H heads, K d_head.
A position signal is either added to the residual stream (`add`) or turns queries and keys (`angles`,
then `apply_rotary`).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from tinylm.config.schema import ModelConfig

Angles = tuple[Tensor, Tensor]
"""Cosines and sines, (T, K/2) each."""


class NoPositions(nn.Module):
    """The notebook's choice: order is known only through the causal mask."""

    def add(self, x: Tensor, start: int) -> Tensor:  # noqa: ARG002
        return x

    def angles(self, start: int, length: int, device: torch.device) -> Angles | None:  # noqa: ARG002
        return None


class LearnedPositions(NoPositions):
    """One learned vector a position, added to the embedding (GPT-2's choice)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(config.context_length, config.d_model))

    def add(self, x: Tensor, start: int) -> Tensor:
        """(B, T, D) -> (B, T, D), for the positions start .. start + T - 1."""
        return x + self.weight[start : start + x.shape[1]]


class RotaryPositions(NoPositions):
    """Turns each pair of dimensions of a query or key by an angle that grows with its position, so that their product
    depends on the distance alone (Su et al. 2021, arXiv 2104.09864). Pairs are (i, i + K/2), as in Llama's files."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.d_head, self.theta = config.d_head, config.rope_theta

    def angles(self, start: int, length: int, device: torch.device) -> Angles:
        pair = torch.arange(0, self.d_head, 2, device=device, dtype=torch.float32)  # (K/2,)
        speed = self.theta ** (-pair / self.d_head)  # radians a position: fast pairs first
        position = torch.arange(start, start + length, device=device, dtype=torch.float32)  # (T,)
        angle = torch.outer(position, speed)  # (T, K/2)
        return angle.cos(), angle.sin()


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
