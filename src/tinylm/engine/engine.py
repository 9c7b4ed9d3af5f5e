"""A model ready to compute: calls that read new positions of sequences, and calls that write on from them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinylm.config.schema import ModelConfig, WeightDtype
from tinylm.engine.forward import forward
from tinylm.engine.kv_cache import SequenceCache
from tinylm.engine.micro_kernel import TILE_ROWS
from tinylm.engine.records import SAMPLING
from tinylm.engine.sampling_records import SamplingRecords
from tinylm.engine.thread_tuner import ThreadTuner
from tinylm.engine.weights import Floats, PackedWeights
from tinylm.engine.workspace import Workspace
from tinylm.errors import TinyLMError
from tinylm.jit.thread_pool import ThreadPool
from tinylm.model.tensors import Weights
from tinylm.sampling.sampler import Sampler
from tinylm.system.cores import available_cores, fast_cores

PREFILL_CHUNK = 128
"""Positions that a call should read at most. The weights are read once for all of these, so more would take memory and
no less time."""
MAX_GROUP_SIZE = 8
"""Texts that a core writes together: enough for its products, few enough for its caches to hold their keys and values;
..."""
MAX_CACHED_WEIGHTS = 4_000_000
"""... if the model has no more weights, so that each core may read all of them. Of a larger one each reads a share."""
MAX_LOGITS = 1 << 20
"""Logits that a call keeps for a group: more would push everything else out of the caches."""
NO_SAMPLING = np.zeros(0, SAMPLING)


class GeneratedIds(NamedTuple):
    """The ids that a text goes on with, and the logits (ids, V) that each was sampled from."""

    ids: list[int]
    logits: Floats


class Engine:
    """A compiled model. It takes one call at a time.

    Args:
        config: the shape of the model.
        weights: its parameters by name, as in the torch module. Each is taken out as it is packed.
        weight_dtype: the number format of the matrices; sums are float32 always.
        cores: the most threads of a call; None: as many as the process may use. Results do not depend on it.
    """

    def __init__(self, config: ModelConfig, weights: Weights, weight_dtype: WeightDtype = "fp32",
                 cores: int | None = None) -> None:
        self.config, cores = config, cores or available_cores()
        self._weights, self._workspace = PackedWeights(config, weights, weight_dtype), Workspace(config, cores)
        self._workspaces = [Workspace(config, 1) for _ in range(cores)]
        self._pool, self._tuner = ThreadPool(cores), ThreadTuner(cores, fast_cores())

    def unpack_weights(self) -> Weights:
        """The parameters by name, as new arrays, of an engine that has them as fp32."""
        return self._weights.unpack()

    def read(self, caches: Sequence[SequenceCache], ids: Sequence[int], outputs: int) -> Floats:
        """Appends ids[i] to the sequence of caches[i], one after another; a cache may come several times.

        Args:
            outputs: logits are computed for so many of the last ids.

        Returns:
            logits (outputs, V) of what follows those ids. The next call overwrites them.

        Raises:
            TinyLMError: a logit is not finite.
        """
        self._workspace.prepare(caches, ids, outputs)
        self._run(self._workspace, NO_SAMPLING)
        return self._workspace.logits(1, outputs)[0]

    def write(self, caches: Sequence[SequenceCache], start: Sequence[int] | Floats, sampling: SamplingRecords,
              steps: int) -> tuple[NDArray[np.int64], Floats]:
        """Samples the next ids of some sequences, reads them, samples the next, and so on, in one call.

        Args:
            caches: different ones.
            start: the last id of each sequence, which is still to be read; or the logits (caches, V) after it.
            sampling: how the ids of each are sampled.
            steps: the most ids of each. The call ends with the step in which a text does.

        Returns:
            ids (steps, caches), the last of which are still to be read; below 0: no id could be sampled (`NOTHING_LEFT`
            and `NOT_FINITE` of sampling/filters.py). And the logits (steps, caches, V) that they were sampled from. The
            next call overwrites both.

        Raises:
            TinyLMError: a logit is not finite.
        """
        return self._write(self._workspace, caches, start, sampling, steps)

    def write_together(self, caches: Sequence[SequenceCache], ids: Sequence[int], samplers: Sequence[Sampler],
                       eos_id: int, steps: Sequence[int]) -> Sequence[GeneratedIds | None]:
        """Writes many texts, as `write` does. Texts of a small model form groups, each on one core, so that no core
        waits for another; a single text is on all cores.

        Args:
            ids: the last id of each sequence, which is still to be read.
            samplers: one for each text. A call brings their counts up to date, `Sampler.accept` their positions.
            eos_id: the id that ends a text.
            steps: the most ids of each. A group gets the fewest that one of its texts may have, and ends with the step
                in which one of them does.

        Returns:
            the ids of each text, as of `write`. None if its group produced a logit that is not finite; the caches of
            the group then have the length that they had.
        """
        if self._weights.n_weights > MAX_CACHED_WEIGHTS or len(caches) == 1:
            return self._write_group(self._workspace, caches, ids, SamplingRecords(samplers, eos_id), min(steps))
        parts = groups(len(caches), len(self._workspaces))
        found: list[GeneratedIds | None] = [None] * len(caches)
        waiting = iter(parts)

        def work(worker: int) -> None:
            for part in waiting:  # each worker takes the next group that is left
                found[part] = self._write_group(self._workspaces[worker], caches[part], ids[part],
                                                SamplingRecords(samplers[part], eos_id), min(steps[part]))

        self._pool.map(work, min(len(parts), len(self._workspaces)))
        return found

    def _write_group(self, workspace: Workspace, caches: Sequence[SequenceCache], ids: Sequence[int],
                     sampling: SamplingRecords, steps: int) -> Sequence[GeneratedIds | None]:
        count, lengths = len(caches), [cache.length for cache in caches]
        steps = max(1, min(steps, MAX_LOGITS // (count * self.config.vocab_size)))
        try:
            sampled, logits = self._write(workspace, caches, ids, sampling, steps)
        except TinyLMError:
            for cache, length in zip(caches, lengths, strict=True):
                cache.length = length
            return [None] * count
        return [GeneratedIds(*each) for each in zip(sampled.T.tolist(), logits.swapaxes(0, 1).copy(), strict=True)]

    def _write(self, workspace: Workspace, caches: Sequence[SequenceCache], start: Sequence[int] | Floats,
               sampling: SamplingRecords, steps: int) -> tuple[NDArray[np.int64], Floats]:
        workspace.prepare(caches, start, len(caches), steps)
        self._run(workspace, sampling.ahead(steps))
        steps = workspace.steps()
        for cache in caches:
            cache.length += steps - 1
        return workspace.sampled(steps, len(caches)), workspace.logits(steps, len(caches))

    def _run(self, workspace: Workspace, sampling: NDArray[np.void]) -> None:
        """Calls the kernel on as many cores as the tuner says, or on one if the workspace is for one."""
        model, layers, works = self._weights.model, self._weights.layers, workspace.work
        if workspace.cores == 1:
            works["workers"] = 1
            forward(model, layers, works, sampling, 0)
            return
        rows, logits_given = int(works[0]["rows"]), int(works[0]["logits_given"])
        passes = int(works[0]["steps"]) - logits_given
        works["workers"] = cores = self._tuner.cores(self._weights.n_weights, rows, passes)
        began = time.perf_counter()
        self._pool.map(lambda worker: forward(model, layers, works, sampling, worker), cores)
        self._tuner.record(cores, rows, workspace.steps() - logits_given, time.perf_counter() - began)


def groups(count: int, cores: int) -> list[slice]:
    """Cuts `count` texts into groups of about equal size: `MAX_GROUP_SIZE` at most, and one for each core where there
    are enough texts.

    >>> groups(10, cores=2)
    [slice(0, 5, None), slice(5, 10, None)]
    """
    number = max(-(-count // MAX_GROUP_SIZE), min(cores, count // TILE_ROWS))
    return [slice(count * i // number, count * (i + 1) // number) for i in range(number)]
