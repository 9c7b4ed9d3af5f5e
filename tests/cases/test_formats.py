"""Kind G: files in the formats that people have are read, or refused with the way to their text, never learned as
markup."""

from __future__ import annotations

import gzip
import html
import json
from pathlib import Path

import pytest
import zstandard

from tests.cases.files import docx, epub, odt, pdf, zipped
from tests.cases.recipes import QUICK, book
from tests.cli.conftest import Command
from tinylm.text.corpus import open_corpus

SENTENCES = [f"{' '.join(sentence.split())}." for sentence in book(6000).split(". ")]
RTF = "{\\rtf1\\ansi{\\fonttbl{\\f0 Times;}}\\f0 " + "\\par ".join(SENTENCES) + "\\par}"
PAGE = "<html><head><title>T</title><script>var x;</script></head><body>" \
       + "".join(f"<p>{html.escape(text)}</p>\n" for text in SENTENCES) + "</body></html>"
SRT = "".join(f"{i}\n00:{i // 60:02}:{i % 60:02},000 --> 00:{i // 60:02}:{i % 60:02},900\n<i>{text}</i>\n\n"
              for i, text in enumerate(SENTENCES, start=1))
WHATSAPP = "".join(f"31.12.24, 23:{i % 60:02} - {'Anna' if i % 2 else 'Bob'}: {text}\n" for i,
                   text in enumerate(SENTENCES))
READ: dict[str, tuple[bytes, str]] = {
    # name of the file: content, how it is said to be read
    "book.rtf": (RTF.encode(), "RTF"), "page.html": (PAGE.encode(), "HTML"),
    "page.HTM": (PAGE.encode("utf-16"), "HTML"),
    "book.epub": (epub(PAGE, "<p>The end.</p>"), "an EPUB book"), "letter.docx": (docx(*SENTENCES), "a Word document"),
    "letter.odt": (odt(*SENTENCES), "an OpenDocument text"), "paper.pdf": (pdf(*SENTENCES), "PDF"),
    "film.srt": (SRT.encode(), "subtitles"), "talk.vtt": (b"WEBVTT\n\n" + SRT.replace(",", ".").encode(), "subtitles"),
    "chat.txt": (WHATSAPP.encode(), "an export of WhatsApp"),
    "table.csv": ("".join(["id,text\n", *(f'{i},"{text}"\n' for i, text in enumerate(SENTENCES))]).encode(), "a table"),
    "array.json": (json.dumps(SENTENCES).encode(), "a JSON array"),
    "page.html.gz": (gzip.compress(PAGE.encode()), "HTML"),
    "table.csv.zst": (zstandard.compress("".join(["text\n", *(f'"{text}"\n' for text in SENTENCES)]).encode()),
                      "a table"),
    "book.epub.gz": (gzip.compress(epub(PAGE)), "an EPUB book"),
}
MARKUP = ("<", ">", "\\", "{", "}", "-->", "par", "23:")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a text in every format that is read."""
    folder = tmp_path_factory.mktemp("library")
    for name, (content, _) in READ.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("name", READ)
def test_every_format_gives_its_text_and_says_so(library: Path, name: str) -> None:
    corpus = open_corpus(library / name)
    text = "".join(piece.text for piece in corpus.pieces())
    assert all(sentence in text for sentence in SENTENCES)
    assert not any(mark in text for mark in MARKUP)
    assert f"{name}: read as {READ[name][1]}" in corpus.notes()[0]


def test_case_27_rtf(tinylm: Command, library: Path, tmp_path: Path) -> None:
    trained = tinylm("train", library / "book.rtf", *QUICK, "--out", tmp_path / "run")
    assert trained.code == 0
    assert "note       book.rtf: read as RTF: its text without formatting" in trained.out
    alphabet = (tmp_path / "run" / "tokenizer.json").read_text()
    assert '"\\\\"' not in alphabet
    again = tinylm("evaluate", tmp_path / "run", library / "page.html.gz")
    assert again.code == 0
    assert "read as HTML" in again.err


def test_a_folder_of_formats_and_one_to_validate_on(tinylm: Command, library: Path) -> None:
    planned = tinylm("plan", library, *QUICK, "--validation", library / "letter.docx", "--json").json["notes"]
    told = "\n".join(planned)
    assert "read as RTF" in told
    assert "letter.docx: read as a Word document" in told
    assert "took " in told


def test_what_has_no_text_is_passed_over_in_a_folder_and_named(tinylm: Command, tmp_path: Path) -> None:
    for name, content in {"a.txt": book(6000).encode(), "old.doc": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
                          "scan.pdf": pdf("", ""), "settings.json": b'{"files": ["src", "tests"]}\n',
                          "sheet.xlsx": zipped({"xl/workbook.xml": "<x/>"}), "numbers.csv": b"a,b\n1,2\n3,4\n5,6\n",
                          "data.json": json.dumps([{"text": "some words in it"}]).encode()}.items():
        (tmp_path / name).write_bytes(content)
    told = "\n".join(tinylm("plan", tmp_path, *QUICK, "--json").json["notes"])
    assert "passed over 5 files" in told
    for name in ("old.doc", "scan.pdf", "settings.json", "sheet.xlsx", "numbers.csv"):
        assert name in told
    assert "in 2 documents" in told


REFUSED: dict[str, tuple[bytes, str]] = {
    "old.doc": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
                "is an old Word document. Open it in Word or LibreOffice"),
    "book.mobi": (b"x" * 60 + b"BOOKMOBI" + bytes(99), "ebook-convert"), "scan.pdf": (pdf("", ""), "ocrmypdf"),
    "sheet.xlsx": (zipped({"xl/workbook.xml": "<x/>"}), "save"), "texts.zip": (zipped({"a.txt": "x"}), "zipfile -e"),
    "cut.docx": (docx("One")[:-30], "Copy it again"), "settings.json": (b'{"a": {"b": 1}}', "--documents text"),
    "numbers.csv": (b"a,b\n1,2\n3,4\n5,6\n", "--documents text"),
    "map.xml": (b"<?xml version='1.0'?><osm/>", "xmllint"),
    "two.csv": (b"id,title,body\n" + b"".join(b"%d,the title of %d,a body of words %d\n" % (i, i, i) for i in range(9)),
                "--text-field title,body"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_other_formats_are_refused_with_the_way(tinylm: Command, tmp_path: Path, name: str) -> None:
    content, way = REFUSED[name]
    (tmp_path / name).write_bytes(content)
    refused = tinylm("train", tmp_path / name, *QUICK, "--out", tmp_path / "run")
    assert refused.code == 2
    assert way.lower() in refused.err.lower()
    assert name in refused.err
    assert not (tmp_path / "run").exists()


def test_a_format_is_kept_as_it_stands_when_asked(library: Path) -> None:
    for name in ("page.html", "book.rtf", "film.srt", "chat.txt"):
        kept = "".join(piece.text for piece in open_corpus(library / name, formats="keep").pieces())
        assert kept.encode() == (library / name).read_bytes()
