"""Tables as conversations: a column of questions and one of answers."""

from __future__ import annotations

from collections.abc import Iterator

from tinylm.chat.files.records import PairFields, pair_fields
from tinylm.chat.files.source import ChatSource
from tinylm.errors import TinyLMError
from tinylm.system.untrusted import quoted
from tinylm.text.formats.tables import Table, form_of, listed, open_table
from tinylm.text.reading.fields import as_word
from tinylm.text.reading.records import Record

SUFFIXES = (".csv", ".tsv", ".tab", ".psv")


def is_table(source: ChatSource) -> bool:
    """True for a file that is named like a table, or whose first row names columns of questions and answers."""
    if source.suffix in SUFFIXES:
        return True
    table = form_of(source.head)
    return table is not None and table.has_header and pair_fields(table.columns) is not None


def read_table(source: ChatSource, asked: str = "") -> tuple[Iterator[tuple[int, Record]], PairFields]:
    """The rows of a table, each with its line, and its columns of questions and answers.

    Args:
        asked: the names of both columns with a comma between, as a person gave them; empty: by known names.

    Raises:
        TinyLMError: it is no table, or has no such columns.
    """
    try:
        table, records = open_table(source.chunks(), source.where)
    except TinyLMError as error:
        raise TinyLMError(error.what, where=source.where, remedy=(
            "Put a comma or a tab between question and answer, and double quotes around a text with commas; the first "
            "row names the columns: question,answer")) from None
    return records, _columns(table, asked, source.where)


def _columns(table: Table, asked: str, where: str) -> PairFields:
    if asked:
        return asked_fields(asked, table.columns, where)
    found = pair_fields(table.columns)
    if found:
        return found
    two = ",".join([*table.columns, *table.columns][:2]) if len(table.columns) < 3 else ",".join(table.columns[:2])
    if not table.has_header:
        raise TinyLMError("is a table whose first row names no columns, so that nothing tells questions from answers",
                          where=f"{where}, line 1", remedy="Write a first row: question,answer. Or give the numbers of "
                          "both columns: --text-field 1,2 (in Python: text_field='1,2')")
    raise TinyLMError(f"is a table without columns of questions and answers; its columns are: {listed(table)}",
                      where=f"{where}, line 1", remedy="Name the columns question and answer, or say which ones these "
                      f"are: --text-field {as_word(two)} (in Python: text_field={quoted(two)!r})")


def asked_fields(asked: str, names: tuple[str, ...], where: str) -> PairFields:
    """The fields that a person named. Raises: TinyLMError: they are not two, or one is not there."""
    chosen = [name.strip() for name in asked.split(",")]
    if len(chosen) != 2:
        raise TinyLMError("a chat needs two fields, of the question and of the answer", where="text_field",
                          remedy="Give both with a comma between: --text-field question,answer")
    missing = [name for name in chosen if names and name not in names]
    if missing:
        listed_names = ", ".join(repr(quoted(name)) for name in names[:20])
        raise TinyLMError(f"has no column {missing[0]!r}; its columns are: {listed_names}", where=where,
                          remedy="Give two of these: --text-field QUESTION,ANSWER")
    return PairFields(chosen[0], None, chosen[1])
