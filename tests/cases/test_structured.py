"""Kind I: structured text is noticed, and the option that is named reads it; nothing is said of plain texts."""

from __future__ import annotations

import gzip
import io
import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.cases.recipes import QUICK, book, dna, names, records, rhyme, script
from tests.cli.conftest import Command

SENTENCES = [f"{' '.join(sentence.split())}, thé." for sentence in book(6000).split(". ")]
LINES = records(*SENTENCES)
ARRAY = json.dumps([{"id": i, "text": text} for i, text in enumerate(SENTENCES)]).encode()
CHAT: dict[str, Any] = {"name": "Bob", "type": "personal_chat", "messages": [
    {"type": "message", "date": "2024-01-01", "from": "Anna" if i % 2 else "Bob", "text": text}
    for i, text in enumerate(SENTENCES)]}


def _planned(tinylm: Command, *arguments: object) -> tuple[str, str]:
    """The notes of a plan: of the text, and about it."""
    notes = tinylm("plan", *arguments, *QUICK, "--json").json["notes"]
    return notes[0], "\n".join(note for note in notes if note.startswith("note "))


@pytest.mark.parametrize(("content", "documents", "said"), [
    pytest.param(LINES, len(SENTENCES), "read as JSON lines, text in 'text' (as --documents jsonl does)",
                 id="case_34-lines"),
    pytest.param(ARRAY, len(SENTENCES), "read as a JSON array, a document for each element", id="case_34-array"),
    pytest.param(json.dumps(CHAT).encode(), 1, "read as an export of Telegram", id="case_34-telegram"),
    pytest.param(json.dumps(SENTENCES).encode(), len(SENTENCES), "read as a JSON array", id="strings"),
    pytest.param(json.dumps({"rows": json.loads(ARRAY)}, indent=2).encode(), len(SENTENCES), "each element of 'rows'",
                 id="an array in an object"),
])
def test_json_is_read_not_learned_letter_by_letter(tinylm: Command, tmp_path: Path, content: bytes, documents: int,
                                                  said: str) -> None:
    (tmp_path / "lines.json").write_bytes(content)
    text, notes = _planned(tinylm, tmp_path / "lines.json")
    assert f"in {documents:,} document" in text
    assert said in notes


def test_case_34_what_the_model_reads_is_the_text(tinylm: Command, tmp_path: Path) -> None:
    (tmp_path / "lines.json").write_bytes(LINES)
    trained = tinylm("train", tmp_path / "lines.json", *QUICK, "--out", tmp_path / "run")
    assert "read as JSON lines" in trained.out
    tokens = tinylm("tokenize", tmp_path / "run", "thé", "--json").json["tokens"]
    assert "é" in "".join(tokens)
    vocabulary = json.loads((tmp_path / "run" / "tokenizer.json").read_text())["model"]["vocab"]
    assert not set(vocabulary) & set('{}[]":\\')


NOTICED = {
    # name of the case: content of a .txt
    "json lines": LINES, "json lines of another field": records(*SENTENCES, field="body"), "a json array": ARRAY,
    "a table": "".join(["id;body\n", *(f"{i};{text}\n" for i, text in enumerate(SENTENCES))]).encode(),
    "a log": "".join(f"[2024-01-01 10:00:00] INFO: {text}\n" for text in SENTENCES).encode(),
}


@pytest.mark.parametrize("kind", NOTICED)
def test_the_option_that_a_remark_names_reads_the_text(tinylm: Command, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(NOTICED[kind])
    _, notes = _planned(tinylm, path)
    found = re.search(r"--documents \w+(?: --text-field \w+)?", notes)
    assert found
    option = found[0].replace("NAME", "body")
    text, again = _planned(tinylm, path, *shlex.split(option))
    assert f"in {len(SENTENCES):,} documents" in text
    assert not re.search(r"--documents json|as it stands", again)


PAGE = "<!DOCTYPE html>\n<html><head><title>T</title></head><body>" + "".join(f"<p>{text}</p>" for text in SENTENCES)
MARKED = {
    "a page saved as .txt": (PAGE, "read as HTML"),
    "tags": (PAGE.split("<body>")[1], "it holds tags such as <p>"),
    "escapes": ("".join(f"{json.dumps(text)[1:-1]}\n" for text in SENTENCES), "escapes (\\u00e9)"),
    "a licence": ("*** START OF THE PROJECT GUTENBERG EBOOK X ***\n" + book(6000)
                  + "\n*** END OF THE PROJECT GUTENBERG EBOOK X ***\nmore of it\n",
                  "the first 1 and the last 2 lines are Project Gutenberg's"),
    "fasta": (dna().decode(), "it is FASTA"), "rtf": ("{\\rtf1\\ansi " + book(6000) + "}", "read as RTF"),
}


@pytest.mark.parametrize("kind", MARKED)
def test_markup_in_a_txt_is_noticed(tinylm: Command, tmp_path: Path, kind: str) -> None:
    content, said = MARKED[kind]
    (tmp_path / "a.txt").write_text(content)
    assert said in _planned(tinylm, tmp_path / "a.txt")[1]


@pytest.mark.parametrize("content",
                         [rhyme("\n"), names(), dna().split(b"\n", 1)[1], script("zh").encode(), book(6000).encode(),
                                     b"[Event \"Open\"]\n\n1. e4 e5 2. Nf3 Nc6 1-0\n\n" * 99,
                                     b"def f(x):\n    return {\"a\": x < 3, \"b\": [x]}\n" * 99])
def test_nothing_is_said_of_plain_texts(tinylm: Command, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    assert _planned(tinylm, tmp_path / "a.txt")[1] == ""


@pytest.mark.parametrize(("content", "said"),
                         [(LINES, "--documents jsonl"), (ARRAY, "JSON array"), (PAGE.encode(), "HTML"),
                                               (gzip.compress(LINES), "--documents jsonl")])
def test_standard_input_is_told_by_its_content(tinylm: Command, monkeypatch: pytest.MonkeyPatch, content: bytes,
                                               said: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert said in _planned(tinylm, "-")[1]


def test_a_mailbox_is_told_by_its_content(tinylm: Command, tmp_path: Path) -> None:
    head = "From a@b.org Mon Jan  1 00:00:00 2024\nSubject: hi\nFrom: a@b.org\n\n"
    mails = "".join(f"{head}{text}\n\n" for text in SENTENCES)
    (tmp_path / "Inbox").write_text(mails, "utf-8")
    assert "read as a mailbox" in _planned(tinylm, tmp_path / "Inbox")[1]
    (tmp_path / "letter.txt").write_text("From Anna I heard on Mon Jan  1 that all is well.\n" * 50)
    assert "mailbox" not in _planned(tinylm, tmp_path / "letter.txt")[1]


def test_times_of_a_chat_in_hours_and_minutes_are_noticed(tinylm: Command, tmp_path: Path) -> None:
    said = "".join(f"[12:{i % 60:02}] <bob> {text}\n" for i, text in enumerate(SENTENCES))
    (tmp_path / "irc.txt").write_text(said, "utf-8")
    assert "its lines begin with times" in _planned(tinylm, tmp_path / "irc.txt")[1]
