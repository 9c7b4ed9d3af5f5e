"""A model ready to compute, and one call for some new positions of some of the streams that it writes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinylm.config.schema import ModelConfig, WeightDtype
from tinylm.engine.forward import forward
from tinylm.engine.kv_cache import SequenceCache
from tinylm.engine.micro_kernel import ROWS
from tinylm.engine.records import SAMPLING
from tinylm.engine.sampling_records import SamplingRecords
from tinylm.engine.thread_tuner import ThreadTuner, available_cores
from tinylm.engine.weights import Floats, PackedWeights, Weights
from tinylm.engine.workspace import Workspace
from tinylm.errors import TinyLMError
from tinylm.jit.thread_pool import ThreadPool
from tinylm.sampling.sampler import Sampler

PREFILL_CHUNK = 128
"""Positions of one call. The weights are read once for all of these, so more would take memory and no less time."""
MAX_GROUP_SIZE = 8
"""Texts that a core writes together: enough for its products, few enough for its caches to hold what they said; ..."""
MAX_CACHED_WEIGHTS = 4_000_000
"""... if the model has no more numbers, so that each core may read all of them. Of a larger one each reads a share."""
MAX_LOGITS = 1 << 20
"""Of a group's run, which keeps them: more would push everything else out of the caches."""
NO_SAMPLING = np.zeros(0, SAMPLING)


class GeneratedIds(NamedTuple):
    """The ids that a text goes on with, and the logits (ids, V) that they were chosen from."""

    ids: list[int]
    logits: Floats


class Engine:
    """A model, compiled. One call at a time.

    Args:
        weights: its parameters by name, as in the torch module.
        weight_dtype: how the matrices are kept; sums are float32 always.
        cores: most threads of a call; none: as many as the process may use. Results do not depend on it.
    """

    def __init__(self, config: ModelConfig, weights: Weights, weight_dtype: WeightDtype = "fp32",
                 cores: int | None = None) -> None:
        self.config, cores = config, cores or available_cores()
        self._weights, self._workspace = PackedWeights(config, weights, weight_dtype), Workspace(config, cores)
        self._workspaces = [Workspace(config, 1) for _ in range(cores)]
        self._pool, self._tuner = ThreadPool(cores), ThreadTuner(cores)

    def read(self, caches: Sequence[SequenceCache], ids: Sequence[int], outputs: int) -> Floats:
        """Appends ids[i] to streams[i], one after another; a stream may come several times.

        Args:
            outputs: for so many of the last ids the logits are computed.

        Returns:
            (outputs, V): what follows those. The next call overwrites it.

        Raises:
            TinyLMError: a logit is not finite.
        """
        self._workspace.prepare(caches, ids, outputs)
        self._run(self._workspace, NO_SAMPLING)
        return self._workspace.logits(1, outputs)[0]

    def write(self, caches: Sequence[SequenceCache], start: Sequence[int] | Floats, sampling: SamplingRecords,
              steps: int) -> tuple[NDArray[np.int64], Floats]:
        """Chooses the next ids of some streams, reads them, chooses the next, and so on, in one call.

        Args:
            streams: different ones.
            start: the last id of each, which is still to be read; or (streams, V), the logits after it.
            choices: how the ids of each are chosen.
            steps: how many ids at most. The call ends with the step in which a text does.

        Returns:
            ids (steps, streams), of which the last are still to be read; below 0: none could be chosen (logits.py).
            And the logits (steps, streams, V) that they were chosen from. The next call overwrites both.

        Raises:
            TinyLMError: a logit is not finite.
        """
        self._workspace.prepare(caches, start, len(caches), steps)
        self._run(self._workspace, sampling.ahead(steps))
        steps = self._workspace.steps()
        for cache in caches:
            cache.length += steps - 1
        return self._workspace.chosen(steps, len(caches)), self._workspace.logits(steps, len(caches))

    def write_together(self, caches: Sequence[SequenceCache], ids: Sequence[int], samplers: Sequence[Sampler],
                       eos_id: int, steps: Sequence[int]) -> Sequence[GeneratedIds | None]:
        """As `write`, for many texts. Those of a small model are in groups, each on one core, so that none waits for
        another.

        Args:
            ids: the last of each stream, which is still to be read.
            samplers: choose for each; a run brings their counts up to date, `Sampler.accept` their places.
            steps: how many ids each gets at most. A group has as many as fits all of its texts, and ends with the step
                in which one of them does.

        Returns:
            what each goes on with. The last id is still to be read; below 0: none could be chosen (logits.py). None,
            and nothing done: a logit of its group is not finite.
        """
        if self._weights.n_weights > MAX_CACHED_WEIGHTS:
            return self._write_group(self._workspace, caches, ids, SamplingRecords(samplers, eos_id), min(steps))
        parts = groups(len(caches), len(self._workspaces))
        found: list[GeneratedIds | None] = [None] * len(caches)
        waiting = iter(parts)

        def work(worker: int) -> None:
            for part in waiting:  # each takes the next one that is left
                found[part] = self._write_group(self._workspaces[worker], caches[part], ids[part],
                                                SamplingRecords(samplers[part], eos_id), min(steps[part]))

        self._pool.map(work, min(len(parts), len(self._workspaces)))
        return found

    def _write_group(self, workspace: Workspace, caches: Sequence[SequenceCache], ids: Sequence[int],
                     sampling: SamplingRecords, steps: int) -> Sequence[GeneratedIds | None]:
        count, lengths = len(caches), [cache.length for cache in caches]
        steps = max(1, min(steps, MAX_LOGITS // (count * self.config.vocab_size)))
        workspace.prepare(caches, ids, count, steps)
        try:
            self._run(workspace, sampling.ahead(steps))
            steps = workspace.steps()
        except TinyLMError:
            for cache, length in zip(caches, lengths, strict=True):
                cache.length = length
            return [None] * count
        for cache in caches:
            cache.length += steps - 1
        logits = workspace.logits(steps, count).swapaxes(0, 1).copy()
        return [GeneratedIds(*each) for each in zip(workspace.chosen(steps, count).T.tolist(), logits, strict=True)]

    def _run(self, workspace: Workspace, sampling: NDArray[np.void]) -> None:
        """On all cores, if the desk is for them."""
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
    """So many texts in groups of about equal size: `MAX_GROUP_SIZE` at most, and one for each core where there are
    enough."""
    number = max(-(-count // MAX_GROUP_SIZE), min(cores, count // ROWS))
    return [slice(count * i // number, count * (i + 1) // number) for i in range(number)]
