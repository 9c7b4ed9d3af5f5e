"""Spellings of settings: values as people write them, read into the values of fields; and fields described in words.

    "1_000" -> 1000    "4.0" -> 4    "10%" -> 0.1    "Yes" -> True    "Layer-Norm" -> "layernorm"    "\\n" -> ("\\n",)

The spellings follow from the type of the field alone, so that every field of every section has the same.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

Name = TypeVar("Name", bound=str)
TRUE, FALSE, NONE = ("true", "yes", "on", "1", "t", "y"), ("false", "no", "off", "0", "f", "n"), ("none", "null", "")
MAX_QUOTED = 60
"""Characters of a value that an error quotes, at most."""


def parse_spelling(kind: Any, value: Any) -> Any:
    """Reads a spelling of a value of the type `kind`. A value that is not a spelling of the type comes back as it is.

    Raises:
        ValueError: a boolean for a type that has none, where it would otherwise count as 1 or 0.

    >>> parse_spelling(int, "1_000"), parse_spelling(float, "10%"), parse_spelling(bool, "Yes")
    (1000, 0.1, True)
    """
    value = _unwrapped(value)
    kinds = alternatives(kind)
    for each in kinds:
        read, *arguments = _reader(each)
        found = read(value, *arguments)
        if found is not _NOT_ONE:
            return found
    if isinstance(value, bool):
        raise ValueError(f"is {quote_value(value)}")
    return value


def alternatives(kind: Any) -> tuple[Any, ...]:
    """The types of a union. None comes first, since "none" would otherwise be read as a text."""
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    return tuple(sorted(kinds, key=lambda each: each is not NoneType))


def match_name(name: str, known: Iterable[Name]) -> Name | None:
    """The known name that equals `name` but for case, hyphens, underscores and spaces; None if there is none.

    >>> match_name("Layer-Norm", ["layernorm", "rmsnorm"])
    'layernorm'
    """
    return {_letters(each): each for each in known}.get(_letters(name))


_NOT_ONE: Any = object()
"""The result of a reader for a value that is not a spelling of its type."""


def _reader(kind: Any) -> tuple[Any, ...]:
    origin = get_origin(kind)
    if origin is Literal:
        return _literal, get_args(kind)
    return (_READERS.get(origin or kind, lambda _: _NOT_ONE),)


def _unwrapped(value: Any) -> Any:
    """Unwraps scalars of NumPy and torch to Python numbers, and paths to texts."""
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if getattr(value, "shape", None) == () and hasattr(value, "item"):
        return value.item()
    return value


def _letters(text: str) -> str:
    return re.sub(r"[-_\s]", "", text).casefold()


def _none(value: Any) -> Any:
    is_none = value is None or (isinstance(value, str) and value.strip().casefold() in NONE)
    return None if is_none else _NOT_ONE


def _boolean(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return bool(value) if value in (0, 1) else _NOT_ONE
    word = value.strip().casefold() if isinstance(value, str) else ""
    return True if word in TRUE else False if word in FALSE else _NOT_ONE


def _literal(value: Any, known: Collection[str]) -> Any:
    found = match_name(value, known) if isinstance(value, str) else None
    return _NOT_ONE if found is None else found


def _number(value: Any) -> Any:
    if isinstance(value, bool):
        return _NOT_ONE
    if not isinstance(value, str):
        return _NOT_ONE if not isinstance(value, int | float) else value
    text = value.strip()
    share = text.endswith("%")
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        return _NOT_ONE
    return number / 100 if share else number


def as_number(value: Any) -> int | float | None:
    """The number that a value is or spells; None if it is no number."""
    found = _number(_unwrapped(value))
    return None if found is _NOT_ONE else found


def _whole(value: Any) -> Any:
    """Reads a whole number. Digits are not read by way of a float, which would round long ones."""
    with suppress(ValueError):
        return int(value.strip()) if isinstance(value, str) else _whole_of(_number(value))
    return _whole_of(_number(value))


def _whole_of(number: Any) -> Any:
    if isinstance(number, float):
        return int(number) if number.is_integer() else _NOT_ONE
    return number


def _text(value: Any) -> Any:
    if isinstance(value, str):
        return str(value)
    return _NOT_ONE if isinstance(value, bool) or not isinstance(value, int) else quote_value(value)


def _texts(value: Any) -> Any:
    """Reads a list of texts. One text stands for a list of one, an empty text for an empty list."""
    if isinstance(value, Mapping | bytes) or not isinstance(value, Iterable):
        one = _text(value)
        return _NOT_ONE if one is _NOT_ONE else (one,)
    if isinstance(value, str):
        return (str(value),) if value else ()
    texts = [_text(_unwrapped(each)) for each in value]
    return _NOT_ONE if any(text is _NOT_ONE for text in texts) else tuple(texts)


def _numbers_by_text(value: Any) -> Any:
    """Reads numbers by token: a mapping, or one or several `TOKEN=NUMBER`. A whole number as a key is an id."""
    if not isinstance(value, Mapping):
        value = _texts(value)
        if value is _NOT_ONE or not all("=" in each for each in value):
            return _NOT_ONE
        value = dict(each.rpartition("=")[::2] for each in value)
    found = {(f"#{key}" if isinstance(key, int) else key): _number(_unwrapped(number))
             for key, number in ((_unwrapped(key), number) for key, number in value.items())}
    sound = all(isinstance(key, str) and key and number is not _NOT_ONE for key, number in found.items())
    return found if sound else _NOT_ONE


_READERS: dict[Any, Callable[[Any], Any]] = {
    NoneType: _none, bool: _boolean, int: _whole, float: _number, str: _text, tuple: _texts, dict: _numbers_by_text,
}


# ---- words


class ExpectedValues(NamedTuple):
    """Metadata of a field: a description of its values, where its type does not describe them well."""

    words: str


def expected(kind: Any, bounds: Collection[Any] = ()) -> str:
    """Describes the values that a field may hold: "a whole number of at least 1, or none".

    >>> expected(int | None)
    'a whole number, or none'
    """
    if said := [each.words for each in bounds if isinstance(each, ExpectedValues)]:
        return said[0]
    words = [_words(each, bounds) for each in alternatives(kind)]
    return ", or ".join(sorted(words, key=lambda each: each == "none"))


def _words(kind: Any, bounds: Collection[Any]) -> str:
    if get_origin(kind) is Literal:
        names = get_args(kind)
        return f"one of {', '.join(names)}" if len(names) > 1 else names[0]
    if kind in (int, float):
        return f"a {'whole ' if kind is int else ''}number{_within(bounds)}"
    return {NoneType: "none", bool: "true or false", str: "a text", tuple: "a text or a list of texts",
            dict: 'numbers of at most a million by token, such as {"the": 2.5}'}[get_origin(kind) or kind]


def _within(bounds: Collection[Any]) -> str:
    """Describes the bounds of a number, which are the metadata that pydantic keeps of `Field(ge=..., lt=...)`."""
    words = {"ge": "of at least", "gt": "above", "le": "of at most", "lt": "below"}
    found = [f"{words[name]} {getattr(each, name):,}" for name in words for each in bounds if hasattr(each, name)]
    return f" {' and '.join(found)}" if found else ""


def quote_value(value: Any) -> str:
    """Quotes a value for an error: short, and as people write it in a file of settings.

    >>> quote_value({"a": True})
    '{"a": true}'
    """
    try:
        text = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        try:
            text = str(value)
        except (ValueError, RecursionError):  # an int of more digits than Python writes
            text = "a number of very many digits" if isinstance(value, int) else f"a {type(value).__name__}"
    text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
    return text if len(text) <= MAX_QUOTED else f"{text[:MAX_QUOTED]}…"
