"""Notices what plain text holds besides text: records, tables, tags, escapes, a licence. The text is not changed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import PurePath

from tinylm.system.untrusted import quoted
from tinylm.text.formats import recognise, tables
from tinylm.text.formats.extracted import way
from tinylm.text.reading import fields

SEEN = 1 << 16
"""Characters of the start, and of the end, of a text that are searched."""
_LATEX, _FASTA = (".tex", ".ltx", ".latex"), (".fasta", ".fa", ".fna", ".faa", ".fas")
_WATCHED = frozenset((*recognise.TEXT_SUFFIXES, *recognise.DOCUMENT_SUFFIXES, *recognise.BY_SUFFIX, *_LATEX, *_FASTA))


def is_watched(name: str) -> bool:
    """True for the names of plain text and of formats that may be read as they stand; false for source code, which may
    rightly hold tags, tables and escapes."""
    return PurePath(name).suffix.lower() in _WATCHED


def watched(chunks: Iterable[str], where: str, by_line: bool, note: Callable[[str], None]) -> Iterator[str]:
    """Yields the chunks, and notes remarks on them after the last.

    Args:
        where: the file, for commands in remarks.
        by_line: whether each line is a document.
    """
    head = tail = ""
    lines = 1
    for chunk in chunks:
        lines += chunk.count("\n")
        head += chunk[:SEEN - len(head)]
        tail = (tail + chunk)[-SEEN:]
        yield chunk
    is_whole = len(head) < SEEN
    remarks = (_records(head, is_whole), None if by_line else _log(head), _markup(head), _escapes(head),
               _mojibake(head), _controls(head if is_whole else head + tail), _fasta(head), _by_name(where),
               _gutenberg(head, tail, lines))
    for remark in remarks:
        if remark:
            note(way(remark, where))


def _lines(head: str) -> list[str]:
    """Lines that are not blank, without the last, which may be cut."""
    return [line for line in head.split("\n")[:-1] if line.strip()]


def _records(head: str, is_whole: bool) -> str | None:
    """Remarks on JSON lines, a JSON array, a table."""
    start = head.lstrip("\ufeff \n")
    if recognise.is_json_lines(start):
        record = json.loads(next(line for line in start.split("\n") if recognise.is_object(line)))
        return ("its lines are JSON records, whose braces, names and escapes are learned too: "
                f"--documents jsonl{_field_option(record)} reads the texts in them")
    if recognise.is_json_array(start, is_whole):
        found = re.match(r"\[\s*", start)
        record = json.JSONDecoder().raw_decode(start, found.end())[0] if found and is_whole else {"text": ""}
        return ("it is JSON, whose brackets, names and escapes are learned too: "
                f"--documents json{_field_option(record)} reads the texts in it")
    if tables.is_table(start, is_whole, headed=False) and (form := tables.form_of(start, is_whole)):
        columns = quoted(", ".join(form.columns[:8]))
        named = f"columns {columns}" if form.has_header else f"{len(form.columns)} columns, numbered from 1"
        return (f"it is a table with {named}, learned as it stands: --documents csv --text-field NAME reads the text "
                "in one of them")
    return None


def _log(head: str) -> str | None:
    lines = _lines(head)
    if len(lines) >= 10 and sum(_STAMP.match(line) is not None for line in lines) >= 0.6 * len(lines):
        return ("its lines begin with times, as in a log, which are learned too: --documents line makes a document of "
                "each")
    return None


_STAMP = re.compile(r"[\[<(]?(?:\d{4}[-/.]\d\d[-/.]\d\d[T ,_]\s?\d\d:\d\d|\d\d?[-/.]\d\d?[-/.]\d{2,4},?\s\d\d?:\d\d"
                    r"|[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d |\d\d:\d\d:\d\d[\s,.\]]|(?<=\[)\d\d?:\d\d\])"
                    r"|\S+ \S+ \S+ \[\d\d/[A-Z][a-z]{2}/\d{4}:")
"""Timestamps: ISO 8601, local dates, syslog, a time alone, and those of web servers."""


def _field_option(record: object) -> str:
    if not isinstance(record, dict) or isinstance(record.get("text"), str):
        return ""
    field = fields.suggested(record)
    return f" --text-field {fields.as_word(field)}" if field else " --text-field NAME"


_TAG = re.compile(r"</?[a-zA-Z][\w:-]*(?:\s[^<>]{0,300})?/?>")


def _markup(head: str) -> str | None:
    """Remarks on tags of HTML or XML, some of which must be closed: `<nick> hello` in a chat is not a tag."""
    tags = _TAG.findall(head)
    closing = sum(tag.startswith("</") for tag in tags)
    if closing < 5 or len(tags) < 10 or sum(map(len, tags)) < 0.02 * len(head):
        return None
    is_html = re.search(r"<(?:p|br|div|li|tr|h[1-6])\b", head, re.I)
    without = "cp {file} {base}.html makes a copy that is read without them" if is_html else \
        "sed 's/<[^>]*>//g' {file} > {base}-plain.txt leaves them out"
    return f"it holds tags such as {quoted(tags[0][:40])}, which are learned too: {without}"


_UNESCAPE = r"""python3 -c 'import re, sys; sys.stdout.write(re.sub(r"(?:\\u[0-9a-fA-F]{4})+", lambda found: """ \
            r"""found[0].encode().decode("unicode_escape").encode("utf-16", "surrogatepass").decode("utf-16"), """ \
            r"""sys.stdin.read()))' < {file} > {base}-plain.txt writes the characters themselves"""
_DECODE = "python3 -c 'import html, sys; sys.stdout.write(html.unescape(sys.stdin.read()))' < {file} > " \
          "{base}-plain.txt writes the characters themselves"


def _escapes(head: str) -> str | None:
    r"""Remarks on characters written as \u00e9 or as &eacute;."""
    escapes = re.findall(r"\\u[0-9a-fA-F]{4}", head)
    if len(escapes) >= max(10, len(head) / 2000) and not recognise.is_json_lines(head.lstrip("\ufeff \n")):
        return f"it holds characters written as escapes ({escapes[0]}), which are learned so: {_UNESCAPE}"
    entities = re.findall(r"&(?:amp|lt|gt|quot|nbsp|#\d{2,5}|#x[0-9a-fA-F]{2,4}|[a-zA-Z]{3,6});", head)
    if len(entities) >= max(10, len(head) / 2000):
        return f"it holds characters written as in HTML ({entities[0]}), which are learned so: {_DECODE}"
    return None


def _mojibake(head: str) -> str | None:
    """Remarks on mojibake: UTF-8 that was once read as Windows-1252, and saved so."""
    found = re.findall("[ÃÂ][\u0080-\u00bf]|â€[\u0080-\u00bf\u0153\u2013-\u2122]", head)
    if len(found) < max(10, len(head) / 5000):
        return None
    return (f"its letters seem to have been saved wrongly before ({found[0]!r} for one letter): the package ftfy mends "
            "such a text")


_CONTROL = re.compile("[\0-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]")
_PLAIN = r"""python3 -c 'import re, sys; sys.stdout.write(re.sub(r"\x1b\[[0-9;?]*[@-~]|[\x00-\x08\x0e-\x1b\x7f-\x84""" \
         r"""\x86-\x9f]", "", sys.stdin.read()))' < {file} > {base}-plain.txt leaves them out"""


def _controls(text: str) -> str | None:
    """Remarks on control codes of terminals and printers, and on Japanese in an encoding that consists of them."""
    if re.search(r"\x1b\$[@B](?:[!-~]{2})+\x1b\(", text):
        return "it looks like ISO-2022-JP, Japanese whose escapes are learned too: --encoding iso-2022-jp reads it"
    found = _CONTROL.search(text)
    if not found:
        return None
    return f"it holds control characters (such as U+{ord(found[0]):04X}), which are learned too: {_PLAIN}"


def _fasta(head: str) -> str | None:
    lines = _lines(head)[:200]
    headers = [line for line in lines if line.startswith(">")]
    if not lines or not lines[0].startswith(">") or len(headers) > len(lines) / 2 or len(lines) < 2:
        return None
    if not all(re.fullmatch(r"[A-Za-z*.\- ]+", line) for line in lines if not line.startswith(">")):
        return None
    return ("it is FASTA, and its headers (lines that begin with >) are learned too: "
            "grep -v '^>' {file} > {base}.txt leaves them out")


def _by_name(where: str) -> str | None:
    suffix = PurePath(where).suffix.lower()
    if suffix in _LATEX:
        return ("LaTeX is learned as its author wrote it, commands and all: "
                "pandoc --to plain {file} -o {base}.txt makes plain text of it")
    return f"it is plain text, though its name ends in {suffix}" if suffix in recognise.DOCUMENT_SUFFIXES else None


_START = re.compile(r"^\*\*\* ?START OF TH(?:E|IS) PROJECT GUTENBERG.*$|^\*END\*THE SMALL PRINT!.*$", re.M | re.I)
_END = re.compile(r"^(?:\*\*\* ?END OF TH(?:E|IS) PROJECT GUTENBERG|End of (?:the )?Project Gutenberg(?:'s|’s)?).*$",
                  re.M | re.I)


def _gutenberg(head: str, tail: str, lines: int) -> str | None:
    """Remarks on Project Gutenberg's header and licence, by the lines that mark them."""
    start, end = _START.search(head), _END.search(tail)
    before = head.count("\n", 0, start.end()) + 1 if start else 0
    after = tail.count("\n", end.start()) + (not tail.endswith("\n")) if end else 0
    found = [*([f"the first {before:,}"] if start else ()), *([f"the last {after:,}"] if end else ())]
    if not found:
        return None
    last = lines - tail.endswith("\n") - after
    return (f"{' and '.join(found)} lines are Project Gutenberg's header and licence, which are learned too: "
            f"sed -n '{before + 1},{last}p' {{file}} > {{base}}-only.txt keeps the lines between")
