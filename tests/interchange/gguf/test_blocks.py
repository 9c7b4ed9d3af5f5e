"""Number formats of GGUF against the package gguf, which llama.cpp's authors make."""

from __future__ import annotations

import gguf
import numpy as np
import pytest

from tinylm.errors import TinyLMError
from tinylm.interchange.gguf.blocks import (
    TensorType,
    block_bytes,
    block_length,
    dequantize,
    is_finite,
    quantize,
    tensor_bytes,
)


def loud(rows: int = 64, seed: int = 0) -> np.ndarray:
    """Numbers of many magnitudes, with halves, zeros and a block of zeros."""
    random = np.random.default_rng(seed)
    numbers = random.standard_normal((rows, 96)) * 10.0 ** random.integers(-5, 3, (rows, 1))
    numbers[0], numbers[1, :64] = 0, np.arange(64) - 31.5
    numbers[2, 0] = 127  # a scale of 1: the halves of the row are halves
    numbers[2, 1:32] = np.arange(31) - 15.5
    return numbers.astype(np.float32)


@pytest.mark.parametrize("kind", TensorType)
def test_sizes_of_blocks_are_those_of_the_package(kind: TensorType) -> None:
    assert (block_length(kind), block_bytes(kind)) == gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType(kind)]
    assert gguf.GGMLQuantizationType(kind).name == kind.name


@pytest.mark.parametrize("kind", TensorType)
def test_finite_as_stored_is_finite_as_decoded(kind: TensorType) -> None:
    found = set()
    for seed in range(300):
        data = np.random.default_rng(seed).bytes(block_bytes(kind) * (1 if block_length(kind) > 1 else 16))
        with np.errstate(all="ignore"):
            decoded = bool(np.isfinite(dequantize(data, kind)).all())
        assert is_finite(data, kind) == decoded
        found.add(decoded)
    assert found == {True, False}


@pytest.mark.parametrize("kind", TensorType)
def test_dequantized_numbers_are_those_of_the_package(kind: TensorType) -> None:
    theirs = gguf.GGMLQuantizationType(kind)
    stored = gguf.quants.quantize(loud(), theirs)
    assert len(stored.tobytes()) == tensor_bytes(kind, loud().size)
    expected = gguf.quants.dequantize(stored, theirs)
    assert np.array_equal(dequantize(stored.tobytes(), kind), expected.reshape(-1))


@pytest.mark.parametrize("kind", [TensorType.F32, TensorType.F16, TensorType.Q8_0])
def test_quantized_bits_are_those_of_the_package(kind: TensorType) -> None:
    expected = gguf.quants.quantize(loud(1000, seed=1), gguf.GGMLQuantizationType(kind))
    assert quantize(loud(1000, seed=1), kind) == expected.tobytes()


def test_a_number_that_a_format_does_not_hold_is_refused() -> None:
    large = np.full((1, 32), 1e8, np.float32)
    assert dequantize(quantize(large, TensorType.F32), TensorType.F32)[0] == np.float32(1e8)
    for kind in (TensorType.F16, TensorType.Q8_0):
        with pytest.raises(TinyLMError, match="too large"):
            quantize(large, kind)
