"""The channel between a model's thread and the event loop: jobs go one way, updates of their texts the other.

The loop is woken at once for a text's first token and for its end. Updates in between wake it for all texts together,
and seldom enough that waking takes a small part of the time: a busy server sends longer pieces and not fewer tokens.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Literal, NamedTuple

from tinylm.generation.completion import GenerationRequest
from tinylm.http.errors import ApiError

REST_RATIO, MAX_REST_SECONDS = 20, 0.1
"""After waking requests for t seconds the notifier rests for `REST_RATIO` * t, at most `MAX_REST_SECONDS`."""


class Update(NamedTuple):
    """An update of one text of a job.

    Attributes:
        choice: the index of the text among those of the job.
        text: the text that has become certain since the last update.
        n_tokens: the number of new tokens so far.
        finish_reason: why the text has ended; None while it goes on.
    """

    choice: int
    text: str
    n_tokens: int
    finish_reason: Literal["stop", "length"] | None


class GenerationJob:
    """The texts that one request wants, and the queue of their updates: the scheduler's thread fills the queue, the
    event loop empties it.

    Args:
        requests: what to generate, one for each text.
        streams: True: updates of every token; False: updates of texts that have ended.
    """

    def __init__(self, requests: Sequence[GenerationRequest], streams: bool) -> None:
        self.requests, self.streams = requests, streams
        self.waiting = deque(enumerate(requests))
        self.unfinished = len(requests)
        self.is_cancelled = False
        self._updates: deque[Update | ApiError] = deque()
        self._has_updates = asyncio.Event()

    def push(self, update: Update | ApiError) -> None:
        self._updates.append(update)

    def wake(self) -> None:
        self._has_updates.set()

    async def updates(self) -> list[Update]:
        """Waits until there are updates, and takes them all.

        Raises:
            ApiError: the error that the job has ended with.
        """
        while not self._updates:
            self._has_updates.clear()
            await self._has_updates.wait()
        found: list[Update] = []
        while self._updates:
            update = self._updates.popleft()
            if isinstance(update, ApiError):
                raise update
            found.append(update)
        return found


def _wake(jobs: Iterable[GenerationJob]) -> None:
    for job in jobs:
        job.wake()


class EventLoopNotifier:
    """Wakes the event loop from another thread: at once for the first and the last update of a text, and for all others
    seldom enough that both threads have time for their own work.

    Args:
        loop: the event loop in which requests wait for their jobs.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._pending: deque[GenerationJob] = deque()
        self._urgent: list[GenerationJob] = []
        self._is_scheduled = False

    def notify(self, job: GenerationJob, *, is_urgent: bool) -> None:
        """Marks a job as one to wake. `flush` wakes it: an urgent one at once."""
        (self._urgent if is_urgent else self._pending).append(job)

    def flush(self) -> None:
        if self._urgent:
            self.call(partial(_wake, self._urgent))
            self._urgent = []
        if self._pending and not self._is_scheduled:
            self._is_scheduled = True
            self.call(self._wake_pending)

    def call(self, callback: Callable[[], None]) -> None:
        """Runs a callback in the event loop."""
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:  # the loop is closed: no request waits any more
            self._pending.clear()

    def _wake_pending(self) -> None:
        started = self._loop.time()
        while self._pending:
            self._pending.popleft().wake()
        self._loop.call_soon(self._pause, started)  # after the requests that have been woken

    def _pause(self, started: float) -> None:
        rest = REST_RATIO * (self._loop.time() - started)
        self._loop.call_later(min(rest, MAX_REST_SECONDS), self._resume)

    def _resume(self) -> None:
        self._is_scheduled = False
        if self._pending:
            self._is_scheduled = True
            self._wake_pending()
