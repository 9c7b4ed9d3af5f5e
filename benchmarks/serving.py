"""What serving costs and stands: `tinylm serve` with a model of 0.8M in characters, random weights, on this machine.

    a  milliseconds until the first token beyond those that the engine itself takes, one stream
    b  tokens a second of 32 streams, as a share of what the engine writes of 32 texts by itself
    c  32 streams for a minute: errors, memory afterwards, and the most that a stream got over the least
    d  schemathesis, what the API allows and what it forbids, with zeros in texts: failures
    e  200 slow clients: seconds of a request that behaves well
    f  disconnects at random tokens: milliseconds until the place is free
"""

from __future__ import annotations

import argparse
import http.client
import json
import random
import re
import socket
import statistics
import string
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.harness import ROOT, Run, at_least_one, process
from benchmarks.writing import SHAPES

PROMPT = "It was a bright cold day in Apr, "
STREAMS, LONG = 32, 2000
NO_END = {"2": -100}
BYTES = 259
"""The vocabulary of a model that knows every text."""


class Server(NamedTuple):
    host: str
    port: int
    pid: int
    folder: Path

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def body(self, **fields: Any) -> str:
        """A request for a stream that does not end of itself."""
        return json.dumps({"model": self.folder.name, "prompt": PROMPT, "logit_bias": NO_END, "seed": 1, "stream": True,
                           "stream_options": {"include_usage": True}, **fields})

    def memory(self) -> int:
        import psutil

        return int(psutil.Process(self.pid).memory_info().rss)

    def running(self) -> int:
        """Texts that are being written, as the server says."""
        with closing(http.client.HTTPConnection(self.host, self.port, timeout=60)) as connection:
            connection.request("GET", "/metrics")
            text = connection.getresponse().read().decode()
        return sum(map(int, re.findall(r"^tinylm_running(?:{.*})? (\d+)$", text, re.MULTILINE)))

    def load(self, what: str, count: int, seconds: float, **fields: Any) -> subprocess.Popen[str]:
        """The client of load.py, at work."""
        return subprocess.Popen([sys.executable, "-m", "benchmarks.load", what, self.host, str(self.port), str(count),
                                 str(seconds), self.body(**fields)], cwd=ROOT, stdout=subprocess.PIPE, text=True)


def told(client: subprocess.Popen[str]) -> Run:
    """What a client that is at work has to say at its end."""
    output, _ = client.communicate()
    if client.returncode:
        raise SystemExit("the client failed")
    found: Run = json.loads(output)
    return found


@contextmanager
def served(*options: str, vocabulary: int = 0) -> Iterator[Server]:
    """A server with a fresh model, which has answered once. `vocabulary`: of bytes; 0: the characters of 0.8M."""
    with tempfile.TemporaryDirectory() as place:
        folder = make_model(Path(place), vocabulary)
        command = [sys.executable, "-m", "tinylm", "serve", str(folder), "--port", "0", "--json", *options]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
            assert server.stdout
            host, port = json.loads(server.stdout.readline())["url"].removeprefix("http://").rsplit(":", 1)
            try:
                found = Server(host, int(port), server.pid, folder)
                told(found.load("streams", 2, 0, max_tokens=50))
                yield found
            finally:
                server.terminate()


def make_model(place: Path, vocabulary: int = 0) -> Path:
    import torch

    import tinylm
    from tinylm.config.schema import DataConfig, ModelConfig, RunConfig, TrainConfig
    from tinylm.model.transformer import TinyLM
    from tinylm.text.tokenizer import Tokenizer

    torch.manual_seed(0)
    alphabet = (string.ascii_letters + " .,;:!?'-\n")[:SHAPES["0.8M"]["vocab_size"] - 3]
    kind, text, size = ("bpe", "", vocabulary) if vocabulary else ("char", alphabet, None)
    tokenizer = Tokenizer.train(kind, [text], vocab_size=size)
    model = ModelConfig(**{**SHAPES["0.8M"], "vocab_size": tokenizer.vocab_size})
    run = RunConfig(model=model, data=DataConfig(tokenizer=tokenizer.kind), train=TrainConfig(steps=1))
    return tinylm.LanguageModel(run, tokenizer, TinyLM(model)).save(place / "model")


# ---- a: the first token


def first_token(times: int) -> Run:
    """One stream at a time; the engine's own in this process, in turn with the server's."""
    with served() as server, closing(socket.create_connection((server.host, server.port), timeout=60)) as connection:
        import tinylm
        from benchmarks.load import END, request

        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lm = tinylm.load(server.folder)
        asked = request(server.host, server.port, server.body(max_tokens=8))
        engine, api = [], []
        for _ in range(times + 20):
            began = time.perf_counter()
            steps = lm.complete_stepwise(PROMPT, max_tokens=8, seed=1, logit_bias={"#2": -100.0})
            next(steps)
            engine.append(time.perf_counter() - began)
            steps.close()
            began = time.perf_counter()
            connection.sendall(asked)
            heard = connection.recv(65536)
            while b'"text"' not in heard:
                heard += connection.recv(65536)
            api.append(time.perf_counter() - began)
            while not heard.endswith(END):
                heard += connection.recv(65536)
    own = statistics.median(engine[20:])
    added = sorted(1000 * (seconds - own) for seconds in api[20:])
    return {"engine_ms": round(1000 * own, 3), "added_p50_ms": round(percentile(added, 50), 3),
            "added_p99_ms": round(percentile(added, 99), 3), "requests": times}


def percentile(sorted_values: list[float], percent: float) -> float:
    return sorted_values[min(len(sorted_values) - 1, int(percent / 100 * len(sorted_values)))]


# ---- b: many streams


def share_of_engine(rounds: int) -> Run:
    """The engine by itself and the server, in turn."""
    pairs = []
    with served() as server:
        for _ in range(rounds):
            own = process("benchmarks", "serving", "--only-engine", server.folder).json()["value"]
            found = told(server.load("streams", STREAMS, 0, max_tokens=LONG))
            api = sum(found["tokens"]) / found["seconds"]
            assert not found["errors"]
            assert found["tokens"] == [LONG] * STREAMS
            pairs.append((own, api))
            print(f"b: engine {own:,.0f}, server {api:,.0f} tokens/s", file=sys.stderr, flush=True)
    return {"engine_tokens_per_second": round(statistics.median(own for own, _ in pairs)),
            "tokens_per_second": round(statistics.median(api for _, api in pairs)),
            "share": round(statistics.median(api / own for own, api in pairs), 4),
            "shares": [round(api / own, 4) for own, api in pairs]}


def engine_alone(folder: str) -> float:
    """Tokens a second of 32 texts that are written together, 64 steps a call, without anything around them; a first
    round does not count."""
    import numpy as np

    import tinylm

    lm = tinylm.load(folder)
    bias = np.zeros(lm.tokenizer.vocab_size, np.float32)
    bias[lm.tokenizer.eos_id] = -np.inf
    for tokens in (50, LONG):
        batch = lm.batch()
        config = lm.sample_config(max_tokens=tokens)
        texts = [batch.add(lm.tokenizer.encode_prompt(PROMPT), config, seed=1, bias=bias) for _ in range(STREAMS)]
        began = time.perf_counter()
        while batch.running:
            batch.run(64)
        seconds = time.perf_counter() - began
    return sum(len(text.new) for text in texts) / seconds


# ---- c: a minute of load


def load(seconds: float) -> Run:
    with served() as server:
        told(server.load("streams", STREAMS, 3, max_tokens=300))
        before = server.memory()
        found = told(server.load("streams", STREAMS, seconds, max_tokens=300))
        time.sleep(1)
        after = server.memory()
    return {"streams": STREAMS, "seconds": round(found["seconds"], 1), "errors": len(found["errors"]),
            "requests": found["requests"], "tokens_per_second": round(sum(found["tokens"]) / found["seconds"]),
            "memory_before": before, "memory_after": after, "memory_share": round(after / before, 4),
            "fairness": round(max(found["tokens"]) / max(1, min(found["tokens"])), 3)}


# ---- d: what the page of the API says


MAY_BE_REFUSED = """
[[operations]]
include-operation-id = "createChatCompletion"
checks.positive_data_acceptance.expected-statuses = ["2xx", "400", "404", "429"]
"""
"""schemathesis's settings. No JSON schema says that messages take turns, nor how many tokens a model sees: what the
schema allows may be refused for either."""


def conformity(url: str, examples: int, *, phases: str = "examples,coverage,fuzzing,stateful") -> Run:
    """schemathesis in a process of its own: the cases that it tried, and those that failed."""
    with tempfile.TemporaryDirectory() as place:
        report = Path(place, "report.json")
        Path(place, "schemathesis.toml").write_text(MAY_BE_REFUSED)
        done = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json", "--mode", "all", "--checks", "all",
             "--max-examples", str(examples), "--phases", phases, "--generation-allow-x00", "true",
             "--generation-deterministic", "--no-color", "--continue-on-failure",
             "--report-json-path", str(report)],
            cwd=place, capture_output=True, text=True, check=False, errors="replace")
    return {"code": done.returncode, "failures": int(done.returncode != 0), "examples": examples,
            "said": done.stdout[-8000:] + done.stderr[-2000:]}


def conforms(examples: int) -> Run:
    with served("--max-tokens", "50", vocabulary=BYTES) as server:
        found = conformity(server.url, examples)
    print(found.pop("said"), file=sys.stderr)
    return found


# ---- e: slow clients


def beside_slow_clients(count: int, seconds: float) -> Run:
    with served() as server:
        client = server.load("slow", count, seconds, max_tokens=200)
        taken = []
        while client.poll() is None:
            began = time.perf_counter()
            told_of = ask(server, server.body(max_tokens=20, stream=False, stream_options=None))
            taken.append(time.perf_counter() - began)
            assert told_of["usage"]["completion_tokens"] == 20
            time.sleep(0.1)
        hung_up_on = told(client)["hung_up_on"]
    taken.sort()
    return {"slow": count, "seconds": seconds, "requests": len(taken), "p50_seconds": round(percentile(taken, 50), 4),
            "p95_seconds": round(percentile(taken, 95), 4), "most_seconds": round(taken[-1], 4),
            "hung_up_on": hung_up_on}


def ask(server: Server, body: str) -> Any:
    with closing(http.client.HTTPConnection(server.host, server.port, timeout=60)) as connection:
        connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        assert response.status == 200, response.read()
        return json.loads(response.read())


# ---- f: disconnects


def disconnects(times: int) -> Run:
    from benchmarks.load import request

    chance, taken = random.Random(1), []
    with served("--max-tokens", "1000000") as server:
        asked = request(server.host, server.port, server.body(max_tokens=1_000_000))
        for _ in range(times):
            with closing(socket.create_connection((server.host, server.port), timeout=60)) as connection:
                connection.sendall(asked)
                for _ in range(chance.randint(1, 100)):
                    connection.recv(4096)
                assert server.running() == 1
            began = time.perf_counter()
            while server.running():
                time.sleep(0.001)
            taken.append(1000 * (time.perf_counter() - began))
    taken.sort()
    return {"disconnects": times, "p50_ms": round(percentile(taken, 50), 1), "most_ms": round(taken[-1], 1)}


# ---- all of it


class Part(NamedTuple):
    """What is asked of a part, in words and as a question to what it found."""

    measure: Callable[[argparse.Namespace], Run]
    reach: str
    found: str
    is_reached: Callable[[Run], bool]


PARTS = {
    "a": Part(lambda given: first_token(given.requests), "3 ms and 10 ms more",
              "{added_p50_ms} ms and {added_p99_ms} ms more",
              lambda run: run["added_p50_ms"] <= 3 and run["added_p99_ms"] <= 10),
    "b": Part(lambda given: share_of_engine(given.rounds), "70%",
              "{share:.0%} of {engine_tokens_per_second:,} tokens/s",
              lambda run: run["share"] >= 0.7),
    "c": Part(lambda given: load(given.seconds), "0 errors, memory within 10%, fairness 3",
              "{errors} errors, memory {memory_share:.1%}, fairness {fairness}",
              lambda run: not run["errors"] and abs(run["memory_share"] - 1) <= 0.1 and run["fairness"] <= 3),
    "d": Part(lambda given: conforms(given.examples), "0 failures", "{failures} failures",
              lambda run: not run["failures"]),
    "e": Part(lambda given: beside_slow_clients(200, given.slow_seconds), "p95 below 1 s", "p95 {p95_seconds} s",
              lambda run: run["p95_seconds"] < 1),
    "f": Part(lambda given: disconnects(given.disconnects), "200 ms", "{most_ms} ms at most",
              lambda run: run["most_ms"] <= 200),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("parts", nargs="*", metavar="PART", help="a, b, c, d, e, f (default: all)")
    parser.add_argument("--requests", type=at_least_one, default=300, help="of a (default: %(default)s)")
    parser.add_argument("--rounds", type=at_least_one, default=3, help="of b (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=60, help="of c (default: %(default)s)")
    parser.add_argument("--examples", type=at_least_one, default=100, help="of d, an operation (default: %(default)s)")
    parser.add_argument("--slow-seconds", type=float, default=30, help="of e (default: %(default)s)")
    parser.add_argument("--disconnects", type=at_least_one, default=50, help="of f (default: %(default)s)")
    parser.add_argument("--only-engine", metavar="FOLDER", help="the engine's own speed, in this process")


def run(arguments: argparse.Namespace) -> int:
    if arguments.only_engine:
        print(json.dumps({"value": engine_alone(arguments.only_engine)}))
        return 0
    found = {}
    for name in arguments.parts or PARTS:
        if name not in PARTS:
            print(f"There is no part {name!r}. There are: {', '.join(PARTS)}", file=sys.stderr)
            return 2
        found[name] = PARTS[name].measure(arguments)
        print(f"{name}: {json.dumps(found[name])}", file=sys.stderr, flush=True)
    missed = [name for name, each in found.items() if not PARTS[name].is_reached(each)]
    print(f"{'part':<6}{'reach':<42}{'found':<56}")
    for name, each in found.items():
        print(f"S-{name:<4}{PARTS[name].reach:<42}{PARTS[name].found.format(**each)}{' (missed)' * (name in missed)}")
    print(json.dumps({"benchmark": "serving", "parts": found, "missed": missed}))
    return int(bool(missed))
