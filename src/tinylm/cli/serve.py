"""tinylm serve RUN: the OpenAI-compatible API."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from tinylm.cli.flags import MODEL
from tinylm.cli.output import add_json, print_json, print_note
from tinylm.cli.sampling import add_weight_dtype, weight_dtype_of
from tinylm.serving.limits import Limits

EXAMPLE = "tinylm serve runs/book --port 8000"
KEY = "TINYLM_API_KEY"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help=f"{MODEL}; or a folder of models")
    parser.add_argument("--host", default="127.0.0.1", metavar="HOST",
                        help="the address to listen at (default: 127.0.0.1, this machine alone); any other needs a key")
    parser.add_argument("--port", type=int, default=8000, metavar="N", help="(default: 8000; 0: any that is free)")
    parser.add_argument("--api-key", metavar="KEY",
                        help=f"whoever asks has to show it; better set {KEY}, which others on this machine cannot see")
    parser.add_argument("--allow-host", action="append", default=[], metavar="NAME",
                        help="one more name of this server, or NAME:PORT (may be repeated)")
    parser.add_argument("--allow-origin", action="append", default=[], metavar="ORIGIN",
                        help="a web site whose pages may ask, such as https://example.org (may be repeated)")
    add_weight_dtype(parser)
    for name, unit, about in _LIMITS:
        default = getattr(Limits, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), metavar=unit,
                            help=f"{about} (default: {default:g})")
    add_json(parser)


_LIMITS = (
    ("texts", "N", "texts written side by side, of a model"),
    ("queue", "N", "texts that may wait; then requests are refused"),
    ("connections", "N", "open at the same time"),
    ("max_tokens", "N", "of one text, at most"),
    ("seconds", "S", "for a request, at most"),
    ("read_seconds", "S", "until a client has sent its request"),
    ("grace", "S", "for what is under way, when asked to stop"),
)
"""Limits that have an option: name, unit, help."""


def run(arguments: argparse.Namespace) -> int:
    from tinylm.errors import TinyLMError
    from tinylm.http.server import BindOptions
    from tinylm.serving.server import serve

    given = {name: value for name, *_ in _LIMITS if (value := getattr(arguments, name)) is not None}
    for name, value in given.items():
        if not 0 < value < float("inf") and not (name in ("queue", "grace") and value == 0):
            raise TinyLMError(f"cannot be {value}", where=f"--{name.replace('_', '-')}", remedy="Give more than 0")
    if arguments.api_key is not None:
        print_note(f"note: others on this machine can see a key that stands in a command; {KEY} is for that")
    key = arguments.api_key if arguments.api_key is not None else os.environ.get(KEY)
    options = BindOptions(arguments.host, arguments.port, key, tuple(arguments.allow_host),
                          tuple(arguments.allow_origin))

    def ready(url: str, models: Sequence[str]) -> None:
        if arguments.json:
            print_json({"url": url, "models": list(models), "key": key is not None})
        else:
            _greet(url, models, key is not None)

    return serve(arguments.run, options, Limits(**given), ready, weight_dtype_of(arguments))


def _greet(url: str, models: Sequence[str], asks_for_key: bool) -> None:
    from tinylm.system.standard_streams import is_encodable
    from tinylm.system.untrusted import escape_control_codes

    for_whom = "whoever has the key" if asks_for_key else "this machine alone"
    asked = as_curl(f"{url}/v1/completions", models[0], asks_for_key, windows=os.name == "nt",
                    to_ascii=not is_encodable(models[0], sys.stdout.encoding))
    print(f"serving    {url}/v1   for {for_whom}; Ctrl-C stops\n"
          f"models     {', '.join(map(escape_control_codes, models))}\n"
          f"try        {asked}", flush=True)


def as_curl(url: str, model: str, asks_for_key: bool, *, windows: bool, to_ascii: bool = False) -> str:
    """A curl command that requests a text, quoted for a POSIX shell or for cmd.exe. It reads the key from the
    environment.

    Args:
        to_ascii: writes characters as \\u escapes, where the output has no others.
    """
    import json
    import shlex
    from subprocess import list2cmdline

    body = json.dumps({"model": model, "prompt": "", "max_tokens": 50}, ensure_ascii=to_ascii)
    if windows:
        key = ["-H", f"Authorization: Bearer %{KEY}%"] if asks_for_key else []
        return list2cmdline(["curl.exe", url, "-H", "Content-Type: application/json", *key, "-d", body])
    header = f' -H "Authorization: Bearer ${KEY}"' if asks_for_key else ""
    return f"curl {url} -H 'Content-Type: application/json'{header} \\\n             -d {shlex.quote(body)}"
