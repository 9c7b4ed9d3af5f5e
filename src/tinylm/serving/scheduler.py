"""Continuous batching: one thread writes the texts of many requests together, and updates the event loop.

    job = scheduler.submit(requests, streams=True)      in the event loop
    for update in await job.updates():
        ...

Between two calls of the model, each of some tokens, texts join and leave the batch. Jobs take turns: a job of many
texts does not keep a job of a single text waiting.
"""

from __future__ import annotations

import asyncio
import threading
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
from tinylm.generation.run_tuner import RunTuner
from tinylm.http.errors import ApiError, overloaded, server_error
from tinylm.serving.channel import EventLoopNotifier, GenerationJob, Update
from tinylm.serving.field_errors import invalid_setting
from tinylm.serving.limits import Limits

Result = TypeVar("Result")
MAX_STEPS = 64
"""Most ids of each text in a call."""
NO_LOGITS = np.empty((0, 0), np.float32)


class _Interleaved(NamedTuple):
    """Work that is done in pieces between calls of the model, and the future of its result."""

    work: Generator[None, None, Any]
    future: asyncio.Future[Any]


class Scheduler:
    """The scheduler of one model, with a thread of its own. Create it in a running event loop.

    Args:
        generator: of the model; only the scheduler's thread computes with it from now on.
        limits: how many texts are written at once, and how many may wait.
    """

    def __init__(self, generator: TextGenerator, limits: Limits) -> None:
        self._generator, self._limits, self._loop = generator, limits, asyncio.get_running_loop()
        self._max_running = generator.max_parallel(limits.texts)
        self._batch: Batch = generator.batch()
        self._admitted: dict[TokenSequence, tuple[GenerationJob, int]] = {}
        self._jobs: deque[GenerationJob] = deque()
        self._interleaved: deque[_Interleaved] = deque()
        self._commands: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._notifier = EventLoopNotifier(self._loop)
        self._n_submitted, self._n_finished = 0, 0  # texts; each is counted by one thread alone
        self._tuner, self._is_closing = RunTuner(MAX_STEPS, growth=2), False
        self._closing_error: ApiError | None = None
        self._thread = threading.Thread(target=self._run, name="tinylm-scheduler", daemon=True)
        self._thread.start()

    # ---- for the event loop

    @property
    def running(self) -> int:
        """Number of texts that are being written."""
        return len(self._admitted)

    @property
    def waiting(self) -> int:
        """Number of texts that wait to be written."""
        return max(0, self._n_submitted - self._n_finished - self.running)

    def submit(self, requests: Sequence[GenerationRequest], *, streams: bool) -> GenerationJob:
        """Queues a job for the texts of one request.

        Raises:
            ApiError: too many texts wait already (429).
        """
        self._check_capacity()
        job = GenerationJob(requests, streams)
        self._n_submitted += len(requests)
        self._commands.put(partial(self._jobs.append, job))
        return job

    def cancel(self, job: GenerationJob) -> None:
        """Removes the texts of a job that no request waits for any more. A job that has ended stays as it is."""
        self._commands.put(partial(self._drop, job))

    async def interleave(self, work: Generator[None, None, Result]) -> Result:
        """Runs a generator in pieces between calls of the model.

        Args:
            work: yields often enough that texts need not wait.

        Returns:
            The value that the generator returns.

        Raises:
            ApiError: too many texts wait already (429).
            TinyLMError: as the generator.
        """
        self._check_capacity()
        self._n_submitted += 1
        future: asyncio.Future[Result] = self._loop.create_future()
        self._commands.put(partial(self._interleaved.append, _Interleaved(work, future)))
        return await future

    def close(self, error: ApiError | None = None) -> None:
        """Ends the thread when its last job is done. No job may be submitted afterwards.

        Args:
            error: ends all jobs and the thread at once, with this error.
        """
        self._closing_error = error

        def last() -> None:
            self._is_closing = True
            if error is not None:
                self._fail_all(error)

        self._commands.put(last)

    def join(self, seconds: float) -> None:
        """Waits for the end of the thread, which must not compute while the interpreter shuts down."""
        self._thread.join(seconds)

    def _check_capacity(self) -> None:
        if self._closing_error is not None:
            raise self._closing_error
        if self._n_submitted - self._n_finished >= self._max_running + self._limits.queue:
            raise overloaded(f"{self._limits.queue} texts or more are waiting already. Try again in a moment")

    # ---- in the scheduler's thread

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
        """Fills the batch. A job that has more texts waiting goes to the end of the queue."""
        while self._jobs and len(self._batch.running) < self._max_running:
            job = self._jobs.popleft()
            if job.is_cancelled:
                continue
            index, request = job.waiting.popleft()
            if job.waiting:
                self._jobs.append(job)
            try:
                sequence = self._batch.add(request.ids, request.config, seed=request.seed, bias=request.bias,
                                           forced=request.forced)
            except TinyLMError as error:
                self._fail(job, invalid_setting(error, param="prompt"))
                continue
            self._admitted[sequence] = job, index
            if sequence.stopped_by:  # it may have no tokens at all
                self._publish(NewTokens(sequence, [], NO_LOGITS))

    def _step(self) -> None:
        """Writes some ids of each text, in one call of the model: a text that joins or leaves waits that long."""
        if not self._batch.running:
            return
        for each in self._tuner.run(self._batch):
            if each.sequence in self._admitted:  # its job may have failed with another text of this very call
                self._publish(each)

    def _publish(self, written: NewTokens) -> None:
        """Sends the new ids of a text to its job, and removes a text that has ended."""
        sequence = written.sequence
        job, index = self._admitted[sequence]
        if sequence.error:
            self._fail(job, invalid_setting(sequence.error))
            return
        builder = job.requests[index].builder
        is_first = not builder.ids
        piece = builder.take(written.ids, written.logits)
        finish_reason: Literal["stop", "length"] | None = None
        if builder.stopped or sequence.stopped_by:
            finish_reason = "length" if sequence.stopped_by == "length" and not builder.stopped else "stop"
            piece += builder.finish()
            self._remove(sequence)
        if job.streams or finish_reason:
            job.push(Update(index, piece, len(builder.ids), finish_reason))
            self._notifier.notify(job, is_urgent=bool(finish_reason) or is_first)

    def _remove(self, sequence: TokenSequence) -> None:
        self._batch.remove(sequence)
        job, _ = self._admitted.pop(sequence)
        job.unfinished -= 1
        self._n_finished += 1

    def _fail(self, job: GenerationJob, error: ApiError) -> None:
        job.push(error)
        self._notifier.notify(job, is_urgent=True)
        self._drop(job)

    def _drop(self, job: GenerationJob) -> None:
        for sequence in [sequence for sequence, (other, _) in self._admitted.items() if other is job]:
            self._remove(sequence)
        if not job.is_cancelled:
            job.is_cancelled = True
            self._n_finished += job.unfinished  # texts that were never admitted

    def _fail_all(self, error: ApiError) -> None:
        jobs = {id(job): job for job in [*self._jobs, *(job for job, _ in self._admitted.values())]}
        for job in jobs.values():
            self._fail(job, error)
        self._jobs.clear()
        while self._interleaved:
            self._finish_interleaved(self._interleaved.popleft(), None, error)

    def _reset(self) -> None:
        """Fails all jobs and makes a new batch: after an unexpected exception the state of the old one is unknown."""
        self._fail_all(server_error())
        self._batch = self._generator.batch()
        self._admitted.clear()

    def _run_interleaved(self) -> None:
        """Runs one piece of the work that waits longest, and puts it at the end of the queue."""
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
