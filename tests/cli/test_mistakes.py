"""What a person can get wrong: one clear line on stderr, exit code 2, and nothing left behind."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tinylm.cli import main

from .conftest import Command, Said


def assert_one_message(said: Said, *facts: str) -> None:
    assert said.code == 2, said
    assert said.err.startswith("tinylm: ")
    assert said.err.count("\n") == 1, said.err
    assert said.out == ""
    for fact in facts:
        assert fact in said.err


def everything_in(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
            for path in sorted(folder.rglob("*"))}


def write(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


@pytest.mark.parametrize(("name", "make", "options", "fact"), [
    ("empty.txt", write(b""), (), "no text"),
    ("blank.txt", write(b"  \n\t\n"), (), "white space"),
    ("word.txt", write(b"word"), (), "single word"),
    ("long-word.txt", write(b"x" * 18_000_000), (), "million characters"),
    ("long-line.txt", write(b"x y " * 4_500_000), ("--documents", "line"), "line 1"),
    ("picture.png", write(b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 20), (), "picture.png"),
    ("utf-16.txt", write(("no mark at its beginning. " * 20).encode("utf-16-le")), (), "utf-16.txt"),
    ("latin-1.txt", write(b"ein sch\xf6ner Tag " * 20), (), "byte"),
    ("missing.txt", lambda _: None, (), "no such file"),
    ("folder", Path.mkdir, (), "folder"),
    ("broken.txt.gz", write(gzip.compress(b"some words " * 10_000)[:-50]), (), "broken.txt.gz"),
    ("not.gz", write(b"not packed at all, though its name says so"), (), "not.gz"),
    ("records.jsonl", write(b'{"body": "some words of text"}\n' * 9), (), "'text'"),
    ("halves.jsonl", write(b'{"text": "some words"}\n{"text": \n'), (), "line 2"),
])
def test_a_text_that_cannot_be_used(tinylm: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str,
                                    make: Callable[[Path], object], options: tuple[str, ...], fact: str) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path / name)
    before = everything_in(tmp_path)
    for out in ((), ("--out", tmp_path / "deep" / "model")):
        assert_one_message(tinylm("train", tmp_path / name, "--steps", 2, *out, *options), name, fact)
    assert everything_in(tmp_path) == before


@pytest.mark.parametrize(("command", "fact"), [
    ("trian hello", "Did you mean 'train'?"),
    ("train helo", "Did you mean 'hello'?"),
    ("train hello --preset notebok", "Did you mean 'notebook'?"),
    ("train hello --size 3M", "Did you mean '0.3M'?"),
    ("train hello --set train.learning_rat=1", "Did you mean 'learning_rate'?"),
    ("train hello --set trian.learning_rate=1", "Did you mean 'train'?"),
    ("train hello --presets notebook", "Did you mean '--preset'?"),
    ("train hello --presets=notebook", "Did you mean '--preset'?"),
    ("train hello --tokenizer wort", "'word'"),
    ("train hello --zzzzzz", "tinylm train --help"),
    ("train hello hello", "one argument too many"),
    ("train a.txt b.txt c.txt", "several files go into one folder"),
    ("train", "SOURCE"),
    ("train hello --steps many", "--steps"),
    ("train hello --steps 0", "train.steps"),
    ("train hello --steps 3 --epochs 3", "not allowed with"),
    ("train hello --steps 3 --set model.n_heads=3", "n_heads"),
    ("train hello --set anything", "section.key=value"),
    ("train hello --config missing.toml", "missing.toml"),
    ("plan hello --presets x", "Did you mean '--preset'?"),
    ("predict nowhere how", "no such model folder"),
    ("tokenize . how", "not a model folder"),
    ("generate nowhere how --weight-dtype int4", "'int8'"),
    ("demo --fast", "there is no option '--fast'"),
])
def test_a_command_that_cannot_be_run(tinylm: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str,
                                      fact: str) -> None:
    monkeypatch.chdir(tmp_path)
    assert_one_message(tinylm(*command.split()), fact)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("toml", "fact"), [
    ("[train]\nlearning_rat = 1\n", "Did you mean 'learning_rate'?"),
    ("[trian]\nsteps = 1\n", "Did you mean 'train'?"),
    ("steps = \n", "not valid TOML"),
    ("train = 3\n", "[section]"),
])
def test_a_file_of_settings(tinylm: Command, tmp_path: Path, toml: str, fact: str) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(toml)
    assert_one_message(tinylm("plan", "hello", "--config", file), fact)


def test_generate_refuses_settings_that_make_no_sense(tinylm: Command, hello: Path) -> None:
    for option, value in (("--temperature", -1), ("--top-p", 2), ("--max-tokens", -1), ("--samples", 0), ("--seed", -1),
                          ("--typical-p", 0), ("--banned-tokens", "how is"), ("--banned-tokens", "#99"),
                          ("--logit-bias", "how"), ("--logit-bias", "how=much"), ("--logit-bias", "how=inf"),
                          ("--frequency-penalty", "nan")):
        assert_one_message(tinylm("generate", hello, "how", option, value))


# ---- the place of the model


def test_a_model_is_replaced_only_when_asked(tinylm: Command, hello: Path, tmp_path: Path) -> None:
    shutil.copytree(hello, out := tmp_path / "model")
    train = ("train", "hello", "--preset", "notebook", "--epochs", 2, "--out", out)
    before = everything_in(tmp_path)
    assert_one_message(tinylm(*train), "--force", str(out))
    assert everything_in(tmp_path) == before
    assert tinylm(*train, "--force", "--json").json["step"] == 2
    assert (out / "metrics.jsonl").read_text().count('"step"') < 10
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model", "model.old"]


def test_other_things_are_never_replaced(tinylm: Command, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "holiday.jpg").write_bytes(b"irreplaceable")
    (tmp_path / "a-file").write_text("mine")
    before = everything_in(tmp_path)
    train = ("train", "hello", "--preset", "notebook", "--epochs", 1, "--force", "--out")
    for name in ("photos", "a-file"):
        assert_one_message(tinylm(*train, tmp_path / name), "Choose another --out")
    below_a_file = tinylm(*train, tmp_path / "a-file" / "model")
    assert (below_a_file.code, below_a_file.err.count("\n")) == (2, 1)
    assert everything_in(tmp_path) == before


def test_an_empty_folder_may_become_a_model(tinylm: Command, tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    assert tinylm("train", "hello", "--preset", "notebook", "--epochs", 1, "--out", tmp_path / "model").code == 0
    assert tinylm("predict", tmp_path / "model", "how").code == 0


# ---- damaged models


def newer_format(path: Path) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))


def unknown_key(path: Path) -> None:
    values = json.loads(path.read_text())
    values["model"]["d_modle"] = 3
    path.write_text(json.dumps(values))


def another_width(path: Path) -> None:
    values = json.loads(path.read_text())
    values["model"]["d_model"] = 16
    path.write_text(json.dumps(values))


def shorter(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


@pytest.mark.parametrize(("name", "damage", "fact"), [
    ("model.safetensors", shorter, "is damaged"),
    ("model.safetensors", write(b""), "is damaged"),
    ("model.safetensors", write(b"\xff" * 64), "is damaged"),
    ("model.safetensors", Path.unlink, "is missing"),
    ("config.json", write(b"\x00garbage"), "is not valid JSON"),
    ("config.json", write(b"[]"), "is damaged"),
    ("config.json", write(b"{}"), "is damaged"),
    ("config.json", Path.unlink, "no config.json"),
    ("config.json", newer_format, "newer tinylm"),
    ("config.json", unknown_key, "does not know: model.d_modle"),
    ("config.json", another_width, "shape"),
    ("tokenizer.json", Path.unlink, "is missing"),
    ("tokenizer.json", shorter, "not a tokenizer"),
])
def test_a_damaged_model(tinylm: Command, hello: Path, tmp_path: Path, name: str, damage: Callable[[Path], object],
                         fact: str) -> None:
    shutil.copytree(hello, folder := tmp_path / "model")
    damage(folder / name)
    assert_one_message(tinylm("predict", folder, "how are"), fact)


@pytest.mark.parametrize(("options", "said"), [
    (["--minutes", "nan"], "train.minutes"), (["--minutes", "inf"], "train.minutes"),
    (["--epochs", "inf"], "train.epochs"), (["--steps", "0"], "train.steps"),
    (["--validation", "nan"], "data.validation"),
    (["--validation", "1.5"], "validation"), (["--set", "model.d_model=0"], "model.d_model"),
    (["--set", "model.d_model=abc"], "model.d_model"),
    (["--set", "model.context_length=0"], "model.context_length"),
    (["--set", "data.validation=[1]"], "data.validation"), (["--set", "model.vocab_size=5"], "--vocab-size"),
    (["--set", "data.source=abc"], "SOURCE"), (["--set", "model.n_heads=3"], "multiple"),
])
def test_every_value_is_checked_before_anything_is_written(options, said, tmp_path, capsys):
    assert main(["train", "hello", *options, "--out", str(tmp_path / "run")]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
