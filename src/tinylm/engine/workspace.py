"""The workspace of an engine: the buffers in which its calls compute, kept from call to call, and the record that tells
kernels of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tinylm.config.schema import ModelConfig
from tinylm.engine.barrier import LINE_NUMBERS, sched_yield
from tinylm.engine.kv_cache import SequenceCache, grown
from tinylm.engine.micro_kernel import TILE_ROWS
from tinylm.engine.records import WORK
from tinylm.jit.arrays import address_of, aligned_zeros, round_up
from tinylm.jit.llvm import LANES
from tinylm.model.layout import fused_shapes, rotary_angles
from tinylm.sampling.finite import not_finite

Floats = NDArray[np.float32]


class Workspace:
    """Memory for calls of one shape of model, which grows with the largest call so far.

    Args:
        cores: the most workers of a call.

    Attributes:
        work: the record (records.py).
        cores: as given.
    """

    def __init__(self, config: ModelConfig, cores: int) -> None:
        self._config, self.cores = config, cores
        self.work = np.zeros(1, WORK)
        # A cache line for each worker's barrier phase, then one for `all_finite` and one for `ended_after`
        self._signals = aligned_zeros((cores + 2, LINE_NUMBERS), np.int64)
        self._buffers: dict[str, NDArray[np.float32]] = {}
        self._table, self._sampled = aligned_zeros((5, 0), np.int64), aligned_zeros((0,), np.int64)
        self._rows = self._length = 0
        self._outputs = -1  # there are calls that ask for none
        widths = {"": config.d_model, "hidden_": config.d_mlp, "logits_": config.vocab_size,
                  "qkv_": fused_shapes(config)["qkv"][0]}
        self._widths = {name: round_up(width, 2 * LANES) for name, width in widths.items()}
        work = self.work[0]
        for name, width in self._widths.items():
            work[f"{name}width"] = width
        work["sched_yield"] = sched_yield()
        work["arrivals"], work["all_finite"], work["ended_after"] = (
            address_of(self._signals[line]) for line in (0, -2, -1))

    def prepare(self, caches: Sequence[SequenceCache], start: Sequence[int] | Floats, outputs: int,
                steps: int = 1) -> None:
        """Fills `work` for a call, and makes buffers and caches large enough.

        Args:
            caches: one for each row; a cache may come several times, with consecutive ids.
            start: the ids to read, one for each row; or the logits (rows, V) that the first step samples from.
            outputs: logits are computed for so many of the last rows.
            steps: passes.
        """
        rows, logits_given = len(caches), isinstance(start, np.ndarray)
        if rows > self._rows:
            self._allocate_rows(rows)
        if outputs * steps > self._outputs:
            self._allocate_outputs(outputs * steps)
        ids, positions, keys, values, capacities = self._table
        for row, cache in enumerate(caches):
            positions[row] = cache.length
            cache.length += not logits_given
        for row, cache in enumerate(caches):
            cache.reserve(cache.length + steps - 1)
            keys[row], values[row], capacities[row] = address_of(cache.keys), address_of(cache.values), cache.capacity
        if isinstance(start, np.ndarray):
            self._buffers["logits"][:rows, :self._config.vocab_size] = start
        else:
            ids[:rows] = start
        self._reserve_length(max(cache.length for cache in caches) + steps - 1)
        self._signals[:, 0] = 0
        self._signals[-2, 0] = 1
        work = self.work[0]
        work["rows"], work["first_output"], work["steps"] = rows, rows - outputs, steps
        work["logits_given"] = logits_given

    # ---- what came of the last call

    def steps(self) -> int:
        """The number of steps whose logits are finite. Raises: TinyLMError: there is none."""
        all_finite, ended_after = self._signals[-2:, 0].tolist()
        sound = (ended_after or int(self.work[0]["steps"])) - (not all_finite)
        if sound == 0:
            raise not_finite()
        return sound

    def sampled(self, steps: int, outputs: int) -> NDArray[np.int64]:
        """The sampled ids (steps, outputs)."""
        return self._sampled[:steps * outputs].reshape(steps, outputs)

    def logits(self, steps: int, outputs: int) -> Floats:
        """The logits (steps, outputs, V)."""
        width = self._config.vocab_size
        return self._buffers["logits"][:steps * outputs, :width].reshape(steps, outputs, width)

    # ---- memory

    def _allocate(self, name: str, *shape: int) -> None:
        self._buffers[name] = aligned_zeros(shape, np.float32)
        self.work[0][name] = address_of(self._buffers[name])

    def _allocate_rows(self, rows: int) -> None:
        self._rows, config, width = rows, self._config, self._widths[""]
        self._table = aligned_zeros((5, rows), np.int64)
        for name, line in zip(("ids", "positions", "keys", "values", "capacities"), self._table, strict=True):
            self.work[0][name] = address_of(line)
        for name in ("x", "normed"):
            self._allocate(name, self.cores, rows, width)
        self.work[0]["worker_stride"] = rows * width
        for name in ("attn_out", "mlp_out"):
            self._allocate(name, 2, rows, width)
        self._allocate("z", rows, config.n_heads * config.d_head)
        self._allocate("qkv", rows, self._widths["qkv_"])
        for name in ("hidden", "gate"):
            self._allocate(name, rows, self._widths["hidden_"])

    def _allocate_outputs(self, outputs: int) -> None:
        self._outputs = outputs
        self._allocate("logits", outputs, self._widths["logits_"])
        self._sampled = aligned_zeros((outputs,), np.int64)
        self.work[0]["sampled"] = address_of(self._sampled)

    def _reserve_length(self, length: int) -> None:
        """Makes buffers for sequences of `length` positions: scores, and cos and sin of rotary positions."""
        if length <= self._length:
            return
        self._length = grown(self._length, length)
        width = self._config.d_head
        self._allocate("scores", self.cores, TILE_ROWS, self._length + round_up(width, LANES) + 1)
        self.work[0]["scores_width"] = self._length
        if self._config.positions == "rotary":
            positions, dimensions = (np.arange(*ends, dtype=np.float32) for ends in ((self._length,), (0, width, 2)))
            with np.errstate(over="ignore", invalid="ignore"):
                angle = rotary_angles(positions, dimensions, width, np.float32(self._config.rope_theta))
            for name, values in (("cos", np.cos(angle)), ("sin", np.sin(angle))):
                self._allocate(name, *values.shape)
                self._buffers[name][:] = values
