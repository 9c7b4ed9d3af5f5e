"""The forward pass of the engine, in the order of the reading file (model/transformer.py): from the ids at some new
positions of any sequences to logits; and on to the ids that are sampled from these, pass after pass.

All workers run `forward` at the same time. Each computes a share of every product and of the heads, and waits at a
barrier where it needs what the others made. The residual stream is cheap next to the products, so each worker keeps a
copy of its own and waits less often.

Axis letters: N new positions   D d_model   F d_mlp   V vocabulary
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tinylm.engine.attention import attention, have_own_heads
from tinylm.engine.barrier import barrier_wait
from tinylm.engine.matmul import matmul, matmul_panels, panel_range, project_to_residual
from tinylm.engine.records import MLPS, float32s, float64s, int32s, int64s
from tinylm.jit.compile import JIT_DIGEST, digest, kernel, part
from tinylm.jit.functions import gelu, relu, silu, squared_relu
from tinylm.jit.llvm import LANES
from tinylm.jit.pointers import at, float32_pointer, int64_pointer
from tinylm.sampling import filters
from tinylm.sampling.filters import choose

ZERO, ONE = np.float32(0.0), np.float32(1.0)
RELU, GELU, SQUARED_RELU, SWIGLU = range(len(MLPS))
SOURCES = digest(filters.__file__, Path(__file__).parent) + JIT_DIGEST
"""Digest of all files that the kernel takes parts from."""


@partial(kernel, sources=SOURCES)
def forward(models: Any, layers: Any, works: Any, sampling: Any, worker: Any) -> None:
    """Computes logits from ids, as one of the workers; and samples the next ids, reads these, samples, and so on.

    Args:
        models, layers, works: records (records.py): one model, its layers, one piece of work.
        sampling: a record for each row of logits; none: nothing is sampled, and there is one pass.
    """
    model, work, phase = models[0], works[0], 0
    for step in range(work.steps):
        if step > 0 or not work.logits_given:
            phase = forward_pass(model, layers, work, step, worker, phase)
        if len(sampling) > 0:
            sample_next(model, work, sampling, step, worker)
            phase = barrier_wait(work, worker, phase)
            if int64s(work.ended_after, 1)[0] != 0:
                break


@part
def forward_pass(model: Any, layers: Any, work: Any, step: Any, worker: Any, phase: Any) -> Any:
    """Computes the logits of one pass. Returns the phase of the barrier behind which they are complete.

    The output of attention and that of the MLP lie in two buffers: a worker may write one while another still reads the
    other.
    """
    own = worker * work.worker_stride
    x_start, normed_start = at(float32_pointer(work.x), own), at(float32_pointer(work.normed), own)
    x, normed = float32s(x_start, work.rows, work.width), float32s(normed_start, work.rows, work.width)
    source = x_start if model.post else normed_start
    in_halves = have_own_heads(model, work.workers) and work.workers == 2
    embed(model, work, x)
    for number in range(model.n_layers):
        layer = layers[number]
        if not model.post:
            normalise(model, x, normed, layer.norm1, layer.norm1_bias)
        phase = attention(model, layer, work, number, worker, phase, source)
        phase = project_to_residual(layer.o, work, worker, phase, in_halves, float32_pointer(work.z),
                                    model.n_heads * model.d_head, float32_pointer(work.attn_out))
        add_residual(model, work, x, work.attn_out, layer.o_bias)
        if model.post:
            normalise(model, x, x, layer.norm1, layer.norm1_bias)
        else:
            normalise(model, x, normed, layer.norm2, layer.norm2_bias)
        mlp(model, layer, work, worker, source)
        phase = project_to_residual(layer.down, work, worker, phase, in_halves and layer.up.panels >= 4,
                                    float32_pointer(work.hidden), work.hidden_width, float32_pointer(work.mlp_out))
        add_residual(model, work, x, work.mlp_out, layer.down_bias)
        if model.post:
            normalise(model, x, x, layer.norm2, layer.norm2_bias)
    normalise(model, x, normed, model.ln_f, model.ln_f_bias)
    output_head(model, work, step, worker, normed_start)
    return barrier_wait(work, worker, phase)


@part
def embed(model: Any, work: Any, x: Any) -> None:
    """Looks up x (N, D): the vectors of the ids, and of their positions where those are learned."""
    ids, positions = int64s(work.ids, work.rows), int64s(work.positions, work.rows)
    table, position_table = float32_pointer(model.embed), float32_pointer(model.position_table)
    for n in range(work.rows):
        vector = float32s(at(table, ids[n] * model.d_model), 1, model.d_model)[0]
        for d in range(model.d_model):
            x[n, d] = vector[d]
        if model.position_table != 0:
            position = float32s(at(position_table, positions[n] * model.d_model), 1, model.d_model)[0]
            for d in range(model.d_model):
                x[n, d] += position[d]


@part
def normalise(model: Any, x: Any, out: Any, weight_address: Any, bias_address: Any) -> None:
    """RMSNorm (arXiv 1910.07467) or LayerNorm (arXiv 1607.06450): x (N, D) -> out (N, D), which may be x."""
    width = model.d_model
    weight = float32s(weight_address, 1, width)[0]
    for n in range(x.shape[0]):
        mean, squares = ZERO, ZERO
        if model.layernorm:
            for d in range(width):
                mean += x[n, d]
            mean /= np.float32(width)
        for d in range(width):
            squares += (x[n, d] - mean) * (x[n, d] - mean)
        r = ONE / np.float32(math.sqrt(squares / np.float32(width) + model.eps))
        for d in range(width):
            out[n, d] = (x[n, d] - mean) * r * weight[d]
        if bias_address != 0:
            bias = float32s(bias_address, 1, width)[0]
            for d in range(width):
                out[n, d] += bias[d]


@part
def add_residual(model: Any, work: Any, x: Any, branch: Any, bias_address: Any) -> None:
    """Adds the two halves of a branch (2, N, D) and its bias to the residual stream x (N, D)."""
    width = model.d_model
    first = float32s(branch, work.rows, work.width)
    second = float32s(at(float32_pointer(branch), work.rows * work.width), work.rows, work.width)
    for n in range(x.shape[0]):
        for d in range(width):
            x[n, d] += first[n, d] + second[n, d]
        if bias_address != 0:
            bias = float32s(bias_address, 1, width)[0]
            for d in range(width):
                x[n, d] += bias[d]


@part
def mlp(model: Any, layer: Any, work: Any, worker: Any, source: Any) -> None:
    """Computes the worker's share of the hidden units (N, F), up to and with the activation function."""
    hidden_start, gate_start = float32_pointer(work.hidden), float32_pointer(work.gate)
    matmul(layer.up, work, worker, source, work.width, hidden_start, work.hidden_width)
    if model.mlp == SWIGLU:
        matmul(layer.gate, work, worker, source, work.width, gate_start, work.hidden_width)
    first, last = panel_range(worker, layer.up, work)
    first, last = first * LANES, min(last * LANES, model.d_mlp)
    count = max(0, last - first)
    for n in range(work.rows):
        hidden = float32s(at(hidden_start, n * work.hidden_width + first), 1, count)[0]
        _add_bias(hidden, layer.up_bias, first)
        if model.mlp == SWIGLU:
            gate = float32s(at(gate_start, n * work.hidden_width + first), 1, count)[0]
            _add_bias(gate, layer.gate_bias, first)
            for f in range(count):
                hidden[f] *= silu(gate[f])
        elif model.mlp == GELU:
            for f in range(count):
                hidden[f] = gelu(hidden[f])
        elif model.mlp == SQUARED_RELU:
            for f in range(count):
                hidden[f] = squared_relu(hidden[f])
        else:
            for f in range(count):
                hidden[f] = relu(hidden[f])


@part
def _add_bias(x: Any, bias_address: Any, first: Any) -> None:
    """Adds the numbers of a bias from `first` on to x (I,), where there is a bias."""
    if bias_address != 0:
        bias = float32s(at(float32_pointer(bias_address), first), 1, x.shape[0])[0]
        for i in range(x.shape[0]):
            x[i] += bias[i]


@part
def output_head(model: Any, work: Any, step: Any, worker: Any, normed: Any) -> None:
    """Computes the worker's share of the logits (N - first_output, V), and clears `all_finite` if one is not finite.

    Args:
        normed: a pointer to the normalised residual stream (N, D).
    """
    rows, head = work.rows - work.first_output, model.head
    first, last = panel_range(worker, head, work)
    out, source = logits_of(work, step), at(normed, work.first_output * work.width)
    matmul_panels(head, 0, head.inputs, rows, first, last, source, work.width, out, work.logits_width)
    first, count = first * LANES, max(0, min(last * LANES, model.vocab_size) - first * LANES)
    for n in range(rows):
        logits = float32s(at(out, n * work.logits_width + first), 1, count)[0]
        _add_bias(logits, model.head_bias, first)
        nothing = ZERO
        for v in range(count):
            nothing += logits[v] * ZERO  # 0, or NaN for infinite and NaN
        if nothing != ZERO:
            int64s(work.all_finite, 1)[0] = 0


@part
def logits_of(work: Any, step: Any) -> Any:
    """The pointer to the logits of a step."""
    return at(float32_pointer(work.logits), step * (work.rows - work.first_output) * work.logits_width)


@part
def sample_next(model: Any, work: Any, sampling: Any, step: Any, worker: Any) -> None:
    """Samples the worker's share of the next ids, notes them in `sampled`, and makes them the input of the next pass.

    A text that ends, and a number below 0 that says what is wrong in the place of an id, end the work with this step:
    `ended_after` becomes the number of steps.
    """
    sampled = int64s(at(int64_pointer(work.sampled), step * len(sampling)), len(sampling))
    ids, positions = int64s(work.ids, work.rows), int64s(work.positions, work.rows)
    is_sound = int64s(work.all_finite, 1)[0] != 0
    for n in range(len(sampling) * worker // work.workers, len(sampling) * (worker + 1) // work.workers):
        sample = sampling[n]
        counts = int32s(sample.counts, model.vocab_size)
        logits = float32s(at(logits_of(work, step), n * work.logits_width), 1, model.vocab_size)[0]
        bias = float32s(sample.bias, 1, model.vocab_size)[0]
        if step < sample.n_forced:
            id = int64s(sample.forced, sample.n_forced)[step]
        else:
            id = choose(logits, bias, counts, sample, float64s(sample.uniforms, work.steps)[step])
        sampled[n] = id
        if id < 0 or id == sample.eos or not is_sound:
            int64s(work.ended_after, 1)[0] = step + 1
        if id >= 0 and is_sound:
            counts[id] += 1
        if step + 1 < work.steps:
            ids[n] = max(id, 0)
            positions[n] += step > 0 or not work.logits_given
