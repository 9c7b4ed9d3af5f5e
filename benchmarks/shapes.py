"""The models that benchmarks of writing ask, with random weights."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinylm.config.schema import ModelConfig, WeightDtype
    from tinylm.engine.engine import Engine
    from tinylm.engine.weights import Weights

SHAPES: dict[str, dict[str, Any]] = {
    "0.8M": {"vocab_size": 65, "d_model": 128, "n_layers": 4, "n_heads": 4, "d_mlp": 352, "context_length": 256},
    "15M": {"vocab_size": 32_000, "d_model": 288, "n_layers": 6, "n_heads": 6, "d_mlp": 768, "context_length": 1024,
            "tied_embeddings": True},
    "135M": {"vocab_size": 49_152, "d_model": 576, "n_layers": 30, "n_heads": 9, "n_kv_heads": 3, "d_mlp": 1536,
             "context_length": 1024, "tied_embeddings": True},
}
"""In tinylm's words."""
WEIGHT_DTYPES = ("fp32", "bf16", "int8")


def add_size(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument("--size", choices=SHAPES, default=default, help="(default: %(default)s)")


def make_config(shape: dict[str, Any]) -> ModelConfig:
    """As a Llama is."""
    from tinylm.config.schema import ModelConfig

    return ModelConfig(**shape, qk_norm=False)


def make_weights(config: ModelConfig) -> Weights:
    import numpy as np

    from tinylm.inspection.structure import parameter_table

    random = np.random.default_rng(0)
    return {each.name: 0.02 * random.standard_normal(each.shape, np.float32) for each in parameter_table(config)}


def make_engine(size: str, weight_dtype: WeightDtype = "fp32") -> Engine:
    from tinylm.engine.engine import Engine

    config = make_config(SHAPES[size])
    return Engine(config, make_weights(config), weight_dtype)
