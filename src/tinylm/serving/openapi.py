"""The OpenAPI document, made from the types that requests are validated against, and the same as a page for people,
which loads nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from typing import Any

from pydantic import BaseModel, TypeAdapter

from tinylm import __version__
from tinylm.serving import foreign_fields, response_schemas
from tinylm.serving.limits import Limits
from tinylm.serving.model_registry import ModelRegistry
from tinylm.serving.reading import TEXT_REQUESTS
from tinylm.serving.request_schemas import ID_AS_TEXT, LARGEST_ID, NextRequest

_REFERENCE = "#/components/schemas/{model}"
_REQUESTS: tuple[type[BaseModel], ...] = (*TEXT_REQUESTS, NextRequest)
_ANSWERS = (response_schemas.Completion, response_schemas.ChatCompletion, response_schemas.Models,
            response_schemas.Model, response_schemas.Next, response_schemas.Error, response_schemas.Health)
_ANY = {421: "the Host header is not a name of this server", 403: "a page of another web site asks",
        401: "the key is missing or wrong", 408: "the request did not come in time",
        431: "the headers are too long", 500: "a mistake of the server's own"}
_OF_BODY = {400: "a field is wrong: `param` names it", 413: "the body is too large",
            415: "the body is not called application/json", 404: "there is no such model",
            429: "too many wait already: try again after Retry-After seconds",
            503: "the model cannot be read at the moment", 504: "the time for a request is over"}


def document(limits: Limits, registry: ModelRegistry) -> dict[str, Any]:
    """The OpenAPI document of a server, with the models that it has now.

    With a single model the bounds of token ids are those of its vocabulary.
    """
    schemas, ids = _schemas(), registry.ids()
    for kind in _REQUESTS:
        schemas[kind.__name__]["properties"]["model"]["enum"] = ids
    for kind in TEXT_REQUESTS:
        schemas[kind.__name__]["properties"]["max_tokens"]["anyOf"][0]["maximum"] = limits.max_tokens
    if len(ids) == 1:
        for served in registry.loaded():
            _bound_ids(schemas, served.lm.tokenizer.vocab_size)
    return {
        "openapi": "3.1.0",
        "info": {"title": "tinylm", "version": __version__,
                 "description": "Small language models, asked as OpenAI's clients ask."},
        "servers": [{"url": "/"}],
        "security": [{}, {"key": []}],
        "paths": _paths(ids),
        "components": {"schemas": schemas, "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    }


def _schemas() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for kind in _REQUESTS:
        schema = kind.model_json_schema(ref_template=_REFERENCE)
        found |= schema.pop("$defs", {}) | {kind.__name__: schema}
    for kind, fixed in TEXT_REQUESTS.items():
        _describe_foreign_fields(found[kind.__name__]["properties"], fixed)
    for shape in _ANSWERS:
        schema = TypeAdapter(shape).json_schema(ref_template=_REFERENCE)
        found |= schema.pop("$defs", {}) | {shape.__name__: schema}
    return found


def _describe_foreign_fields(fields: dict[str, Any], fixed: dict[str, foreign_fields.Fixed]) -> None:
    """Adds the fields of other servers to those of a request for texts, in place."""
    for name, field in fields.items():
        if others := foreign_fields.other_names(name):
            about = field.get("description", "")
            field["description"] = f"{about}{'; ' if about else ''}also as {', '.join(others)}"
    fields["repetition_penalty"]["description"] += (
        f". Penalties count the whole text: {', '.join(foreign_fields.PENALTY_SCOPES)} are taken where they say so, "
        "or where there is no penalty")
    fields |= foreign_fields.schema(fixed)


def _bound_ids(schema: Any, vocab_size: int) -> None:
    """Bounds token ids by the size of the vocabulary, in place."""
    if isinstance(schema, dict):
        if schema.get("maximum") == LARGEST_ID:
            schema["maximum"] = vocab_size - 1
        if ID_AS_TEXT in schema.get("patternProperties", {}):
            schema["patternProperties"] = {_pattern_below(vocab_size): schema["patternProperties"][ID_AS_TEXT]}
            schema["additionalProperties"] = False
        for value in schema.values():
            _bound_ids(value, vocab_size)
    elif isinstance(schema, list):
        for value in schema:
            _bound_ids(value, vocab_size)


def _pattern_below(limit: int) -> str:
    """A regular expression of the numbers from 0 to `limit` - 1: those with fewer digits, and those that are smaller
    from some digit on.

    >>> _pattern_below(12)
    '^(0|[1-9][0-9]{0,0}|1[0-0][0-9]{0}|11)$'
    """
    most = str(limit - 1)
    longer = [f"[1-9][0-9]{{0,{len(most) - 2}}}"] if len(most) > 1 else []
    for i, digit in enumerate(most):
        least = 1 if i == 0 and len(most) > 1 else 0
        if int(digit) > least:
            longer.append(f"{most[:i]}[{least}-{int(digit) - 1}][0-9]{{{len(most) - i - 1}}}")
    return f"^({'|'.join(dict.fromkeys(['0', *longer, most]))})$"


def _paths(ids: list[str]) -> dict[str, Any]:
    model = {"name": "model", "in": "path", "required": True, "schema": {"type": "string", "enum": ids}}
    event = {"type": "object", "properties": {"data": {"type": "string"}}, "required": ["data"]}
    stream = {"text/event-stream": {"schema": event}}
    return {
        "/v1/models": {"get": _operation("listModels", "The models that can be asked.", _json("Models"))},
        "/v1/models/{model}": {"get": {**_operation("getModel", "One of them.", _json("Model"),
                                                    {404: "there is no such model"}), "parameters": [model]}},
        "/v1/completions": {"post": _operation(
            "createCompletion", "Texts that go on from prompts. With `stream`, as server-sent events: chunks of this "
            "shape, then `[DONE]`.", _json("Completion") | stream, _OF_BODY, "CompletionRequest")},
        "/v1/chat/completions": {"post": _operation(
            "createChatCompletion", "Answers to the last message of a conversation, by a model with a chat format. "
            "With `stream`, as server-sent events: chunks, then `[DONE]`.", _json("ChatCompletion") | stream,
            {**_OF_BODY, 404: "there is no such model, or it has no chat format"}, "ChatRequest")},
        "/v1/next": {"post": _operation("predictNext", "What may come next, and how likely.", _json("Next"), _OF_BODY,
                                        "NextRequest")},
        "/healthz": {"get": _operation("health", "Whether the server is there. It needs no key.", _json("Health"))},
        "/metrics": {"get": _operation("metrics", "Counts and times, as Prometheus reads them.", _text("plain"))},
        "/openapi.json": {"get": _operation("document", "This document.",
                                            {"application/json": {"schema": {"type": "object"}}})},
        "/docs": {"get": _operation("page", "This document for people.", _text("html"))},
    }


def _operation(id: str, about: str, content: dict[str, Any], errors: dict[int, str] | None = None,
               body: str | None = None) -> dict[str, Any]:
    told = {status: {"description": said, "content": _json("Error")}
            for status, said in sorted({**_ANY, **(errors or {})}.items())}
    found: dict[str, Any] = {
        "operationId": id, "summary": about,
        "responses": {"200": {"description": "as asked", "content": content},
                      **{str(status): each for status, each in told.items()}}}
    if body:
        found["requestBody"] = {"required": True, "content": _json(body)}
    return found


def _json(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REFERENCE.format(model=schema)}}}


def _text(kind: str) -> dict[str, Any]:
    return {f"text/{kind}": {"schema": {"type": "string"}}}


# ---- for people

_STYLE = ("body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
          "code{font-size:.95em}table{border-collapse:collapse}td,th{text-align:left;vertical-align:top;"
          "padding:.2rem .8rem .2rem 0}h2{margin-top:2.5rem}@media(prefers-color-scheme:dark){"
          "body{background:#111;color:#eee}}")
STYLE_HASH = f"'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"


def page(told: dict[str, Any]) -> str:
    """The document as HTML."""
    parts = [f"<h1>tinylm {html.escape(told['info']['version'])}</h1><p>{html.escape(told['info']['description'])} "
             "The same for programs: <code>/openapi.json</code>.</p>"]
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            parts.append(f"<h2><code>{method.upper()} {html.escape(path)}</code></h2>"
                         f"<p>{html.escape(operation['summary'])}</p>")
            if "requestBody" in operation:
                reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
                parts.append(_fields(told["components"]["schemas"][reference.rpartition("/")[2]]))
            parts.append("<p>" + "; ".join(f"<b>{status}</b> {html.escape(each['description'])}"
                                           for status, each in operation["responses"].items()) + ".</p>")
    return ("<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
            f"<title>tinylm</title><style>{_STYLE}</style>{''.join(parts)}</html>")


def _fields(schema: dict[str, Any]) -> str:
    rows = "".join(f"<tr><td><code>{html.escape(name)}</code></td><td>{html.escape(_kind(field))}</td>"
                   f"<td>{html.escape(field.get('description', ''))}</td></tr>"
                   for name, field in schema["properties"].items())
    return f"<table>{rows}</table>"


def _kind(field: dict[str, Any]) -> str:
    """The type of a field in a few words."""
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_kind(each) for each in field["anyOf"] if each.get("type") != "null"))
    if "enum" in field:
        return " or ".join(json.dumps(value) for value in field["enum"] if value is not None) or "null"
    if "const" in field:
        return json.dumps(field["const"])
    kind = str(field.get("type", field.get("$ref", "").rpartition("/")[2]))
    if kind == "array":
        return f"list of {_kind(field.get('items', {}))}".rstrip()
    least = field.get("minimum", field.get("exclusiveMinimum"))
    most = field.get("maximum", field.get("exclusiveMaximum"))
    return kind if least is None and most is None else f"{kind}, {least} to {most}"
