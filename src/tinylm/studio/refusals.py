"""Refusals: an error that a person can mend as a response, without the parts of it that speak of commands."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

from tinylm.errors import TinyLMError
from tinylm.http.errors import ApiError
from tinylm.serving.field_errors import names_the_command_line
from tinylm.system.files import write_remedy
from tinylm.system.untrusted import escape_control_codes

P = ParamSpec("P")
T = TypeVar("T")


def refusal(error: TinyLMError, status: int = 400) -> ApiError:
    """The error as a response. A remedy that names the command line is left out: the page has no options.

    >>> str(refusal(TinyLMError("is empty", where="--file", remedy="Choose another --out")))
    'file: is empty.'
    """
    remedy = "" if names_the_command_line(error.remedy) else error.remedy
    said = TinyLMError(error.what, where=error.where.removeprefix("--"), remedy=remedy)
    return ApiError(status, escape_control_codes(said), code="refused")


def as_api_errors(status: int = 400) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Makes a function raise `ApiError` of this status where it would raise `TinyLMError`."""

    def wrap(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def call(*arguments: P.args, **named: P.kwargs) -> T:
            try:
                return function(*arguments, **named)
            except TinyLMError as error:
                raise refusal(error, status) from None

        return call

    return wrap


def without_options(sentence: str) -> str:
    """The sentence up to where it speaks of an option of the command line.

    >>> without_options("its lines are JSON records: --documents jsonl reads the texts in them")
    'its lines are JSON records'
    """
    return re.sub(r"[:;,]? \(?--[a-z].*", "", sentence)


@contextmanager
def writing() -> Iterator[None]:
    """Within the block a disk that is full, or a folder that cannot be written, is an error that the page can show."""
    try:
        yield
    except OSError as error:
        raise ApiError(507, f"The studio's folder cannot be written ({error.strerror}). {write_remedy(error)}",
                       code="cannot_write") from None
