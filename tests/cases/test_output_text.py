"""Output that is the person's own text: what a text may hold comes out as it is, and nothing drives a terminal."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from tests.cases import recipes
from tests.cases.conftest import Speaking
from tests.cli.conftest import Command
from tinylm.cli import main
from tinylm.config.schema import DataConfig, ModelConfig, RunConfig, TrainConfig
from tinylm.evaluation.report import Report
from tinylm.page.markup import escape_html
from tinylm.reports.model_card import make_card
from tinylm.reports.terminal import Display, on_one_line
from tinylm.system.untrusted import replace_control_codes
from tinylm.text.tokenizer import Tokenizer
from tinylm.training.events import Finished, Sampled
from tinylm.training.schedule import StepHorizon

RIGHTLY = {
    "case_01": "Rose is red,\r\nviolets are blue,\r\n", "case_03": "Page one\n\f\nPage two\n",
    "case_05": "one line\ranother line\r", "vertical tab": "a\vb", "NEL of mainframes": "one\x85two",
    "LS and PS of word processors": "one\u2028two\u2029three", "tabs": "a\tb\tc",
    "Arabic in isolates": "the word \u2067\u0643\u062a\u0627\u0628\u2069 here", "right-to-left mark": "\u05d0\u200f!",
    "embedding": "\u202b\u05d0\u05d1\u202c", "joiners of Persian": "\u0645\u06cc\u200c\u0631\u0648\u0645",
    "a family, joined": "\U0001f468\u200d\U0001f469\u200d\U0001f467", "a heart in colour": "\u2764\ufe0f",
    "soft hyphen": "Donau\u00addampf", "no-break space": "10\u00a0km",
}
WRONGLY = {
    "colours": "a\x1b[31mb", "a bell": "a\x07b", "a backspace": "secret\b\b\b", "delete": "a\x7fb",
    "a C1 control": "a\x9b2Jb",
    "a title": "\x1b]0;owned\x07", "an override": "txt\u202ecod.exe", "NUL": "a\0b",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of bytes, which writes any text that it is forced to."""
    folder = tmp_path_factory.mktemp("bytes")
    (folder / "a.txt").write_text("Rose is red, violets are blue. " * 60, encoding="utf-8")
    assert main(["train", str(folder / "a.txt"), "--tokenizer", "bpe", "--vocab-size", "300", "--steps", "2", "--size",
                 "0.1M", "--set", "train.batch_size=4", "--set", "data.line_ends=keep", "--out", str(folder / "run"),
                 "--json"]) == 0
    return folder / "run"


@pytest.mark.parametrize("text", RIGHTLY.values(), ids=RIGHTLY)
def test_what_a_text_may_hold_comes_out_as_it_is(speaking: Speaking, run: Path, text: str) -> None:
    length = len(Tokenizer.load(run / "tokenizer.json").encode_text(text))
    written = speaking("utf-8", "generate", run, "It:", "--prefix", text, "--max-tokens", length)
    assert written.code == 0, written.err
    assert written.out == f"It:{text}\n"
    assert speaking("utf-8", "generate", run, text, "--max-tokens", 0).out == f"{text}\n"
    chatted = speaking("utf-8", "chat", run, "--prefix", text, "--max-tokens", length, stdin=b"It:\n")
    assert f"\n{text}\n" in chatted.out
    assert "\ufffd" not in written.out + chatted.out


@pytest.mark.parametrize("text", WRONGLY.values(), ids=WRONGLY)
def test_what_could_drive_a_terminal_does_not_come_out(speaking: Speaking, run: Path, text: str) -> None:
    said = [speaking("utf-8", "generate", run, "It:", "--prefix", text, "--max-tokens", 40),
            speaking("utf-8", "chat", run, "--prefix", text, "--max-tokens", 40, stdin=b"It:\n"),
            speaking("utf-8", "tokenize", run, text), speaking("utf-8", "predict", run, text)]
    for each in said:
        assert each.code == 0, each.err
        assert not set(each.out) & set("\x1b\x07\b\x7f\x9b\u202e\0")
    assert replace_control_codes(text) in said[0].out


@pytest.mark.parametrize("text", (RIGHTLY | WRONGLY).values(), ids=RIGHTLY | WRONGLY)
def test_a_table_of_tokens_stays_a_table(speaking: Speaking, run: Path, text: str) -> None:
    ids = speaking("utf-8", "tokenize", run, text, "--json").json["ids"]
    lines = speaking("utf-8", "tokenize", run, text).out.splitlines()
    assert len(lines) == len(ids) + 1
    assert [int(line.split()[0]) for line in lines[1:]] == ids
    assert all(len(line.split(None, 1)) == 2 for line in lines), "white space is shown by its name"
    rows = speaking("utf-8", "predict", run, text, "--top", 300).out.splitlines()
    assert len(rows) == Tokenizer.load(run / "tokenizer.json").vocab_size
    assert len({len(row.partition("0.0")[0]) for row in rows}) == 1, "its columns are flush"


@pytest.mark.parametrize("text", RIGHTLY.values(), ids=RIGHTLY)
def test_a_sample_is_one_line_on_the_terminal(text: str) -> None:
    console = Console(file=io.StringIO(), width=200, highlight=False)
    Display(console, StepHorizon(10), None, DataConfig())(Sampled(1, "", f"[b]{text}[/b]"))
    line = console.file.getvalue()
    assert line.count("\n") == len(line.splitlines()) == 1
    assert "\ufffd" not in line
    assert "[b]" in line
    marks = {"case_01": 1, "case_03": 1, "case_05": 1, "LS and PS of word processors": 2}
    name = next(name for name, each in RIGHTLY.items() if each == text)
    assert on_one_line(text).count("↵") == marks.get(name, int(name in ("vertical tab", "NEL of mainframes")))


@pytest.mark.parametrize("text", (RIGHTLY | WRONGLY).values(), ids=RIGHTLY | WRONGLY)
def test_page_and_card_show_the_same_text(text: str) -> None:
    config = RunConfig(model=ModelConfig(vocab_size=50), data=DataConfig(source="a.txt", packing="packed"),
                       train=TrainConfig(steps=3))
    card = make_card(config, Report("validation", 1, 2, 1, 5, 6, {"uniform": 5.0}), Finished(3, "finished", 3, 1.0, 4),
                     name="a.txt", folder="runs/a", version="1", documents="", samples=[text])
    for shown_text in (card, escape_html(text)):
        assert not set(shown_text) & set("\x1b\x07\b\x7f\x9b\u202e\0\r")
    written = card[card.index("What it writes") + len("What it writes"):card.index("## What it is not")]
    assert written.split() == replace_control_codes(text).split()
    assert escape_html(text).split() == replace_control_codes(text).split()
    assert ("\ufffd" in escape_html(text) + card) == (text in WRONGLY.values())


def test_case_01_and_case_03_whole(tinylm: Command, tmp_path: Path) -> None:
    """The way of the list: a text of Windows and one of pages, trained on and written from."""
    for name, content, prompt, holds in (("rhyme_crlf.txt", recipes.rhyme(), "Rose is red,", "\n"),
                                         ("pages.txt", recipes.pages(), "Page", "\f")):
        (tmp_path / name).write_bytes(content)
        out = tmp_path / "runs" / name
        trained = tinylm("train", tmp_path / name, *recipes.QUICK, "--out", out)
        assert trained.code == 0, trained.err
        written = tinylm("generate", out, prompt, "--greedy", "--prefix", "\n" + holds, "--max-tokens", 8)
        assert written.code == 0, written.err
        assert holds in written.out
        assert "\ufffd" not in trained.out + written.out
