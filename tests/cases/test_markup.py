"""Names, texts and settings are never markup: of the terminal, of Markdown, of a page, or of a file system."""

from __future__ import annotations

import io
import json
import os
import shlex
import sys
from pathlib import Path

import pytest
from rich.console import Console

import tinylm as package
from tests.cases import recipes
from tests.cli.conftest import Command
from tinylm.config.schema import DataConfig, ModelConfig, RunConfig, TrainConfig
from tinylm.errors import TinyLMError
from tinylm.evaluation.report import Report
from tinylm.reports.html_page import make_page
from tinylm.reports.model_card import make_card, markdown_text
from tinylm.reports.terminal import Display, print_lines
from tinylm.runs.run import run_folder
from tinylm.serving.limits import Limits
from tinylm.serving.model_registry import ModelRegistry
from tinylm.system.files import legal_name
from tinylm.system.standard_streams import tolerant_console
from tinylm.training.diagnostics.doctor import Finding
from tinylm.training.events import Finished, Sampled
from tinylm.training.schedule import StepHorizon

NAMES = {
    "case_10": "[Smith, J.] My Book [v2]", "a colour": "[red]book", "an open tag": "notes [bold] and [",
    "a link": "[link=https:x]y", "an emoji code": "a :smile: b", "quotes": "it's \"mine\"", "spaces": "  two  spaces ",
    "a leading dash": "-x", "Chinese": "红楼梦", "a tab and a line end": "a\tb\nc", "an escape": "a\x1b[31mb",
    "Markdown": "*a* _b_ `c` <script>d |e|", "a dollar": "$(date) & `id`", "reserved by Windows": "con",
    "illegal on Windows": 'a<b>c:d"e|f?g', "very long": "long " * 45,
}
EPOCHS = ("--preset", "notebook", "--epochs", "1")


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tinylm.runs.prepare.COUNTED_PROBE_SECONDS", 0.02)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_is_said_as_it_is_and_found_again(tinylm: Command, name: str) -> None:
    """Where a name cannot stand on one line, its escapes do."""
    file = Path(f"{name}.txt")
    file.write_text("how are you ?\nhow is your day ?\n" * 20)
    said = tinylm("train", *EPOCHS, "--", file)
    assert said.code == 0, said.err
    folder, = Path("runs").iterdir()
    shown = name.replace("\t", "\\t").replace("\n", "\\n").replace("\x1b", "\\x1b")
    assert said.out.startswith(f"text       {shown}.txt: ")
    assert f"\n{folder} holds a model" in said.out
    assert "\x1b" not in said.out
    for line in said.out.partition("Now try:\n")[2].splitlines():
        assert tinylm(*shlex.split(line)[1:]).code == 0, line
    for words in (("evaluate", folder), ("report", folder), ("inspect", folder)):
        assert tinylm(*words).code == 0
    assert shown in tinylm("evaluate", folder).out


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_folder_that_follows_from_a_name_is_legal_everywhere(name: str) -> None:
    made = run_folder(f"{name}.txt", None).name
    assert made
    assert not set(made) & set('<>:"/\\|?*\t\n\x1b')
    assert made == made.strip().rstrip(".")
    assert len(made.encode()) <= 200
    assert made.partition(".")[0].upper() not in ("CON", "NUL", "AUX", "PRN", "COM1", "LPT9")
    assert legal_name(made) == made
    if name in (NAMES["case_10"], NAMES["Chinese"], NAMES["an emoji code"].replace(":", "_")):
        assert made == name


@pytest.mark.parametrize(("name", "made"), [
    ("NUL.txt", "_NUL"), ("aux.notes.txt", "_aux.notes"), ("com1", "_com1"), ("console.txt", "console"),
    ("a:b?.txt", "a_b_"), ("end. .txt", "end"), (".hidden.txt", "hidden"), ("...", "model"), ("caf\udce9.txt", "caf_"),
    ("x.jsonl.gz", "x"), ("字" * 200, "字" * 66), ("a\u202eb.txt", "a_b"),
])
def test_names_of_folders(name: str, made: str) -> None:
    assert run_folder(name, None) == Path("runs", made)


@pytest.mark.parametrize("name", ["[red]missing.txt", "[/]", "a\x1b[2Jb.txt", "[bold]:smile:", "a\nb.txt"])
@pytest.mark.parametrize("command", ["train", "plan", "predict", "evaluate", "inspect", "report", "chat", "serve"])
def test_an_error_says_the_name_as_it_is(tinylm: Command, command: str, name: str) -> None:
    said = tinylm(command, name, *(["x"] if command == "predict" else []))
    assert (said.code, said.err.count("\n"), said.out) == (2, 1, "")
    assert name.replace("\x1b", "\\x1b").replace("\n", "\\n") in said.err
    assert "\x1b" not in said.err


def test_settings_and_texts_are_no_markup(tinylm: Command) -> None:
    Path("a.jsonl").write_bytes(recipes.records(*["how [red]are[/red] you [/] ?"] * 40, field="[bold]"))
    train = ("train", "a.jsonl", *EPOCHS, "--documents", "jsonl", "--tokenizer", "char", "--text-field")
    said = tinylm(*train, "[bold]")
    assert said.code == 0, said.err
    assert "data.text_field=[bold]" in Path("runs/a/README.md").read_text()
    refused = tinylm(*train, "[/bold]", "--out", "b")
    assert "[/bold]" in refused.err


def test_the_console_takes_whatever_it_is_given() -> None:
    hostile = "[red]a[/red] [/] [link=x]b[/link] :smile: \x1b[31mc"
    for is_terminal in (False, True):
        console = Console(file=io.StringIO(), width=300, force_terminal=is_terminal)
        display = Display(console, StepHorizon(9), None, DataConfig())
        display(Sampled(1, "", hostile))
        display.remark(Finding(1, "loss", hostile, hostile))
        print_lines(console, [hostile])
        shown = console.file.getvalue()
        assert shown.count("[red]a[/red] [/] [link=x]b[/link] :smile: ") == 4
        assert "\x1b[31mc" not in shown


def test_the_console_of_every_command_reads_no_markup(capsys: pytest.CaptureFixture[str]) -> None:
    tolerant_console().print("[bold]x[/bold] [/] :smile:")
    assert capsys.readouterr().out == "[bold]x[/bold] [/] :smile:\n"


# ---- Markdown, the page, and the server


@pytest.mark.parametrize(("name", "written"), [
    ("book.txt", "book.txt"), ("my_book (2nd).txt", "my_book (2nd).txt"), ("红楼梦.txt", "红楼梦.txt"),
    ("[a](b)", "`[a](b)`"), ("<script>", "`<script>`"), ("a|b", "`a|b`"), ("_a_", "`_a_`"), ("`a`", "`` `a` ``"),
    ("a``b", "```a``b```"), ("a\nb", "`a\\nb`"), (":smile:", "`:smile:`"), ("&lt;", "`&lt;`"),
    ("caf\udce9", "`caf\\xe9`"),
])
def test_a_name_in_markdown(name: str, written: str) -> None:
    assert markdown_text(name) == written


def test_what_a_card_quotes_is_text() -> None:
    config = RunConfig(model=ModelConfig(vocab_size=50), data=DataConfig(source="a.txt"), train=TrainConfig(steps=3))
    card = make_card(config, Report("validation", 1, 2, 1, 5, 6, {"uniform": 5.0}), Finished(3, "finished", 3, 1.0, 4),
                     name="# <b>", folder="runs/<b> `x`", version="1", documents="", samples=["# <b>\n- `x`"],
                     remarks=["<unk> is in `x` | [y](z) and in train.learning_rate"], prompt="<b>")
    outside = [line for line in card.splitlines() if not line.startswith("    ")]
    assert not any("<b>" in line.replace("`# <b>`", "") for line in outside)
    assert "- \\<unk\\> is in \\`x\\` \\| \\[y\\](z) and in train.learning_rate" in outside
    assert "    tinylm generate 'runs/<b> `x`' '<b>'" in card.splitlines()


def test_bytes_that_are_no_text_in_a_files_name(tinylm: Command) -> None:
    """The bytes stay in config.json as Python holds them; the run can be judged, reported and gone on with."""
    name = os.fsdecode(b"caf\xe9.txt")
    try:
        Path(name).write_text("how are you ?\nhow is your day ?\n" * 20)
    except (OSError, UnicodeError):
        pytest.skip("this file system takes no such names")
    assert tinylm("train", name, *EPOCHS, "--json").json["folder"] == "runs/caf_"
    config = json.loads(Path("runs/caf_/config.json").read_bytes().decode("ascii"))
    assert os.fsencode(config["data"]["source"]).endswith(b"/caf\xe9.txt")
    assert "# `caf\\xe9.txt`\n" in Path("runs/caf_/README.md").read_text("utf-8")
    for words in (("evaluate", "runs/caf_", "--json"), ("evaluate", "runs/caf_", name), ("report", "runs/caf_"),
                  ("train", "--resume", "--out", "runs/caf_")):
        said = tinylm(*words)
        assert said.code == 0, said.err
    assert "caf\\xe9.txt" in make_page("runs/caf_", version="1")
    out = Path(os.fsdecode(b"r\xe9"))
    said = tinylm("train", "hello", *EPOCHS, "--out", out)
    assert (said.code, out.is_dir()) == (0, True)
    assert "tinylm inspect $'r\\351'" in said.out
    assert tinylm("inspect", out).code == 0


def test_a_model_is_served_under_the_name_of_its_folder(hello_run: Path, tmp_path: Path) -> None:
    for name in ("[red]a", "it's", "红楼梦", "a b"):
        package.LanguageModel.load(hello_run).save(tmp_path / "one" / name)
        assert ModelRegistry(tmp_path / "one" / name, Limits(), print).ids() == [name]
    package.LanguageModel.load(hello_run).save(tmp_path / "a\x1b[31mb")
    assert ModelRegistry(tmp_path / "a\x1b[31mb", Limits(), print).ids() == ["model"], \
        "an id is text that a client can send"


def test_python_says_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    Path("[red]a [bold].txt").write_text("how are you ?\nhow is your day ?\n" * 20)
    package.train("[red]a [bold].txt", preset="notebook", epochs=1, out=":smile: [/]")
    out = capsys.readouterr().out
    assert out.startswith("text       [red]a [bold].txt: ")
    assert "\n:smile: [/] holds a model" in out
    with pytest.raises(TinyLMError, match=r"\[red\]b"):
        package.train("[red]b.txt")
    assert sys.stdout.errors != "tinylm.to_ascii", "a program's own streams are left as they are"
