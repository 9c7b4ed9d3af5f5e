"""The world that torchrun makes: torch.distributed's collectives over gloo, and a watch over the other processes.

Everything travels as numbers or JSON, nothing as pickle. On one machine the ranks listen on its loopback interface
alone.

A process that dies closes its connections, and the collectives of the others fail at once. One that is stopped, or
whose machine is gone, closes nothing. So each rank counts up a key of the store that torchrun keeps, and watches the
key of the next rank; a rank whose neighbour stays silent ends its process, with which the connections of all others
fail. Silence is counted in own beats and not in seconds, so that a machine that slept wakes up in good order.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from tinylm.errors import TinyLMError
from tinylm.training.world import Piece, World, from_bytes, to_bytes

BEAT_SECONDS = 1.0
"""Seconds between two signs of life."""
MAX_SILENT_BEATS = 15
"""Own beats without a sign of life of the next rank, or of the store, after which it is given up. Torchrun then gives
the ranks that are left 30 seconds to end."""
LONGEST_WAIT = timedelta(days=30)
"""A rank may wait for so long, as for the preparation of a large text: the watch knows who is alive."""
LOOPBACKS = ("lo", "lo0")
"""Names of the loopback interface on Linux and macOS."""


class Lost(TinyLMError):
    """The error where another process of the run has ended, or answers no more."""


class ProcessGroup(World):
    """The ranks of a run, connected."""

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size

    def fill(self, pieces: Iterable[Piece]) -> None:
        with self._losses():
            works = [dist.broadcast(tensor.detach().flatten().view(torch.uint8), owner, async_op=True)
                     for owner, tensor in pieces if tensor.numel()]
            for work in works:
                work.wait()

    def gather(self, numbers: Sequence[float]) -> list[list[float]]:
        own = torch.tensor(numbers, dtype=torch.float64)
        rows = [torch.empty_like(own) for _ in range(self.size)]
        with self._losses():
            dist.all_gather(rows, own)
        return [row.tolist() for row in rows]

    def share(self, value: Any = None) -> Any:
        data = to_bytes(value) if self.rank == 0 else torch.empty(0, dtype=torch.uint8)
        length = int(self.gather([len(data)])[0][0])
        data = data if self.rank == 0 else torch.empty(length, dtype=torch.uint8)
        self.fill([(0, data)])
        return from_bytes(data)

    @contextmanager
    def _losses(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise Lost("another process of this run has ended", where=f"rank {self.rank}",
                       remedy=self.remedy) from error


@contextmanager
def connected(rank: int, size: int) -> Iterator[World]:
    """The ranks of a run, which watch each other within the block. It ends when all have come to its end.

    An error of one rank ends the others as well: the first that has one tells of it, the others end in silence.

    Raises:
        TinyLMError: the ranks cannot be connected.
    """
    if os.environ.get("LOCAL_WORLD_SIZE") == os.environ["WORLD_SIZE"]:
        present = {name for _, name in socket.if_nameindex()}
        for name in present.intersection(LOOPBACKS):
            os.environ.setdefault("GLOO_SOCKET_IFNAME", name)
    group = ProcessGroup(rank, size)
    try:
        dist.init_process_group("gloo", timeout=LONGEST_WAIT)
        watch = Watch(group)
    except RuntimeError as error:
        raise Lost(f"the processes of this run could not be connected ({str(error).splitlines()[0]})",
                   where=f"rank {rank}", remedy="GLOO_SOCKET_IFNAME names the network interface to take") from error
    try:
        watch.start()
        yield group
        group.gather([0.0])
    except BaseException as error:
        if not watch.is_first_to_tell() and isinstance(error, TinyLMError):
            os._exit(2)
        raise
    finally:
        watch.stop()


class Watch:
    """The watch of one rank over the next one, and over the store where all leave their signs of life."""

    def __init__(self, world: World) -> None:
        self._world, self._next = world, (world.rank + 1) % world.size
        self._store = dist.TCPStore(  # type: ignore[attr-defined]  # torch's own name for it is exported from C++
            os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False,
            timeout=timedelta(seconds=MAX_SILENT_BEATS * BEAT_SECONDS))
        self._prefix = f"tinylm/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
        self._ended = threading.Event()
        self._silent = self._silent_store = 0
        """Own beats since the next rank, and since the store gave a sign of life."""

    def start(self) -> None:
        self._store.set(f"{self._prefix}/{self._world.rank}", "0")
        self._world.gather([0.0])
        for work in (self._listen, self._count):
            threading.Thread(target=work, name="tinylm-watch", daemon=True).start()

    def stop(self) -> None:
        self._ended.set()

    def is_first_to_tell(self) -> bool:
        """True if no rank has told of an error before; or if the store is gone."""
        with suppress(RuntimeError):
            return bool(self._store.add(f"{self._prefix}/told", 1) == 1)
        return True

    def _listen(self) -> None:
        """Leaves a sign of life, and looks for that of the next rank, again and again."""
        beat, heard = 0, b""
        while not self._ended.wait(BEAT_SECONDS):
            beat += 1
            with suppress(RuntimeError):  # a store that does not answer is counted by the other thread
                self._store.set(f"{self._prefix}/{self._world.rank}", str(beat))
                before, heard = heard, self._store.get(f"{self._prefix}/{self._next}")
                self._silent = self._silent + 1 if heard == before else 0
                self._silent_store = 0

    def _count(self) -> None:
        """Ends this process once there was silence for too long."""
        while not self._ended.wait(BEAT_SECONDS):
            self._silent_store += 1
            if max(self._silent, self._silent_store) > MAX_SILENT_BEATS:
                self._leave()

    def _leave(self) -> None:
        """Ends this process, whatever its main thread waits for."""
        lost = f"rank {self._next}" if self._silent_store <= MAX_SILENT_BEATS else "the process that began this run"
        error = Lost(f"{lost} gives no sign of life: it was stopped, or its machine is gone",
                     where=f"rank {self._world.rank}", remedy=self._world.remedy)
        if self._silent_store > MAX_SILENT_BEATS or self.is_first_to_tell():
            print(f"tinylm: {error}", file=sys.stderr, flush=True)
        os._exit(2)
