"""Counters and histograms of a server, in the text format that Prometheus reads."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from tinylm.serving.model_registry import ModelRegistry

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Histogram:
    """Durations in seconds, counted by upper bounds."""

    def __init__(self) -> None:
        self._counts, self._sum = [0] * (len(BUCKETS) + 1), 0.0

    def observe(self, seconds: float) -> None:
        self._counts[bisect_left(BUCKETS, seconds)] += 1
        self._sum += seconds

    def samples(self, name: str) -> Iterator[str]:
        total = 0
        for most, count in zip((*BUCKETS, "+Inf"), self._counts, strict=True):
            total += count
            yield f'{name}_bucket{{le="{most}"}} {total}'
        yield f"{name}_sum {self._sum:.6f}"
        yield f"{name}_count {total}"


class Metrics:
    """The counts of a server, by method, route, status and model."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.prompt_tokens: Counter[str] = Counter()
        self.completion_tokens: Counter[str] = Counter()
        self.first_token, self.duration = Histogram(), Histogram()

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Counts a request that has ended.

        Args:
            route: the path of a route, never one that a client has sent.
        """
        self.requests[method, route, status] += 1
        self.duration.observe(seconds)

    def text(self, registry: ModelRegistry, connections: int) -> str:
        loaded = registry.loaded()
        lines = [
            *_family("tinylm_requests_total", "counter", "Requests that have been answered.", (
                (dict(zip(("method", "route", "status"), key, strict=True)), count)
                for key, count in sorted(self.requests.items()))),
            *_family("tinylm_prompt_tokens_total", "counter", "Tokens of prompts.", _by_model(self.prompt_tokens)),
            *_family("tinylm_completion_tokens_total", "counter", "Tokens written for requests that are answered.",
                     _by_model(self.completion_tokens)),
            *_family("tinylm_running", "gauge", "Texts that are being written.",
                     (({"model": served.id}, served.scheduler.running) for served in loaded)),
            *_family("tinylm_waiting", "gauge", "Texts that wait for a place.",
                     (({"model": served.id}, served.scheduler.waiting) for served in loaded)),
            *_family("tinylm_connections", "gauge", "Open connections.", (({}, connections),)),
            *_head("tinylm_time_to_first_token_seconds", "histogram", "From a request to its first token."),
            *self.first_token.samples("tinylm_time_to_first_token_seconds"),
            *_head("tinylm_request_seconds", "histogram", "From a request to its last byte."),
            *self.duration.samples("tinylm_request_seconds"),
        ]
        return "\n".join(lines) + "\n"


def _by_model(counts: Counter[str]) -> Iterator[tuple[dict[str, str], int]]:
    return (({"model": id}, count) for id, count in sorted(counts.items()))


def _head(name: str, kind: str, about: str) -> tuple[str, str]:
    return f"# HELP {name} {about}", f"# TYPE {name} {kind}"


def _family(name: str, kind: str, about: str,
            samples: Iterable[tuple[Mapping[str, object], int]]) -> Iterator[str]:
    yield from _head(name, kind, about)
    for labels, value in samples:
        inside = ",".join(f'{label}="{_escaped(str(of))}"' for label, of in labels.items())
        yield f"{name}{{{inside}}} {value}" if inside else f"{name} {value}"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r'\"').replace("\n", r"\n")
