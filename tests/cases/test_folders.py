"""A folder says what was taken and what was passed over; what tinylm wrote there is no text (kind H)."""

from __future__ import annotations

import errno
import gzip
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cases.recipes import QUICK, book, records, windows_1252
from tests.cli.conftest import Command
from tinylm.errors import TinyLMError
from tinylm.text.corpus import Corpus, open_corpus
from tinylm.text.reading import packed

TEXT = book(3000)
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256))
Fill = Callable[..., Path]


@pytest.fixture
def fill(tmp_path: Path) -> Fill:
    """Makes a folder of files by path and content."""
    def make(files: dict[str, str | bytes], name: str = "texts") -> Path:
        for path, content in files.items():
            place = tmp_path / name / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content.encode() if isinstance(content, str) else content)
        return tmp_path / name

    return make


def taken(corpus: Corpus) -> list[str]:
    """The names of the files that the text is of."""
    return list(dict.fromkeys(Path(piece.file).name for piece in corpus.pieces()))


MESSY: dict[str, str | bytes] = {
    "a.txt": TEXT, "b.txt": TEXT, "c.txt": TEXT, "notes.md": TEXT, "LICENSE": TEXT, "sub/deeper/x.txt": TEXT,
    "marked.txt": TEXT.encode("utf-16"), "packed.txt.gz": gzip.compress(TEXT.encode()), "logo.png": PNG, "b.png": PNG,
    "bare.txt": TEXT.encode("utf-16-le"), "old.txt": windows_1252(), "drawing.svg": "<svg></svg>", "a.ini": "[a]\n",
    "style.css": "a {}", ".git/config": "[core]", ".hidden.txt": TEXT, "empty.txt": "", "venv/pyvenv.cfg": "a = b",
    "venv/lib/module.py": TEXT, "node_modules/left/index.js": TEXT, "broken.gz": TEXT, "part/__pycache__/a.txt": TEXT,
}


def test_case_32_a_folder_of_a_project_says_what_it_took_and_what_not(fill: Fill, tinylm: Command) -> None:
    said = tinylm("plan", fill(MESSY), *QUICK)
    assert said.code == 0, said.err
    lines = [line for line in said.out.splitlines() if line.startswith("note")]
    assert lines == [
        "note       took 5 .txt, 1 without a suffix, 1 .md, 1 .gz",
        "note       passed over 10 files: markup or settings of programs: 3 (a.ini, drawing.svg, style.css); "
        "PNG picture: 2 (b.png, logo.png); hidden: 1 (.hidden.txt); looks like UTF-16 without a byte order mark: 1 "
        "(bare.txt; --encoding utf-16-le reads it); this .gz file is broken: 1 (broken.gz); empty: 1 (empty.txt); "
        "not UTF-8: 1 (old.txt; --encoding windows-1252 reads the first, most likely)",
        "note       passed over 4 folders: part of programs: 2 (node_modules, part/__pycache__); hidden: 1 (.git); "
        "virtual environment of Python: 1 (venv)"]
    assert "in 8 documents" in said.out


def test_the_encoding_that_is_named_reads_the_others_too(fill: Fill) -> None:
    folder = fill({"a.txt": "Grüße und Küsse aus Köln\n" * 40, "old.txt": windows_1252(), "plain.txt": TEXT})
    assert taken(open_corpus(folder)) == ["a.txt", "plain.txt"]
    corpus = open_corpus(folder, encoding="windows-1252")
    text = "".join(piece.text for piece in corpus.pieces())
    assert text.startswith("Grüße und")
    assert windows_1252().decode("cp1252") in text
    assert f"{folder / 'a.txt'} is UTF-8, and read as such, not as windows-1252" in corpus.notes()
    assert taken(open_corpus(folder, encoding="euc_kr")) == ["a.txt", "plain.txt"]


def test_case_31_training_in_the_folder_of_the_texts(
        fill: Fill, tinylm: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(fill({"a.txt": TEXT, "b.txt": TEXT.upper()}))
    assert tinylm("train", ".", *QUICK).code == 0
    assert Path("runs/texts/model.safetensors").is_file()
    judged = tinylm("evaluate", "runs/texts", "--json").json
    assert judged["copying"] is not None
    resumed = tinylm("train", "--resume", "--out", "runs/texts", "--steps", "13")
    assert resumed.code == 0, resumed.err
    assert tinylm("train", ".", *QUICK, "--force").code == 0
    again = tinylm("plan", ".", *QUICK)
    assert "model folder of tinylm: 2 (runs/texts, runs/texts.old)" in again.out
    assert "in 2 documents" in again.out


def test_unfinished_runs_are_no_texts_either(fill: Fill) -> None:
    folder = fill({"a.txt": TEXT, "run/config.json": "{}", "run/checkpoints/1/state.json": "{}", "run/notes.txt": TEXT,
                   "lm/config.json": "{}", "lm/model.safetensors": b"\0" * 99, "lm/README.md": TEXT,
                   ".run.abcdefgh/config.json": "{}", "no model/config.json": "{}", "no model/a.md": TEXT})
    assert taken(open_corpus(folder)) == ["a.txt", "a.md"]


def test_a_model_folder_as_source_names_the_way_to_go_on(fill: Fill) -> None:
    folder = fill({"config.json": "{}", "tokenizer.json": "{}", "README.md": TEXT}, "my run")
    with pytest.raises(TinyLMError, match="is a model folder, and no text") as caught:
        open_corpus(folder)
    assert caught.value.remedy == f"To go on with its training: tinylm train --resume --out '{folder}'"


@pytest.mark.needs_posix
def test_links_are_followed_once(fill: Fill, tmp_path: Path) -> None:
    folder = fill({"a.txt": TEXT, "sub/b.txt": TEXT})
    fill({"c.txt": TEXT, "more/d.txt": TEXT}, "elsewhere")
    for name, target in {"outside": tmp_path / "elsewhere", "twice": tmp_path / "elsewhere", "inside": folder / "sub",
                         "sub/loop": folder, "up": tmp_path, "e.txt": folder / "a.txt", "nowhere": tmp_path / "no",
                         "f.txt": tmp_path / "elsewhere" / "more" / "d.txt"}.items():
        (folder / name).symlink_to(target)
    (tmp_path / "elsewhere" / "back").symlink_to(folder)
    corpus = open_corpus(folder)
    assert sorted(taken(corpus)) == ["a.txt", "b.txt", "c.txt", "d.txt", "f.txt"]
    assert len(corpus._sources) == 5
    said = " ".join(corpus.notes())
    assert "link to a folder that is read anyway" in said
    assert "link that leads nowhere: 1 (nowhere)" in said
    assert "link to a folder that holds this one" in said


def test_what_cannot_be_read_is_named_and_the_rest_is_taken(fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fill({"a.txt": TEXT, "locked.txt": TEXT, "private/b.txt": TEXT, "z.txt": TEXT})
    open_file, scan = open, os.scandir

    def opened(path: Path, *arguments: object) -> object:
        if Path(path).name == "locked.txt":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return open_file(path, *arguments)  # type: ignore[call-overload]

    def scanned(path: str) -> object:
        if Path(path).name == "private":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(packed, "open", opened, raising=False)
    monkeypatch.setattr(os, "scandir", scanned)
    corpus = open_corpus(folder)
    assert taken(corpus) == ["a.txt", "z.txt"]
    assert corpus.notes()[1:] == ["passed over 1 file: cannot be read: 1 (locked.txt)",
                                  "passed over 1 folder: cannot be read (Permission denied): 1 (private)"]


def test_what_windows_hides_is_no_text(fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attributes are Windows' alone: here they are told of two names."""
    folder = fill({"a.txt": TEXT, "Desktop.ini": TEXT, "Thumbs.db": TEXT, "secret.txt": TEXT, "kept/b.txt": TEXT})
    monkeypatch.setattr("tinylm.text.reading.folders._attributes",
                        lambda path: stat.FILE_ATTRIBUTE_HIDDEN * (path.name in ("secret.txt", "kept")))
    corpus = open_corpus(folder)
    assert taken(corpus) == ["a.txt"]
    assert corpus.notes()[1:] == ["passed over 3 files: hidden: 3 (Desktop.ini, Thumbs.db, secret.txt)",
                                  "passed over 1 folder: hidden: 1 (kept)"]


@pytest.mark.needs_posix
def test_pipes_are_not_waited_for(fill: Fill) -> None:
    folder = fill({"a.txt": TEXT})
    os.mkfifo(folder / "pipe")
    assert "no regular file: 1 (pipe)" in open_corpus(folder).notes()[1]


def test_settings_alone_are_texts(fill: Fill) -> None:
    folder = fill({"a.yaml": "name: value\n" * 9, "b.ini": "[section]\nkey=1\n" * 9})
    assert taken(open_corpus(folder)) == ["a.yaml", "b.ini"]


def test_a_folder_without_texts_says_what_it_holds(fill: Fill) -> None:
    with pytest.raises(TinyLMError, match="this folder holds no text files") as caught:
        open_corpus(fill({"a.png": PNG, "bare.txt": TEXT.encode("utf-16-be"), ".x": TEXT}))
    assert "PNG picture: 1 (a.png)" in caught.value.remedy
    assert "--encoding utf-16-be reads it" in caught.value.remedy


def test_many_of_a_kind_are_counted_and_a_few_named(fill: Fill) -> None:
    folder = fill({"a.txt": TEXT, **{f"{number:03}.png": PNG for number in range(1200)}})
    assert open_corpus(folder).notes()[1] == ("passed over 1,200 files: PNG picture: 1,200 "
                                              "(000.png, 001.png, 002.png, ...)")


def test_names_that_drive_a_terminal_are_told_harmless(fill: Fill) -> None:
    folder = fill({"a.txt": TEXT, "\x1b[31mred\n.png": PNG, "caf\udce9.png": PNG})
    assert all(note.isprintable() for note in open_corpus(folder).notes())


def test_records_of_a_folder(fill: Fill) -> None:
    corpus = open_corpus(fill({"a.jsonl": records("one", "two"), "b.NDJSON": records("three"), "c.txt": TEXT}),
                         documents="jsonl")
    assert corpus.stats().documents == 3
    assert corpus.notes() == ["took 1 .jsonl, 1 .ndjson", "passed over 1 file: not named .jsonl or .ndjson: 1 (c.txt)"]


def test_the_order_is_that_of_the_paths_on_every_machine(fill: Fill, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = fill({"b/2.txt": "two " * 9, "a.txt": "one " * 9, "c.txt": "three " * 9})
    first = open_corpus(folder).stats().fingerprint
    walk = os.walk

    def backwards(top: Path, **options: object) -> object:
        for parent, folders, files in walk(top, **options):  # type: ignore[call-overload]
            folders.reverse()
            yield parent, folders, files[::-1]

    monkeypatch.setattr(os, "walk", backwards)
    assert open_corpus(folder).stats().fingerprint == first


def test_records_of_another_field_are_passed_over_under_skip_bad(fill: Fill) -> None:
    other = b'{"content": "a text under another name"}\n' * 3
    folder = fill({"a.jsonl": records("one", "two"), "b.txt": TEXT, "c.jsonl": other})
    with pytest.raises(TinyLMError, match=r"has no field 'text'.*--skip-bad passes over"):
        open_corpus(folder).stats()
    corpus = open_corpus(folder, skip_bad=True)
    assert taken(corpus) == ["a.jsonl", "b.txt"]
    assert "passed over 1 file: all of its 3 records are bad: 1 (c.jsonl)" in corpus.notes()


def test_a_table_in_another_encoding_is_passed_over_as_a_text_is(fill: Fill) -> None:
    table = "id,text\n" + "".join(f"{i},Der Bär läuft über die Straße.\n" for i in range(20))
    folder = fill({"a.txt": TEXT, "t.csv": table.encode("windows-1252")})
    corpus = open_corpus(folder)
    assert taken(corpus) == ["a.txt"]
    assert any("not UTF-8: 1 (t.csv; --encoding windows-1252 reads" in note for note in corpus.notes())


def test_backups_are_called_so(fill: Fill) -> None:
    corpus = open_corpus(fill({"a.txt": TEXT, "a.txt~": TEXT, "a.bak": TEXT}))
    assert "passed over 2 files: backup: 2 (a.bak, a.txt~)" in corpus.notes()
