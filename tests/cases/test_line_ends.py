"""Line ends of Windows and old Macs are read as \\n and counted; other breaks are the text's own (kind A, reading)."""

from __future__ import annotations

import gzip
import io
import json
import sys
from pathlib import Path

import pytest

from tests.cases.recipes import QUICK, pages, rhyme
from tests.cli.conftest import Command
from tinylm import model_folder
from tinylm.cli import main
from tinylm.text.corpus import open_corpus
from tinylm.text.reading import packed

KEEPS = "--set data.line_ends=keep keeps them"
OLD = Path(__file__).parents[1] / "fixtures" / "models"


def read(path: str | Path, **options: str) -> tuple[list[str], list[str]]:
    """The documents of a source, and what is said of how they were read."""
    corpus = open_corpus(path, **options)
    documents = [""]
    for piece in corpus.pieces():
        documents[-1] += piece.text
        documents += [""] * piece.ends_document
    return documents[:-1], corpus.notes()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the rhyme as Windows saves it."""
    folder = tmp_path_factory.mktemp("crlf")
    (folder / "rhyme.txt").write_bytes(rhyme())
    assert main(["train", str(folder / "rhyme.txt"), *QUICK, "--out", str(folder / "run")]) == 0
    return folder / "run"


def test_case_1_a_text_of_windows_is_learned_without_its_carriage_returns(run: Path, tinylm: Command) -> None:
    assert "\r" not in model_folder.read_tokenizer(run).decode(range(3, model_folder.read_config(run).model.vocab_size))
    assert "\r" not in tinylm("generate", run, "Rose is red,", "--greedy").out
    said = tinylm("plan", run.parent / "rhyme.txt", *QUICK)
    assert f"note       2,800 line ends of Windows (CRLF) read as \\n; {KEEPS}\n" in said.out


def test_a_run_that_goes_on_or_is_judged_says_it_again(run: Path, tinylm: Command, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_bytes(b"Rose is blue,\r\n" * 40)
    said = tinylm("evaluate", run, tmp_path / "other.txt", "--json")
    assert said.json["notes"] == [f"40 line ends of Windows (CRLF) read as \\n; {KEEPS}"]
    assert said.err == f"note: {said.json['notes'][0]}\n"
    again = tinylm("train", "--resume", "--out", run, "--steps", "13")
    assert again.code == 0, again.err
    assert "2,800 line ends of Windows" in again.out


def test_case_5_a_text_of_an_old_mac_has_lines(tmp_path: Path, tinylm: Command) -> None:
    (tmp_path / "book_cr.txt").write_bytes(rhyme("\r"))
    said = tinylm("plan", tmp_path / "book_cr.txt", "--documents", "line", *QUICK)
    assert "in 2,800 documents" in said.out
    assert "2,800 line ends of old Macs (CR) read as \\n" in said.out


def test_a_text_without_line_ends_is_told_that_it_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("all of it in one single line " * 20)
    documents, notes = read(tmp_path / "a.txt", documents="line")
    assert len(documents) == 1
    assert notes == ["the text is a single line, so it is one document: --documents text reads flowing text"]


def test_other_breaks_are_the_text(tmp_path: Path) -> None:
    (tmp_path / "pages.txt").write_bytes(pages() + "a\vb\x85c\u2028d\u2029e\x1cf".encode())
    documents, notes = read(tmp_path / "pages.txt")
    assert documents[0].count("\f") == 300
    assert documents[0].endswith("a\vb\x85c\u2028d\u2029e\x1cf")
    assert notes == []


@pytest.mark.parametrize("chunk", [1, 2, 3, 4096])
def test_a_pair_may_straddle_two_chunks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\r\ntwo\rthree\n\r\n\rfour\r")
    monkeypatch.setattr(packed, "CHUNK", chunk)
    documents, notes = read(tmp_path / "a.txt")
    assert documents == ["one\ntwo\nthree\n\n\nfour\n"]
    assert notes[0].startswith("2 line ends of Windows (CRLF) and 3 line ends of old Macs (CR)")


def test_values_of_records_count_and_the_ends_between_records_do_not(tmp_path: Path) -> None:
    lines = [json.dumps({"text": "one\r\ntwo"}), json.dumps({"text": "three\rfour"})]
    (tmp_path / "a.jsonl").write_bytes("\r\n".join(lines).encode())
    assert read(tmp_path / "a.jsonl") == (["one\ntwo", "three\nfour"], [
        f"1 line end of Windows (CRLF) and 1 line end of old Macs (CR) read as \\n; {KEEPS}"])


@pytest.mark.parametrize(("name", "content"), [
    ("packed.txt.gz", gzip.compress(b"one\r\ntwo\r\n")), ("utf16.txt", "one\r\ntwo\r\n".encode("utf-16")),
    ("mark.txt", b"\xef\xbb\xbfone\r\ntwo\r\n"), ("folder/inner.txt", b"one\r\ntwo\r\n")])
def test_however_the_text_is_stored(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content)
    documents, notes = read(path if path.parent == tmp_path else path.parent)
    assert documents == ["one\ntwo\n"]
    assert notes[-1].startswith("2 line ends of Windows (CRLF) read as \\n")


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"one\r\ntwo\r\n")))
    assert read("-", documents="line")[0] == ["one", "two"]


def test_a_text_to_validate_on_is_named(tmp_path: Path, tinylm: Command) -> None:
    (tmp_path / "a.txt").write_bytes(rhyme("\n"))
    (tmp_path / "held out.txt").write_bytes(rhyme("\r\n"))
    said = tinylm("plan", tmp_path / "a.txt", "--validation", tmp_path / "held out.txt", *QUICK, "--json")
    assert [note for note in said.json["notes"] if note.startswith("note")] == [
        f"note       held out.txt: 2,800 line ends of Windows (CRLF) read as \\n; {KEEPS}"]


def test_they_are_kept_where_that_is_asked_for(tmp_path: Path, tinylm: Command) -> None:
    (tmp_path / "a.txt").write_bytes(rhyme())
    assert "\r\n" in read(tmp_path / "a.txt", line_ends="keep")[0][0]
    said = tinylm("plan", tmp_path / "a.txt", *QUICK, "--set", "data.line_ends=keep", "--json")
    assert said.json["config"]["data"]["line_ends"] == "keep"
    assert not any(note.startswith("note") for note in said.json["notes"])


@pytest.mark.parametrize("folder", sorted(path.parent for path in OLD.rglob("config.json")), ids=lambda path: path.name)
def test_folders_from_before_the_setting_keep_their_text_as_it_was(folder: Path) -> None:
    assert "line_ends" not in json.loads((folder / "config.json").read_text())["data"]
    assert model_folder.read_config(folder).data.line_ends == "keep"
