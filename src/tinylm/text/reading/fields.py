"""The text of a record: found by the name of a field or several, or by a dotted path; else fields to suggest."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from tinylm.errors import command, nearest
from tinylm.system.untrusted import quoted

JOINT = "\n"
"""The text between strings that make one text: of several fields, or of a list."""

_SURROGATE = re.compile("[\ud800-\udfff]")


class BadRecord(Exception):
    """A record without a text.

    Args:
        what: what is wrong with the record.
        remedy: a way to mend or read the record; empty if it can only be passed over.
        fits_all: True if every record needs the remedy, so that passing over some would not help.
    """

    def __init__(self, what: str, remedy: str = "", *, fits_all: bool = False) -> None:
        super().__init__(what)
        self.what, self.remedy, self.fits_all = what, remedy, fits_all


def text_of(record: object, field: str) -> str:
    """The text of a record; a record that is a string is its own text.

    Args:
        field: a name; a path of names and numbers, such as `data.text` or `messages.0.content`; a name behind a list
            means that of each of its elements (`messages.content`). Several are separated by commas. A field whose
            name has dots or commas goes before. Several strings are joined by a line end.

    Raises:
        BadRecord: there is no such field, or something other than text is in it.
    """
    if isinstance(record, BadRecord):
        raise record
    if isinstance(record, str):
        return whole_text(record, "it")
    if not isinstance(record, dict):
        raise _no_object(record, field)
    found = record.get(field)
    if not isinstance(found, str):
        names = [name.strip() for name in field.split(",")] if "," in field and field not in record else [field]
        found = JOINT.join(text for name in names for text in _strings_of(record, name) if text)
    return whole_text(found, f"the field {field!r}")


def _strings_of(record: dict[str, Any], name: str) -> list[str]:
    """Raises: BadRecord: nothing is there, or something other than strings."""
    value = _find(record, name)
    if value is _NOTHING:
        raise _no_field(record, name)
    strings = _strings(value)
    if strings is None:
        inner = suggested({name: value})
        raise BadRecord(f"the field {name!r} is not a string but {kind_in_words(value)}", _ask_for(inner))
    return strings


def whole_text(text: str, name: str) -> str:
    """A text that UTF-8 can hold. Raises: BadRecord: a NUL character or half of a surrogate pair; `name` has it."""
    if "\0" in text:
        raise BadRecord(f"{name} has a NUL character, as no text does")
    if _SURROGATE.search(text):  # JSON can hold half a surrogate pair, UTF-8 cannot
        raise BadRecord(f"{name} has half of a surrogate pair",
                        "Write the character as UTF-8, or both of its \\u halves")
    return text


_NOTHING = object()


def _find(value: Any, path: str) -> Any:
    """The value at a path: `_NOTHING` if there is none, a list if there are several."""
    found = list(_walk(value, path))
    return found if len(found) > 1 else found[0] if found else _NOTHING


def _walk(value: Any, path: str) -> Iterator[Any]:
    """The values at a path: one, or if a name leads through a list, one for each element that has the name."""
    if not path:
        yield value
    elif isinstance(value, dict):
        for name in (path, *(path[:dot.start()] for dot in re.finditer(r"\.", path))):
            if name in value:
                yield from _walk(value[name], path[len(name) + 1:])
                return
    elif isinstance(value, list):
        index, _, rest = path.partition(".")
        if index.isdecimal():
            yield from _walk(value[int(index)], rest) if int(index) < len(value) else ()
        else:
            for element in value:
                yield from (found for found in _walk(element, path) if found is not None)


def _strings(value: Any) -> list[str] | None:
    """The strings of a string or of a list of strings; None of anything else."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return list(value)
    return None


def _no_object(record: object, field: str) -> BadRecord:
    remedy = 'Read the whole file as JSON: --documents json (in Python: documents="json")' \
        if isinstance(record, list) and record and isinstance(record[0], str | dict) else ""
    return BadRecord(f"has no field {field!r}; it is not a JSON object but {kind_in_words(record)}", remedy)


def _no_field(record: dict[str, Any], path: str) -> BadRecord:
    there = list(_fields(record))
    close = nearest(path, [name for name, _ in there if _text_at(record, name)])
    like = [name for name, _ in there if name.lower() == path.lower()]
    likely = _suggestions(record)
    best = [*like, *likely, *close] if path == "text" else [*like, *close, *likely]
    listed = ", ".join(f"{quoted(name)} ({kind})" for name, kind in there[:12]) + ", .." * (len(there) > 12)
    return BadRecord(f"has no field {path!r}; its fields are: {listed or 'none'}", _ask_for(next(iter(best), "")))


def _ask_for(field: str) -> str:
    return f"Name the field that holds the text: {option(field)}" if field else ""


def option(field: str) -> str:
    """The option that names a field, on the command line and in Python."""
    return f"--text-field {as_word(field)} (in Python: text_field={quoted(field)!r})"


def as_word(field: str) -> str:
    """The name of a field as a word for the shell."""
    return command(quoted(field)).removeprefix("tinylm ")


def _text_at(record: dict[str, Any], path: str) -> str:
    """The text at a path; empty if there is none."""
    return JOINT.join(_strings(_find(record, path)) or ())


# ---- what could be named

PAIRS = (("instruction", "input", "output"), ("instruction", "context", "response"), ("instruction", "output"),
         ("instruction", "response"), ("prompt", "completion"), ("prompt", "response"), ("prompt", "answer"),
         ("prompt", "chosen"), ("question", "answer"), ("question", "response"), ("query", "response"),
         ("query", "answer"), ("user", "assistant"), ("input", "output"), ("source", "target"), ("q", "a"))
"""Fields that belong together in data sets of tasks: a task, in some what it is about, and its answer. The first is
Alpaca's."""
_NAMES = ("text", "content", "body", "value", "message", "sentence", "document", "article", "story", "review",
          "comment")


def suggested(record: dict[str, Any]) -> str:
    return next(iter(_suggestions(record)), "")


def _suggestions(record: dict[str, Any]) -> list[str]:
    """Values for `--text-field` that fit a record, the best first: fields of a task, what is said in a chat, a field
    that is named like a text, the longest text."""
    pairs = [",".join(names) for names in PAIRS if all(isinstance(record.get(name), str) for name in names)]
    paths = [name for name, _ in _fields(record) if _text_at(record, name)]
    in_lists = [name for name in paths if name not in record and isinstance(record.get(name.split(".")[0]), list)]
    spoken = [name for name in in_lists if name.rpartition(".")[2] in ("content", "value", "text")]
    named = sorted((name for name in paths if name.rpartition(".")[2].lower() in _NAMES),
                   key=lambda name: _NAMES.index(name.rpartition(".")[2].lower()))
    longest = sorted(paths, key=lambda name: -len(_text_at(record, name)))
    return [*pairs, *spoken, *named, *longest]


def _fields(value: dict[str, Any], before: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """(dotted path, kind) of every field, through objects, and through lists of objects by what their first has."""
    for name, inner in value.items():
        path = f"{before}{name}"
        if isinstance(inner, dict) and inner and depth < 4:
            yield from _fields(inner, f"{path}.", depth + 1)
            continue
        yield path, kind_in_words(inner)
        if isinstance(inner, list) and inner and isinstance(inner[0], dict) and depth < 4:
            yield from _fields(inner[0], f"{path}.", depth + 1)


def kind_in_words(value: object) -> str:
    """The kind of a JSON value in words, with the value itself where it is short."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"a number ({quoted(value)[:20]})"
    if isinstance(value, str):
        return "text"
    if isinstance(value, dict):
        return "an object" if value else "an empty object"
    return _kind_of_list(value) if isinstance(value, Sequence) else type(value).__name__


def _kind_of_list(values: Sequence[object]) -> str:
    if not values:
        return "an empty list"
    kinds = ((str, "texts"), (dict, "objects"))
    inside = next((name for kind, name in kinds if all(isinstance(value, kind) for value in values)), "values")
    return f"a list of {inside}"
