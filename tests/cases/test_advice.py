"""Advice works: every command that the product prints is run as it was printed, and does what it was printed for."""

from __future__ import annotations

import html
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tinylm as package
from tests.cases import recipes
from tests.cases.conftest import Speaking
from tests.cli.conftest import Command, Said
from tinylm.cli.parser import Parser
from tinylm.cli.serve import KEY, as_curl
from tinylm.cli.train import add_arguments
from tinylm.config.schema import SECTIONS
from tinylm.errors import command
from tinylm.learn.demo import NEXT
from tinylm.runs.run import run_folder
from tinylm.text.opening import opening
from tinylm.text.tokenizer import Tokenizer
from tinylm.training.diagnostics import messages

SHORT = ("--size", "0.1M", "--steps", "1", "--set", "train.batch_size=2", "--set", "model.context_length=32")
TEXTS = {
    "case_12": ("zh.txt", recipes.script("zh", 3000), ()),
    "case_13": ("dna.fasta", recipes.dna()[:4000].decode(), ()),
    "case_14": ("a book.txt", recipes.book(6000), ("--tokenizer", "word")),
    "Latin, in brackets": ("[Smith, J.] My Book [v2].txt", recipes.book(3000), ()),
    "Arabic, with quotes": ("it's \"mine\".txt", recipes.script("ar", 3000), ()),
    "Thai": ("ไทย.txt", recipes.script("th", 3000), ()),
    "Russian, words": ("книга.txt", recipes.script("ru", 3000), ("--tokenizer", "word")),
    "Greek, a leading dash": ("-βιβλίο.txt", recipes.script("el", 3000), ("--tokenizer", "bpe", "--vocab-size", "300")),
    "emoji": (":smile:.txt", recipes.script("emoji", 3000), ()),
    "names, a line each": ("names $(x) & `y`.txt", recipes.names()[:3000].decode(), ("--documents", "line")),
}


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tinylm.runs.prepare.COUNTED_PROBE_SECONDS", 0.02)
    monkeypatch.chdir(tmp_path)


def commands_in(text: str) -> list[list[str]]:
    """The commands printed in a text, each up to the end of its line, as words."""
    found = re.findall(r"(?:^|: | {2})(tinylm [a-z]+ .*)$", text, re.MULTILINE)
    return [shlex.split(line)[1:] for line in found]


@pytest.mark.parametrize(("name", "text", "options"), TEXTS.values(), ids=TEXTS)
def test_every_command_of_a_run_works(tinylm: Command, name: str, text: str, options: tuple[str, ...]) -> None:
    Path(name).write_text(text, encoding="utf-8")
    trained = tinylm("train", *SHORT, *options, "--", name)
    assert trained.code == 0, trained.err
    after, card = trained.out.partition("Now try:\n")[2], (run_folder(name, None) / "README.md").read_text("utf-8")
    printed = commands_in(after)
    assert [words[0] for words in printed] == ["generate", "predict", "inspect"]
    assert all(words[2] in text for words in printed[:2]), "the prompt is of the text itself"
    assert all(words[2].strip() for words in printed[:2])
    of_card = commands_in(card)
    assert [words[0] for words in of_card] == ["train", "generate", "evaluate"]
    again, *others = of_card
    for words in (*printed, *others):
        said = tinylm(*words)
        assert said.code == 0, (words, said.err)
    if name in ("zh.txt", "-βιβλίο.txt", "it's \"mine\".txt"):
        assert tinylm(*again).code == 0
        first, second = (Path(folder, "model.safetensors").read_bytes()
                         for folder in (printed[0][1], again[again.index("--out") + 1]))
        assert first == second, "the same again"


def through_a_shell(line: str) -> Said:
    """Runs a line as printed, in a shell in which `tinylm` is this product."""
    done = subprocess.run(["bash", "-c", f'tinylm() {{ {shlex.quote(sys.executable)} -m tinylm "$@"; }}\n{line}'],
                          capture_output=True, check=False, timeout=100, env={**os.environ, "PYTHONUTF8": "1"})
    return Said(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.mark.parametrize("name", ["it's [a] \"b\" $(c) `d` & e", "-x", "a\n\x1b[31mb\\", os.fsdecode(b"r\xe9")])
@pytest.mark.needs_posix
def test_a_real_shell_takes_what_was_printed(hello_run: Path, name: str) -> None:
    """Quotes, signs that shells read, a dash, control codes and bytes that are no text."""
    Path(name).symlink_to(hello_run)
    line = command("tokenize", Path(name), "--json", text="how are")
    assert line.isprintable()
    assert through_a_shell(line).json["tokens"] == ["<bos>", "how", "are", "<eos>"]


# ---- the prompt that is shown


@pytest.mark.parametrize(("text", "kind", "prompt"), [
    ("Rose is red,\nviolets are blue.\n", "char", "Rose is"),
    ('"It\'s late," said Ann to me.', "char", "late"),
    ("don't go there now", "char", "go there"),
    (">seq1\nACGTACGTACGTACGTACGTACGT\n", "char", "ACGTACGTACGTACGT"),
    ("红楼梦，作者：曹雪芹。\n", "char", "红楼梦"),
    ("๑๒ ที่นี่ ๆ", "char", "ที่นี่ ๆ"),
    ("👨‍👩‍👧‍👦😀😁😂🤣", "char", "👨"),
    ("-- - 12 + 34 = 46", "char", "12"),
    ("1. e4 e5 2. Nf3 Nc6", "char", "e4 e5"),
    ("def f(x):\n    return x\n", "char", "def f"),
    ("مرحبا بالعالم", "char", "مرحبا بالعالم"),
    ("\t\n\x0c the cat", "bpe", "the cat"),
    ("how are you ?", "word", "how are"),
    ("?? !! ..", "word", "??"),
    ("tors in the house. " + "The doctors of the house said nothing. " * 20, "char", "in the"),
    ("the doctors. " + "The doctors of the house said nothing. " * 20, "char", "the doctors"),
])
def test_the_prompt_of_a_text(text: str, kind: str, prompt: str) -> None:
    tokenizer = Tokenizer.train(kind, [text], vocab_size=300 if kind == "bpe" else None)
    assert opening([text], tokenizer) == prompt
    assert tokenizer.encode_text(prompt)


def test_the_prompt_can_be_shown_where_it_is_printed(speaking: Speaking) -> None:
    tokenizer = Tokenizer.train("char", ["книга book 的"])
    assert opening(["книга book 的"], tokenizer, "koi8-r") == "книга book"
    assert opening(["книга book 的"], tokenizer, "ascii") == "book"
    assert opening(["книга"], tokenizer, "ascii") == ""
    Path("zh.txt").write_text(recipes.script("zh", 3000), encoding="utf-8")
    said = speaking("cp1252", "train", "zh.txt", *SHORT)
    for words in commands_in(said.out.partition("Now try:")[2]):
        assert speaking("cp1252", *words).code == 0


def test_the_prompt_is_known_to_a_small_vocabulary() -> None:
    text = "rare words come first . " + "the cat sat . " * 9
    tokenizer = Tokenizer.train("word", [text], vocab_size=8)
    assert opening([text], tokenizer) == "the cat"


# ---- other advice


@pytest.mark.needs_posix
def test_a_run_that_was_stopped_says_how_to_go_on(tinylm: Command, tmp_path: Path) -> None:
    out = tmp_path / "-a 'run' [1]"
    train = ("train", "hello", "--preset", "notebook", "--epochs", "100000", "--out", out)
    process = subprocess.Popen([sys.executable, "-m", "tinylm", *train], stdout=subprocess.PIPE, text=True,
                               env={**os.environ, "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 60
    while not (out / "config.json").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    process.terminate()
    printed, _ = process.communicate(timeout=60)
    going_on, *after = commands_in(printed)
    assert going_on == ["train", "--resume", "--out", str(out)]
    assert [words[0] for words in after] == ["generate", "predict", "inspect"]
    assert tinylm(*going_on, "--epochs", 1).code in (0, 130)
    assert all(tinylm(*words).code == 0 for words in after)


def test_the_demo_recommends_what_works(tinylm: Command) -> None:
    printed = [shlex.split(line)[1:] for line, _ in NEXT]
    assert [words[0] for words in printed] == ["learn", "train", "predict", "inspect", "train", "train"]
    for words in printed[:4]:
        assert tinylm(*words).code == 0
    assert printed[4:] == [["train", "python-reference", "--minutes", "2"], ["train", "YOUR-TEXT.txt"]]


@pytest.mark.parametrize("model", ["book", "it's \"mine\"", "[v2] $(x)", "红楼梦", "a\\b"])
@pytest.mark.parametrize("to_ascii", [False, True])
def test_the_request_that_a_server_shows(model: str, to_ascii: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a shell reads it, and as the program that it names gets it."""
    line = as_curl("http://x/v1/completions", model, True, windows=False, to_ascii=to_ascii)
    assert line.isascii() or not to_ascii
    monkeypatch.setenv(KEY, "a secret")
    curl = "curl() { printf '%s\\0' \"$@\"; }"
    got = subprocess.run(["bash", "-c", f"{curl}; {line}"], capture_output=True, check=True)
    words = got.stdout.decode().split("\0")
    assert words[:5] == ["http://x/v1/completions", "-H", "Content-Type: application/json", "-H",
                         "Authorization: Bearer a secret"]
    assert json.loads(words[6])["model"] == model


@pytest.mark.parametrize("words", [
    ("tokenize", "RUN", "-hello"), ("predict", "RUN", "--qzqz"), ("inspect", "-run"), ("evaluate", "-run", "--json"),
])
def test_a_remedy_that_is_a_command_can_be_typed(tinylm: Command, hello_run: Path, words: tuple[str, ...]) -> None:
    shutil.copytree(hello_run, "RUN")
    shutil.copytree(hello_run, "-run")
    said = tinylm(*words)
    assert said.code == 2
    advised, = commands_in(said.err)
    done = tinylm(*advised)
    assert done.code == 0 or "not in the vocabulary" in done.err, "the notebook's model knows few words"


def test_the_page_says_how_to_repeat_a_run(tinylm: Command, hello_run: Path) -> None:
    shutil.copytree(hello_run, "it's <b>")
    assert tinylm("report", "it's <b>").code == 0
    page = Path("it's <b>", "report.html").read_text("utf-8")
    line = html.unescape(re.search(r"<code>(tinylm train .*?)</code>", page)[1])  # type: ignore[index]
    words = shlex.split(line)
    assert words[words.index("--out") + 1] == "it's <b>-again"
    assert tinylm(*words[1:], "--set", "train.epochs=1").code == 0
    assert package.load("it's <b>-again")


def test_the_doctors_remedies_name_options_and_settings_that_there_are() -> None:
    parser = Parser("train", "", "")
    add_arguments(parser)
    written = Path(messages.__file__).read_text("utf-8")
    assert set(re.findall(r"--[a-z][a-z-]+", written)) <= set(parser._option_string_actions)
    sentences = written.partition("# ---- the text")[2]
    for section, field in re.findall(r"\b(train|model|data|sample)\.([a-z_]+)", sentences):
        assert field in SECTIONS[section].model_fields


@pytest.mark.parametrize("given", ["book", "runs/book/model.safetensors", "runs/BOOK", "runs/book/config.json"])
def test_the_model_that_was_meant_is_named(tinylm: Command, hello_run: Path, given: str) -> None:
    shutil.copytree(hello_run, "runs/book")
    said = tinylm("tokenize", given, "how")
    if said.code == 0:  # the file system takes capitals for small letters
        return
    meant, = re.findall(r"Did you mean '(.*)'\?", said.err)
    assert tinylm("tokenize", meant, "how").code == 0
    assert "Make a model" in tinylm("tokenize", "elsewhere", "how").err
