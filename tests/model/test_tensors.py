"""Tensors that are stored in 8 bits: read as the product of whole numbers and a scale for each row, or not at all."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from tinylm.engine.weights import quantised
from tinylm.errors import TinyLMError
from tinylm.model.tensors import read_tensors

EXPECTED = {"embed.weight": (6, 4), "ln_f.weight": (4,)}


@pytest.fixture
def matrix() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)


def stored(matrix: np.ndarray) -> dict[str, np.ndarray]:
    numbers, scales = quantised(matrix)
    return {"embed.weight": numbers, "embed.weight.scale": scales, "ln_f.weight": np.ones(4, np.float32)}


def test_a_matrix_of_8_bits_is_read_as_the_product_with_its_scales(matrix: np.ndarray, tmp_path: Path) -> None:
    tensors = stored(matrix)
    save_file(tensors, tmp_path / "weights")
    read = read_tensors(tmp_path / "weights", EXPECTED)
    assert set(read) == set(EXPECTED)
    assert read["embed.weight"].dtype == np.float32
    np.testing.assert_array_equal(read["embed.weight"],
                                  tensors["embed.weight"] * tensors["embed.weight.scale"][:, None])
    step = np.abs(matrix).max(axis=1, keepdims=True) / 127
    assert (np.abs(read["embed.weight"] - matrix) <= step / 2 + 1e-6).all()


@pytest.mark.parametrize(("change", "message"), [
    ({"embed.weight.scale": None}, r"embed\.weight\.scale of shape \[6\], and here it is none"),
    ({"embed.weight.scale": np.ones(4, np.float32)}, r"of shape \[6\], and here it is \[4\]"),
    ({"embed.weight.scale": np.ones((6, 1), np.float32)}, r"of shape \[6\], and here it is \[6, 1\]"),
    ({"embed.weight.scale": np.full(6, np.inf, np.float32)}, "not a finite number"),
    ({"embed.weight.scale": np.ones(6, np.int8)}, "embed.weight.scale holds numbers of type I8"),
    ({"embed.weight": np.ones((6, 4), np.float32)}, "asks for embed.weight.scale of shape none"),
    ({"ln_f.weight.scale": np.ones(4, np.float32)}, "asks for ln_f.weight.scale of shape none"),
    ({"embed.weight": np.ones((6, 4), np.uint8), "embed.weight.scale": None}, "holds numbers of type U8"),
])
def test_scales_that_do_not_fit_are_refused(matrix: np.ndarray, tmp_path: Path, change: dict[str, Any],
                                            message: str) -> None:
    tensors = {name: each for name, each in {**stored(matrix), **change}.items() if each is not None}
    save_file(tensors, tmp_path / "weights")
    with pytest.raises(TinyLMError, match=message):
        read_tensors(tmp_path / "weights", EXPECTED)


def test_a_product_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    tensors = {**stored(np.ones((6, 4), np.float32)), "embed.weight.scale": np.full(6, 3e38, np.float32)}
    save_file(tensors, tmp_path / "weights")
    with pytest.raises(TinyLMError, match="not a finite number"):
        read_tensors(tmp_path / "weights", EXPECTED)
