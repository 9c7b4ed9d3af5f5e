"""Times of messages: seconds, read from stamps in any language and order."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise

_ORDERS = ((2, 1, 0), (2, 0, 1), (0, 1, 2))
"""Positions of year, month and day: 31.12.20, 12/31/20, 2020-12-31."""
_AFTERNOON = re.compile(r"[Pp]\.?\s?[Mm]|下午|午後|오후|م|μ\.?μ", re.ASCII)
_MORNING = re.compile(r"[Aa]\.?\s?[Mm]|上午|午前|오전|ص|π\.?μ", re.ASCII)


def seconds(stamps: Sequence[str]) -> list[float]:
    """The time of each stamp. Where day and month could be either, the order is the one in which time goes forward.

    Returns:
        seconds since some day; the same for all, if a stamp cannot be read, so that there is no pause.

    >>> seconds(["12/31/20, 11:59 PM", "1/1/21, 12:01 AM"])[1] - seconds(["12/31/20, 11:59 PM", "1/1/21, 12:01 AM"])[0]
    120.0
    """
    if all(re.fullmatch(r"\d{9,}(?:\.\d+)?", stamp) for stamp in stamps):
        return [float(stamp) for stamp in stamps]
    read = [times for order in _ORDERS if (times := _read(stamps, order)) is not None]
    forward = [times for times in read if all(before <= after for before, after in pairwise(times))]
    return next(iter([*forward, *read]), [0.0] * len(stamps))


def _read(stamps: Iterable[str], order: tuple[int, int, int]) -> list[float] | None:
    """The times of stamps whose date is in an order; None if it does not fit one of them."""
    try:
        return [_time(stamp, order) for stamp in stamps]
    except (ValueError, IndexError, OverflowError):
        return None


def _time(stamp: str, order: tuple[int, int, int]) -> float:
    numbers = list(map(int, re.findall(r"\d+", stamp)))
    year, month, day = (numbers[position] for position in order)
    hour, minute = numbers[3], numbers[4]
    second = numbers[5] if len(numbers) > 5 and numbers[5] < 60 else 0
    if _AFTERNOON.search(stamp) and hour < 12:
        hour += 12
    elif _MORNING.search(stamp) and hour == 12:
        hour = 0
    moment = datetime(year + 2000 * (year < 100), month, day, hour, minute, second)
    return (moment - datetime(1970, 1, 1)).total_seconds()
