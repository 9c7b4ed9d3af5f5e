"""Small adapters in GGUF, for bases of two architectures and in numbers of 16 bits, too."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tinylm.config.schema import ModelConfig
from tinylm.interchange.architectures import find_architecture
from tinylm.interchange.gguf.adapter.export import to_gguf
from tinylm.interchange.gguf.adapter.importing import read_adapter
from tinylm.interchange.gguf.blocks import TensorType
from tinylm.interchange.gguf.metadata import adapter_keys
from tinylm.interchange.gguf.writer import StoredTensor, write_file
from tinylm.model.layout import addition_shapes
from tinylm.model.lora import additions_of

RANK = 2
SIZES = {"vocab_size": 20, "d_model": 8, "n_layers": 2, "n_heads": 2, "context_length": 16}
SHAPES = {"qwen3": ModelConfig(**SIZES), "gpt2": ModelConfig.preset("gpt2", **SIZES), "f16": ModelConfig(**SIZES)}


def make(folder: Path) -> list[Path]:
    """An adapter for each of `SHAPES`."""
    return [_write(folder / f"{name}.gguf", config) for name, config in SHAPES.items()]


def _write(path: Path, config: ModelConfig) -> Path:
    held, draw = find_architecture(config, "gguf"), torch.Generator().manual_seed(0)
    parameters = {each: torch.randn(shape, generator=draw) for each, shape in addition_shapes(config, RANK).items()}
    alpha, tensors = to_gguf(additions_of(parameters, RANK), held)
    kind = TensorType.F16 if path.stem == "f16" else TensorType.F32
    write_file(path, adapter_keys("a", held.architecture, "f32", alpha, "base", "0" * 64),
               {name: StoredTensor(numbers, kind) for name, numbers in tensors.items()})
    return path


def read(path: Path) -> Iterable[Any]:
    """The numbers of an adapter. Raises: TinyLMError: it cannot be merged."""
    for addition in read_adapter(path).additions(SHAPES[path.stem]).values():
        yield from (addition.a, addition.b, np.float64(addition.scale))
