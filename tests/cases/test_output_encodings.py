"""No encoding of the output ends a command, and none loses a run: every command, under each, on files of many names."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import tinylm as package
from tests.cases import recipes
from tests.cases.conftest import Speaking
from tests.cli.conftest import Said
from tinylm.cli import COMMANDS, main
from tinylm.system.standard_streams import TolerantStream, encodable, to_ascii, tolerant_console

NAMES = {"brackets": "[v2] [red]", "spaces": "my own book", "quotes": "it's \"mine\"", "dash": "-x",
         "non-ASCII": "книга é 的"}
ENCODINGS = ("cp1252", "ascii", "latin-1", "utf-8")
OTHERS = ("cp437", "cp932", "koi8-r", "utf-16", "utf-8-sig", "cp037")
EPOCHS = ("--preset", "notebook", "--epochs", "1")
WORDS = "“how” are — you …\n的 день é ↵ → ✓\nhow █ is │ it\n" * 20
"""What none of the small encodings has, in the text and so in the tables and samples of its model."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text and a model under each of the names."""
    folder = tmp_path_factory.mktemp("encodings")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("tinylm.runs.prepare.COUNTED_PROBE_SECONDS", 0.02)
        for name in NAMES.values():
            text = folder / "texts" / f"{name}.txt"
            text.parent.mkdir(exist_ok=True)
            text.write_text(WORDS, encoding="utf-8")
            assert main(["train", str(text), *EPOCHS, "--out", str(folder / "runs" / name), "--json"]) == 0
    return folder


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tinylm.runs.prepare.COUNTED_PROBE_SECONDS", 0.02)
    monkeypatch.chdir(tmp_path)


def command(models: Path, name: str, words: str) -> list[object]:
    """The words of a command on the text and the model of this name."""
    known: dict[str, object] = {"RUN": models / "runs" / name, "TEXT": models / "texts" / f"{name}.txt", "NAME": name,
                                "PROMPT": "“how” are"}
    return [known.get(word, word) for word in words.split()]


ASKED = (
    "generate RUN PROMPT --seed 1", "predict RUN PROMPT --top 99", "tokenize RUN PROMPT", "inspect RUN",
    "report RUN --out page", "evaluate RUN", "evaluate RUN TEXT", "plan TEXT --preset notebook --epochs 1",
)
"""Commands that print answers: each as JSON, too."""
REFUSED = (
    "generate RUN --tempratur 1", "predict RUN NAME-的", "train NAME.txt-的", "plan NAME", "serve NAME", "chat NAME-é",
    "evaluate RUN NAME", "train TEXT --set data.text_field", "predict RUN --file NAME", "NAME", "tokenize RUN -é",
)


@pytest.mark.parametrize("words", ASKED)
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_every_answer_in_every_encoding(speaking: Speaking, models: Path, name: str, words: str) -> None:
    asked = command(models, name, words)
    plain, as_json = speaking("utf-8", *asked), _lasting(speaking("utf-8", *asked, "--json").json)
    assert plain.code == 0, plain.err
    for encoding in ENCODINGS[:-1]:
        said = speaking(encoding, *asked)
        assert said.code == 0, said.err
        assert said.out.count("\n") == plain.out.count("\n")
        if "plan" not in words:
            assert said.out == encodable(plain.out, encoding)
        told = speaking(encoding, *asked, "--json")
        assert told.out.isascii()
        assert _lasting(told.json) == as_json


def _lasting(answer: Any) -> Any:
    """An answer without what is measured anew each time."""
    return {name: value for name, value in answer.items() if name not in ("forecast", "notes", "sentences")}


@pytest.mark.parametrize("words", REFUSED)
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_every_mistake_in_every_encoding(speaking: Speaking, models: Path, name: str, words: str) -> None:
    for encoding in ENCODINGS:
        said = speaking(encoding, *command(models, name, words))
        assert (said.code, said.out, said.err.count("\n")) == (2, "", 1), said
        assert said.err.startswith("tinylm: ")


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_run_and_a_chat_in_every_encoding(speaking: Speaking, models: Path, name: str, encoding: str) -> None:
    text = models / "texts" / f"{name}.txt"
    said = speaking(encoding, "train", text, *EPOCHS, "--out", "run")
    assert (said.code, said.err) == (0, "")
    assert "Now try:" in said.out
    assert encodable(name, encoding) in said.out
    files = [folder / file for folder in (Path("run"), models / "runs" / name)
             for file in ("model.safetensors", "tokenizer.json", "metrics.jsonl", "samples.jsonl")]
    written = [file.read_bytes() for file in files]
    assert written[:4] == written[4:], "what is written is the same in every encoding"
    assert speaking(encoding, "train", "--resume", "--out", "run", "--epochs", 2, "--json").json["step"] == 2
    chatted = speaking(encoding, "chat", "run", stdin="“how” are\n/settings\n/set\n/stop é\n/quit\n".encode())
    assert chatted.code == 0
    assert "max_tokens" in chatted.out
    assert "there is no /set" in chatted.err


@pytest.mark.parametrize("encoding", [*ENCODINGS, *OTHERS])
def test_help_and_version_in_every_encoding(speaking: Speaking, encoding: str) -> None:
    for words in (["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)):
        said = speaking(encoding, *words)
        assert (said.code, said.err) == (0, "")
        assert "tinylm" in said.out


@pytest.mark.parametrize("encoding", OTHERS)
def test_odd_encodings(speaking: Speaking, models: Path, encoding: str) -> None:
    run = models / "runs" / NAMES["non-ASCII"]
    for words in (("inspect", run), ("predict", run, "“how”"), ("generate", run, "--seed", 1), ("tokenize", run, "é")):
        said = speaking(encoding, *words)
        assert said.code == 0, said.err
        assert said.out.lstrip("\ufeff") == encodable(speaking("utf-8", *words).out, encoding).lstrip("\ufeff")
    plain = speaking("utf-8", "predict", run, "“how”", "--json").out
    told = speaking(encoding, "predict", run, "“how”", "--json").out
    assert json.loads(told.lstrip("\ufeff")) == json.loads(plain)


@pytest.fixture(scope="module")
def demo() -> str:
    """The demo as it is printed in UTF-8."""
    done = elsewhere("demo", PYTHONIOENCODING="utf-8", COLUMNS="80")
    assert (done.returncode, done.stderr) == (0, b"")
    return done.stdout.decode("utf-8")


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_demo_in_every_encoding(speaking: Speaking, monkeypatch: pytest.MonkeyPatch, demo: str,
                                    encoding: str) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = speaking(encoding, "demo")
    assert (said.code, said.err) == (0, "")
    assert said.out == encodable(demo, encoding)
    if encoding == "ascii":
        assert "    | hello , how are you ?" in said.out
        assert "#####" in said.out
        assert " -> " in said.out
        assert " v\n" in said.out


def test_marks_are_drawn() -> None:
    assert to_ascii("├── █▌ │ └─ … ↵ → ✓ ✗ × – — “a” ‘b’ « »") == '|-- ## | +- ... / -> v x x - - "a" \'b\' << >>'
    assert to_ascii("é 的 \udce9") == "? ? ?"
    assert encodable("é – 的", "cp1252") == "é – ?"
    assert encodable("é – 的", "latin-1") == "é - ?"
    assert encodable("caf\udce9", "utf-8") == "caf?"
    assert encodable("é", "no such encoding") == "é"


# ---- in processes of their own, where the interpreter's encoding counts


def elsewhere(*arguments: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([sys.executable, "-m", "tinylm", *map(str, arguments)], capture_output=True, check=False,
                          timeout=100, env={**os.environ, "OMP_NUM_THREADS": "1", **environment})


@pytest.mark.parametrize("environment", [
    {"PYTHONIOENCODING": "cp1252"}, {"PYTHONIOENCODING": "ascii:strict"}, {"PYTHONIOENCODING": "latin-1:strict"},
    {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"}, {"LC_ALL": "POSIX"}, {"PYTHONIOENCODING": "utf-16"},
], ids=["case_07", "ascii, strict", "latin-1, strict", "the locale C without UTF-8", "POSIX", "utf-16"])
def test_tables_and_names_in_a_process(models: Path, environment: dict[str, str]) -> None:
    run = models / "runs" / NAMES["non-ASCII"]
    for words in (("inspect", run), ("tokenize", run, "день é")):
        done = elsewhere(*words, **environment)
        assert done.returncode == 0, done.stderr
        assert done.stderr == b""
    missing = elsewhere("inspect", models / "день", **environment)
    assert (missing.returncode, missing.stderr.count(b"Traceback")) == (2, 0)


def test_case_06(tmp_path: Path) -> None:
    """A list of names, whose samples hold line breaks: the run goes on, and the log has a sign for each of them."""
    (tmp_path / "names.txt").write_bytes(recipes.names())
    done = elsewhere("train", "names.txt", *recipes.QUICK, "--out", "runs/x", PYTHONIOENCODING="cp1252")
    assert done.returncode == 0, done.stderr
    assert b" / " in done.stdout
    assert done.stderr == b""
    assert package.load("runs/x").generate("", max_tokens=3, seed=1)


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.needs_posix
def test_a_server_of_models_of_all_names_starts_and_stops(models: Path, encoding: str) -> None:
    words = [sys.executable, "-m", "tinylm", "serve", models / "runs", "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          env={**os.environ, "PYTHONIOENCODING": f"{encoding}:strict"}) as process:
        try:
            assert process.stdout
            greeting = [process.stdout.readline().decode(encoding) for _ in range(3)]
            assert greeting[0].startswith("serving ")
            assert all(encodable(name, encoding) in greeting[1] for name in NAMES.values())
            time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 130
            assert process.stderr
            assert b"Traceback" not in process.stderr.read()
        finally:
            process.kill()


# ---- Python


class Failing(io.StringIO):
    """A stream whose disk is full."""

    def write(self, _: str) -> int:
        raise OSError(28, "No space left on device")


def closed() -> io.TextIOWrapper:
    stream = io.TextIOWrapper(io.BytesIO(), "utf-8")
    stream.close()
    return stream


@pytest.mark.parametrize("stream", [
    io.TextIOWrapper(io.BytesIO(), "cp1252", write_through=True), io.TextIOWrapper(io.BytesIO(), "ascii"), closed(),
    None, Failing(),
], ids=["cp1252", "ascii", "closed", "none", "full"])
def test_a_script_keeps_its_model(monkeypatch: pytest.MonkeyPatch, stream: Any) -> None:
    Path("книга.txt").write_text(WORDS, encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        lm = package.train("книга.txt", preset="notebook", epochs=2, out="run")
    assert lm.generate("“how”", max_tokens=2)
    assert package.load("run").config.train.epochs == 2
    if isinstance(stream, io.TextIOWrapper) and not stream.closed:
        stream.flush()
        shown = stream.buffer.getvalue().decode(stream.encoding)  # type: ignore[attr-defined]
        assert "?????.txt" in shown
        assert "Now try:" in shown
        assert stream.errors == "strict", "the script's own streams are left as they are"


def test_a_stream_that_fails_goes_silent() -> None:
    failed: list[Any] = []
    stream = TolerantStream(Failing(), failed.append)
    assert stream.write("twice") == 5
    assert stream.write("once more") == 9
    stream.flush()
    assert len(failed) == 1
    assert TolerantStream(None).write("x") == 1


def test_a_bar_is_drawn_in_ascii(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of cp1252, with colours and a progress bar."""
    from rich.progress import Progress

    stream = io.TextIOWrapper(io.BytesIO(), "cp1252", write_through=True)
    stream.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setenv("TERM", "xterm-256color")
    console = tolerant_console()
    with Progress(console=console) as progress:
        progress.advance(progress.add_task("день", total=2))
    console.print("█ é", style="bold")
    shown = stream.buffer.getvalue().decode("cp1252")  # type: ignore[attr-defined]
    assert "????" in shown
    assert "# é" in shown
    assert "\x1b[1m" in shown


def test_streams_are_given_back(speaking: Speaking, models: Path) -> None:
    assert isinstance(speaking("ascii", "inspect", models / "runs" / "-x"), Said)
    stream = io.TextIOWrapper(io.BytesIO(), "ascii", errors="strict")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        main(["--version"])
        assert stream.errors == "strict"
