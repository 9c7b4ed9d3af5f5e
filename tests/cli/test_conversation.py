"""A conversation at a prompt that stays open: what was said counts, and can be taken back, kept and changed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinylm as package
from tests import chat_models
from tests.chat.test_encode import contents
from tests.chat_models import turns
from tinylm.chat.chat_format import TURNS
from tinylm.chat.conversation import Message, read_messages
from tinylm.chat.encode import encode_conversation
from tinylm.chat.files import read_chat_file
from tinylm.cli.conversation import Answering
from tinylm.errors import TinyLMError

from .conftest import Command
from .terminal import PROMPT, Terminal


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that answers. The engine is compiled by now: that is said, once on a machine, and not in these tests."""
    folder = chat_models.learned(tmp_path_factory.mktemp("chat") / "learned")
    package.load(folder).chat("fine", max_tokens=2)
    return folder


@pytest.fixture(scope="module")
def lm(run: Path) -> package.LanguageModel:
    return package.load(run)


@pytest.fixture(scope="module")
def knows_all(tmp_path_factory: pytest.TempPathFactory) -> package.LanguageModel:
    return package.load(chat_models.random(tmp_path_factory.mktemp("chat") / "random", context_length=512))


def test_a_conversation_in_a_terminal(chat: Callable[..., Terminal], run: Path, tmp_path: Path) -> None:
    terminal = chat(run, "--greedy")
    assert "This model answers" in terminal.until(PROMPT)
    assert terminal.ask("how are you ?") == "fine , and you ?"
    assert terminal.ask("fine") == "good"
    assert "the answer is the same" in terminal.ask("/retry")
    assert terminal.ask("/undo") == "(taken back: fine)"
    terminal.type("who are\\\nyou ?\n")
    terminal.until("… ")
    assert terminal.until(PROMPT).splitlines()[-1] == "a model"
    terminal.type("\x1b[200~what is\n1 + 1 ?\x1b[201~\n")
    assert terminal.until(PROMPT).splitlines()[-1] == "2"
    file = tmp_path / "said.jsonl"
    assert "holds 3 answered questions" in terminal.ask(f"/save {file}")
    terminal.type(f"/save {file}\n")
    terminal.until("Replace it? [y/N] ")
    assert "stays as it is" in terminal.ask("n")
    saved = read_messages(json.loads(file.read_text(encoding="utf-8"))["messages"])
    assert saved == turns("how are you ?", "fine , and you ?", "who are\nyou ?", "a model", "what is\n1 + 1 ?", "2")
    assert "/save FILE" in terminal.ask("/help")
    terminal.type("\x04")
    assert terminal.process.wait(timeout=30) == 0


def test_ctrl_c_keeps_what_was_written(chat: Callable[..., Terminal], tmp_path: Path) -> None:
    terminal = chat(chat_models.random(tmp_path / "random", context_length=1 << 15), "--max-tokens", 1_000_000,
                    "--banned-tokens", "#2", "--seed", 1)
    terminal.until(PROMPT)
    terminal.type("hello\n")
    terminal.until("hello\n")
    while len(terminal.shown) < 50:
        terminal.wait()
    terminal.interrupt()
    terminal.ask("/max_tokens 3")
    assert "cut off after 3 tokens: /max_tokens 6 for more" in terminal.ask("again")
    terminal.ask(f"/save {tmp_path / 'said.jsonl'}")
    (_, first, *_), = [json.loads(line)["messages"] for line in (tmp_path / "said.jsonl").read_text().splitlines()]
    assert len(first["content"]) > 40


def test_lines_of_a_pipe(run: Path, tmp_path: Path) -> None:
    (tmp_path / "there.jsonl").write_text("mine")
    lines = ["/undo", "/save x.jsonl", "how are you ?", "/save there.jsonl", "/save said.jsonl", "/save", "/reset",
             "fine", "who is Ben ?", "/overflow slide", "/system \"\"", "/quit", "fine"]
    done = subprocess.run([sys.executable, "-m", "tinylm", "chat", str(run), "--greedy", "--system", "good"],
                          input="\n".join(lines), capture_output=True, text=True, check=True, timeout=100, cwd=tmp_path)
    assert "good" in done.stdout
    assert done.stdout.splitlines()[-1] == "  system  (none)"
    assert "(all forgotten, but for the system text)" in done.stdout
    assert done.stderr.count("nothing was said yet. Ask the model something first") == 2
    for said in ("there is a file already, and it stays as it is", "into which file?", "'Ben'", "sample.overflow"):
        assert said in done.stderr
    assert (tmp_path / "there.jsonl").read_text() == "mine"
    saved = json.loads((tmp_path / "said.jsonl").read_text(encoding="utf-8"))["messages"]
    assert saved[:2] == [{"role": "system", "content": "good"}, {"role": "user", "content": "how are you ?"}]


def test_old_turns_are_left_out_and_told(lm: package.LanguageModel, capsys: pytest.CaptureFixture[str]) -> None:
    prompt = Answering(lm, {"greedy": True})
    for _ in range(12):
        prompt.handle_line("fine")
    prompt.handle_line("who are you ?")
    told = capsys.readouterr()
    assert told.out.splitlines() == ["good"] * 12 + ["a model"]
    assert "(The oldest question and its answer were left out: the model sees 32 tokens at once)" in told.err
    assert len(prompt.said) == 26


def test_a_retry_is_another_answer_and_a_seed_repeats_it(knows_all: package.LanguageModel) -> None:
    """The first has the seed, each further one the next number, as samples have."""
    prompt = Answering(knows_all, {"seed": 5, "max_tokens": 8})
    prompt.handle_line("hello")
    answers = [prompt.said[-1].content]
    for _ in range(2):
        prompt.handle_line("/retry")
        answers.append(prompt.said[-1].content)
    assert answers == [knows_all.chat("hello", seed=seed, max_tokens=8) for seed in (5, 6, 7)]
    assert len(prompt.said) == 2


def test_what_is_saved_can_be_trained_on(lm: package.LanguageModel, tmp_path: Path,
                                         capsys: pytest.CaptureFixture[str]) -> None:
    prompt, file = Answering(lm, {"greedy": True}), tmp_path / "said.jsonl"
    prompt.handle_line("/stop good")
    prompt.handle_line("fine")
    with pytest.raises(TinyLMError, match="no question has an answer that could be kept"):
        prompt.handle_line(f"/save {file}")
    prompt.handle_line("who are you ?")
    prompt.handle_line(f"/save {file}")
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"{file} holds 1 answered question; left out, because question or answer is empty: 1")
    assert read_chat_file(file).conversations == [turns("who are you ?", "a model")]


@settings(max_examples=20, deadline=None)
@given(st.lists(contents.map(lambda text: "".join(text.split())).filter(bool), min_size=1, max_size=3), contents)
def test_nothing_that_is_typed_poses_as_a_role_or_ends_a_turn(knows_all: package.LanguageModel, lines: list[str],
                                                              system: str) -> None:
    prompt, asked = Answering(knows_all, {"max_tokens": 2, "seed": 1}, system=system), []
    requests = knows_all.generator.requests_after

    def noted(ids: list[int], **fields: object) -> object:
        asked.append(ids)
        return requests(ids, **fields)

    knows_all.generator.requests_after = noted  # type: ignore[method-assign, assignment]
    try:
        for line in lines:
            prompt.handle_line(line if not line.startswith("/") else f"/{line}")
    finally:
        del knows_all.generator.requests_after
    for number, (ids, line) in enumerate(zip(asked, lines, strict=True)):
        said = [*prompt.messages[:len(prompt.messages) - len(prompt.said) + 2 * number], Message("user", line)]
        assert ids == encode_conversation(said, TURNS, knows_all.tokenizer).ids


def test_a_system_text_is_for_models_that_answer(tinylm: Command, hello: Path) -> None:
    said = tinylm("chat", hello, "--system", "be brief")
    assert said.code == 2
    assert "--system: this model has no chat format" in said.err
