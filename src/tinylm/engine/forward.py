"""The forward pass, in the order of the reading file (model/transformer.py), for some new positions of any streams;
and a run of passes, where each reads the ids that were chosen from the logits of the one before.

All workers run it at the same time, each a share of every product and of the heads, and meet where one needs what the
others made. The residual stream is cheap next to the products: each worker keeps a copy of its own, and waits less.

Axis letters: N new positions   D d_model   F d_mlp   V vocabulary
"""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tinylm.engine.attention import attend, heads_divide_evenly, project_own_heads, rotate_and_cache
from tinylm.engine.barrier import barrier_wait
from tinylm.engine.matmul import matmul, panel_range, project_to_residual, share
from tinylm.engine.micro_kernel import LANES
from tinylm.engine.records import MLPS, counts, doubles, floats, integers
from tinylm.jit.bfloat16 import sigmoid
from tinylm.jit.compile import SHARED_DIGEST, digest, kernel, part
from tinylm.sampling import filters
from tinylm.sampling.filters import choose

ZERO, ONE, TWO = np.float32(0.0), np.float32(1.0), np.float32(2.0)
RELU, GELU, SQUARED_RELU, SWIGLU = range(len(MLPS))
GELU_CUBIC, GELU_SCALE = np.float32(0.044715), np.float32(math.sqrt(2 / math.pi))
SOURCES_DIGEST = digest(filters.__file__, *sorted(Path(__file__).parent.glob("*.py"))) + SHARED_DIGEST
"""Names the compiled pass: numba sees when this file changes, and not when one does that it takes its parts from."""


@partial(kernel, shared=SOURCES_DIGEST)
def forward(models: Any, layers: Any, works: Any, sampling: Any, worker: Any) -> None:
    """From ids to logits, as one of the workers; and on to the next ids, step after step, if there are `sampling`, one
    for each row of logits. The records: memory.py."""
    model, work, phase = models[0], works[0], 0
    for step in range(work.steps):
        if step > 0 or not work.logits_given:
            phase = forward_pass(model, layers, work, step, worker, phase)
        if len(sampling) > 0:
            sample_next(model, work, sampling, step, worker)
            phase = barrier_wait(work, worker, phase)
            if integers(work.ended, 1)[0] != 0:
                break


@part
def sample_next(model: Any, work: Any, sampling: Any, step: Any, worker: Any) -> None:
    """The worker's share of the next ids: noted, and put where the next pass finds them. A text that ends, or what
    is no id but says what is wrong, ends the run with this step, which is told at `ended`."""
    chosen = integers(work.chosen + 8 * step * len(sampling), len(sampling))
    ids, positions = integers(work.ids, work.rows), integers(work.positions, work.rows)
    sound = integers(work.finite, 1)[0] != 0
    for n in range(len(sampling) * worker // work.workers, len(sampling) * (worker + 1) // work.workers):
        sample = sampling[n]
        seen = counts(sample.counts, model.vocab_size)
        logits = floats(logits_address(work, step) + 4 * n * work.logits_width, 1, model.vocab_size)[0]
        bias = floats(sample.bias, 1, model.vocab_size)[0]
        if step < sample.n_forced:
            id = integers(sample.forced, sample.n_forced)[step]
        else:
            id = choose(logits, bias, seen, sample, doubles(sample.uniforms, work.steps)[step])
        chosen[n] = id
        if id < 0 or id == sample.eos or not sound:
            integers(work.ended, 1)[0] = step + 1
        if id >= 0 and sound:
            seen[id] += 1
        if step + 1 < work.steps:
            ids[n] = max(id, 0)
            positions[n] += step > 0 or not work.logits_given


@part
def logits_address(work: Any, step: Any) -> Any:
    """The address of the logits of a step."""
    return work.logits + 4 * step * (work.rows - work.first_output) * work.logits_width


@part
def forward_pass(model: Any, layers: Any, work: Any, step: Any, worker: Any, phase: Any) -> Any:
    """From ids to logits. Returns how often the workers have met."""
    x_at, normed_at = work.x + worker * work.worker_stride, work.normed + worker * work.worker_stride
    x, normed = floats(x_at, work.rows, work.width), floats(normed_at, work.rows, work.width)
    source, own_heads = x_at if model.post else normed_at, heads_divide_evenly(model, work.workers)
    halves, attn_out, mlp_out = own_heads and work.workers == 2, work.branch, work.branch + 8 * work.rows * work.width
    embed(model, work, x)
    for number in range(model.n_layers):
        layer = layers[number]
        if not model.post:
            normalise(model, x, normed, layer.norm1, layer.norm1_bias)
        if own_heads:
            project_own_heads(model, layer, work, worker, source)
            rotate_and_cache(model, layer, work, number, worker)
        else:
            matmul(layer.qkv, work, worker, source, work.width, work.qkv, work.qkv_width)
            phase = barrier_wait(work, worker, phase)
            rotate_and_cache(model, layer, work, number, worker)
            phase = barrier_wait(work, worker, phase)
        attend(model, work, number, worker)
        phase = project_to_residual(layer.o, work, worker, phase, halves, work.z, model.n_heads * model.d_head,
                                    attn_out)
        add_residual(model, work, x, attn_out, layer.o_bias)
        if model.post:
            normalise(model, x, x, layer.norm1, layer.norm1_bias)
        else:
            normalise(model, x, normed, layer.norm2, layer.norm2_bias)
        mlp(model, layer, work, worker, source)
        phase = project_to_residual(layer.down, work, worker, phase, halves and layer.up.panels >= 4, work.hidden,
                                    work.hidden_width, mlp_out)
        add_residual(model, work, x, mlp_out, layer.down_bias)
        if model.post:
            normalise(model, x, x, layer.norm2, layer.norm2_bias)
    normalise(model, x, normed, model.ln_f, model.ln_f_bias)
    output_head(model, work, step, worker, normed_at)
    return barrier_wait(work, worker, phase)


@part
def embed(model: Any, work: Any, x: Any) -> None:
    """The vectors of the ids, and of their places where those are learned."""
    ids, positions = integers(work.ids, work.rows), integers(work.positions, work.rows)
    for n in range(work.rows):
        vector = floats(model.embed + 4 * ids[n] * model.d_model, 1, model.d_model)[0]
        for d in range(model.d_model):
            x[n, d] = vector[d]
        if model.positions != 0:
            position = floats(model.positions + 4 * positions[n] * model.d_model, 1, model.d_model)[0]
            for d in range(model.d_model):
                x[n, d] += position[d]


@part
def normalise(model: Any, x: Any, out: Any, weight_at: Any, bias_at: Any) -> None:
    """RMSNorm or LayerNorm: x (N, D) -> out (N, D), which may be x."""
    width = model.d_model
    weight = floats(weight_at, 1, width)[0]
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
        if bias_at != 0:
            bias = floats(bias_at, 1, width)[0]
            for d in range(width):
                out[n, d] += bias[d]


@part
def add_residual(model: Any, work: Any, x: Any, branch: Any, bias_at: Any) -> None:
    """x (N, D) += both halves of a branch (2, N, D), and the bias that the branch has yet to get."""
    width = model.d_model
    first = floats(branch, work.rows, work.width)
    second = floats(branch + 4 * work.rows * work.width, work.rows, work.width)
    for n in range(x.shape[0]):
        for d in range(width):
            x[n, d] += first[n, d] + second[n, d]
        if bias_at != 0:
            bias = floats(bias_at, 1, width)[0]
            for d in range(width):
                x[n, d] += bias[d]


@part
def mlp(model: Any, layer: Any, work: Any, worker: Any, source: Any) -> None:
    """The worker's share of the hidden units (N, F), bent."""
    matmul(layer.up, work, worker, source, work.width, work.hidden, work.hidden_width)
    if model.mlp == SWIGLU:
        matmul(layer.gate, work, worker, source, work.width, work.gate, work.hidden_width)
    first, last = panel_range(worker, layer.up, work)
    first, last = first * LANES, min(last * LANES, model.d_mlp)
    for n in range(work.rows):
        offset = 4 * (n * work.hidden_width + first)
        hidden, count = floats(work.hidden + offset, 1, max(0, last - first))[0], max(0, last - first)
        if layer.up_bias != 0:
            _add_bias(hidden, floats(layer.up_bias + 4 * first, 1, count)[0])
        if model.mlp == SWIGLU:
            gate = floats(work.gate + offset, 1, count)[0]
            if layer.gate_bias != 0:
                _add_bias(gate, floats(layer.gate_bias + 4 * first, 1, count)[0])
            for f in range(count):
                hidden[f] *= gate[f] * sigmoid(gate[f])
        elif model.mlp == GELU:
            for f in range(count):
                h = hidden[f]
                hidden[f] = h * sigmoid(TWO * GELU_SCALE * (h + GELU_CUBIC * h * h * h))
        elif model.mlp == SQUARED_RELU:
            for f in range(count):
                hidden[f] = max(hidden[f], ZERO) * max(hidden[f], ZERO)
        else:
            for f in range(count):
                hidden[f] = max(hidden[f], ZERO)


@part
def _add_bias(x: Any, bias: Any) -> None:
    for i in range(x.shape[0]):
        x[i] += bias[i]


@part
def output_head(model: Any, work: Any, step: Any, worker: Any, normed: Any) -> None:
    """The worker's share of the logits (N - first_out, V). What is not finite is told at `finite`."""
    rows, head = work.rows - work.first_output, model.head
    first, last = panel_range(worker, head, work)
    found, source = logits_address(work, step), normed + 4 * work.first_output * work.width
    share(head, 0, head.inputs, rows, first, last, source, work.width, found, work.logits_width)
    first, count = first * LANES, max(0, min(last * LANES, model.vocab_size) - first * LANES)
    for n in range(rows):
        logits = floats(found + 4 * (n * work.logits_width + first), 1, count)[0]
        if model.head_bias != 0:
            _add_bias(logits, floats(model.head_bias + 4 * first, 1, count)[0])
        nothing = ZERO
        for v in range(count):
            nothing += logits[v] * ZERO
        if nothing != ZERO:
            integers(work.finite, 1)[0] = 0
