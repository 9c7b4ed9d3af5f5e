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

from tinylm.generation.completion import Task
from tinylm.http.errors import ApiError

REST, LONGEST_REST = 20, 0.1
"""Telling takes one part of the time, and so many parts are for writing; but no more than so many seconds."""


class News(NamedTuple):
    """What has become of a text.

    Attributes:
        place: which of the order's.
        text: what is certain since the last news.
        tokens: how many its writer has taken by now.
        ended: why it has ended, if it has.
    """

    place: int
    text: str
    tokens: int
    ended: Literal["stop", "length"] | None


class Order:
    """The texts that one request wants. The loop reads it, the scheduler's thread fills it.

    Args:
        streams: there is news of every token; else only of texts that have ended.
    """

    def __init__(self, tasks: Sequence[Task], streams: bool) -> None:
        self.tasks, self.streams = tasks, streams
        self.waiting = deque(enumerate(tasks))
        self.unfinished = len(tasks)
        self.is_called_off = False
        self._told: deque[News | ApiError] = deque()
        self._woken = asyncio.Event()

    def tell(self, news: News | ApiError) -> None:
        self._told.append(news)

    def wake(self) -> None:
        self._woken.set()

    async def news(self) -> list[News]:
        """All that there is; waits until there is some. Raises: ApiError: that the order has ended with."""
        while not self._told:
            self._woken.clear()
            await self._woken.wait()
        found: list[News] = []
        while self._told:
            news = self._told.popleft()
            if isinstance(news, ApiError):
                raise news
            found.append(news)
        return found


def _wake(orders: Iterable[Order]) -> None:
    for order in orders:
        order.wake()


class Messenger:
    """Wakes the event loop from another thread: at once for the first and the last that is told of a text, and for all
    the rest seldom enough that both have time for their own work."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._fresh: deque[Order] = deque()
        self._urgent: list[Order] = []
        self._is_called = False

    def fresh(self, order: Order, *, is_urgent: bool) -> None:
        (self._urgent if is_urgent else self._fresh).append(order)

    def send(self) -> None:
        if self._urgent:
            self.call(partial(_wake, self._urgent))
            self._urgent = []
        if self._fresh and not self._is_called:
            self._is_called = True
            self.call(self._deliver)

    def call(self, callback: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(callback)
        except RuntimeError:  # the loop is closed: nobody listens any more
            self._fresh.clear()

    def _deliver(self) -> None:
        began = self._loop.time()
        while self._fresh:
            self._fresh.popleft().wake()
        self._loop.call_soon(self._delivered, began)  # after those who have been woken

    def _delivered(self, began: float) -> None:
        rest = REST * (self._loop.time() - began)
        self._loop.call_later(min(rest, LONGEST_REST), self._listen)

    def _listen(self) -> None:
        self._is_called = False
        if self._fresh:
            self._is_called = True
            self._deliver()
