"""Records through which Python hands kernels a model, its layers and the work to do; and views of addresses as arrays.

A kernel gets all it needs in three records of sizes and addresses, so that a call costs next to nothing however much
the kernel needs to know. Who makes a record (weights.py, workspace.py, sampling_records.py) keeps the memory that its
addresses lie in.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray

from tinylm.jit.compile import part
from tinylm.jit.pointers import float32_pointer, float64_pointer, int32_pointer, int64_pointer
from tinylm.sampling.filters import SamplingParams


def _record(**fields: Any) -> np.dtype[Any]:
    kinds = {int: "i8", float: "f4"}
    return np.dtype([(name, kinds.get(kind, kind)) for name, kind in fields.items()])


MATRIX = _record(weights=int, scales=int, kind=int, inputs=int, panels=int, cut=int)
"""A packed matrix. `weights`, `scales`: addresses. `kind`: the number format (micro_kernel.py). `panels`: of 16
outputs. `cut`: how many inputs are in the first of the two halves that `project_to_residual` sums apart."""
LAYER = _record(norm1=int, norm1_bias=int, qkv=MATRIX, qkv_bias=int, q_norm=int, k_norm=int, o=MATRIX, o_bias=int,
                norm2=int, norm2_bias=int, up=MATRIX, up_bias=int, gate=MATRIX, gate_bias=int, down=MATRIX,
                down_bias=int)
"""The addresses of a layer's weights, 0 where it has none."""
MODEL = _record(d_model=int, n_layers=int, n_heads=int, n_kv_heads=int, d_head=int, d_mlp=int, vocab_size=int,
                mlp=int, post=int, layernorm=int, rotary=int, eps=float, scale=float, embed=int, position_table=int,
                ln_f=int, ln_f_bias=int, head=MATRIX, head_bias=int)
"""The sizes of a model, its kinds of parts, and the addresses of its weights outside the layers. `mlp`: an index into
MLPS. `post`, `layernorm`, `rotary`: 1 for yes. `scale`: of attention scores. `position_table`: of learned positions."""
MLPS = ("relu", "gelu", "squared_relu", "swiglu")
SAMPLING = _record(bias=int, counts=int, uniforms=int, forced=int, n_forced=int, eos=int,
                   **{name: np.dtype(type(default)) for name, default in SamplingParams._field_defaults.items()})
"""How the ids of one text are sampled: the addresses of `bias` and `counts` (V,) and of `uniforms`, a number a step;
the ids that are forced in the first steps; the id that ends the text; and the settings (sampling/filters.py)."""
WORK = _record(rows=int, first_output=int, steps=int, logits_given=int, workers=int, arrivals=int, sched_yield=int,
               all_finite=int, ended_after=int, sampled=int, ids=int, positions=int, keys=int, values=int,
               capacities=int, cos=int, sin=int, x=int, normed=int, qkv=int, z=int, attn_out=int, mlp_out=int,
               gate=int, hidden=int, scores=int, logits=int, width=int, hidden_width=int, qkv_width=int,
               logits_width=int, worker_stride=int, scores_width=int)
"""One call: `rows` positions of any sequences, read in `steps` passes by so many `workers`.

- `ids`, `positions`, `keys`, `values`, `capacities`: addresses of (rows,) each: the ids to read, their positions in
  their sequences, and the addresses and capacities of the caches of these.
- `first_output`: logits are computed for the rows from this one on. `logits_given`: 1 if those of the first step are
  there already. `sampled`: (steps, outputs), the ids that were sampled.
- `arrivals`, `sched_yield`: of the barrier. `all_finite`: the address of a 1, which becomes 0 when a logit is not
  finite. `ended_after`: the address of a 0, which becomes the number of steps after which a text ended.
- `x` ... `logits`: addresses of buffers, float32. `width` ... `logits_width`: the lengths of their rows.
  `worker_stride`: numbers from one worker's copy of `x` or `normed` to the copy of the next."""


@part
def float32s(start: Any, rows: Any, columns: Any) -> Any:
    """Views what is at an address, or behind a pointer to float32, as (rows, columns) float32."""
    return carray(float32_pointer(start), (rows, columns))


@part
def float64s(start: Any, count: Any) -> Any:
    """Views what is at an address as (count,) float64."""
    return carray(float64_pointer(start), (count,))


@part
def int32s(start: Any, count: Any) -> Any:
    """Views what is at an address as (count,) int32."""
    return carray(int32_pointer(start), (count,))


@part
def int64s(start: Any, count: Any) -> Any:
    """Views what is at an address, or behind a pointer to int64, as (count,) int64."""
    return carray(int64_pointer(start), (count,))
