"""Remarks on plain text that holds more than text; and none on texts as people write them."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.cases import recipes
from tests.text.formats.conftest import Reader, read

__all__ = ["read"]

GUTENBERG = ("The Project Gutenberg eBook of X\n\nLicence.\n\n*** START OF THE PROJECT GUTENBERG EBOOK X ***\n"
             + "A line of the book.\n" * 300 + "*** END OF THE PROJECT GUTENBERG EBOOK X ***\n" + "More.\n" * 20)
NOTICED = {
    # name of the case: name of the file, content, what the remark must say
    "json lines": ("a.txt", recipes.records("one", "two", "three"), "--documents jsonl reads"),
    "json lines, another field": ("a.txt", recipes.records("one thing", "two", field="body"),
                                  "--documents jsonl --text-field body"),
    "nested json lines": ("a.txt", recipes.records({"text": "a b"}, {"text": "c"}, field="data"),
                          "--text-field data.text"),
    "a json array": ("a.txt", json.dumps(["one", "two"]), "--documents json reads"),
    "a table": ("a.txt", "id,body\n" + "".join(f"{i},some running text {i}\n" for i in range(9)),
                "--documents csv --text-field"),
    "a table without header": ("a.txt", "Go.\tVa !\tCC-BY\nStop!\tArrête !\tCC-BY\n" * 20,
                               "3 columns, numbered from 1"),
    "a log": ("a.log", "".join(f"2024-01-01 10:00:{i:02} INFO did {i}\n" for i in range(20)), "--documents line"),
    "an access log": ("a.txt", '127.0.0.1 - - [01/Jan/2024:10:00:00 +0000] "GET / HTTP/1.1" 200\n' * 20,
                      "--documents line"),
    "tags of html": ("a.txt", "<p>A <i>line</i>.</p>\n" * 20, "cp "),
    "tags of others": ("a.txt", '<doc id="1">\nText of it.\n</doc>\n' * 20, "sed 's/<[^>]*>//g'"),
    "escapes": ("a.txt", "Caf\\u00e9 \\ud83d\\ude00 th\\u00e9. " * 20, "escapes (\\u00e9)"),
    "entities": ("a.txt", "Caf&eacute; &amp; th&eacute;.\n" * 20, "as in HTML (&eacute;)"),
    "saved wrongly": ("a.txt", "Das schöne Café. ".encode().decode("cp1252") * 20, "ftfy"),
    "fasta": ("dna.fasta", recipes.dna(), "grep -v '^>'"), "fasta in a txt": ("dna.txt", recipes.dna(), "grep -v '^>'"),
    "latex": ("a.tex", "\\section{One} Text.\n" * 9, "LaTeX is learned as its author wrote it"),
    "gutenberg": ("a.txt", GUTENBERG, "the first 5 and the last 21 lines are Project Gutenberg's header and licence"),
    "a text under a wrong name": ("a.docx", "Just some text.\n" * 9, "it is plain text, though its name ends in .docx"),
}


@pytest.mark.parametrize("case", NOTICED)
def test_structure_is_noticed(read: Reader, case: str) -> None:
    name, content, expected = NOTICED[case]
    found = read(name, content)
    assert expected in found.notes
    assert found.notes.count("\n") == 0, "one remark is enough"
    text = content if isinstance(content, str) else content.decode()
    assert found.documents == [text], "nothing is changed"


@pytest.mark.parametrize(("case", "expected"), [
    ("gutenberg", "A line of the book.\n" * 300), ("entities", "Café & thé.\n" * 20), ("escapes", "Café 😀 thé. " * 20),
    ("tags of others", "\nText of it.\n\n" * 20), ("fasta", "".join(recipes.dna().decode().splitlines(True)[1:]))])
@pytest.mark.needs_posix
def test_the_commands_of_remarks_do_what_they_say(read: Reader, tmp_path: Path, case: str, expected: str) -> None:
    name, content, _ = NOTICED[case]
    notes = read(f"my own {name}", content).notes
    found = re.search(r"((?:sed|grep|python3) .* > (\'[^\']*\'|\S+))", notes)
    assert found
    subprocess.run(["sh", "-c", found[1]], check=True, timeout=20)
    made = Path(found[2].strip("'"))
    assert made.read_text() == expected
    assert made.parent == tmp_path


QUIET = {
    "prose": recipes.book(20_000), "rhyme": recipes.rhyme("\n").decode(), "names": recipes.names().decode(),
    "names with commas": "Smith, John\nDoe, Jane\nBond, James\n" * 30, "curly": recipes.curly(),
    "accents": recipes.accented("NFC"),
    "chinese": recipes.script("zh"), "russian": recipes.script("ru"), "dna": recipes.dna().decode().split("\n", 1)[1],
    "chess": '[Event "Open"]\n[Date "2020.01.01"]\n[Result "1-0"]\n\n1. e4 e5 2. Nf3 Nc6 3. Bb5 a6 1-0\n\n' * 30,
    "python": "def f(x: int) -> list[str]:\n    return [str(y) for y in range(x) if x < 3 and y > 4]\n\n\n" * 30,
    "c": "#include <stdio.h>\n#include <stdlib.h>\nint main(void) { return a < b && c > d; }\n" * 30,
    "recipes": "Pancakes\n\n- 2 eggs\n- 100 g flour; salt\n\nMix, then fry: 10:30 min.\n\n" * 30,
    "chat of irc": "<bob> hi\n<ann> yo\n" * 30,
    "music": "X:1\nT:Tune\nM:6/8\nK:D\n|:DFA dAF|GBd gdB:|\n\n" * 30,
    "play": "HAMLET. To be, or not to be;\nGHOST. Mark me.\n" * 30,
    "markdown": "# Title\n\nSome *words* & more, see [this](http://x.y).\n\n> quoted\n> lines\n\n" * 30,
    "dates": "1. May 2020, Berlin\nA day.\n" * 30,
    "few tags": "He wrote <i>this</i> once. " + recipes.book(5000),
    "csv of two words": "a,b\nc,d\ne,f\ng,h\ni,j\nk,l\n" * 30,
}


@pytest.mark.parametrize("kind", QUIET)
def test_texts_as_people_write_them_are_not_remarked_on(read: Reader, kind: str) -> None:
    assert read("a.txt", QUIET[kind]).notes == ""
