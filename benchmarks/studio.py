"""Milliseconds until the studio has answered what a page shows of the inside of a model: `explain` of a text of 64
tokens with tokens, lens, attention and contributions, over HTTP, the JSON read. Each text is a new one; the weights are
random, on the CPU. The first answer, for which the model is loaded, stands apart.
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from benchmarks.explain import MOST, TEXT, make_model
from benchmarks.harness import at_least_one, seconds_of
from benchmarks.shapes import add_size


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_size(parser, "0.8M")
    parser.add_argument("--rounds", type=at_least_one, default=20, metavar="N", help="(default: %(default)s)")


def run(arguments: argparse.Namespace) -> int:
    """Returns the exit code: 1 where a 0.8M model takes longer than `MOST`."""
    chance = random.Random(0)
    texts = ["".join(chance.sample(TEXT, len(TEXT))) for _ in range(arguments.rounds + 1)]
    with tempfile.TemporaryDirectory() as place:
        make_model(arguments.size).save(Path(place) / "model")
        with opened(place) as (port, key):
            first, *rounds = [round(1000 * seconds_of(lambda text=text: ask(port, key, text)), 1) for text in texts]
    value = round(statistics.median(rounds), 1)
    print(f"{'explain':<14}{value:>9.1f} ms, at most {max(rounds):.1f}; the first {first:.1f}")
    print(json.dumps({"benchmark": "studio", "value": value, "unit": "ms", "size": arguments.size, "tokens": 64,
                      "most": MOST, "first": first, "rounds": rounds}))
    return int(arguments.size == "0.8M" and value > MOST)


@contextmanager
def opened(folder: str) -> Iterator[tuple[int, str]]:
    """The port and the key of a studio."""
    command = [sys.executable, "-m", "tinylm", "studio", folder, "--no-browser", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as studio:
        assert studio.stdout
        address, _, key = json.loads(studio.stdout.readline())["url"].partition("/?token=")
        try:
            yield int(address.rpartition(":")[2]), key
        finally:
            studio.terminate()


def ask(port: int, key: str, text: str) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        connection.request("POST", "/api/models/model/explain", json.dumps({"text": text}), headers)
        assert len(json.loads(connection.getresponse().read())["ids"]) == 64
