"""A model ready to compute, the streams it writes, and one call for some new positions of some of them."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tinylm.compiled.workers import Workers
from tinylm.config import ModelConfig
from tinylm.generation.engine.choices import Choices
from tinylm.generation.engine.desk import Desk
from tinylm.generation.engine.forward import forward
from tinylm.generation.engine.memory import CHOICE, room, up
from tinylm.generation.engine.pace import Pace, available_cores
from tinylm.generation.engine.tiles import LANES
from tinylm.generation.engine.weights import Floats, Layout, Storage, Weights

BLOCK = 128
"""Positions of one call. The weights are read once for all of these, so more would take memory and no less time."""
FIRST_ROOM = 512
"""Positions that a stream has room for at first; it doubles when it is full."""
NO_CHOICES = np.zeros(0, CHOICE)


class Stream:
    """The keys and values of one text (layout: attention.py). `length`: positions in it."""

    def __init__(self, config: ModelConfig) -> None:
        self._config, self.length = config, 0
        self._make(min(FIRST_ROOM, up(config.context_length, LANES)))

    def _make(self, size: int) -> None:
        heads, width = self._config.n_layers * self._config.n_kv_heads, self._config.d_head
        self.room = size
        self.keys = room((heads, size // LANES, width, LANES), np.float32)
        self.values = room((heads, -(-width // LANES), size, LANES), np.float32)

    def copy(self) -> Stream:
        """The same text once more, to go on in another way."""
        twin, panels = Stream(self._config), up(self.length, LANES) // LANES
        twin.make_room(self.length)
        twin.length = self.length
        twin.keys[:, :panels] = self.keys[:, :panels]
        twin.values[:, :, :self.length] = self.values[:, :, :self.length]
        return twin

    def make_room(self, length: int) -> None:
        """For so many positions in all."""
        if length > self.room:
            keys, values, before = self.keys, self.values, self.room
            self._make(max(up(length, LANES), 2 * before))
            self.keys[:, :before // LANES], self.values[:, :, :before] = keys, values


class Engine:
    """A model, compiled. One call at a time.

    Args:
        weights: its parameters by name, as in the torch module.
        storage: how the matrices are kept; sums are float32 always.
        cores: most threads of a call; none: as many as the process may use. Results do not depend on it.
    """

    def __init__(self, config: ModelConfig, weights: Weights, storage: Storage = "float32",
                 cores: int | None = None) -> None:
        self.config, cores = config, cores or available_cores()
        self._layout, self._desk = Layout(config, weights, storage), Desk(config, cores)
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
        self._run(NO_CHOICES)
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
        self._run(choices.ahead(steps))
        steps = self._desk.steps()
        for stream in streams:
            stream.length += steps - 1
        return self._desk.chosen(steps, len(streams)), self._desk.logits(steps, len(streams))

    def _run(self, choices: NDArray[np.void]) -> None:
        model, layers, works = self._layout.model, self._layout.layers, self._desk.work
        rows, given = int(works[0]["rows"]), int(works[0]["given"])
        works["workers"] = cores = self._pace.cores(self._layout.numbers, rows, int(works[0]["steps"]) - given)
        began = time.perf_counter()
        self._workers.map(lambda worker: forward(model, layers, works, choices, worker), cores)
        self._pace.took(cores, rows, self._desk.steps() - given, time.perf_counter() - began)
