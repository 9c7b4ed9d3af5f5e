"""A model ready to compute, and one call for some new positions of some of the streams that it writes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinylm.config.schema import ModelConfig, Storage
from tinylm.engine.forward import forward
from tinylm.engine.kv_cache import Stream
from tinylm.engine.micro_kernel import ROWS
from tinylm.engine.records import CHOICE
from tinylm.engine.sampling_records import Choices
from tinylm.engine.thread_tuner import Pace, available_cores
from tinylm.engine.weights import Floats, Layout, Weights
from tinylm.engine.workspace import Desk
from tinylm.errors import TinyLMError
from tinylm.jit.thread_pool import Workers
from tinylm.sampling.sampler import Sampler

BLOCK = 128
"""Positions of one call. The weights are read once for all of these, so more would take memory and no less time."""
GROUP = 8
"""Texts that a core writes together: enough for its products, few enough for its caches to hold what they said; ..."""
CACHED = 4_000_000
"""... if the model has no more numbers, so that each core may read all of them. Of a larger one each reads a share."""
MOST_LOGITS = 1 << 20
"""Of a group's run, which keeps them: more would push everything else out of the caches."""
NO_CHOICES = np.zeros(0, CHOICE)


class Run(NamedTuple):
    """The ids that a text goes on with, and the logits (ids, V) that they were chosen from."""

    ids: list[int]
    logits: Floats


class Engine:
    """A model, compiled. One call at a time.

    Args:
        weights: its parameters by name, as in the torch module.
        storage: how the matrices are kept; sums are float32 always.
        cores: most threads of a call; none: as many as the process may use. Results do not depend on it.
    """

    def __init__(self, config: ModelConfig, weights: Weights, storage: Storage = "fp32",
                 cores: int | None = None) -> None:
        self.config, cores = config, cores or available_cores()
        self._layout, self._desk = Layout(config, weights, storage), Desk(config, cores)
        self._desks = [Desk(config, 1) for _ in range(cores)]
        self._workers, self._pace = Workers(cores), Pace(cores)

    def read(self, streams: Sequence[Stream], ids: Sequence[int], outputs: int) -> Floats:
        """Appends ids[i] to streams[i], one after another; a stream may come several times.

        Args:
            outputs: for so many of the last ids the logits are computed.

        Returns:
            (outputs, V): what follows those. The next call overwrites it.

        Raises:
            TinyLMError: a logit is not finite.
        """
        self._desk.lay_out(streams, ids, outputs)
        self._run(self._desk, NO_CHOICES)
        return self._desk.logits(1, outputs)[0]

    def write(self, streams: Sequence[Stream], start: Sequence[int] | Floats, choices: Choices,
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
        self._desk.lay_out(streams, start, len(streams), steps)
        self._run(self._desk, choices.ahead(steps))
        steps = self._desk.steps()
        for stream in streams:
            stream.length += steps - 1
        return self._desk.chosen(steps, len(streams)), self._desk.logits(steps, len(streams))

    def write_together(self, streams: Sequence[Stream], ids: Sequence[int], samplers: Sequence[Sampler], eos_id: int,
                       steps: Sequence[int]) -> Sequence[Run | None]:
        """As `write`, for many texts. Those of a small model are in groups, each on one core, so that none waits for
        another; a single text is on all cores.

        Args:
            ids: the last of each stream, which is still to be read.
            samplers: choose for each; a run brings their counts up to date, `Sampler.accept` their places.
            steps: how many ids each gets at most. A group has as many as fits all of its texts, and ends with the step
                in which one of them does.

        Returns:
            what each goes on with. The last id is still to be read; below 0: none could be chosen (logits.py). None,
            and nothing done: a logit of its group is not finite.
        """
        if self._layout.numbers > CACHED or len(streams) == 1:
            return self._write_group(self._desk, streams, ids, Choices(samplers, eos_id), min(steps))
        parts = groups(len(streams), len(self._desks))
        found: list[Run | None] = [None] * len(streams)
        waiting = iter(parts)

        def work(worker: int) -> None:
            for part in waiting:  # each takes the next one that is left
                found[part] = self._write_group(self._desks[worker], streams[part], ids[part],
                                                Choices(samplers[part], eos_id), min(steps[part]))

        self._workers.map(work, min(len(parts), len(self._desks)))
        return found

    def _write_group(self, desk: Desk, streams: Sequence[Stream], ids: Sequence[int], choices: Choices,
                     steps: int) -> Sequence[Run | None]:
        count, lengths = len(streams), [stream.length for stream in streams]
        steps = max(1, min(steps, MOST_LOGITS // (count * self.config.vocab_size)))
        desk.lay_out(streams, ids, count, steps)
        try:
            self._run(desk, choices.ahead(steps))
            steps = desk.steps()
        except TinyLMError:
            for stream, length in zip(streams, lengths, strict=True):
                stream.length = length
            return [None] * count
        for stream in streams:
            stream.length += steps - 1
        logits = desk.logits(steps, count).swapaxes(0, 1).copy()
        return [Run(*each) for each in zip(desk.chosen(steps, count).T.tolist(), logits, strict=True)]

    def _run(self, desk: Desk, choices: NDArray[np.void]) -> None:
        """On all cores, if the desk is for them."""
        model, layers, works = self._layout.model, self._layout.layers, desk.work
        if desk.cores == 1:
            works["workers"] = 1
            forward(model, layers, works, choices, 0)
            return
        rows, given = int(works[0]["rows"]), int(works[0]["given"])
        works["workers"] = cores = self._pace.cores(self._layout.numbers, rows, int(works[0]["steps"]) - given)
        began = time.perf_counter()
        self._workers.map(lambda worker: forward(model, layers, works, choices, worker), cores)
        self._pace.took(cores, rows, desk.steps() - given, time.perf_counter() - began)


def groups(count: int, cores: int) -> list[slice]:
    """So many texts in groups of about equal size: `GROUP` at most, and one for each core where there are enough."""
    number = max(-(-count // GROUP), min(cores, count // ROWS))
    return [slice(count * i // number, count * (i + 1) // number) for i in range(number)]
