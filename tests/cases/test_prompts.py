"""Prompts on the command line: with a dash in front, from a pipe, from a file; and words that stand anywhere."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinylm as package
from tests.cases.conftest import Speaking
from tests.cli.conftest import Command, Said
from tinylm.cli import main
from tinylm.errors import TinyLMError

SEED = ("--max-tokens", 5, "--seed", 1)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of bytes, which takes every prompt."""
    folder = tmp_path_factory.mktemp("prompts")
    (folder / "a.txt").write_text("Rose is red, -The violets are blue. " * 60, encoding="utf-8")
    assert main(["train", str(folder / "a.txt"), "--tokenizer", "bpe", "--vocab-size", "300", "--steps", "2", "--size",
                 "0.1M", "--set", "train.batch_size=4", "--out", str(folder / "run"), "--json"]) == 0
    return folder / "run"


@pytest.mark.parametrize(("before", "after"), [
    ((*SEED,), ("-The",)),
    ((), ("--x",)),
    ((), ("--greedy",)),
    ((), ("--",)),
    ((), ("-5 apples",)),
    ((), ("- a list",)),
], ids=["case_47", "like an option", "an option's very name", "two dashes", "a number", "a dash and a space"])
def test_a_prompt_after_two_dashes_is_a_prompt(tinylm: Command, run: Path, before: tuple[object, ...],
                                               after: tuple[str, ...]) -> None:
    said = tinylm("generate", run, "--greedy", "--max-tokens", 2, *before, "--", *after)
    assert (said.code, said.err) == (0, "")
    assert said.out.startswith(after[0])
    assert tinylm("predict", run, "--json", "--", *after).json["prompt"] == after[0]
    assert tinylm("tokenize", run, "--", *after).code == 0


@pytest.mark.parametrize("words", [
    (*SEED, "RUN", "Rose"), ("RUN", *SEED, "Rose"), ("--seed", 1, "RUN", "--max-tokens", 5, "Rose"),
    ("RUN", *SEED, "--", "Rose"), (*SEED, "--", "RUN", "Rose"),
])
def test_words_stand_before_between_and_after_options(tinylm: Command, run: Path, words: tuple[object, ...]) -> None:
    given = [run if word == "RUN" else word for word in words]
    assert tinylm("generate", *given).out == tinylm("generate", run, "Rose", *SEED).out


@pytest.mark.parametrize("words", [
    ("-The",), ("-The", "--max-tokens", "5"), ("--max-tokens", "5", "-hello"), ("--qzqz",), ("-é",)])
def test_a_text_that_looks_like_an_option_is_told_the_way(tinylm: Command, run: Path, words: tuple[str, ...]) -> None:
    said = tinylm("generate", run, *words)
    assert said.code == 2
    assert f"there is no option {next(word for word in words if word not in ('--max-tokens', '5'))!r}" in said.err
    advised = shlex.split(said.err[said.err.index(": tinylm ") + 2:])
    assert tinylm(*advised[1:]).code == 0


def test_an_option_that_is_misspelt_is_named_as_before(tinylm: Command, run: Path) -> None:
    assert "Did you mean '--temperature'?" in tinylm("generate", run, "Rose", "--temprature", 1).err
    assert "--stop=-VALUE" in tinylm("generate", run, "Rose", "--stop", "-x").err
    assert tinylm("generate", run, "Rose", "--stop=-x", *SEED).code == 0


@pytest.mark.needs_posix
def test_files_and_folders_may_begin_with_a_dash(tinylm: Command, run: Path, tmp_path: Path,
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("-book.txt").write_text("Rose is red, violets are blue. " * 20)
    Path("-run").symlink_to(run)
    assert "tinylm plan -- -book.txt" in tinylm("plan", "-book.txt").err
    assert tinylm("plan", "--preset", "notebook", "--", "-book.txt").code == 0
    for command in ("inspect", "tokenize", "evaluate"):
        assert tinylm(command, "--", "-run", *(("Rose",) if command == "tokenize" else ())).code == 0
    assert tinylm("report", "--out=-page.html", "--", "-run").code == 0
    assert Path("-page.html").is_file()


# ---- from standard input, and from a file


@pytest.mark.parametrize(("given", "prompt"), [
    (b"The\n", "The"), (b"The", "The"), (b"The\r\n", "The"), (b"a\r\nb\n\n", "a\nb\n"), (b"\xef\xbb\xbfThe\n", "The"),
    ("wörter 的\n".encode(), "wörter 的"), ("wörter".encode("utf-16"), "wörter"), (b"\n", ""),
], ids=["case_49", "no line end", "of Windows", "one line end only", "UTF-8 with a mark", "not ASCII", "of PowerShell",
        "a line end alone"])
def test_a_prompt_from_standard_input_or_a_file(speaking: Speaking, run: Path, tmp_path: Path, given: bytes,
                                                prompt: str) -> None:
    (tmp_path / "prompt.txt").write_bytes(given)
    asked = speaking("utf-8", "predict", run, "-", "--json", stdin=given).json
    assert asked["prompt"] == prompt
    assert speaking("utf-8", "predict", run, "--file", tmp_path / "prompt.txt", "--json").json == asked
    tokens = speaking("utf-8", "tokenize", run, "-", "--json", stdin=given).json
    assert tokens["ids"][:-1] == asked["ids"]
    assert speaking("utf-8", "generate", run, "-", "--json", *SEED, stdin=given).json["prompt"] == prompt


def test_an_empty_text_is_said(speaking: Speaking, run: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    for words in (("-",), ("--file", tmp_path / "empty.txt")):
        said = speaking("utf-8", "generate", run, *words, *SEED)
        assert said.code == 0
        assert "is empty" in said.err


@pytest.mark.parametrize(("words", "fact"), [
    (("Rose", "--file", "some.txt"), "two texts"),
    (("--file", "nowhere.txt"), "nowhere.txt"),
    (("--file", "."), "cannot be read"),
    (("--file", "latin.txt"), "latin.txt: is not text in UTF-8: byte 4 is 0xE9"),
    (("--file", "huge.txt"), "16 MB"),
    ((), "which text?"),
])
def test_a_text_that_cannot_be_had(tinylm: Command, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                   words: tuple[str, ...], fact: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("latin.txt").write_bytes(b"caf\xe9")
    with open("huge.txt", "wb") as huge:
        huge.truncate((1 << 24) + 1)
    said = tinylm("predict", run, *words)
    assert (said.code, said.err.count("\n"), said.out) == (2, 1, "")
    assert fact in said.err


@pytest.mark.parametrize(("encoding", "given", "prompt"), [
    ("ascii", "wörter".encode(), "wörter"), ("cp1252", "wörter".encode("cp1252"), "wörter"),
    ("latin-1", "wörter".encode(), "wörter"), ("koi8-r", "слова".encode("koi8-r"), "слова"),
])
def test_standard_input_is_utf_8_or_as_the_system_has_it(speaking: Speaking, run: Path, encoding: str, given: bytes,
                                                         prompt: str) -> None:
    assert speaking(encoding, "predict", run, "-", "--json", stdin=given).json["prompt"] == prompt
    said = speaking(encoding, "chat", run, "--max-tokens", 1, stdin=given + b"\n")
    assert (said.code, said.err) == (0, "")


def test_bytes_that_are_no_text_are_a_sentence(speaking: Speaking, run: Path) -> None:
    said = speaking("utf-8", "predict", run, "-", stdin=b"caf\xe9\n")
    assert said.code == 2
    assert "standard input: is not text in UTF-8: byte 4 is 0xE9" in said.err
    said = speaking("ascii", "chat", run, "--max-tokens", 1, stdin=b"caf\xe9\nRose\n")
    assert (said.code, said.err.count("\n")) == (0, 1)
    assert "UTF-8 or ASCII" in said.err


def test_a_very_long_prompt_is_taken(speaking: Speaking, run: Path) -> None:
    said = speaking("utf-8", "generate", run, "-", "--max-tokens", 1, "--json", stdin=b"Rose is red. " * 20_000)
    assert said.json["forgotten"] > 1000


def through_a_shell(line: str, folder: Path) -> Said:
    """Runs a line of a shell in which `tinylm` is this product."""
    here = f"tinylm() {{ {shlex.quote(sys.executable)} -m tinylm \"$@\"; }}\n{line}"
    done = subprocess.run(["bash", "-c", here], cwd=folder, capture_output=True, check=False, timeout=100,
                          env={**os.environ, "PYTHONUTF8": "1"})
    return Said(done.returncode, done.stdout.decode(), done.stderr.decode())


def test_bytes_of_the_command_line_are_text_where_they_can_be(run: Path) -> None:
    said = through_a_shell(f"export PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 LC_ALL=C\n"
                           f"tinylm tokenize {shlex.quote(str(run))} wörter --json", run)
    assert '"w"' in said.out, said.err
    said = through_a_shell(f"tinylm tokenize {shlex.quote(str(run))} $'caf\\xe9'", run)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "not UTF-8" in said.err


def test_a_dash_as_a_file_is_standard_input(speaking: Speaking, run: Path) -> None:
    for words in (("predict", run), ("tokenize", run), ("generate", run, *SEED)):
        piped = speaking("utf-8", *words, "--file", "-", stdin=b"Rose\n")
        assert piped.code == 0, piped.err
        assert piped.out == speaking("utf-8", *words, "Rose").out


@pytest.mark.parametrize("prompt", [b"Rose", bytearray(b"Rose"), None, 5, Path("Rose"), [1.5], [["Rose"]], object()])
def test_what_is_no_prompt_is_named_in_python(run: Path, prompt: Any) -> None:
    lm = package.load(run)
    for ask in (lm.generate, lm.complete, lm.predict):
        with pytest.raises(TinyLMError, match="prompt: must be a text, or a list of ids, but it is of type"):
            ask(prompt)
    for read in (lm.tokenizer.encode, lm.trace):
        with pytest.raises(TinyLMError, match="a text must be a string, but it is of type"):
            read(prompt)


def test_ids_in_an_array_are_a_prompt(run: Path) -> None:
    lm = package.load(run)
    ids = lm.tokenizer.encode("Rose")
    assert lm.predict(np.array(ids)) == lm.predict("Rose")  # type: ignore[arg-type]
