"""The page on chat: its files are read as it says, its Python prints what it says, its commands what is shown."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.test_readme import shows
from tinylm.chat.files import KINDS, read_chat_file
from tinylm.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "CHAT.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
FILES = [(language, block) for language, block in BLOCKS if language in ("text", "csv", "json")]


def test_the_files_hold_what_they_show(tmp_path: Path) -> None:
    found = []
    for number, (language, block) in enumerate(FILES):
        path = tmp_path / f"{number}.{language.replace('text', 'txt')}"
        path.write_text(block, encoding="utf-8")
        found.append(read_chat_file(path))
    assert [each.kind for each in found] == ["labels", "table", "pairs", "messages", "labels"]
    for each in found[:4]:
        assert [message.content for message in each.conversations[1]] == ["Where are you?", "At 12 Alder Street."]
    assert found[0].conversations[0][1].content == "Bread, cakes\nand coffee."
    pairs = {(each[n].content, each[n + 1].content) for each in read_chat_file("sums").conversations
             for n in range(0, len(each), 2)}
    said = found[4].conversations[0]
    assert (said[2].content, said[3].content) in pairs
    assert said[1].content == "23 + 45 = 68"


def test_every_kind_is_told() -> None:
    assert [kind for kind in KINDS[1:] if f"(`{kind}`" not in PAGE] == []


def _printed(block: str) -> Iterator[str]:
    """Yields the comment behind each print of a block."""
    for line in block.splitlines():
        if line.startswith("print("):
            yield line.split("  # ", 1)[1]


def test_the_python_prints_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    block, = (block for language, block in BLOCKS if language == "python")
    exec(compile(block, "docs/CHAT.md", "exec"), {})
    assert capsys.readouterr().out.splitlines() == list(_printed(block))


def test_the_commands_print_what_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                          capsys: pytest.CaptureFixture[str]) -> None:
    """In the order of the page, in one folder, in which the page's first files lie: bakery.txt and bakery.csv."""
    monkeypatch.chdir(tmp_path)
    Path("bakery.txt").write_text(FILES[0][1], encoding="utf-8")
    Path("bakery.csv").write_text(FILES[1][1], encoding="utf-8")
    for block in (block for language, block in BLOCKS if language == "console"):
        for step in block.removeprefix("$ ").split("\n$ "):
            command, *shown = step.splitlines()
            assert main(shlex.split(command)[1:]) == 0, command
            captured = capsys.readouterr()
            missing = [line for line in shown if not shows(captured.out + captured.err, line)]
            assert not missing, f"{command} does not print {missing}, but\n{captured.out}"
