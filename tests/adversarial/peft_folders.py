"""Small adapters as peft writes them, for bases of two classes and in numbers of 16 bits, too."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tinylm.config.schema import BaseConfig, ModelConfig
from tinylm.interchange.peft import read_adapter, write_adapter
from tinylm.model.layout import addition_shapes
from tinylm.model.lora import additions_of

RANK = 2
SIZES = {"vocab_size": 20, "d_model": 8, "n_layers": 2, "n_heads": 2, "context_length": 16}
SHAPES = {"qwen3": ModelConfig(**SIZES), "gpt2": ModelConfig.preset("gpt2", **SIZES), "bfloat16": ModelConfig(**SIZES)}


def make(folder: Path) -> list[Path]:
    """An adapter for each of `SHAPES`."""
    return [_write(folder / name, name) for name in SHAPES]


def _write(folder: Path, name: str) -> Path:
    config, draw = SHAPES[name], torch.Generator().manual_seed(0)
    parameters = {each: torch.randn(shape, generator=draw) for each, shape in addition_shapes(config, RANK).items()}
    write_adapter(folder, additions_of(parameters, RANK), config, BaseConfig(folder="base", fingerprint="0" * 64))
    if name == "bfloat16":
        file = folder / "adapter_model.safetensors"
        save_file({each: tensor.bfloat16() for each, tensor in load_file(file).items()}, file)
    return folder


def read(folder: Path) -> Iterable[Any]:
    """The numbers of an adapter. Raises: TinyLMError: it cannot be merged."""
    for addition in read_adapter(folder).additions(SHAPES[folder.name]).values():
        yield from (addition.a, addition.b, addition.scale)
