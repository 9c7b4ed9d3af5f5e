"""Kind J: one bad record, a nested field, several fields; what a person sees, and that the remedies work as typed."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

import tinylm as package
from tests.cases.recipes import QUICK, book, records
from tests.cli.conftest import Command

SENTENCES = [f"{sentence}." for sentence in book(6000).split(". ")]


def _jsonl(path: Path, each: Any) -> Path:
    path.write_text("".join(json.dumps(each(text)) + "\n" for text in SENTENCES))
    return path


@pytest.fixture
def null(tmp_path: Path) -> Path:
    """A jsonl file whose record 58 has no text."""
    path = tmp_path / "null.jsonl"
    path.write_bytes(records(*SENTENCES[:57], None, *SENTENCES[57:]))
    return path


def test_case_37_a_null_is_told_and_skipped_when_asked(tinylm: Command, null: Path, tmp_path: Path) -> None:
    refused = tinylm("train", null, *QUICK, "--out", tmp_path / "run")
    assert refused.code == 2
    assert f"{null}, line 58: the field 'text' is not a string but null. --skip-bad passes over" in refused.err
    assert not (tmp_path / "run").exists()
    trained = tinylm("train", null, *QUICK, "--out", tmp_path / "run", "--skip-bad")
    assert trained.code == 0
    bad = f"null.jsonl: 1 bad of {len(SENTENCES) + 1:,} records skipped; the first, in line 58: the field 'text'"
    assert bad in trained.out
    again = tinylm("evaluate", tmp_path / "run")
    assert (again.code, bad in again.err) == (0, True), "as the run has it"
    assert tinylm("train", "--resume", "--out", tmp_path / "run", "--steps", 14).code == 0


def test_case_39_nested_fields_are_named_and_taken(tinylm: Command, tmp_path: Path) -> None:
    path = _jsonl(tmp_path / "nested.jsonl", lambda text: {"data": {"text": text}})
    for options in ((), ("--text-field", "data")):
        refused = tinylm("plan", path, *QUICK, *options)
        assert refused.code == 2
        remedy = re.search(r"--text-field \S+", refused.err)
        assert remedy
        assert remedy[0] == "--text-field data.text"
        assert "--set" not in refused.err
    assert tinylm("plan", path, *QUICK, *remedy[0].split()).code == 0


def test_case_39_several_fields_are_joined(tinylm: Command, tmp_path: Path) -> None:
    path = _jsonl(tmp_path / "alpaca.jsonl", lambda text: {"instruction": "Say it.", "input": "", "output": text})
    refused = tinylm("plan", path, *QUICK)
    assert "--text-field instruction,input,output" in refused.err
    planned = tinylm("plan", path, *QUICK, "--text-field", "instruction,output", "--json").json
    characters = sum(len(f"Say it.\n{text}") for text in SENTENCES)
    assert f"{characters:,} characters in {len(SENTENCES):,} documents" in planned["notes"][0]


KINDS = {
    # name of the case: a record around a text, the option that its error names
    "chat": (lambda text: {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": text}]},
             "messages.content"),
    "sharegpt": (lambda text: {"conversations": [{"from": "gpt", "value": text}], "id": "x"}, "conversations.value"),
    "pairs": (lambda text: {"prompt": "?", "completion": text}, "prompt,completion"),
    "deep": (lambda text: {"_source": {"doc": {"body": text}}, "_score": 1.5}, "_source.doc.body"),
    "lists": (lambda text: {"id": 1, "sentences": [text, text]}, "sentences"),
    "case": (lambda text: {"TEXT": text}, "TEXT"), "spaces": (lambda text: {"the story": text}, "the story"),
    "another language": (lambda text: {"número": 3, "texto": text}, "texto"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_remedy_works_as_typed(tinylm: Command, tmp_path: Path, kind: str) -> None:
    around, field = KINDS[kind]
    path = _jsonl(tmp_path / "a.jsonl", around)
    refused = tinylm("plan", path, *QUICK)
    assert refused.code == 2
    option = refused.err.split("holds the text: ")[1].split(" (in Python")[0]
    assert shlex.split(option) == ["--text-field", field]
    in_python = refused.err.split("(in Python: ")[1].split(")")[0]
    chosen = {"text_field": in_python.split("=", 1)[1].strip("'")}
    assert package.text.corpus.open_corpus(path, **chosen).stats().documents == len(SENTENCES)
    assert tinylm("plan", path, *QUICK, *shlex.split(option)).code == 0


def test_evaluate_names_and_takes_its_own_options(tinylm: Command, tmp_path: Path, null: Path) -> None:
    assert tinylm("train", null, *QUICK, "--out", tmp_path / "run", "--set", "data.skip_bad=true").code == 0
    other = _jsonl(tmp_path / "other.jsonl", lambda text: {"body": text})
    refused = tinylm("evaluate", tmp_path / "run", other)
    assert "--text-field body" in refused.err
    judged = tinylm("evaluate", tmp_path / "run", other, "--text-field", "body", "--json").json
    assert judged["split"] == "other.jsonl"
    assert "says how another text is read" in tinylm("evaluate", tmp_path / "run", "--text-field", "body").err


def test_records_with_other_faults_stop_or_are_skipped(tinylm: Command, tmp_path: Path) -> None:
    good = records(*SENTENCES).decode()
    faults = ['{"text": 5}', '{"body": "x"}', '{"text": "cut', "[1]", '{"text": "a\\udc00"}', '{"text": "a"},', "oops"]
    path = tmp_path / "faults.jsonl"
    path.write_text("\ufeff" + good + "\n".join(faults))
    assert f"line {len(SENTENCES) + 1}:" in tinylm("plan", path, *QUICK).err
    planned = tinylm("plan", path, *QUICK, "--skip-bad", "--json").json
    assert any(f"{len(faults)} bad of {len(SENTENCES) + len(faults):,} records skipped" in note
               for note in planned["notes"])
    path.write_text("\n".join(faults))
    assert f"all of its {len(faults)} records are bad; the first:" in tinylm("plan", path, *QUICK, "--skip-bad").err


def test_bad_rows_of_a_table(tinylm: Command, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = "".join(f'{i},"{text}"\n' for i, text in enumerate(SENTENCES))
    path.write_text(f"id,text\n{rows}7,one, two\n")
    refused = tinylm("plan", path, *QUICK)
    assert "has 3 cells, where the table has 2 columns" in refused.err
    assert "--skip-bad" in refused.err
    assert "1 bad of" in tinylm("plan", path, *QUICK, "--skip-bad").out


def test_a_nul_in_a_record_is_told_and_skipped(tinylm: Command, tmp_path: Path) -> None:
    path = tmp_path / "nul.jsonl"
    path.write_bytes(records("ab\0cd", *SENTENCES))
    refused = tinylm("plan", path, *QUICK)
    assert (refused.code, "line 1: the field 'text' has a NUL character" in refused.err) == (2, True)
    assert "1 bad of" in tinylm("plan", path, *QUICK, "--skip-bad").out


def test_a_first_record_without_the_text_may_be_passed_over_too(tinylm: Command, tmp_path: Path) -> None:
    path = tmp_path / "headed.jsonl"
    path.write_bytes(b'{"license": "CC0"}\n' + records(*SENTENCES))
    assert "--skip-bad passes over such records" in tinylm("plan", path, *QUICK).err
    assert "1 bad of" in tinylm("plan", path, *QUICK, "--skip-bad").out


def test_commas_after_records_are_taken_away_as_advised(tinylm: Command, tmp_path: Path) -> None:
    path = tmp_path / "my commas.jsonl"
    path.write_bytes(records(*SENTENCES).replace(b"}\n", b"},\n"))
    advice = re.search(r"sed .*\.jsonl'?", tinylm("plan", path, *QUICK).err)
    assert advice
    _, program, source, _, made = shlex.split(advice[0])
    assert (program, source) == ("s/,$//", str(path))
    assert made == str(tmp_path / "my commas-mended.jsonl")


def test_a_table_whose_first_row_is_longer_than_its_head_keeps_its_header(tinylm: Command, tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text(f'id,text\n1,"{book(80_000)}"\n')
    assert "text in the column 'text' of id, text" in tinylm("plan", path, *QUICK).out
