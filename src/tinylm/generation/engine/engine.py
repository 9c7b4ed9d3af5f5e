"""A model ready to compute, the streams it writes, and one call for some new positions of some of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tinylm.compiled.workers import Workers
from tinylm.config import ModelConfig
from tinylm.generation.engine.forward import forward, is_compiled
from tinylm.generation.engine.meeting import give_way
from tinylm.generation.engine.memory import WORK, address, room
from tinylm.generation.engine.tiles import LANES
from tinylm.generation.engine.weights import Floats, Layout, Storage, Weights
from tinylm.generation.window import not_finite

FIRST_ROOM = 512
"""Positions that a stream has room for at first; it doubles when it is full."""


class Stream:
    """The keys and values of one text (layout: attention.py). `length`: positions in it."""

    def __init__(self, config: ModelConfig) -> None:
        self._config, self.length = config, 0
        self._make(min(FIRST_ROOM, _up(config.context_length, LANES)))

    def _make(self, size: int) -> None:
        heads, width = self._config.n_layers * self._config.n_kv_heads, self._config.d_head
        self.room = size
        self.keys = room((heads, size // LANES, width, LANES), np.float32)
        self.values = room((heads, -(-width // LANES), size, LANES), np.float32)

    def copy(self) -> Stream:
        """The same text once more, to go on in another way."""
        twin, panels = Stream(self._config), _up(self.length, LANES) // LANES
        twin.make_room(self.length)
        twin.length = self.length
        twin.keys[:, :panels] = self.keys[:, :panels]
        twin.values[:, :, :self.length] = self.values[:, :, :self.length]
        return twin

    def make_room(self, length: int) -> None:
        """For so many positions in all."""
        if length > self.room:
            keys, values, before = self.keys, self.values, self.room
            self._make(max(_up(length, LANES), 2 * before))
            self.keys[:, :before // LANES], self.values[:, :, :before] = keys, values


def announce() -> None:
    """Says beforehand what takes long, on the first use on a machine."""
    if not is_compiled():
        print("compiling  the engine for this processor, once: about 10 seconds", file=sys.stderr, flush=True)


def _up(count: int, step: int) -> int:
    return -(-count // step) * step


class Engine:
    """A model, compiled. One call at a time.

    Args:
        weights: its parameters by name, as in the torch module.
        storage: how the matrices are kept; sums are float32 always.
        cores: threads of a call. Results do not depend on it.
    """

    def __init__(self, config: ModelConfig, weights: Weights, storage: Storage = "float32", cores: int = 1) -> None:
        self.config = config
        self._layout, self._workers, self._desk = Layout(config, weights, storage), Workers(cores), Desk(config, cores)

    def read(self, streams: Sequence[Stream], ids: Sequence[int], outputs: int) -> Floats:
        """Appends ids[i] to streams[i], one after another; a stream may come several times.

        Args:
            outputs: for so many of the last ids the logits are computed.

        Returns:
            (outputs, V): what follows those. The next call overwrites it.

        Raises:
            TinyLMError: a logit is not finite.
        """
        model, layers, work = self._layout.model, self._layout.layers, self._desk.lay_out(streams, ids, outputs)
        if self._workers.cores == 1:
            forward(model, layers, work, 0)
        else:
            self._workers.map(lambda worker: forward(model, layers, work, worker))
        return self._desk.logits(outputs)


class Desk:
    """The room in which a call computes, kept from call to call."""

    def __init__(self, config: ModelConfig, cores: int) -> None:
        self._config, self._cores = config, cores
        self._work = np.zeros(1, WORK)
        self._shared = room((2, 8), np.int64)  # a cache line each: the count of arrivals, and whether all is finite
        self._kept: dict[str, NDArray[np.float32]] = {}
        self._table = room((5, 0), np.int64)
        self._rows = self._length = 0
        self._outputs = -1  # there are calls that ask for none
        widths = {"": config.d_model, "hidden_": config.d_mlp, "logits_": config.vocab_size,
                  "qkv_": (config.n_heads + 2 * config.n_kv_heads) * config.d_head}
        self._widths = {name: _up(width, 2 * LANES) for name, width in widths.items()}
        work = self._work[0]
        for name, width in self._widths.items():
            work[f"{name}width"] = width
        work["workers"], work["give_way"] = cores, give_way()
        work["arrived"], work["finite"] = (address(line) for line in self._shared)

    def lay_out(self, streams: Sequence[Stream], ids: Sequence[int], outputs: int) -> NDArray[np.void]:
        """The record of the work, with everything it points at."""
        if len(ids) > self._rows:
            self._make_rows(len(ids))
        if outputs > self._outputs:
            self._outputs = outputs
            self._make("logits", outputs, self._widths["logits_"])
        ids_row, places, keys, values, rooms = self._table
        for row, (stream, id) in enumerate(zip(streams, ids, strict=True)):
            ids_row[row], places[row] = id, stream.length
            stream.length += 1
        for row, stream in enumerate(streams):
            stream.make_room(stream.length)
            keys[row], values[row], rooms[row] = address(stream.keys), address(stream.values), stream.room
        self._make_length(max(stream.length for stream in streams))
        self._shared[:, 0] = 0, 1
        work = self._work[0]
        work["rows"], work["first_out"] = len(ids), len(ids) - outputs
        return self._work

    def logits(self, outputs: int) -> Floats:
        """Those of the last call. Raises: TinyLMError: not all of them are finite."""
        if not self._shared[1, 0]:
            raise not_finite()
        return self._kept["logits"][:outputs, :self._config.vocab_size]

    def _make(self, name: str, *shape: int) -> None:
        self._kept[name] = room(shape, np.float32)
        self._work[0][name] = address(self._kept[name])

    def _make_rows(self, rows: int) -> None:
        self._rows, config, width = rows, self._config, self._widths[""]
        self._table = room((5, rows), np.int64)
        for name, line in zip(("ids", "places", "keys", "values", "rooms"), self._table, strict=True):
            self._work[0][name] = address(line)
        for name in ("x", "normed"):
            self._make(name, self._cores, rows, width)
        self._work[0]["private"] = 4 * rows * width
        self._make("branch", rows, width)
        self._make("z", rows, config.d_model)
        self._make("qkv", rows, self._widths["qkv_"])
        for name in ("hidden", "gate"):
            self._make(name, rows, self._widths["hidden_"])

    def _make_length(self, length: int) -> None:
        """For streams of so many positions: scores, and the angles of rotary positions."""
        if length <= self._length:
            return
        self._length = max(_up(length, LANES), 2 * self._length)
        width = self._config.d_head
        self._make("scores", self._cores, self._length + _up(width, LANES))
        self._work[0]["scores_room"] = self._length
        if self._config.positions == "rotary":
            pair = np.arange(0, width, 2, dtype=np.float32)
            with np.errstate(over="ignore", invalid="ignore"):
                speed = np.float32(self._config.rope_theta) ** (-pair / np.float32(width))
                angle = np.outer(np.arange(self._length, dtype=np.float32), speed)
            for name, values in (("cos", np.cos(angle)), ("sin", np.sin(angle))):
                self._make(name, *values.shape)
                self._kept[name][:] = values
