"""Memory model of training: bytes at the peak, from the config alone, before anything is allocated.

Numbers have four bytes, and those of products two where these are of 16 bits. The peak is in a training step, whose
backward pass needs what the forward pass kept and whose update needs gradients and memory for the updates themselves,
or in a validation: many tokens at once, nothing kept. The tests hold what is kept against what PyTorch keeps, and
benchmarks/forecast.py all of it against the peak of real runs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tinylm.config.schema import ModelConfig, TrainConfig
from tinylm.inspection import structure
from tinylm.model.layout import addition_shapes
from tinylm.training.backend import REFERENCE, Compute

BYTES = 4
MUON_COPIES = 9
"""Of the largest group of matrices of one shape, which Muon makes orthogonal together: the stack and its iterates."""
FRAGMENTATION = 1.2
"""What an allocator takes for short-lived tensors of many sizes, in terms of what they hold. Measured on Linux."""
RETAINED_SHARE = 0.3
"""The share of it that the process still holds when the step is over."""


@dataclass(frozen=True)
class WeightCounts:
    """Counts of the weights by kind: in the matrices inside the layers, and in everything else."""

    matrices: int
    rest: int
    largest_group: int
    """Of the matrices, those of the shape that has the most numbers in all."""

    @property
    def total(self) -> int:
        return self.matrices + self.rest


def count_weights(config: ModelConfig) -> WeightCounts:
    """Counts of all weights."""
    table = structure.parameter_table(config)
    matrices = _count_matrices(tensor.shape for tensor in table if tensor.name.startswith("layers."))
    return WeightCounts(sum(matrices), structure.total_parameters(config) - sum(matrices), max(matrices, default=0))


def count_trained(config: ModelConfig, rank: int) -> WeightCounts:
    """Counts of the trained weights: of low-rank additions, or where `rank` is 0 of all."""
    if not rank:
        return count_weights(config)
    matrices = _count_matrices(addition_shapes(config, rank).values())
    return WeightCounts(sum(matrices), 0, max(matrices, default=0))


def _count_matrices(shapes: Iterable[tuple[int, ...]]) -> list[int]:
    """The numbers of all matrices of one shape, for each shape."""
    by_shape = Counter(shape for shape in shapes if len(shape) == 2)
    return [math.prod(shape) * count for shape, count in by_shape.items()]


def saved_bytes_per_token(config: ModelConfig, length: int, compute: Compute = REFERENCE) -> int:
    """Bytes that the forward pass keeps for the backward pass, for each token of rows of `length`. Norms and the loss
    compute in 32 bits whatever the precision of products (autocast), and what a product reads is kept as it reads it.
    """
    short = compute.dtype.itemsize
    norm = (BYTES * (2 * config.d_model + 1) if config.norm == "rmsnorm" else BYTES * (config.d_model + 2)
            ) + short * config.d_model
    layer = 2 * norm + _attention(config, length, compute) + _mlp(config, short)
    if short < BYTES:  # keys, values, and the gate cast the input that they share with others for themselves
        layer += short * config.d_model * (3 if config.is_gated else 2)
    if config.dropout:
        layer += 2 * short * config.d_model
    return config.n_layers * layer + norm + BYTES * config.vocab_size


def _attention(config: ModelConfig, length: int, compute: Compute) -> int:
    """Bytes of queries, keys, values, their mix in two layouts, and of what the norms of queries and keys keep. With
    dropout the fused kernel of the CPU does not serve, as CUDA's do: the pattern is there in full, three times."""
    queries, keys, short = config.n_heads * config.d_head, config.n_kv_heads * config.d_head, compute.dtype.itemsize
    kept = short * 5 * queries + BYTES * config.n_heads
    if config.qk_norm:
        kept += BYTES * (2 * (queries + keys) + config.n_heads + config.n_kv_heads)
    if config.dropout and compute.device.type != "cuda":
        kept += short * (3 * config.n_heads * length - queries) - BYTES * config.n_heads
    return kept


def _mlp(config: ModelConfig, short: int) -> int:
    """Bytes of what the activation reads and gives; dropout adds its mask. The gradient of relu needs its output, of
    others the input, so there the output need not be kept beside what dropout made of it."""
    widths = {"swiglu": 4, "gelu": 2, "squared_relu": 2, "relu": 1}[config.mlp]
    if config.dropout:
        widths += 2 if config.mlp == "relu" else 1
    return short * widths * config.d_mlp


def training_peak(config: ModelConfig, train: TrainConfig, *, validation_batch_tokens: int,
                  compute: Compute = REFERENCE, rank: int = 0) -> int:
    """Bytes that a run needs at its peak, over what the process held before.

    Args:
        validation_batch_tokens: tokens of a validation text that go through the model together; 0 if there is none.
        compute: on which path.
        rank: of low-rank additions that alone are trained; 0: all weights are.
    """
    weights, trained = count_weights(config), count_trained(config, rank)
    lasting = weights.total + _optimizer_state(trained, train.optimizer) + trained.total * bool(rank)
    if validation_batch_tokens:
        lasting += weights.total  # the best so far, which are dense when they are written
    if compute.fast:
        from tinylm.training.cpu.gradients import working_bytes

        update = MUON_COPIES * trained.largest_group if train.optimizer == "muon" else 0
        evaluated_rows = -(-validation_batch_tokens // config.context_length)
        return BYTES * (lasting + update) + working_bytes(config, train.batch_size, evaluated_rows, compute.dtype,
                                                          compute.workers.cores, compute.shards)
    # The update finds the memory of the backward pass free, but in pieces: gradients came to lie between them.
    step = FRAGMENTATION * _backward(config, train, weights, compute) + _update(train, weights.total, trained)
    logits_and_a_layer = 2 * config.vocab_size + 4 * config.d_model + 3 * config.d_mlp
    evaluating = RETAINED_SHARE * step + BYTES * validation_batch_tokens * logits_and_a_layer
    return round(BYTES * lasting + max(step, evaluating))


def _backward(config: ModelConfig, train: TrainConfig, weights: WeightCounts, compute: Compute) -> float:
    """Bytes held when the backward pass begins: all that was kept, and the gradients of logits or of a layer; and
    the matrices once more, if products are of 16 bits."""
    short = compute.dtype.itemsize
    layer = short * 4 * (config.d_mlp + config.d_model)
    if config.dropout and compute.device.type != "cuda":
        layer += short * 2 * config.n_heads * config.context_length
    each = saved_bytes_per_token(config, config.context_length, compute) + max(
        (BYTES + short) * config.vocab_size, layer)
    earlier = weights.total if train.gradient_accumulation > 1 else 0
    copies = short * weights.total if short < BYTES else 0
    return train.batch_size * config.context_length * each + BYTES * earlier + copies


def _update(train: TrainConfig, gradients: int, trained: WeightCounts) -> int:
    return BYTES * (gradients + (MUON_COPIES * trained.largest_group if train.optimizer == "muon" else 0))


def _optimizer_state(weights: WeightCounts, optimizer: str) -> int:
    """Adam remembers two numbers for each weight, Muon one."""
    return weights.matrices * (1 if optimizer == "muon" else 2) + 2 * weights.rest
