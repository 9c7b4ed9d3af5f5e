"""Graph of a model in ONNX, of standard operators alone, with a key/value cache as inputs and outputs.

It computes what model/transformer.py computes, in 32 bits, step by step. Axis letters: B batch, T new positions, S all
positions, D d_model, H heads, G key/value heads, R = H/G heads that share keys, K d_head, V vocabulary.

The names of inputs and outputs are those of Hugging Face's exporter optimum, which transformers.js reads:

    input_ids, position_ids (B, T), attention_mask (B, S)       int64; no position_ids where a model has no positions
    past_key_values.N.key, .value (B, G, S - T, K)              of layer N; S - T is 0 at the beginning
    logits (B, T, V); present.N.key, .value (B, G, S, K)        to be given back as past_key_values
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from tinylm.config.schema import ModelConfig
from tinylm.interchange.onnx.nodes import FLOAT, INT64, IR_VERSION, OPSET, Nodes, onnx_package
from tinylm.interchange.onnx.weights import WeightNodes
from tinylm.interchange.source import Dtype
from tinylm.model.layout import rotary_angles
from tinylm.model.tensors import Weights

_MASKED = float(np.finfo(np.float32).min)
"""Score of a key that a query does not see. It is finite: a padded position sees no key at all, and the softmax of
nothing but -inf is not a number, which the cache would carry on."""


class Batch(NamedTuple):
    """Arrays that all layers read, by their names in the graph.

    Attributes:
        visible: (B, 1, 1, T, S), True where a query sees a key.
        cos, sin: (B, 1, T, K/2) of rotary positions; else empty.
    """

    visible: str
    cos: str
    sin: str


def make_graph(config: ModelConfig, weights: Weights, dtype: Dtype) -> Any:
    """The ModelProto of a causal model.

    Args:
        weights: by the names of `TinyLM.named_parameters()`.
        dtype: of matrices in the file.

    Raises:
        TinyLMError: the package onnx is missing, or a weight is too large for `dtype`.

    >>> from tinylm.interchange.export import read_model
    >>> book = read_model("runs/book")
    >>> [entry.name for entry in make_graph(book.config.model, book.weights, "f32").graph.input][:3]
    ['input_ids', 'attention_mask', 'position_ids']
    """
    helper, nodes = onnx_package().helper, Nodes()
    _Decoder(config, nodes, WeightNodes(nodes, weights, dtype)).add()
    inputs, outputs = ([helper.make_tensor_value_info(name, *kind) for name, kind in arrays.items()]
                       for arrays in (_inputs(config), _outputs(config)))
    graph = helper.make_graph(nodes.nodes, "tinylm", inputs, outputs, nodes.constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION,
                             producer_name="tinylm")


_Kind = tuple[int, list[str | int]]
"""The kind of an array's numbers, and its axes: lengths, or names of those that vary."""


def _inputs(config: ModelConfig) -> dict[str, _Kind]:
    new: _Kind = (INT64, ["batch", "sequence"])
    positions = {} if config.positions == "none" else {"position_ids": new}
    return {"input_ids": new, "attention_mask": (INT64, ["batch", "total"]), **positions,
            **_cache(config, "past_key_values", "past")}


def _outputs(config: ModelConfig) -> dict[str, _Kind]:
    return {"logits": (FLOAT, ["batch", "sequence", config.vocab_size]), **_cache(config, "present", "total")}


def _cache(config: ModelConfig, prefix: str, length: str) -> dict[str, _Kind]:
    return {f"{prefix}.{layer}.{part}": (FLOAT, ["batch", config.n_kv_heads, length, config.d_head])
            for layer in range(config.n_layers) for part in ("key", "value")}


class _Decoder:
    """Builder of the graph. Each method adds a part, and takes and gives names of arrays."""

    def __init__(self, config: ModelConfig, nodes: Nodes, weights: WeightNodes) -> None:
        self.config, self.nodes, self.weights = config, nodes, weights

    def add(self) -> None:
        """Adds the whole model, from `input_ids` to `logits`."""
        op, get = self.nodes.op, self.weights.get
        x = op("Gather", get("embed.weight"), "input_ids")  # (B, T, D)
        if self.config.positions == "learned":
            x = op("Add", x, op("Gather", get("positions.weight"), "position_ids"))
        batch = Batch(self._visible(), *self._rotary())
        for i in range(self.config.n_layers):
            x = self._layer(i, x, batch)
        head = "embed" if self.config.tied_embeddings else "out_head"
        op("Identity", self._linear(head, self._norm("ln_f", x)), out="logits")

    def _visible(self) -> str:
        """The mask: no query sees a later key, nor one where attention_mask is 0."""
        nodes = self.nodes
        n_new, n_all = nodes.length("input_ids", 1), nodes.length("attention_mask", 1)
        one = nodes.integer(1)
        queries = nodes.op("Range", nodes.op("Sub", n_all, n_new), n_all, one)
        keys = nodes.op("Range", nodes.integer(0), n_all, one)
        past = nodes.op("LessOrEqual", keys, nodes.unsqueeze(queries, 1))  # (T, S)
        real = nodes.op("Greater", "attention_mask", nodes.integer(0))
        return nodes.op("And", past, nodes.unsqueeze(real, 1, 2, 3))

    def _rotary(self) -> tuple[str, str]:
        """Cosines and sines of the positions, (B, 1, T, K/2)."""
        if self.config.positions != "rotary":
            return "", ""
        nodes, config = self.nodes, self.config
        dimensions = np.arange(0, config.d_head, 2, dtype=np.float32)
        speeds = rotary_angles(np.ones(1, np.float32), dimensions, config.d_head, np.float32(config.rope_theta))[0]
        positions = nodes.unsqueeze(nodes.op("Cast", "position_ids", to=FLOAT), 1, 3)
        angles = nodes.op("Mul", positions, nodes.constant("rotary speeds", speeds))
        return nodes.op("Cos", angles), nodes.op("Sin", angles)

    def _layer(self, i: int, x: str, batch: Batch) -> str:
        """(B, T, D) -> (B, T, D)."""
        op, norm1, norm2 = self.nodes.op, f"layers.{i}.norm1", f"layers.{i}.norm2"
        if self.config.norm_position == "post":
            x = self._norm(norm1, op("Add", x, self._attention(i, x, batch)))
            return self._norm(norm2, op("Add", x, self._mlp(i, x)))
        x = op("Add", x, self._attention(i, self._norm(norm1, x), batch))
        return op("Add", x, self._mlp(i, self._norm(norm2, x)))

    def _attention(self, i: int, x: str, batch: Batch) -> str:
        """(B, T, D) -> (B, T, D). Queries are grouped by the keys that they share, (B, G, R, T, K)."""
        nodes, op, config, name = self.nodes, self.nodes.op, self.config, f"layers.{i}.attn"
        heads, groups, width = config.n_heads, config.n_kv_heads, config.d_head
        q = self._rotate(self._qk_norm(f"{name}.q_norm", self._heads(f"{name}.q_proj", x, heads)), batch)
        k = self._rotate(self._qk_norm(f"{name}.k_norm", self._heads(f"{name}.k_proj", x, groups)), batch)
        v = self._heads(f"{name}.v_proj", x, groups)
        k = op("Concat", f"past_key_values.{i}.key", k, axis=2, out=f"present.{i}.key")  # (B, G, S, K)
        v = op("Concat", f"past_key_values.{i}.value", v, axis=2, out=f"present.{i}.value")
        q = nodes.reshape(op("Div", q, nodes.number(math.sqrt(width))), 0, groups, heads // groups, -1, width)
        scores = op("MatMul", q, nodes.unsqueeze(nodes.transpose(k, 0, 1, 3, 2), 2))  # (B, G, R, T, S)
        pattern = op("Softmax", op("Where", batch.visible, scores, nodes.number(_MASKED)), axis=-1)
        z = nodes.reshape(op("MatMul", pattern, nodes.unsqueeze(v, 2)), 0, heads, -1, width)
        return self._linear(f"{name}.o_proj", nodes.reshape(nodes.transpose(z, 0, 2, 1, 3), 0, 0, heads * width))

    def _heads(self, name: str, x: str, heads: int) -> str:
        """(B, T, D) -> (B, heads, T, K)."""
        split = self.nodes.reshape(self._linear(name, x), 0, 0, heads, self.config.d_head)
        return self.nodes.transpose(split, 0, 2, 1, 3)

    def _qk_norm(self, name: str, x: str) -> str:
        return self._rms_norm(name, x) if self.config.qk_norm else x

    def _rotate(self, x: str, batch: Batch) -> str:
        """Queries or keys (B, heads, T, K), turned by the angles of their positions."""
        if not batch.cos:
            return x
        nodes, op, half = self.nodes, self.nodes.op, self.config.d_head // 2
        first, second = (op("Slice", x, nodes.integers(start), nodes.integers(start + half), nodes.integers(-1))
                         for start in (0, half))
        turned = (op("Sub", op("Mul", first, batch.cos), op("Mul", second, batch.sin)),
                  op("Add", op("Mul", second, batch.cos), op("Mul", first, batch.sin)))
        return op("Concat", *turned, axis=-1)

    def _mlp(self, i: int, x: str) -> str:
        """(B, T, D) -> (B, T, D)."""
        name, up = f"layers.{i}.mlp", self._linear(f"layers.{i}.mlp.up_proj", x)
        if self.config.is_gated:
            up = self.nodes.op("Mul", self._activation(self._linear(f"{name}.gate_proj", x)), up)
        else:
            up = self._activation(up)
        return self._linear(f"{name}.down_proj", up)

    def _activation(self, x: str) -> str:
        op, number = self.nodes.op, self.nodes.number
        if self.config.mlp == "swiglu":
            return op("Mul", x, op("Sigmoid", x))
        if self.config.mlp == "gelu":  # GPT-2's form: x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))
            cube = op("Mul", op("Mul", op("Mul", x, x), x), number(0.044715))
            tanh = op("Tanh", op("Mul", op("Add", x, cube), number(math.sqrt(2 / math.pi))))
            return op("Mul", op("Mul", x, number(0.5)), op("Add", tanh, number(1.0)))
        x = op("Relu", x)
        return op("Mul", x, x) if self.config.mlp == "squared_relu" else x

    def _norm(self, name: str, x: str) -> str:
        if self.config.norm == "rmsnorm":
            return self._rms_norm(name, x)
        bias = [self.weights.get(f"{name}.bias")] if self.weights.has(f"{name}.bias") else []
        return self.nodes.op("LayerNormalization", x, self.weights.get(f"{name}.weight"), *bias, axis=-1,
                             epsilon=self.config.norm_eps)

    def _rms_norm(self, name: str, x: str) -> str:
        op, nodes = self.nodes.op, self.nodes
        mean = op("ReduceMean", op("Mul", x, x), nodes.integers(-1), keepdims=1)
        scale = op("Sqrt", op("Add", mean, nodes.number(self.config.norm_eps)))
        return op("Mul", op("Div", x, scale), self.weights.get(f"{name}.weight"))

    def _linear(self, name: str, x: str) -> str:
        """(..., in) -> (..., out), by a matrix (out, in)."""
        product = self.nodes.op("MatMul", x, self.nodes.transpose(self.weights.get(f"{name}.weight"), 1, 0))
        bias = f"{name}.bias"
        return self.nodes.op("Add", product, self.weights.get(bias)) if self.weights.has(bias) else product
