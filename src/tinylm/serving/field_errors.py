"""Errors of a request's fields in the words of JSON: which field and entry, what it must be, and what it is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tinylm.errors import TinyLMError, nearest
from tinylm.http.errors import ApiError
from tinylm.system.untrusted import quoted

PATH_KEY = "at"
"""The key under which a validator puts the path to a mistake inside its field: a list of names and indices."""
_MOST_NAMED = 5
_UNQUOTED = {"an integer": re.compile(r"-?[0-9]{1,15}"), "a number": re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?"),
             "true or false": re.compile("true|false")}
"""Strings that are values of another type as soon as their quotes are gone."""
_KINDS = ((int, "a number"), (float, "a number with decimals"), (str, "a string"), (list, "an array"),
          (dict, "an object"))
_WRONG_TYPE = {"int_type": "an integer", "int_from_float": "an integer", "float_type": "a number",
               "bool_type": "true or false", "string_type": "a string", "list_type": "an array",
               "dict_type": "an object", "model_type": "an object", "model_attributes_type": "an object"}
_WRONG_VALUE = {"greater_than_equal": "must be {ge} or more", "less_than_equal": "must be {le} or less",
                "greater_than": "must be more than {gt}", "less_than": "must be less than {lt}",
                "too_short": "must have {min_length} entry or more",
                "string_too_short": "must have {min_length} character or more",
                "string_too_long": "must have {max_length} characters at most",
                "finite_number": "must be a finite number"}
_MEANT = {
    "messages": "Messages are for /v1/chat/completions; here the text stands in 'prompt'",
    "prompt": "A prompt is for /v1/completions; here the texts stand in 'messages'",
    "input": "The text stands in 'prompt'", "inputs": "The text stands in 'prompt'",
    "options": "Ollama's options stand beside the prompt here, without 'options' around them",
    "parameters": "The settings stand beside the prompt here, without 'parameters' around them",
    "extra_body": "Its fields stand beside the prompt: the client of OpenAI puts them there of its own",
    "max_length": "Say 'max_tokens', which counts new tokens alone",
    "tools": "These models write text, and call no tools",
    "functions": "These models write text, and call no functions",
}
"""Remedies for unknown fields whose spelling is near to no known one."""


def json_type(value: Any) -> str:
    """The type of a JSON value, with its article; of true, false and null the value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return next((said for kind, said in _KINDS if isinstance(value, kind)), "null")


def wrong_type(expected: str, value: Any) -> str:
    """The rest of a sentence about a value of the wrong type; a number in quotes is shown without them."""
    said = f"must be {expected}, and is {json_type(value)}"
    if isinstance(value, str) and expected in _UNQUOTED and _UNQUOTED[expected].fullmatch(value):
        said += f". Write {quoted(value)} without quotes"
    return said


def invalid_setting(error: TinyLMError, *, param: str | None = None) -> ApiError:
    """The error of the layers below about a setting or a prompt, as a response of status 400.

    Args:
        param: the field of the request, where the error names no setting.
    """
    named = error.where.removeprefix("sample.") if error.where.startswith("sample.") else param
    remedy = f" {error.remedy}." if error.remedy and not names_the_command_line(error.remedy) else ""
    where = f"{named}: " if named else ""
    return ApiError(400, f"{where}{quoted(error.what)}.{remedy}", param=named, code="invalid_value")


def names_the_command_line(remedy: str) -> bool:
    """True if a remedy speaks of options of the command line, which a client does not have."""
    return "--" in remedy or "tinylm " in remedy


def from_validation_error(kind: type[BaseModel], error: ValidationError, values: dict[str, Any], names: dict[str, str],
            known: Iterable[str]) -> ApiError:
    """The error of the first field that is wrong; of the unknown fields, all.

    Args:
        kind: the schema that the values were validated against.
        error: pydantic's.
        values: the fields of the request.
        names: the names that the client used for fields under another name.
        known: all names that a client may use.
    """
    found = error.errors(include_url=False)
    first = found[0]
    path = _path(first, values)
    if first["type"] == "extra_forbidden":
        unknown = [_path(each, values) for each in found if each["type"] == "extra_forbidden"]
        return _unknown(unknown, known if len(path) == 1 else _fields_of(kind, path[0]))
    shown = ".".join([names.get(path[0], path[0]), *path[1:]])
    if first["type"] == "missing":
        more = {"model": ". /v1/models lists the names", "messages": ". A prompt is for /v1/completions"}
        return ApiError(400, f"The field {shown!r} is missing{more.get(shown, '')}", param=shown,
                        code="missing_required_parameter")
    return invalid_field(shown, _said(first))


def invalid_field(field: str, said: str) -> ApiError:
    """The error of one field. `said`: the rest of the sentence that begins with its name."""
    return ApiError(400, f"{quoted(field)}: {said}", param=quoted(field), code="invalid_value")


def _said(error: ErrorDetails) -> str:
    kind = error["type"]
    context = {name: int(bound) if isinstance(bound, float) and bound.is_integer() else bound
               for name, bound in error.get("ctx", {}).items()}
    if kind in _WRONG_TYPE:
        return wrong_type(_WRONG_TYPE[kind], error["input"])
    if kind in _WRONG_VALUE:
        return _WRONG_VALUE[kind].format(**context)
    if kind == "string_pattern_mismatch":
        return "must be the id of a token in quotes, such as \"17\""
    return quoted(error["msg"].removeprefix("Value error, "))


def _path(error: ErrorDetails, values: Any) -> list[str]:
    """Names and indices that lead to the mistake: pydantic's own path holds branches of types, too."""
    path, inside = list[str](), values
    for part in (*error["loc"], *error.get("ctx", {}).get(PATH_KEY, ())):
        if isinstance(inside, dict) and (part in inside or error["type"] == "missing"):
            path.append(quoted(part))
            inside = inside.get(part)
        elif isinstance(inside, list) and isinstance(part, int) and part < len(inside):
            path.append(str(part))
            inside = inside[part]
    return path or ["body"]


def _fields_of(kind: type[BaseModel], field: str) -> Iterable[str]:
    """The names inside a field that is an object."""
    inner = get_args(kind.model_fields[field].annotation)
    return next((each.model_fields for each in inner if isinstance(each, type) and issubclass(each, BaseModel)), ())


def _unknown(paths: list[list[str]], known: Iterable[str]) -> ApiError:
    """Names unknown fields, and for each what may have been meant."""
    names = [".".join(path) for path in paths]
    shown = ", ".join(map(repr, names[:_MOST_NAMED])) + (f" and {len(names) - _MOST_NAMED} more"
                                                         if len(names) > _MOST_NAMED else "")
    said = f"There is no field {shown}" if len(names) == 1 else f"There are no fields {shown}"
    known = list(known)
    meant = [_meant(path[-1], known) for path in paths[:_MOST_NAMED]]
    if len(known) < _MOST_NAMED and not any(meant):
        meant = [f"The fields there are {', '.join(known)}"]
    remedy = " ".join(dict.fromkeys(f"{each}." if each[-1] != "?" else each for each in meant if each))
    return ApiError(400, f"{said}. {remedy or 'The page at /docs lists the fields; leave others out.'}", param=names[0],
                    code="unknown_parameter")


def _meant(name: str, known: list[str]) -> str:
    if name in _MEANT:
        return _MEANT[name]
    close = [each for each in nearest(name, known) if len(name) > 2]
    return f"Did you mean {close[0]!r}?" if close else ""
