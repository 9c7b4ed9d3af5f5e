"""A server that is asked to stop finishes what it can, ends streams cleanly, and is gone."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from .server import BIAS, Server, events_of, read_until, text_of, unchunked

LONG = 1_000_000


def rest_of(connection: socket.socket) -> bytes:
    heard = b""
    while some := connection.recv(65536):
        heard += some
    return heard


def stop_in_midstream(server: Server, connection: socket.socket) -> bytes:
    """The server is asked to stop while it writes a text that has no end in sight. Returns what was heard so far."""
    connection.sendall(server.request(server.fields(max_tokens=LONG, stream=True, logit_bias=BIAS)))
    heard = read_until(connection, b"data: ")
    server.process.send_signal(signal.SIGTERM)
    return heard


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.needs_posix
def test_an_idle_one_is_gone_at_once(characters: Path, number: signal.Signals) -> None:
    with Server(characters) as server:
        server.is_well()
        began = time.monotonic()
        assert server.stop(number) in (0, 130)
        assert time.monotonic() - began < 5
        assert "Traceback" not in server.log


@pytest.mark.needs_posix
def test_a_stream_that_can_end_in_time_does(characters: Path) -> None:
    with Server(characters) as server:
        asked = {"max_tokens": 4000, "seed": 1, "logit_bias": BIAS}
        expected = text_of(server.stream(**asked))
        with server.open() as connection:
            connection.sendall(server.request(server.fields(stream=True, **asked)))
            heard = read_until(connection, b"data: ")
            server.process.send_signal(signal.SIGTERM)
            heard += rest_of(connection)
        assert text_of(events_of(unchunked(heard))) == expected
        assert server.process.wait(30) in (0, 130)
        assert "Traceback" not in server.log


@pytest.mark.needs_posix
def test_one_that_cannot_is_ended_with_a_word(characters: Path) -> None:
    """After the grace: an error as the last event, and a whole body."""
    with Server(characters, "--max-tokens", LONG, "--grace", 0.5) as server, server.open() as connection:
        heard = stop_in_midstream(server, connection)
        heard += rest_of(connection)
        body = unchunked(heard).decode()
        assert body.endswith("\n\n")
        last = json.loads(body.split("\n\n")[-2].removeprefix("data: "))
        assert "error" in last or last["choices"][0]["finish_reason"]
        assert server.process.wait(30) in (0, 130)
        assert "Traceback" not in server.log


@pytest.mark.needs_posix
def test_a_whole_answer_that_cannot_come_is_a_503(characters: Path) -> None:
    with Server(characters, "--max-tokens", LONG, "--grace", 0.5) as server, server.open() as connection:
        connection.sendall(server.request(server.fields(max_tokens=LONG, logit_bias=BIAS)))
        time.sleep(0.1)
        server.process.send_signal(signal.SIGTERM)
        heard = rest_of(connection)
        assert heard.split(b" ")[1] == b"503", heard
        assert server.process.wait(30) in (0, 130)
        assert "Traceback" not in server.log


@pytest.mark.needs_posix
def test_nobody_new_is_let_in(characters: Path) -> None:
    with Server(characters, "--max-tokens", LONG, "--grace", 3) as server, server.open() as connection:
        stop_in_midstream(server, connection)
        time.sleep(0.5)
        with pytest.raises(OSError):  # noqa: PT011  (refused, reset or hung up on)
            server.ask("/v1/models", seconds=1)


@pytest.mark.needs_posix
def test_a_second_signal_does_not_wait(characters: Path) -> None:
    with Server(characters, "--max-tokens", LONG, "--grace", 100) as server, server.open() as connection:
        stop_in_midstream(server, connection)
        time.sleep(0.3)
        assert server.process.poll() is None
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(10)
        assert "Traceback" not in server.log


def test_a_port_that_is_taken_is_told_in_a_sentence(server: Server, characters: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "tinylm", "serve", characters, "--port",
                           str(server.port)], capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("tinylm: ")
    assert "--port" in done.stderr


@pytest.mark.parametrize("folder", ["no-such-folder", "."])
def test_so_is_a_folder_without_a_model(tmp_path: Path, folder: str) -> None:
    done = subprocess.run([sys.executable, "-m", "tinylm", "serve",
                           tmp_path / folder], capture_output=True, text=True, timeout=60,
                          check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("tinylm: ")
    assert "Traceback" not in done.stderr


def test_ready_is_said_to_people_too(characters: Path) -> None:
    with subprocess.Popen([sys.executable, "-u", "-m", "tinylm", "serve", characters, "--port",
                           "0"], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        said = next(line for line in process.stdout if "http://127.0.0.1:" in line)
        assert said
        process.terminate()
        process.communicate(timeout=30)
    assert process.returncode in (0, 130)
