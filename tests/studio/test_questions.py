"""Questions to a model: the answers are those of the commands, one after another, and nobody is waited for in vain."""

from __future__ import annotations

import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import tinylm
from tests.serving.server import read_until, until
from tests.studio.conftest import Application
from tests.studio.studio import Studio
from tinylm.cli import main
from tinylm.reports.explain_options import ExplainOptions
from tinylm.studio.request_schemas import ExplainRequest


def command(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """What `tinylm explain ... --json` prints."""
    assert main(["explain", *words, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("options", [
    {}, {"head": "1.0", "token": "day", "against": "#5"}, {"off": "0.1, 1.mlp", "show": "change,tokens"},
    {"off": "0", "mean": True}, {"patch": "hello , how is", "at": "1.mlp"}, {"patch": "hello , how is"},
    {"step": True, "show": "step"}, {"show": "parts,neighbours", "top": 2, "position": 1}], ids=str)
def test_an_explanation_is_that_of_the_command(application: Application, capsys: pytest.CaptureFixture[str],
                                               options: dict[str, Any]) -> None:
    words = [word for name, value in options.items()
             for word in ([f"--{name}"] if value is True else [f"--{name}", str(value)])]
    said = command(capsys, str(application.folder / "hello"), "hello , how are", *words)
    found = application.ask("/api/models/hello/explain", {"text": "hello , how are", **options}).json
    assert found.pop("notes") == []
    assert found == said


def test_ids_are_explained_as_their_text(application: Application) -> None:
    by_text = application.ask("/api/models/hello/explain", {"text": "how are"}).json
    by_ids = application.ask("/api/models/hello/explain", {"ids": by_text["ids"]}).json
    assert by_ids["tokens"] == by_text["tokens"]


def test_every_option_is_a_field() -> None:
    assert set(ExplainRequest.model_fields) == {"text", "ids", *ExplainOptions.__dataclass_fields__}


def test_copied_stretches_have_their_line(application: Application, book: Path) -> None:
    line = next(line for line in book.read_text(encoding="utf-8").splitlines()[40:] if len(line.split()) > 10)
    text = f"Nobody ever wrote this here. {line.strip()} Nor did anybody write this."
    span, = application.ask("/api/models/book/copied", {"text": text}).json["spans"]
    assert text[span["start"]:span["end"]].startswith(line.strip()[:20])
    assert span["source"] == "book.txt"
    assert book.read_text(encoding="utf-8").splitlines()[span["line"] - 1].strip() == span["text"]
    assert application.ask("/api/models/book/copied", {"text": ""}).json == {"spans": []}


def test_a_text_that_has_moved_is_an_error_that_names_it(application: Application, tmp_path: Path) -> None:
    config = application.folder / "book" / "config.json"
    values = json.loads(config.read_text())
    values["data"]["source"] = str(tmp_path / "gone.txt")
    config.write_text(json.dumps(values))
    reply = application.ask("/api/models/book/copied", {"text": "a"})
    assert reply.status == 400
    assert "gone.txt" in reply.json["error"]["message"]
    assert "--" not in reply.json["error"]["message"]


# ---- writing


def lines(body: bytes) -> list[Any]:
    return [json.loads(line) for line in body.splitlines()]


def test_what_is_written_is_what_python_writes(studio: Studio) -> None:
    lm = tinylm.load(studio.folder / "book")
    for seed, settings in enumerate([{"max_tokens": 40}, {"max_tokens": 30, "temperature": 0.5}, {"greedy": True},
                                     {"max_tokens": 25, "top_k": 5, "stop": ["e"]}, {"max_tokens": 0}]):
        reply = studio.ask("/api/models/book/write", {"prompt": "The ", "settings": settings, "seed": seed})
        assert reply.headers["content-type"].startswith("application/x-ndjson")
        *pieces, end = lines(reply.body)
        whole = lm.complete("The ", seed=seed, logprobs=5, **settings)
        assert "".join(piece["text"] for piece in pieces) == whole.text
        assert [id for piece in pieces for id in piece["ids"]] == whole.ids
        assert end == {"stopped_by": "length" if whole.stopped_by == "length" else "stop"}
        probabilities = [each for piece in pieces for each in piece["probabilities"]]
        assert all(0 < each <= 1 for each in probabilities)
        assert len(probabilities) == len(whole.ids)
        assert all(len(best) == 5 for piece in pieces for best in piece["next"])


@pytest.mark.parametrize("body", [{"settings": {"max_tokens": 5000}}, {"settings": {"self": 1}},
                                  {"settings": {"temperature": "x"}}, {"settings": {"samples": 2}}, {"ids": [5000]},
                                  {"prompt": "\x00"}, {"seed": -1}], ids=str)
def test_what_cannot_be_written_is_refused_before_a_word(studio: Studio, body: dict[str, Any]) -> None:
    reply = studio.ask("/api/models/book/write", body)
    assert reply.status == 400, reply
    assert reply.error["message"]


def test_a_client_that_leaves_ends_its_text(studio: Studio) -> None:
    body = json.dumps({"settings": {"max_tokens": 4000, "logit_bias": {"#2": -100}}}).encode()
    head = (f"POST /api/models/book/write HTTP/1.1\r\nHost: 127.0.0.1:{studio.port}\r\nContent-Length: {len(body)}\r\n"
            f"Content-Type: application/json\r\nAuthorization: Bearer {studio.key}\r\n\r\n")
    with socket.create_connection(("127.0.0.1", studio.port), timeout=60) as connection:
        connection.sendall(head.encode() + body)
        assert b'"ids"' in read_until(connection, b'"ids"')
    until(lambda: busy(studio) < 0.02, seconds=30)
    assert studio.is_well()


def busy(studio: Studio) -> float:
    """Seconds of computing in a tenth of a second."""
    before = studio.cpu_seconds()
    time.sleep(0.1)
    return studio.cpu_seconds() - before


def test_a_model_is_asked_one_question_at_a_time(studio: Studio) -> None:
    """Parts that one question switches off are on in every other."""
    plain = studio.get("/api/models/hello/explain", {"text": "hello , how are", "show": "tokens"})["tokens"]
    different: list[Any] = []

    def ask(off: str | None) -> None:
        for _ in range(5):
            found = studio.ask("/api/models/hello/explain", {"text": "hello , how are", "show": "tokens", "off": off})
            if found.status == 200 and off is None and found.json["tokens"] != plain:
                different.append(found.json)

    threads = [threading.Thread(target=ask, args=(off,)) for off in (None, "attn", None, "mlp")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not different
    assert studio.is_well()
