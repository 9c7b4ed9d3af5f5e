"""A prompt that stays open, in a terminal of its own: what it shows, how it is changed, how it is stopped and left."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

import tinylm as package

from .terminal import PROMPT, Terminal


@pytest.fixture(scope="module", autouse=True)
def _engine_is_compiled(hello: Path) -> None:
    """It is said when that happens, once on a machine: not in the midst of what these tests read."""
    package.load(hello).generate("how", max_tokens=2)


def test_it_writes_on_and_says_what_it_is(chat: Callable[..., Terminal], hello: Path) -> None:
    terminal = chat(hello, "--greedy")
    assert "does not answer: it writes on" in terminal.until(PROMPT)
    shown = terminal.ask("hello , how is")
    assert shown == "your day ?\n(end of text: the next line begins another one)"
    assert terminal.ask("how are").startswith("you ?")
    assert "/reset" in terminal.ask("/help")
    terminal.type("\x04")
    assert terminal.process.wait(timeout=30) == 0


def test_it_goes_on_from_all_that_was_written(chat: Callable[..., Terminal], hello: Path) -> None:
    terminal = chat(hello, "--greedy", "--max-tokens", 1)
    terminal.until(PROMPT)
    lm = package.load(hello)
    so_far = "hello , how"
    first = terminal.ask(so_far)
    assert first == lm.generate(so_far, greedy=True, max_tokens=1)
    assert terminal.ask("") == lm.generate(f"{so_far} {first}", greedy=True, max_tokens=1)
    assert "forgotten" in terminal.ask("/reset")
    assert terminal.ask("how") == lm.generate("how", greedy=True, max_tokens=1)


def test_settings_are_shown_and_changed(chat: Callable[..., Terminal], hello: Path) -> None:
    terminal = chat(hello, "--greedy")
    terminal.until(PROMPT)
    shown = terminal.ask("/settings")
    assert re.search(r"temperature +0.8\n", shown)
    assert re.search(r"greedy +true\n", shown)
    assert "temperature  0.7" in terminal.ask("/temperature 0.7")
    assert "greedy  false" in terminal.ask("/greedy")
    assert "max_tokens  2" in terminal.ask("/max-tokens 2")
    assert 'stop  ["day"]' in terminal.ask("/stop day")
    assert "greedy  true" in terminal.ask("/greedy true")
    assert terminal.ask("how is") == "your "
    assert "Did you mean 'temperature'?" in terminal.ask("/temprature 1")
    assert "sample.temperature" in terminal.ask("/temperature warm")
    assert "temperature  0.7" in terminal.ask("/temperature")


def test_what_can_be_mended_leaves_the_prompt_open(chat: Callable[..., Terminal], hello: Path) -> None:
    terminal = chat(hello, "--greedy")
    terminal.until(PROMPT)
    assert "'Ben' (word 3)" in terminal.ask("I am Ben")
    assert "not in the vocabulary: '/Ben'" in terminal.ask("//Ben")
    assert terminal.ask("hello , how is").startswith("your day ?")


def test_ctrl_c_stops_the_text_and_not_the_program(chat: Callable[..., Terminal], book_run: Path) -> None:
    terminal = chat(book_run, "--max-tokens", 10_000_000, "--banned-tokens", "#2", "--seed", 1)
    terminal.until(PROMPT)
    terminal.type("The ")
    terminal.until("The ")
    terminal.interrupt()  # a line that is not wanted after all
    terminal.type("The \n")
    terminal.until("The \n")
    begun = ""
    while len(begun) < 200:
        begun += terminal.until("e") + "e"
    terminal.interrupt()
    assert terminal.process.poll() is None
    terminal.ask("/max_tokens 5")
    shown = terminal.ask("").split("\n")
    assert len(shown[0]) == 5
    assert shown[1] == "(it sees 32 tokens at once, and has begun to forget the first)"
    terminal.type("/quit\n")
    assert terminal.process.wait(timeout=30) == 0


def test_earlier_lines_come_back(chat: Callable[..., Terminal], hello: Path) -> None:
    pytest.importorskip("readline", reason="this Python edits no lines")
    terminal = chat(hello, "--greedy")
    terminal.until(PROMPT)
    terminal.ask("hello , how is")
    terminal.type("\x1b[A\n")
    assert "your day ?" in terminal.until(PROMPT)


def test_what_drives_a_terminal_is_not_printed(chat: Callable[..., Terminal], book_run: Path, tmp_path: Path) -> None:
    """A tokenizer that has an escape in place of the letter e."""
    folder = shutil.copytree(book_run, tmp_path / "model")
    file = folder / "tokenizer.json"
    file.write_text(file.read_text().replace('"e":', r'"\u001b":'))
    terminal = chat(folder, "--seed", 0, "--max-tokens", 60)
    terminal.until(PROMPT)
    assert "\ufffd" in terminal.ask("Th")


def test_sigterm_ends_it(chat: Callable[..., Terminal], hello: Path) -> None:
    terminal = chat(hello)
    terminal.until(PROMPT)
    for _ in range(10):  # as with Ctrl-C
        terminal.process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            terminal.process.wait(timeout=5)
            break
    assert terminal.process.returncode == 130


def test_lines_may_come_from_a_pipe(hello: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "tinylm", "chat", hello, "--greedy"], input="hello , how is\n/quit\n",
                          capture_output=True, text=True, check=True, timeout=100)
    assert done.stdout.splitlines()[1:] == ["your day ?"]
    assert done.stderr == "(end of text: the next line begins another one)\n"


def test_a_setting_that_cannot_be_is_said_at_once(hello: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "tinylm", "chat", hello, "--temperature", "-1"], capture_output=True,
                          text=True, check=False, timeout=100, stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    assert "sample.temperature" in done.stderr
