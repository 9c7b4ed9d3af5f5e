"""Flags go by the standard names of their settings. Their old names stay accepted, and --help is silent about them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Command
from tinylm import load
from tinylm.cli import main
from tinylm.cli.chat import Chat


@pytest.mark.parametrize("flags", [("--target-loss", "9"), ("--until", "9")])
def test_a_loss_to_reach(tinylm: Command, flags: tuple[str, str]) -> None:
    planned = tinylm("plan", "hello", "--preset", "notebook", *flags, "--json").json
    assert planned["config"]["train"]["target_loss"] == 9


def test_flags_of_writing(tinylm: Command, hello: Path) -> None:
    options = ("generate", hello, "hello", "--greedy", "--seed", 1, "--json")
    new = tinylm(*options, "--prefix", "day", "--banned-tokens", "you", "--weight-dtype", "int8").json
    assert tinylm(*options, "--force", "day", "--ban", "you", "--storage", "int8").json == new
    assert new["text"].startswith("day")


def test_settings_of_a_chat(hello: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chat = Chat(load(hello), {"seed": 1})
    for line in ("/ban you", "/force day", "/banned-tokens"):
        assert chat.handle_line(line)
    assert chat.settings["banned_tokens"] == ("you",)
    assert chat.settings["prefix"] == ("day",)
    assert 'banned_tokens  ["you"]' in capsys.readouterr().out


@pytest.mark.parametrize(("old", "new"), [("--force", "--prefix"), ("--ban", "--banned-tokens")])
def test_both_names_are_one_message(tinylm: Command, hello: Path, old: str, new: str) -> None:
    told = tinylm("generate", hello, "hello", old, "how", new, "how")
    assert told.code == 2
    assert f"{old[2:]} is an old name of {new[2:].replace('-', '_')}, and both are given" in told.err


def test_help_names_the_standard_ones(capsys: pytest.CaptureFixture[str]) -> None:
    def help_of(command: str) -> str:
        with pytest.raises(SystemExit):
            main([command, "--help"])
        return capsys.readouterr().out

    told = help_of("generate")
    assert "--banned-tokens" in told
    for old in ("--ban ", "--force", "--storage"):
        assert old not in told
    assert "--until" not in help_of("train")
