"""Costs of a config: every parameter tensor with its formula, the memory, the arithmetic. All from the config alone:
nothing here builds a model or imports torch. The tests hold it against the real module.

Units: counts are numbers (not bytes), memory is bytes, FLOPs count a multiplication and an addition as two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from tinylm.config.schema import ModelConfig, RunConfig
from tinylm.model.layout import KEYS, QUERIES, RESIDUAL, Axis, addition_shapes, axis_length, layer_linears

_HEAD: Axis = ("d_head",)
_VOCABULARY: Axis = ("vocab_size",)
_CONTEXT: Axis = ("context_length",)


@dataclass(frozen=True)
class ParameterTensor:
    """A parameter tensor.

    Attributes:
        name: as in the model's state dict, e.g. `layers.0.attn.q_proj.weight`.
        shape: its axes; a matrix is (out, in).
        symbols: its count in words, `vocab_size * d_model`.
        formula: the same in numbers, `12 * 32`.
        count: how many numbers it holds.
    """

    name: str
    shape: tuple[int, ...]
    symbols: str
    formula: str
    count: int


def parameter_table(config: ModelConfig) -> list[ParameterTensor]:
    """Lists the parameter tensors in the model's own order. A tied output head is the embedding and not listed.

    >>> embed = parameter_table(ModelConfig.preset("notebook", vocab_size=12))[0]
    >>> embed.name, embed.shape, embed.symbols, embed.formula, embed.count
    ('embed.weight', (12, 32), 'vocab_size * d_model', '12 * 32', 384)
    """
    before, layer, after = _blocks(config)
    layers = [replace(tensor, name=f"layers.{i}.{tensor.name}") for i in range(config.n_layers) for tensor in layer]
    return [*before, *layers, *after]


def total_parameters(config: ModelConfig) -> int:
    """The number of parameters: all numbers that the model learns.

    >>> total_parameters(ModelConfig.preset("notebook", vocab_size=12))
    17932
    """
    return _count(config, lambda _: True)


def _count(config: ModelConfig, counts: Callable[[ParameterTensor], bool]) -> int:
    """The numbers of the tensors that count. Layers are alike, so that a thousand cost no more than one."""
    before, layer, after = (sum(tensor.count for tensor in block if counts(tensor)) for block in _blocks(config))
    return before + config.n_layers * layer + after


_Block = list[ParameterTensor]


def _blocks(config: ModelConfig) -> tuple[_Block, _Block, _Block]:
    """The tensors before the layers, of one layer (with names inside it), and after the layers."""
    def block(named: Iterable[_Named]) -> _Block:
        return [_tensor(config, name, axes) for name, axes in named]

    return block(_before(config)), block(_layer(config)), block(_after(config))


def _tensor(config: ModelConfig, name: str, axes: tuple[Axis, ...]) -> ParameterTensor:
    factors = [factor for axis in axes for factor in axis]
    sizes = [getattr(config, factor) for factor in factors]
    shape = tuple(axis_length(config, axis) for axis in axes)
    return ParameterTensor(name, shape, " * ".join(factors), " * ".join(map(str, sizes)), math.prod(sizes))


_Named = tuple[str, tuple[Axis, ...]]


def _before(config: ModelConfig) -> Iterator[_Named]:
    yield "embed.weight", (_VOCABULARY, RESIDUAL)
    if config.positions == "learned":
        yield "positions.weight", (_CONTEXT, RESIDUAL)


def _after(config: ModelConfig) -> Iterator[_Named]:
    yield from _norm("ln_f", config)
    if not config.tied_embeddings:
        yield from _linear("out_head", _VOCABULARY, RESIDUAL, config.head_bias)


def _layer(config: ModelConfig) -> Iterator[_Named]:
    yield from _norm("norm1", config)
    yield from _linears("attn.", config)
    if config.qk_norm:
        yield "attn.q_norm.weight", (_HEAD,)
        yield "attn.k_norm.weight", (_HEAD,)
    yield from _norm("norm2", config)
    yield from _linears("mlp.", config)


def _linears(part: str, config: ModelConfig) -> Iterator[_Named]:
    for name, (out, into) in layer_linears(config).items():
        if name.startswith(part):
            yield from _linear(name, out, into, config.bias)


def _linear(name: str, out: Axis, into: Axis, bias: bool) -> Iterator[_Named]:
    yield f"{name}.weight", (out, into)
    if bias:
        yield f"{name}.bias", (out,)


def _norm(name: str, config: ModelConfig) -> Iterator[_Named]:
    yield f"{name}.weight", (RESIDUAL,)
    if _norm_has_bias(config):
        yield f"{name}.bias", (RESIDUAL,)


def _norm_has_bias(config: ModelConfig) -> bool:
    return config.norm == "layernorm" and config.bias


def breakdown(config: ModelConfig) -> str:
    """Writes the number of parameters as one sum, in the order embedding, layers, final norm, output head.

    Inside a layer come attention, MLP and the two norms; a bias makes a matrix one row taller.

    >>> breakdown(ModelConfig.preset("notebook", vocab_size=12))
    '12*32 + 2*(4*33*32 + 33*64 + 65*32 + 2*32 + 2*32) + 2*32 + 33*12'
    """
    d_model = config.d_model
    terms = [f"{config.vocab_size}*{d_model}"]
    if config.positions == "learned":
        terms.append(f"{config.context_length}*{d_model}")
    if config.n_layers:
        terms.append(f"{config.n_layers}*({' + '.join(_layer_terms(config))})")
    terms.append(_norm_term(config))
    if not config.tied_embeddings:
        terms.append(f"{d_model + config.head_bias}*{config.vocab_size}")
    return " + ".join(terms)


def _layer_terms(config: ModelConfig) -> list[str]:
    rows, d_queries, d_keys = config.d_model + config.bias, axis_length(config, QUERIES), axis_length(config, KEYS)
    if d_queries != config.d_model:  # the output projection has another shape than those of queries, keys and values
        attention = [f"{rows}*{d_queries}", f"2*{rows}*{d_keys}", f"{d_queries + config.bias}*{config.d_model}"]
    elif d_keys == d_queries:
        attention = [f"4*{rows}*{config.d_model}"]
    else:
        attention = [f"2*{rows}*{config.d_model}", f"2*{rows}*{d_keys}"]
    if config.qk_norm:
        attention.append(f"2*{config.d_head}")
    widen = f"{rows}*{config.d_mlp}"
    mlp = [f"2*{widen}" if config.is_gated else widen, f"{config.d_mlp + config.bias}*{config.d_model}"]
    return [*attention, *mlp, _norm_term(config), _norm_term(config)]


def _norm_term(config: ModelConfig) -> str:
    return f"2*{config.d_model}" if _norm_has_bias(config) else str(config.d_model)


def flops_per_token(config: ModelConfig, length: int) -> int:
    """FLOPs of one forward pass over `length` tokens, divided by them.

    Two FLOPs for each weight of a matrix (the embedding is a look-up and free; the output head is not, tied or not),
    and two for each number in the two products of attention, the scores and the weighted sum, over the whole
    (length, length) square: half of a causal one is masked, but by convention it is counted (Chowdhery et al. 2022,
    arXiv 2204.02311, appendix B). Norms, activation functions and softmax are left out.
    """
    looked_up = ("embed.weight", "positions.weight")
    matrices = _count(config, lambda tensor: len(tensor.shape) == 2 and tensor.name not in looked_up)
    if config.tied_embeddings:
        matrices += config.vocab_size * config.d_model
    products = 2 * config.n_layers * config.n_heads * config.d_head * length
    return 2 * (matrices + products)


def training_flops_per_token(config: ModelConfig, length: int) -> int:
    """FLOPs a token of a training step: three times the forward pass, for a product has two in its gradient."""
    return 3 * flops_per_token(config, length)


def weight_bytes(config: ModelConfig, bytes_per_number: int = 4) -> int:
    """Memory of the weights, in bytes.

    >>> weight_bytes(ModelConfig.preset("notebook", vocab_size=12))
    71728
    """
    return total_parameters(config) * bytes_per_number


def kv_cache_bytes(config: ModelConfig, length: int, bytes_per_number: int = 4) -> int:
    """Memory of the keys and values of one sequence of `length` tokens, in all layers, in bytes."""
    return 2 * config.n_layers * config.n_kv_heads * config.d_head * length * bytes_per_number


def describe(config: ModelConfig) -> dict[str, Any]:
    """Describes the structure as plain data, ready for JSON, as `tinylm inspect --json` prints it.

    Memory is for numbers of four bytes; the cache and the FLOPs are for the full `context_length`.
    """
    table, length = parameter_table(config), config.context_length
    parts = [{"name": t.name, "shape": list(t.shape), "symbols": t.symbols, "formula": t.formula, "count": t.count}
             for t in table]
    return {
        "parameters": {"total": total_parameters(config), "breakdown": breakdown(config), "parts": parts},
        "config": config.model_dump(mode="json"),
        "memory_bytes": {"weights": weight_bytes(config), "kv_cache": kv_cache_bytes(config, length)},
        "flops_per_token": {"forward": flops_per_token(config, length),
                            "training": training_flops_per_token(config, length)},
    }


def describe_run(run: RunConfig) -> dict[str, Any]:
    """Describes a model as `describe` does, and the base that it was fine-tuned from, if there is one."""
    base = {"base": run.base.model_dump(include={"folder", "fingerprint", "lora"})} if run.base.folder else {}
    return {**describe(run.model), **base}


def count_additions(run: RunConfig) -> int:
    """The number of parameters that a run with low-rank additions trains."""
    return sum(math.prod(shape) for shape in addition_shapes(run.model, run.base.lora).values())


@dataclass(frozen=True)
class _Row:
    """Line of the drawing: a module, its tensors, their numbers in all, and a remark."""

    depth: int
    name: str
    tensors: str
    count: int
    note: str


def draw(config: ModelConfig) -> str:
    """Draws the tree of modules for people: names, shapes (out, in), counts. Layers are all alike and drawn once."""
    rows = list(_rows(config))
    labels = _branches(rows)
    wide, middle = max(map(len, labels)), max(len(row.tensors) for row in rows)
    lines = (f"{label:<{wide}}  {row.tensors:<{middle}}  {row.count:>13,}  {row.note}".rstrip()
             for label, row in zip(labels, rows, strict=True))
    return "\n".join(lines)


def _rows(config: ModelConfig) -> Iterator[_Row]:
    table = parameter_table(config)
    yield _Row(0, "TinyLM", "", total_parameters(config), f"= {breakdown(config)}")
    yield _row(config, table, 1, "embed")
    if config.positions != "none":
        yield _row(config, table, 1, "positions")
    if config.n_layers:
        yield from _layer_rows(config, table)
    yield _row(config, table, 1, "ln_f")
    yield _row(config, table, 1, "out_head")


def _layer_rows(config: ModelConfig, table: list[ParameterTensor]) -> Iterator[_Row]:
    each = sum(t.count for t in table if t.name.startswith("layers.0."))
    yield _Row(1, "layers", f"{config.n_layers} × {each:,}", config.n_layers * each,
               f"each layer; {config.norm_position}-norm")
    inside = dict.fromkeys(t.name.split(".")[2] for t in table if t.name.startswith("layers.0."))
    for part in inside:
        yield _row(config, table, 2, f"layers.0.{part}")
        prefix = f"layers.0.{part}."
        leaves = dict.fromkeys(t.name.removeprefix(prefix).split(".")[0] for t in table
                               if t.name.startswith(prefix) and t.name.removeprefix(prefix).count("."))
        yield from (_row(config, table, 3, prefix + leaf) for leaf in leaves)


def _row(config: ModelConfig, table: list[ParameterTensor], depth: int, path: str) -> _Row:
    """The row of the module at `path`: its own tensors, and the count of those and of all below it."""
    below = [t for t in table if t.name.startswith(f"{path}.")]
    own = [f"({', '.join(map(str, t.shape))})" for t in below if "." not in t.name.removeprefix(f"{path}.")]
    name = path.rpartition(".")[2]
    return _Row(depth, name, " + ".join(own), sum(t.count for t in below), _note(config, name))


def _note(config: ModelConfig, name: str) -> str:
    """A remark on a module, where its name and shape do not tell what it does."""
    attention = f"{config.n_heads} heads of {config.d_head}, {'causal' if config.causal else 'not causal'}"
    shared = f", {config.n_kv_heads} for keys and values" if config.n_kv_heads != config.n_heads else ""
    notes = {"attn": attention + shared, "mlp": config.mlp, "positions": config.positions,
             "out_head": "is embed.weight" if config.tied_embeddings else ""}
    return config.norm if name in ("norm1", "norm2", "ln_f") else notes.get(name, "")


def _branches(rows: list[_Row]) -> list[str]:
    """Names drawn as a tree: a branch ends with └─ where no later sibling follows."""
    labels, open_depths = [], set[int]()
    for row in reversed(rows):
        if row.depth == 0:
            labels.append(row.name)
            continue
        corner = "├─ " if row.depth in open_depths else "└─ "
        lead = "".join("│  " if depth in open_depths else "   " for depth in range(1, row.depth))
        labels.append(lead + corner + row.name)
        open_depths = {depth for depth in open_depths if depth < row.depth} | {row.depth}
    return labels[::-1]
