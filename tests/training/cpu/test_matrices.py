"""The products of training in 32 bits against NumPy in 64, at shapes that fill whole tiles and at others."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tinylm.training.cpu.buffers import NO_BUFFER, BufferPool, as_buffer
from tinylm.training.cpu.matrices import PackedMatrix, Scratch, add_gradient, odd_polynomial
from tinylm.training.cpu.packed_matmul import BLOCK

SHAPES = [(1, 5, 7), (3, 40, 68), (8, 128, 65), (9, 32, 32), (30, 96, 100), (37, 64, 31), (BLOCK + 5, 33, 96)]
"""Tokens, inputs and outputs."""


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, np.float32))


def scratch(inputs: int) -> Scratch:
    return Scratch(BufferPool(), torch.float32, inputs)


def packed(matrix: Tensor, *cuts: int) -> PackedMatrix:
    """The matrix, cut into the parameters that it is made of."""
    made = PackedMatrix(list(torch.tensor_split(matrix, cuts)), backward=True)
    made.refresh()
    return made


def close(found: Tensor, expected: np.ndarray) -> bool:
    """True if each number is off by no more than the rounding of its sum."""
    return bool(np.abs(found.numpy() - expected).max() < 1e-6 * np.sqrt(BLOCK) * max(1, np.abs(expected).max()))


@pytest.mark.parametrize(("tokens", "inputs", "outputs"), SHAPES)
def test_products_are_those_of_numpy(tokens: int, inputs: int, outputs: int) -> None:
    matrix, x, dy = random(outputs, inputs), random(tokens, inputs, seed=1), random(tokens, outputs, seed=2)
    out, dx = torch.full((tokens, outputs), torch.nan), torch.full((tokens, inputs), torch.nan)
    made = packed(matrix, outputs // 3, outputs // 2)
    made.multiply(as_buffer(x), as_buffer(out), scratch(inputs))
    made.multiply_backward(as_buffer(dy), as_buffer(dx), scratch(inputs))
    assert close(out, x.double().numpy() @ matrix.double().numpy().T)
    assert close(dx, dy.double().numpy() @ matrix.double().numpy())


@pytest.mark.parametrize(("tokens", "inputs", "outputs"), SHAPES)
def test_the_gradient_of_a_matrix_is_added_to_what_is_there(tokens: int, inputs: int, outputs: int) -> None:
    x, dy, before = random(tokens, inputs), random(tokens, outputs, seed=1), random(outputs, inputs, seed=2)
    gradient = before.clone()
    add_gradient(as_buffer(dy), as_buffer(x), as_buffer(gradient), scratch(inputs))
    assert close(gradient, before.double().numpy() + dy.double().numpy().T @ x.double().numpy())


def test_a_frozen_matrix_gets_no_gradient() -> None:
    add_gradient(as_buffer(random(4, 8)), as_buffer(random(4, 8)), NO_BUFFER, scratch(8))
    assert NO_BUFFER.t.numel() == 0


def test_digits_do_not_depend_on_the_rows_that_are_multiplied_together() -> None:
    x, whole, made = random(37, 96), torch.empty(37, 100), packed(random(100, 96, seed=1))
    made.multiply(as_buffer(x), as_buffer(whole), scratch(96))
    for rows in (slice(0, 1), slice(3, 20), slice(30, 37)):
        part = torch.empty(rows.stop - rows.start, 100)
        made.multiply(as_buffer(x[rows]), as_buffer(part), scratch(96))
        assert torch.equal(part, whole[rows])


def test_a_refreshed_matrix_has_the_parameters_of_now() -> None:
    matrix, x, out = random(64, 32), random(8, 32, seed=1), torch.empty(8, 64)
    made = packed(matrix)
    matrix.mul_(2)
    made.refresh()
    made.multiply(as_buffer(x), as_buffer(out), scratch(32))
    assert close(out, x.double().numpy() @ matrix.double().numpy().T)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 5, 9), (3, 16, 16), (2, 33, 70), (1, 96, 384), (2, 128, 128)])
def test_the_polynomial_of_muon_is_that_of_numpy(shape: tuple[int, int, int]) -> None:
    x = random(*shape) / np.sqrt(shape[1] * shape[2])
    exact = x.double().numpy()
    gram = exact @ exact.transpose(0, 2, 1)
    found = odd_polynomial(x, 3.0, -4.0, 2.0)
    assert close(found, 3 * exact - 4 * gram @ exact + 2 * gram @ gram @ exact)
    for alone, together in zip(x, found, strict=True):
        assert torch.equal(odd_polynomial(alone[None], 3.0, -4.0, 2.0)[0], together)


def test_the_polynomial_of_muon_takes_a_transposed_matrix() -> None:
    x = random(2, 40, 12) / 20
    assert torch.equal(odd_polynomial(x.mT, 1.0, 2.0, 3.0), odd_polynomial(x.mT.contiguous(), 1.0, 2.0, 3.0))
