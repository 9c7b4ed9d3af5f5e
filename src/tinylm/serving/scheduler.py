"""Texts of many requests, written together by one thread, and what has become of them told to the event loop.

    order = scheduler.submit(tasks, streams=True)      in the event loop
    for news in await order.news():
        ...

Between two calls of the model, each of some tokens, texts join and leave. Requests take turns: one that wants many
texts keeps no place from one that wants a single text.
"""

from __future__ import annotations

import asyncio
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Generator, Sequence
from functools import partial
from queue import SimpleQueue
from typing import Any, Literal, NamedTuple, TypeVar

import numpy as np

from tinylm.errors import TinyLMError
from tinylm.generation.batch import Batch, NewTokens, TokenSequence
from tinylm.generation.completion import GenerationRequest
from tinylm.generation.generator import TextGenerator
from tinylm.http.errors import ApiError, of_settings, overloaded, server_error
from tinylm.http.limits import Limits
from tinylm.serving.channel import Messenger, News, Order

Found = TypeVar("Found")
PATIENCE = 0.01
"""Seconds that a call of the model should take: so long waits whoever wants to join, or leaves."""
MOST_STEPS = 64
"""Ids of each text in a call."""
NOTHING = np.empty((0, 0), np.float32)


class _Shared(NamedTuple):
    """Work that is done a little at a time, and who waits for it."""

    work: Generator[None, None, Any]
    future: asyncio.Future[Any]


class Scheduler:
    """
    Args:
        generator: of the model; none but this thread computes with it from now on.
        limits: how many texts run and wait.
    """

    def __init__(self, generator: TextGenerator, limits: Limits) -> None:
        self._generator, self._limits, self._loop = generator, limits, asyncio.get_running_loop()
        self._most = generator.max_parallel(limits.texts)
        self._batch: Batch = generator.batch()
        self._seated: dict[TokenSequence, tuple[Order, int]] = {}
        self._orders: deque[Order] = deque()
        self._shared: deque[_Shared] = deque()
        self._commands: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._messenger = Messenger(self._loop)
        self._taken, self._done = 0, 0  # texts; each is counted by one thread alone
        self._steps, self._ends = 1, False
        self._closed: ApiError | None = None
        self._thread = threading.Thread(target=self._run, name="tinylm-scheduler", daemon=True)
        self._thread.start()

    # ---- for the event loop

    @property
    def running(self) -> int:
        """Texts that are being written."""
        return len(self._seated)

    @property
    def waiting(self) -> int:
        """Texts that wait for a place."""
        return max(0, self._taken - self._done - self.running)

    def submit(self, tasks: Sequence[GenerationRequest], *, streams: bool) -> Order:
        """Raises: ApiError: too many wait already."""
        self._check_room()
        order = Order(tasks, streams)
        self._taken += len(tasks)
        self._commands.put(partial(self._orders.append, order))
        return order

    def call_off(self, order: Order) -> None:
        """Nobody waits for it any more. One that has ended already is no matter."""
        self._commands.put(partial(self._drop, order))

    async def share(self, work: Generator[None, None, Found]) -> Found:
        """Goes through a generator in the breaks between two calls, and gives what it returns.

        Raises:
            ApiError: too many wait already.
            TinyLMError: as the generator.
        """
        self._check_room()
        self._taken += 1
        future: asyncio.Future[Found] = self._loop.create_future()
        self._commands.put(partial(self._shared.append, _Shared(work, future)))
        return await future

    def end(self, error: ApiError | None = None) -> None:
        """Ends the thread when nothing is open any more; with an error at once, and all that is open with it. Nothing
        may be asked of it afterwards."""
        self._closed = error

        def last() -> None:
            self._ends = True
            if error is not None:
                self._fail_all(error)

        self._commands.put(last)

    def join(self, seconds: float) -> None:
        """Waits for the end of the thread, which must not compute while Python tidies up."""
        self._thread.join(seconds)

    def _check_room(self) -> None:
        if self._closed is not None:
            raise self._closed
        if self._taken - self._done >= self._most + self._limits.queue:
            raise overloaded(f"{self._limits.queue} texts or more are waiting already. Try again in a moment")

    # ---- in its own thread

    def _run(self) -> None:
        while not self._ends or self._is_busy():
            self._obey()
            try:
                self._seat()
                self._step()
                self._do_shared()
            except Exception as error:
                traceback.print_exception(error)
                self._start_anew()
            self._messenger.send()

    def _is_busy(self) -> bool:
        return bool(self._batch.running or self._orders or self._shared)

    def _obey(self) -> None:
        while not self._commands.empty() or not (self._is_busy() or self._ends):
            self._commands.get()()

    def _seat(self) -> None:
        """Fills the batch up; an order that still wants more goes to the end of the line."""
        while self._orders and len(self._batch.running) < self._most:
            order = self._orders.popleft()
            if order.is_called_off:
                continue
            place, task = order.waiting.popleft()
            if order.waiting:
                self._orders.append(order)
            try:
                text = self._batch.add(task.ids, task.config, seed=task.seed, bias=task.bias, forced=task.forced)
            except TinyLMError as error:
                self._fail(order, of_settings(error, param="prompt"))
                continue
            self._seated[text] = order, place
            if text.stopped_by:  # it may have no tokens at all
                self._take(NewTokens(text, [], NOTHING))

    def _step(self) -> None:
        """Some ids of each text, as many as take no longer than others may wait."""
        if not self._batch.running:
            return
        began = time.perf_counter()
        written = self._batch.run(self._steps)
        took = time.perf_counter() - began
        done = max((len(each.ids) for each in written), default=1)
        self._steps = max(1, min(MOST_STEPS, 2 * self._steps, int(max(1, done) * PATIENCE / took)))
        for each in written:
            if each.sequence in self._seated:  # its order may have failed with another text of this very call
                self._take(each)

    def _take(self, written: NewTokens) -> None:
        """Tells of what has become of a text."""
        text = written.sequence
        order, place = self._seated[text]
        if text.error:
            self._fail(order, of_settings(text.error))
            return
        writer = order.tasks[place].builder
        is_first = not writer.ids
        piece = writer.take(written.ids, written.logits)
        ended: Literal["stop", "length"] | None = None
        if writer.stopped or text.stopped_by:
            ended = "length" if text.stopped_by == "length" and not writer.stopped else "stop"
            piece += writer.finish()
            self._leave(text)
        if order.streams or ended:
            order.tell(News(place, piece, len(writer.ids), ended))
            self._messenger.fresh(order, is_urgent=bool(ended) or is_first)

    def _leave(self, text: TokenSequence) -> None:
        self._batch.remove(text)
        order, _ = self._seated.pop(text)
        order.unfinished -= 1
        self._done += 1

    def _fail(self, order: Order, error: ApiError) -> None:
        order.tell(error)
        self._messenger.fresh(order, is_urgent=True)
        self._drop(order)

    def _drop(self, order: Order) -> None:
        for text in [text for text, (other, _) in self._seated.items() if other is order]:
            self._leave(text)
        if not order.is_called_off:
            order.is_called_off = True
            self._done += order.unfinished  # those that have never begun

    def _fail_all(self, error: ApiError) -> None:
        orders = {id(order): order for order in [*self._orders, *(order for order, _ in self._seated.values())]}
        for order in orders.values():
            self._fail(order, error)
        self._orders.clear()
        while self._shared:
            self._end_shared(self._shared.popleft(), None, error)

    def _start_anew(self) -> None:
        """After a mistake of our own, nothing of the batch is sure any more."""
        self._fail_all(server_error())
        self._batch = self._generator.batch()
        self._seated.clear()

    def _do_shared(self) -> None:
        """A little of what waits longest, and then it is the next one's turn."""
        if not self._shared:
            return
        shared = self._shared.popleft()
        try:
            if not shared.future.cancelled():
                next(shared.work)
                self._shared.append(shared)
                return
            self._end_shared(shared, None)
        except StopIteration as end:
            self._end_shared(shared, end.value)
        except TinyLMError as error:
            self._end_shared(shared, None, error)
        except Exception:
            self._end_shared(shared, None, server_error())
            raise

    def _end_shared(self, shared: _Shared, found: Any, error: Exception | None = None) -> None:
        self._done += 1
        self._messenger.call(partial(_settle, shared.future, found, error))


def _settle(future: asyncio.Future[Any], found: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(found)
    else:
        future.set_exception(error)
