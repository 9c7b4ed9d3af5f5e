"""Texts of many requests, written together by one thread, and what has become of them told to the event loop.

    order = scheduler.submit(tasks, streams=True)      in the event loop
    for news in await order.updates():
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
from tinylm.http.errors import ApiError, overloaded, server_error
from tinylm.serving.channel import EventLoopNotifier, GenerationJob, Update
from tinylm.serving.field_errors import invalid_setting
from tinylm.serving.limits import Limits

Result = TypeVar("Result")
TARGET_CALL_SECONDS = 0.01
"""Seconds that a call of the model should take: so long waits whoever wants to join, or leaves."""
MAX_STEPS = 64
"""Ids of each text in a call."""
NO_LOGITS = np.empty((0, 0), np.float32)


class _Interleaved(NamedTuple):
    """Work that is done a little at a time, and who waits for it."""

    work: Generator[None, None, Any]
    future: asyncio.Future[Any]


class Scheduler:
    """
    Args:
        lm: the model; none but this thread computes with it from now on.
        limits: how many texts run and wait.
    """

    def __init__(self, lm: TextGenerator, limits: Limits) -> None:
        self._lm, self._limits, self._loop = lm, limits, asyncio.get_running_loop()
        self._max_running = lm.max_parallel(limits.texts)
        self._batch: Batch = lm.batch()
        self._admitted: dict[TokenSequence, tuple[GenerationJob, int]] = {}
        self._jobs: deque[GenerationJob] = deque()
        self._interleaved: deque[_Interleaved] = deque()
        self._commands: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._notifier = EventLoopNotifier(self._loop)
        self._n_submitted, self._n_finished = 0, 0  # texts; each is counted by one thread alone
        self._n_steps, self._is_closing = 1, False
        self._closing_error: ApiError | None = None
        self._thread = threading.Thread(target=self._run, name="tinylm-scheduler", daemon=True)
        self._thread.start()

    # ---- for the event loop

    @property
    def running(self) -> int:
        """Texts that are being written."""
        return len(self._admitted)

    @property
    def waiting(self) -> int:
        """Texts that wait for a place."""
        return max(0, self._n_submitted - self._n_finished - self.running)

    def submit(self, tasks: Sequence[GenerationRequest], *, streams: bool) -> GenerationJob:
        """Raises: ApiError: too many wait already."""
        self._check_capacity()
        job = GenerationJob(tasks, streams)
        self._n_submitted += len(tasks)
        self._commands.put(partial(self._jobs.append, job))
        return job

    def cancel(self, job: GenerationJob) -> None:
        """Nobody waits for it any more. One that has ended already is no matter."""
        self._commands.put(partial(self._drop, job))

    async def interleave(self, work: Generator[None, None, Result]) -> Result:
        """Goes through a generator in the breaks between two calls, and gives what it returns.

        Raises:
            ApiError: too many wait already.
            TinyLMError: as the generator.
        """
        self._check_capacity()
        self._n_submitted += 1
        future: asyncio.Future[Result] = self._loop.create_future()
        self._commands.put(partial(self._interleaved.append, _Interleaved(work, future)))
        return await future

    def close(self, error: ApiError | None = None) -> None:
        """Ends the thread when nothing is open any more; with an error at once, and all that is open with it. Nothing
        may be asked of it afterwards."""
        self._closing_error = error

        def last() -> None:
            self._is_closing = True
            if error is not None:
                self._fail_all(error)

        self._commands.put(last)

    def join(self, seconds: float) -> None:
        """Waits for the end of the thread, which must not compute while Python tidies up."""
        self._thread.join(seconds)

    def _check_capacity(self) -> None:
        if self._closing_error is not None:
            raise self._closing_error
        if self._n_submitted - self._n_finished >= self._max_running + self._limits.queue:
            raise overloaded(f"{self._limits.queue} texts or more are waiting already. Try again in a moment")

    # ---- in its own thread

    def _run(self) -> None:
        while not self._is_closing or self._is_busy():
            self._run_commands()
            try:
                self._admit()
                self._step()
                self._run_interleaved()
            except Exception as error:
                traceback.print_exception(error)
                self._reset()
            self._notifier.flush()

    def _is_busy(self) -> bool:
        return bool(self._batch.running or self._jobs or self._interleaved)

    def _run_commands(self) -> None:
        while not self._commands.empty() or not (self._is_busy() or self._is_closing):
            self._commands.get()()

    def _admit(self) -> None:
        """Fills the batch up; an order that still wants more goes to the end of the line."""
        while self._jobs and len(self._batch.running) < self._max_running:
            job = self._jobs.popleft()
            if job.is_cancelled:
                continue
            index, task = job.waiting.popleft()
            if job.waiting:
                self._jobs.append(job)
            try:
                text = self._batch.add(task.ids, task.config, seed=task.seed, bias=task.bias, forced=task.forced)
            except TinyLMError as error:
                self._fail(job, invalid_setting(error, param="prompt"))
                continue
            self._admitted[text] = job, index
            if text.stopped_by:  # it may have no tokens at all
                self._publish(NewTokens(text, [], NO_LOGITS))

    def _step(self) -> None:
        """Some ids of each text, as many as take no longer than others may wait."""
        if not self._batch.running:
            return
        began = time.perf_counter()
        written = self._batch.run(self._n_steps)
        took = time.perf_counter() - began
        done = max((len(each.ids) for each in written), default=1)
        self._n_steps = max(1, min(MAX_STEPS, 2 * self._n_steps, int(max(1, done) * TARGET_CALL_SECONDS / took)))
        for each in written:
            if each.sequence in self._admitted:  # its order may have failed with another text of this very call
                self._publish(each)

    def _publish(self, written: NewTokens) -> None:
        """Tells of what has become of a text."""
        text = written.sequence
        job, index = self._admitted[text]
        if text.error:
            self._fail(job, invalid_setting(text.error))
            return
        writer = job.tasks[index].builder
        is_first = not writer.ids
        piece = writer.take(written.ids, written.logits)
        ended: Literal["stop", "length"] | None = None
        if writer.stopped or text.stopped_by:
            ended = "length" if text.stopped_by == "length" and not writer.stopped else "stop"
            piece += writer.finish()
            self._remove(text)
        if job.streams or ended:
            job.push(Update(index, piece, len(writer.ids), ended))
            self._notifier.notify(job, is_urgent=bool(ended) or is_first)

    def _remove(self, text: TokenSequence) -> None:
        self._batch.remove(text)
        job, _ = self._admitted.pop(text)
        job.unfinished -= 1
        self._n_finished += 1

    def _fail(self, job: GenerationJob, error: ApiError) -> None:
        job.push(error)
        self._notifier.notify(job, is_urgent=True)
        self._drop(job)

    def _drop(self, job: GenerationJob) -> None:
        for text in [text for text, (other, _) in self._admitted.items() if other is job]:
            self._remove(text)
        if not job.is_cancelled:
            job.is_cancelled = True
            self._n_finished += job.unfinished  # those that have never begun

    def _fail_all(self, error: ApiError) -> None:
        jobs = {id(job): job for job in [*self._jobs, *(job for job, _ in self._admitted.values())]}
        for job in jobs.values():
            self._fail(job, error)
        self._jobs.clear()
        while self._interleaved:
            self._finish_interleaved(self._interleaved.popleft(), None, error)

    def _reset(self) -> None:
        """After a mistake of our own, nothing of the batch is sure any more."""
        self._fail_all(server_error())
        self._batch = self._lm.batch()
        self._admitted.clear()

    def _run_interleaved(self) -> None:
        """A little of what waits longest, and then it is the next one's turn."""
        if not self._interleaved:
            return
        interleaved = self._interleaved.popleft()
        try:
            if not interleaved.future.cancelled():
                next(interleaved.work)
                self._interleaved.append(interleaved)
                return
            self._finish_interleaved(interleaved, None)
        except StopIteration as end:
            self._finish_interleaved(interleaved, end.value)
        except TinyLMError as error:
            self._finish_interleaved(interleaved, None, error)
        except Exception:
            self._finish_interleaved(interleaved, None, server_error())
            raise

    def _finish_interleaved(self, interleaved: _Interleaved, result: Any, error: Exception | None = None) -> None:
        self._n_finished += 1
        self._notifier.call(partial(_settle, interleaved.future, result, error))


def _settle(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
