"""Configs of a folder for transformers.js: `config.json` with the shape of the cache and the file to open."""

from __future__ import annotations

from typing import Any

from tinylm.config.schema import ModelConfig
from tinylm.errors import TinyLMError
from tinylm.interchange.architectures import Held, find_architecture
from tinylm.interchange.hugging_face.config import config_json
from tinylm.interchange.source import Dtype
from tinylm.text.special_tokens import SpecialTokens

FILES: dict[Dtype, str] = {"f32": "model.onnx", "f16": "model_fp16.onnx", "q8_0": "model_quantized.onnx"}
"""The file of a number format in the folder `onnx`, by the rules of transformers.js."""
_NAMES: dict[Dtype, str] = {"f32": "fp32", "f16": "fp16", "q8_0": "q8"}
CACHE_ALONE = "llama is named for the shape of the cache alone; the graph in the folder onnx is the model"


def find_held(config: ModelConfig) -> Held | None:
    """The class of transformers that holds a model, or None: the graph needs none.

    >>> find_held(ModelConfig.preset("notebook", vocab_size=12)) is None
    True
    """
    try:
        return find_architecture(config, "hf")
    except TinyLMError:
        return None


def transformers_js_config(config: ModelConfig, specials: SpecialTokens, dtype: Dtype) -> dict[str, Any]:
    """The values of `config.json`. Where no class of transformers holds the model, they are a Llama's sizes, from which
    transformers.js takes the shape of the cache, and a field says so.

    >>> shape = ModelConfig.preset("notebook", vocab_size=12)
    >>> transformers_js_config(shape, SpecialTokens(), "f32")["transformers.js_config"]
    {'dtype': 'fp32'}
    """
    held = find_held(config)
    values = config_json(held or Held("llama", config), specials, "f32")  # the numbers that the graph computes in
    said = {} if held else {"tinylm": CACHE_ALONE}
    return {**values, **said, "transformers.js_config": {"dtype": _NAMES[dtype]}}
