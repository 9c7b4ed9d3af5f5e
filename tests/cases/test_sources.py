"""What a person points at: texts in memory, addresses, `~`, pasted quotes, names with a slip (kinds K and R)."""

from __future__ import annotations

import io
import os
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

import tinylm as package
from tests.cases.recipes import QUICK, book
from tests.cli.conftest import Command
from tinylm.errors import TinyLMError
from tinylm.runs.run import run_folder
from tinylm.system.paths import given_path
from tinylm.text.corpus import open_corpus
from tinylm.text.reading.sources import Texts

TEXTS = [book(400, seed=number) for number in range(40)]
FAST = {"size": "0.1M", "steps": 12, "config": {"train": {"batch_size": 4}}, "quiet": True}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a home folder beside it, and a book in each."""
    for name in ("work", "home"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "My Book.txt").write_text(book(3000))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


def refusal(call: Callable[[], object]) -> TinyLMError:
    with pytest.raises(TinyLMError) as caught:
        call()
    return caught.value


# ---- texts in memory


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> package.LanguageModel:
    """A model trained on texts that the program holds."""
    return package.train(texts=TEXTS, out=tmp_path_factory.mktemp("memory") / "run", **FAST)


def test_case_45_texts_in_memory_make_a_model(lm: package.LanguageModel) -> None:
    assert lm.config.data.source == "texts in memory"
    assert lm.evaluate().split == "validation"
    assert lm.copied(TEXTS[0][:60]).share > 0.8
    assert lm.folder
    assert "tinylm train SOURCE --" in (lm.folder / "README.md").read_text()


def test_case_45_each_string_is_a_document() -> None:
    planned = package.plan(texts=TEXTS, steps=5, size="0.1M")
    assert "in 40 documents" in planned["notes"][0]
    assert (planned["config"]["data"]["packing"], planned["config"]["data"]["source"]) == ("packed", "texts in memory")
    lines = package.plan(texts="one line\nanother line\n" * 40, documents="line", steps=5, size="0.1M")
    assert "in 80 documents" in lines["notes"][0]
    assert "in 1 document;" in package.plan(texts=TEXTS[0], steps=5, size="0.1M")["notes"][0]


def test_case_45_a_run_that_goes_on_takes_them_again(lm: package.LanguageModel) -> None:
    error = refusal(lambda: package.train(resume=True, out=lm.folder, steps=14, quiet=True))
    assert "its texts were in memory, and have to be given again" in error.what
    assert f"tinylm.train(texts=..., resume=True, out={str(lm.folder)!r})" in error.remedy
    other = refusal(lambda: package.train(texts=["another text"], resume=True, out=lm.folder, steps=14, quiet=True))
    assert "this is not the text that the run began with" in other.what
    again = package.train(texts=tuple(TEXTS), resume=True, out=lm.folder, steps=14, quiet=True)
    assert again.config.train.steps == 14


def test_case_45_a_model_that_was_loaded_is_judged_on_them(lm: package.LanguageModel, tinylm: Command) -> None:
    assert lm.folder
    loaded = package.load(lm.folder)
    assert "which have to be given again" in refusal(loaded.evaluate).what
    assert loaded.evaluate(texts=iter(TEXTS)).split == "validation"
    assert loaded.evaluate(texts=TEXTS[:3]).split == "texts in memory"
    assert "Name a text to evaluate on" in (error := tinylm("evaluate", lm.folder).err) or "name a text" in error


MISTAKEN = {
    "case_45_a_list": (["hello there", "my friend"], "of type list", "tinylm.train(texts=[...])"),
    "case_45_lines": ("hello there\nmy friend\n", "this is a text itself", "tinylm.train(texts=[...])"),
    "case_45_a_long_text": (book(6000).replace("\n", " "), "this is a text itself", "Save it in a file"),
    "case_45_a_tuple": (("a", "b"), "of type tuple", "tinylm.train(texts=[...])"),
    "bytes": (b"hello there", "of type bytes", "data.decode()"), "a number": (5, "of type int", "texts=[...]"),
    "an open file": (io.StringIO("hello"), "of type StringIO", "texts=[...]"),
    "a row": ({"text": "hello"}, "of type dict", "texts=[...]"), "files": ([Path(__file__)] * 2, "of type list",
                                                                        "Put the files into one folder"),
    "names of files": ([__file__], "of type list", "Put the files into one folder"),
    "a sentence": ("It was the best of times, it was the worst of times, it was", "this is a text itself", "texts="),
}


@pytest.mark.parametrize("case", MISTAKEN)
def test_case_45_what_is_no_path_is_told_how_to_be_given(case: str) -> None:
    source, what, remedy = MISTAKEN[case]
    for call in (package.train, package.plan):
        error = refusal(lambda call=call: call(source))  # type: ignore[misc]
        assert what in error.what
        assert remedy in error.remedy
        assert len(str(error)) < 300


def test_the_remedy_names_the_function_that_was_called(hello_run: Path) -> None:
    lm = package.load(hello_run)
    assert "lm.evaluate(texts=[...])" in refusal(lambda: lm.evaluate(["how are you"])).remedy  # type: ignore[arg-type]


@pytest.mark.parametrize(("texts", "expected"), [
    ([1, 2], r"texts\[0\]: must be a string, but it is of type int"), (5, "texts: must be strings"),
    ([None], r"texts\[0\]: must be a string"), (["fine", "half \ud800"], r"texts\[1\]: has half of a surrogate pair"),
    (["a\0b"], r"texts\[0\]: has a NUL character at character 1"), ([], "there is no text in it"),
    ([{"id": "1", "text": "a"}], r"type dict. Take the text out of each: texts=\[row\['text'\] for row in ...\]"),
    ([{"id": 1, "body": "a"}], r"row\['body'\]"), (["a", None], "type NoneType. Leave it out"),
    ({"a": "hello"}, r"type dict. Give what it holds: texts=list\(data.values\(\)\)"), ([b"x"], r"data.decode\(\)"),
    (["", ""], "there is no text in it"), (b"bytes", "texts: must be strings"), ([b"bytes"], "must be a string")])
def test_texts_that_cannot_be_taken(texts: object, expected: str) -> None:
    with pytest.raises(TinyLMError, match=expected):
        package.plan(texts=texts)  # type: ignore[arg-type]


def test_texts_beside_a_source_and_records_of_texts() -> None:
    assert "both given" in refusal(lambda: package.plan("hello", texts=["a"])).what
    assert "no jsonl" in refusal(lambda: package.plan(texts=["a"], documents="jsonl")).what


def test_empty_ones_are_counted() -> None:
    corpus = open_corpus(Texts.of(["one two", "", "three\r\n"]))
    assert corpus.stats().documents == 2
    assert corpus.notes()[0] == "1 of 3 texts are empty, and no documents"
    assert corpus.notes()[1].startswith("1 line end of Windows (CRLF) read")


# ---- paths


def test_case_64_home_in_every_place(here: Path, tinylm: Command) -> None:
    said = tinylm("train", "~/My Book.txt", *QUICK, "--out", "~/runs/x")
    assert said.code == 0, said.err
    assert not (here / "~").exists()
    run = here.parent / "home" / "runs" / "x"
    assert (run / "model.safetensors").is_file()
    assert package.load("~/runs/x").folder == run
    assert package.load("~/runs/x").config.data.source == str(here.parent / "home" / "My Book.txt")
    for command in (("predict", "~/runs/x", "The"), ("tokenize", "~/runs/x", "the"), ("inspect", "~/runs/x"),
                    ("report", "~/runs/x", "--out", "~/page.html"), ("evaluate", "~/runs/x", "~/My Book.txt")):
        assert tinylm(*command).code == 0
    assert (here.parent / "home" / "page.html").is_file()
    assert tinylm("train", "--resume", "--out", "~/runs/x", "--steps", "13").code == 0
    package.load("~/runs/x").save("~/saved")
    assert (here.parent / "home" / "saved" / "config.json").is_file()


@pytest.mark.parametrize(("name", "run"), [
    ("Capital.TXT", "Capital"), ("book.txt", "book"), ("BOOK.TXT.GZ", "BOOK"), ("a.jsonl.xz", "a"), ("a.MD", "a"),
    ("b.txt.bz2", "b"), ("dir/c.Text", "c"), ("v1.2.txt", "v1.2"), (".txt", "model"), ("~/d.TXT", "d")])
def test_case_64_the_suffix_in_any_case_is_no_part_of_the_name(name: str, run: str) -> None:
    assert run_folder(name, None) == Path("runs", run)


@pytest.mark.parametrize("pasted", [
    "'My Book.txt'", '"My Book.txt"', "My Book.txt ", " My Book.txt\n", r"My\ Book.txt", "“My Book.txt”",
    "./My Book.txt", "$HOME/My Book.txt", ".\\My Book.txt", "'./My Book.txt' "])
def test_a_path_as_it_was_pasted(here: Path, pasted: str) -> None:
    assert open_corpus(pasted).name == "My Book.txt"
    home = here.parent / "home" if "$HOME" in pasted else here
    assert given_path(pasted).resolve() == home / "My Book.txt"


@pytest.mark.usefixtures("here")
def test_addresses_of_files() -> None:
    address = (Path.cwd() / "My Book.txt").as_uri()
    assert "%20" in address
    for spelled in (address, address.replace("file://", "file://localhost"), f"'{address}'"):
        assert open_corpus(spelled).name == "My Book.txt"
    assert "there is no such file" in refusal(lambda: open_corpus("file:///no/such.txt")).what


def test_a_name_as_it_stands_comes_first(here: Path) -> None:
    for name in ("'quoted'", " spaces ", "~", "http:"):
        (here / name).write_text(f"the text of {name}")
    assert open_corpus("'quoted'").name == "'quoted'"
    assert open_corpus(" spaces ").name == " spaces "
    assert open_corpus("./~").name == "~"


@pytest.mark.parametrize(("address", "fetched"), [
    ("https://www.gutenberg.org/files/11/11-0.txt", "11-0.txt"), ("http://example.org/a%20b.txt?x=1&y=2", "a b.txt"),
    ("HTTPS://EXAMPLE.ORG/Book.TXT", "Book.TXT"), ("www.example.org/texts/-odd.txt", "-odd.txt"),
    ("https://example.org/", "page.html"), ("gutenberg.org/cache/11.txt", "11.txt"),
    ("ftp://example.org/pub/book.text", "book.text")])
def test_case_65_an_address_names_the_commands_that_fetch_and_train(
        here: Path, tinylm: Command, address: str, fetched: str) -> None:
    said = tinylm("train", address, *QUICK)
    assert said.code == 2
    assert "is an address on the web, and tinylm downloads nothing" in said.err
    fetch, train = said.err.split("Fetch it first: ")[1].rstrip().removesuffix(".").split(", then: ")
    words = shlex.split(fetch)
    assert words[:3] == ["curl", "-L", "-o"]
    assert words[3] == fetched or words[3] == f"./{fetched}"
    assert re.match("(https?|ftp)://", words[4], re.IGNORECASE)
    os.replace(here / "My Book.txt", here / fetched)
    assert shlex.split(train)[:2] == ["tinylm", "train"]
    assert open_corpus(shlex.split(train)[2]).stats().documents == 1


@pytest.mark.parametrize("address", ["s3://bucket/book.txt", "hf://datasets/a/b", "gs://bucket/a"])
def test_case_65_other_addresses(address: str) -> None:
    error = refusal(lambda: open_corpus(address))
    assert "tinylm downloads nothing" in error.what
    assert "Fetch it first with a program for " in error.remedy


def test_a_path_of_windows_elsewhere() -> None:
    if os.name != "nt":
        error = refusal(lambda: open_corpus("C:\\Users\\me\\book.txt"))
        assert error.remedy == "Under WSL it is /mnt/c/Users/me/book.txt"


@pytest.mark.usefixtures("here")
def test_names_that_begin_with_a_dash() -> None:
    Path("-book.txt").write_text(book(500))
    assert open_corpus("./-book.txt").stats().documents == 1
    assert open_corpus(Path("-book.txt")).stats().documents == 1
    assert run_folder("./-book.txt", None) == Path("runs", "-book")


@pytest.mark.usefixtures("here")
def test_a_slip_of_the_pen_names_what_is_near() -> None:
    assert "Did you mean 'My Book.txt'?" in refusal(lambda: open_corpus("My Bok.txt")).remedy
    assert "/home/My Book.txt" in refusal(lambda: open_corpus("~/My Boook.txt")).remedy
    assert "there is no such file or folder" in refusal(lambda: open_corpus("a\0b")).what
    assert "is a pattern" in refusal(lambda: open_corpus("*.md")).what
    assert "a data set of a hub has to be fetched first" in refusal(lambda: open_corpus("someone/TinyStories")).remedy


@pytest.mark.usefixtures("here")
def test_settings_lie_in_the_home_folder_too(tinylm: Command) -> None:
    Path("~/s.toml").expanduser().write_text("[train]\nsteps = 7\n")
    assert tinylm("plan", "My Book.txt", "--size", "0.1M", "--config", "~/s.toml", "--json").json["config"]["train"][
        "steps"] == 7


@pytest.mark.usefixtures("here")
@pytest.mark.skipif(os.path.exists(__file__.upper()), reason="this file system takes a name in any case")
def test_a_name_in_the_wrong_case_is_told(tinylm: Command) -> None:
    assert "Did you mean 'My Book.txt'?" in tinylm("train", "MY BOOK.TXT", *QUICK).err
