"""Tables: the column that holds the text is found or asked for, and a row is a document."""

from __future__ import annotations

import pytest

from tests.text.formats.conftest import Reader, Refused
from tinylm.text.formats import tables

ROWS = [(str(i), f"the thing number {i} was fine", "good" if i % 2 else "bad") for i in range(30)]
TEXTS = [text for _, text, _ in ROWS]


def _table(delimiter: str, header: str = "id,review,label") -> str:
    return "\n".join([*([header.replace(",", delimiter)] if header else []), *map(delimiter.join, ROWS)]) + "\n"


@pytest.mark.parametrize(("name", "delimiter"), [
    ("a.csv", ","), ("a.csv", ";"), ("a.tsv", "\t"), ("a.csv", "\t"), ("a.psv", "|")])
def test_the_one_column_of_text_is_taken_and_named(read: Reader, name: str, delimiter: str) -> None:
    found = read(name, _table(delimiter))
    assert found.documents == TEXTS
    assert found.lines == list(range(2, 32))
    assert "text in the column 'review' of id, review, label (another: --text-field NAME)" in found.notes


def test_columns_by_name_number_and_several(read: Reader) -> None:
    both = [f"{label}\n{text}" for _, text, label in ROWS]
    assert read("a.csv", _table(","), text_field="label,review").documents == both
    assert read("a.csv", _table(","), text_field="Review").documents == TEXTS, "case does not matter"
    assert read("a.csv", _table(","), text_field="2").documents == TEXTS
    headless = read("a.csv", _table(",", header=""))
    assert (headless.documents, "numbered for want of a header" in headless.notes) == (TEXTS, True)
    assert read("a.csv", _table(",", header="a,b,text"), text_field="b").documents == TEXTS
    assert read("a.csv", _table(",", header="a,text,b")).documents == TEXTS
    assert read("a.csv", "name,no\nx y,1\n", text_field="name,no").documents == ["x y\n1"]
    assert read("a.csv", "\"a,b\",no\nx y z,1\n", text_field="a,b").documents == ["x y z"], "a name with a comma in it"


def test_quotes_line_breaks_marks_and_long_cells(read: Reader) -> None:
    long = "word " * 50_000
    content = f'\ufeffid,text\r\n1,"two\r\nlines, ""quoted"""\r\n\r\n2,"{long}"\r\n3,\r\n4,last'
    found = read("a.csv", content)
    assert found.documents == ['two\nlines, "quoted"', long, "last"]
    assert found.lines == [2, 5, 7]
    assert "1 of 4 records without text passed over" in found.notes
    assert read("a.csv", content.encode("utf-16")).documents == found.documents
    assert read("a.csv", "text\nhello there\n\"a, b\"\n").documents == ["hello there", "a, b"], "a single column"
    assert read("a.tsv", "id\ttext\n1\t\"Why\", she said\n2\t\"So\n").documents == ['"Why", she said', '"So']


def test_a_table_for_excel(read: Reader) -> None:
    found = read("a.csv", "sep=;\r\nid;text\r\n1;a, b\r\n2;c, d\r\n")
    assert (found.documents, found.lines) == (["a, b", "c, d"], [3, 4])


def test_pieces_of_a_table_that_is_longer_than_its_head(read: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "HEAD", 100)
    assert read("a.csv", _table(",")).documents == TEXTS


REFUSED = {
    # name of the case: content, text_field, what the message must say
    "several columns of text": (
        "id,title,body\n" + "".join(f"{i},title of the {i},body of the {i}\n" for i in range(9)), "text",
        "several columns of text (title, body); its columns are: id, title, body. Name one, or several with commas: "
        "--text-field title,body"),
    "numbers": ("a,b\n" + "".join(f"{i},{i / 7:.3f}\n" for i in range(9)), "text", "table of numbers"),
    "no column is plainly text": ("a,b\n" + "".join(f"x{i},y{i}\n" for i in range(9)), "text",
                                  "no column is plainly the text"),
    "another column": (_table(","), "body", "has no column 'body'; its columns are: id, review, label"),
    "no table": ("just a text, with a comma\nand; others\n| and so on\n", "text", "makes even rows"),
    "too many cells": (_table(",") + "9,a, b and c,good\n", "text", "line 32: has 4 cells, where the table has 3"),
    "a quote without end": (_table(",") + '9,"a text,good\n', "text",
                            "a.csv, line 32: begins a quote that never ends"),
    "a quote inside": (_table(",") + '9,"a "b" c",good\n', "text", "line 32: has a quote in the middle"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_tables_that_cannot_be_read(refused: Refused, case: str) -> None:
    content, field, expected = REFUSED[case]
    assert expected in refused("a.csv", content, text_field=field)


@pytest.mark.parametrize("row", ["9,a, b and c,good", '9,"a "b" c",good', '9,"never closed,good'])
def test_bad_rows_are_skipped_and_counted(read: Reader, row: str) -> None:
    found = read("a.csv", f"{_table(',')}{row}\n", skip_bad=True)
    assert found.documents == TEXTS
    assert "1 bad of 31 records skipped; the first, in line 32:" in found.notes


def test_a_table_as_it_stands(read: Reader) -> None:
    assert read("a.csv", _table(","), documents="text").documents == [_table(",")]
    assert read("a.csv", _table(","), documents="line").documents[1] == ",".join(ROWS[0])
    assert "--documents csv" in read("a.csv", _table(","), documents="text").notes
    assert read("a.txt", _table(","), documents="csv").documents == TEXTS
