"""The counts add up, in the format that Prometheus reads."""

from __future__ import annotations

import re
from pathlib import Path

from .server import BIAS, Server

SAMPLE = re.compile(r'^([a-z_]+)(\{[a-z]+="[^"\n]*"(?:,[a-z]+="[^"\n]*")*\})? (\d+(?:\.\d+)?)$')


def test_they_count_requests_and_tokens(runs: Path) -> None:
    with Server(runs) as server:
        server.complete("abc", max_tokens=5, n=2, logit_bias=BIAS)
        server.stream("ab", max_tokens=7, logit_bias=BIAS)
        server.ask("/v1/completions", server.fields(n=-1))
        server.ask("/no/such/path")
        server.ask("/no/such/path/either")
        server.whole_log()  # so all of them have been counted
        text = server.ask("/metrics").body.decode()
    assert 'tinylm_prompt_tokens_total{model="characters"} 5\n' in text
    assert 'tinylm_completion_tokens_total{model="characters"} 17\n' in text
    assert 'tinylm_requests_total{method="POST",route="/v1/completions",status="200"} 2\n' in text
    assert 'tinylm_requests_total{method="POST",route="/v1/completions",status="400"} 1\n' in text
    assert 'tinylm_requests_total{method="GET",route="unknown",status="404"} 3\n' in text
    assert "tinylm_time_to_first_token_seconds_count 1\n" in text
    assert "/no/such" not in text


def test_each_line_can_be_read(server: Server) -> None:
    server.complete(max_tokens=3)
    reply = server.ask("/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
    typed: dict[str, str] = {}
    buckets: dict[str, list[float]] = {}
    for line in reply.body.decode().splitlines():
        if line.startswith("# TYPE "):
            name, kind = line.split()[2:]
            typed[name] = kind
        elif not line.startswith("# HELP "):
            found = SAMPLE.match(line)
            assert found, line
            name = re.sub("_(bucket|sum|count)$", "", found[1])
            assert name in typed, line
            if found[1].endswith("_bucket"):
                buckets.setdefault(name, []).append(float(found[3]))
    assert {"counter", "gauge", "histogram"} == {*typed.values()}
    assert all(counts == sorted(counts) for counts in buckets.values())


def test_names_of_clients_are_no_labels(server: Server) -> None:
    """Else whoever asks for a million paths, models or methods would fill the memory."""
    for number in range(50):
        server.ask(f"/x{number}")
        server.ask("/v1/completions", server.fields(model=f"model-{number}"))
        server.ask("/v1/models", method=f"METHOD{number}")
    text = server.ask("/metrics").body.decode()
    assert not re.findall(r"/x\d|model-\d|METHOD\d", text)
