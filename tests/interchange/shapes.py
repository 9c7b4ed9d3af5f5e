"""The shapes that exporters are tried on, with loud random weights, so that no part is without effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tinylm.config.schema import RunConfig
from tinylm.inspection.structure import parameter_table
from tinylm.interchange.source import ExportedAdapter, ExportedModel
from tinylm.model.layout import addition_shapes
from tinylm.model.tensors import fingerprint
from tinylm.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from tinylm.model.lora import Addition, Additions

_LEARNED = {"norm": "layernorm", "positions": "learned", "qk_norm": False, "mlp": "gelu"}
SHAPES: dict[str, dict[str, Any]] = {
    "default": {},
    "narrow heads": {"d_model": 40, "n_heads": 4},
    "wide heads": {"d_model": 96, "n_heads": 4, "d_head": 32},
    "GQA": {"n_kv_heads": 2},
    "MQA": {"n_kv_heads": 1},
    "tied": {"tied_embeddings": True},
    "another theta": {"rope_theta": 500_000.0},
    "llama": {"qk_norm": False},
    "llama with biases": {"qk_norm": False, "bias": True},
    "gpt2": {**_LEARNED, "bias": True, "tied_embeddings": True},
    "gpt2 untied": {**_LEARNED, "bias": True},
    "gpt2 without biases": _LEARNED,
    "gpt2 without positions": {**_LEARNED, "positions": "none"},
    "gpt2 with relu": {**_LEARNED, "mlp": "relu", "bias": True},
    "squared ReLU": {"mlp": "squared_relu", "qk_norm": False},
    "squared ReLU with QK-norm": {"mlp": "squared_relu"},
    "GELU and RMSNorm": {"mlp": "gelu", "qk_norm": False},
    "LayerNorm, rotary and GELU": {"norm": "layernorm", "mlp": "gelu", "qk_norm": False, "bias": True},
    "QK-norm with biases": {"bias": True},
    "notebook": {"mlp": "relu", "norm": "layernorm", "norm_position": "post", "positions": "none", "qk_norm": False,
                 "bias": True, "head_bias": True},
}
RANK = 3
"""Of the additions of adapters."""
TEXTS = {"char": "héllo wörld, the cat sat on the mat; 0123456789\n\t»ß«漢字🙂 ",
         "bpe": "hello world, the cat sat on the mat and the hat was flat; it's 1234567 »ß« 漢字🙂\n\n  hello again. ",
         "word": "hello , how are you ? your day is well and mine is fine . "}
"""A text for each kind of tokenizer, to make one of."""


def make_tokenizer(kind: str) -> Tokenizer:
    """A small tokenizer of a kind: "char", "bpe" or "word"."""
    return Tokenizer.train(kind, [TEXTS[kind] * 20], vocab_size=320 if kind == "bpe" else None)


def make_model(shape: str, kind: str = "char", seed: int = 0, context_length: int = 96, *,
               tokenizer: Tokenizer | None = None) -> ExportedModel:
    """A model of one of `SHAPES` with loud random weights; its tokenizer is of a kind, or the one that is given."""
    tokenizer, random = tokenizer or make_tokenizer(kind), np.random.default_rng(seed)
    sizes = {"d_model": 64, "n_heads": 4, "n_layers": 2, "context_length": context_length, **SHAPES[shape]}
    config = RunConfig.from_dict({"model": {"vocab_size": tokenizer.vocab_size, **sizes},
                                  "data": {"source": "a text", "tokenizer": tokenizer.kind}, "train": {"steps": 1}})
    weights = {tensor.name: _loud(random, tensor.shape) for tensor in parameter_table(config.model)}
    return ExportedModel(shape, config, tokenizer, weights)


def additions_to(model: ExportedModel, seed: int = 0) -> dict[str, Addition]:
    """Loud additions of rank `RANK` to every matrix in the layers."""
    import torch

    from tinylm.model.lora import additions_of

    generator = torch.Generator().manual_seed(seed)
    return additions_of({name: 0.15 * torch.randn(shape, generator=generator)
                         for name, shape in addition_shapes(model.config.model, RANK).items()}, RANK)


def adapter_to(base: ExportedModel, additions: Additions | None = None) -> ExportedAdapter:
    """An adapter to a model; default: with loud additions."""
    from tinylm.model.lora import merged

    additions = additions_to(base) if additions is None else additions
    return ExportedAdapter("creed", base.config, base.tokenizer, merged(base.weights, additions), additions=additions,
                           base=base, fingerprint=fingerprint(base.weights))


def reference(model: ExportedModel, ids: list[int]) -> Any:
    """The logits (T, V) of the torch module."""
    import torch

    from tinylm.model_folder import make_model as make_module

    with torch.no_grad():
        return make_module(model.config.model, model.weights).eval()(torch.tensor([ids]))[0].numpy()


def greedy(model: ExportedModel, ids: list[int], number: int, eos_id: int | None = None) -> list[int]:
    """The `number` likeliest ids after a prompt, one after another, by the torch module; or those up to `eos_id`."""
    import torch

    from tinylm.model_folder import make_model as make_module

    module, written = make_module(model.config.model, model.weights).eval(), list(ids)
    with torch.no_grad():
        while len(written) < len(ids) + number and (len(written) == len(ids) or written[-1] != eos_id):
            written.append(int(module(torch.tensor([written]))[0, -1].argmax()))
    return written[len(ids):]


def _loud(random: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Numbers far from zero and one another: of matrices with a spread that keeps activations near 1, of vectors around
    1 (a norm's weight, or a bias)."""
    if len(shape) == 1:
        return (1 + 0.3 * random.standard_normal(shape)).astype(np.float32)
    return (random.standard_normal(shape) * (1.5 / np.sqrt(shape[-1]))).astype(np.float32)

