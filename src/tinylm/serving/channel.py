"""What a model's thread and the event loop tell each other: what a request wants, and what has become of it.

The loop hears of a text's first token and of its end at once. Of what lies between it hears for all texts together, and
seldom enough that telling takes a small part of the time: a busy server sends longer pieces and not fewer tokens.
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
"""Telling takes one part of the time, and so many parts are for writing; but no more than so many seconds."""


class Update(NamedTuple):
    """What has become of a text.

    Attributes:
        choice: which of the order's.
        text: what is certain since the last news.
        tokens: how many its writer has taken by now.
        ended: why it has ended, if it has.
    """

    choice: int
    text: str
    tokens: int
    ended: Literal["stop", "length"] | None


class GenerationJob:
    """The texts that one request wants. The loop reads it, the scheduler's thread fills it.

    Args:
        streams: there is news of every token; else only of texts that have ended.
    """

    def __init__(self, tasks: Sequence[GenerationRequest], streams: bool) -> None:
        self.tasks, self.streams = tasks, streams
        self.waiting = deque(enumerate(tasks))
        self.unfinished = len(tasks)
        self.is_cancelled = False
        self._updates: deque[Update | ApiError] = deque()
        self._has_updates = asyncio.Event()

    def push(self, update: Update | ApiError) -> None:
        self._updates.append(update)

    def wake(self) -> None:
        self._has_updates.set()

    async def updates(self) -> list[Update]:
        """All that there is; waits until there is some. Raises: ApiError: that the order has ended with."""
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
    """Wakes the event loop from another thread: at once for the first and the last that is told of a text, and for all
    the rest seldom enough that both have time for their own work."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._pending: deque[GenerationJob] = deque()
        self._urgent: list[GenerationJob] = []
        self._is_scheduled = False

    def notify(self, job: GenerationJob, *, is_urgent: bool) -> None:
        (self._urgent if is_urgent else self._pending).append(job)

    def flush(self) -> None:
        if self._urgent:
            self.call(partial(_wake, self._urgent))
            self._urgent = []
        if self._pending and not self._is_scheduled:
            self._is_scheduled = True
            self.call(self._wake_pending)

    def call(self, callback: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:  # the loop is closed: nobody listens any more
            self._pending.clear()

    def _wake_pending(self) -> None:
        began = self._loop.time()
        while self._pending:
            self._pending.popleft().wake()
        self._loop.call_soon(self._pause, began)  # after those who have been woken

    def _pause(self, began: float) -> None:
        rest = REST_RATIO * (self._loop.time() - began)
        self._loop.call_later(min(rest, MAX_REST_SECONDS), self._resume)

    def _resume(self) -> None:
        self._is_scheduled = False
        if self._pending:
            self._is_scheduled = True
            self._wake_pending()
