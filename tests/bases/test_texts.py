"""The texts of a base: cleaned, without duplicates, in the typography of people, and the same each time."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import pytest

from bases import readers, texts
from bases.cleaning import Seen, clean, cleaned, is_prose
from bases.html_prose import paragraphs
from bases.packages import Package
from bases.r_data import read_vectors
from bases.sources import SOURCES, Source


@pytest.mark.parametrize(("given", "expected"), [
    ("  It was\n  the _best_ of\xa0times.[12] ", "It was the best of times."),
    ("[Footnote 1: patois of the Alps]Then he\u00adled her on.", "Then heled her on."),
    ("snake_case_names stay", "snake_case_names stay"),
])
def test_markup_and_line_ends_go(given: str, expected: str) -> None:
    assert clean(given) == expected


@pytest.mark.parametrize(("text", "expected"), [
    ("The index is made of the words that stand in the text, with their numbers.", True),
    ("The index is made of the words that stand in the text, with their", False),
    ("Not long enough.", False),
    ("sqlite3_open_v2(), sqlite3_close(), sqlite3_exec(), sqlite3_errmsg() and sqlite3_step() and so on (v2).", False),
])
def test_prose_is_whole_sentences(text: str, expected: bool) -> None:
    assert is_prose(text) is expected


def test_what_was_said_before_is_taken_once_but_people_repeat_short_words() -> None:
    long = "It is a truth universally acknowledged, that a single man must want a wife."
    seen = Seen()
    assert list(cleaned([long, "Yes.", long.upper().replace(",", " --"), "Yes."], seen, prose=False)) == [
        long, "Yes.", "Yes."]
    assert list(cleaned([long], seen, prose=False)) == []


def test_a_page_gives_its_paragraphs_without_code_and_navigation() -> None:
    page = ("<html><head><title>T</title></head><nav><p>Next</p></nav><h1>Words\u00b6</h1><p>Use <code>len()</code> to "
            "count.</p><pre>len(x)</pre><ul><li>First.<li>Second.</li></ul>Last changed in May.</html>")
    assert [each.strip() for each in paragraphs(page) if each.strip()] == ["Use len() to count.", "First.", "Second."]


def test_character_vectors_of_r_are_read(tmp_path: Path) -> None:
    """Written as R Internals describe it: version 3, then flags, counts and UTF-8 strings; another type before it."""
    head = b"X\n" + struct.pack(">iii", 3, 0x40301, 0x30500) + struct.pack(">i", 5) + b"UTF-8"
    strings = b"".join(struct.pack(">ii", 0x40009, len(each)) + each for each in (b"EMMA", b"", "né".encode()))
    numbers = head + struct.pack(">iid", 14, 1, 2.5)
    objects = [numbers, head + struct.pack(">ii", 16, 3) + strings]
    (tmp_path / "Rdata.rdb").write_bytes(
        b"".join(struct.pack(">I", len(each)) + zlib.compress(each) for each in objects))
    assert list(read_vectors(tmp_path / "Rdata.rdb")) == [["EMMA", "", "né"]]


def test_books_of_one_line_are_cut_where_more_than_one_space_stands(tmp_path: Path) -> None:
    (tmp_path / "corpus.txt").write_text("Produced by X   THE TITLE  By Y   One. Two.  \xa0Three.      End of Project "
                                         "Gutenberg's The Title\nProduced by Z   OTHER  Four.\n", encoding="utf-8")
    [book] = readers.gutenberg("THE TITLE")(tmp_path)
    assert book == ["THE TITLE", "By Y", "One. Two.", "Three."]


def test_quotes_open_and_close() -> None:
    assert texts._curly('"It\'s late," she said. ("Is it?" - \'No.\')') == "“It’s late,” she said. (“Is it?” - ‘No.’)"


def test_the_folder_is_a_pure_function_of_its_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is held out is in no document, and a source gives no more than its share."""
    held = ["This sentence judges, and so nobody may train on it, not even once."]
    own = [f"Paragraph {n} says that {n} and {n} are {2 * n}, which all who count have known." for n in range(900)]
    package = Package("PyPI", "a", "1")
    sources = [
        Source("judge", package, "MIT", "new", lambda _: iter([held]), held_out=True),
        Source("own", package, "MIT", "new", lambda _: iter([own[:500], held + own[500:]]), most=40_000),
    ]
    monkeypatch.setattr(texts, "SOURCES", sources)
    monkeypatch.setattr(texts, "fetch", lambda *_: (tmp_path, "00"))
    found = []
    for name in ("a", "b"):
        texts.write_texts(tmp_path / name)
        found.append({path.relative_to(tmp_path / name): path.read_bytes()
                      for path in sorted((tmp_path / name).rglob("*")) if path.is_file()})
    assert found[0] == found[1]
    written = [each.decode() for path, each in found[0].items() if path.parts[0] == "texts"]
    assert len(written) > 1
    assert 20_000 < sum(map(len, written)) <= 40_100
    assert not any("nobody may train" in " ".join(each.split()) for each in written)


def test_each_source_is_named_once_and_some_judge() -> None:
    assert len({source.name for source in SOURCES}) == len(SOURCES)
    assert {source.age for source in SOURCES if source.held_out} == {"old", "new"}
