"""Recognition of a format by a file's name and its first bytes."""

from __future__ import annotations

import codecs
import json
import re
from pathlib import PurePath

from tinylm.text.formats import tables, whatsapp
from tinylm.text.formats.subtitles import TIMES

HEAD = 1 << 16
"""Bytes by which a format is recognised."""

BY_SUFFIX = {suffix: kind for kind, suffixes in {
    "html": ".html .htm .xhtml .xht .shtml", "mhtml": ".mht .mhtml", "mail": ".eml", "mailbox": ".mbox",
    "subtitles": ".srt .vtt .sbv", "substation": ".ass .ssa", "lyrics": ".lrc", "fodt": ".fodt", "notebook": ".ipynb",
    "fictionbook": ".fb2", "tei": ".tei", "xml": ".xml .ttml .dfxp", "csv": ".csv .tsv .tab .psv", "json": ".json",
    "jsonl": ".jsonl .ndjson",
}.items() for suffix in suffixes.split()}
"""Suffix -> format of text. Other formats are recognised by their bytes, whatever their name."""

_MAGIC = (
    (b"%PDF-", "pdf"), (b"{\\rtf", "rtf"), (b"PK\x03\x04", "zip"), (b"PK\x05\x06", "zip"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old office"), (b"\xdb\xa5-\0\0\0", "old office"), (b"AT&TFORM", "djvu"),
    (b"%!PS", "postscript"), (b"\xffWPC", "wordperfect"), (b"bplist00", "property list"), (b"PAR1", "parquet"),
    (b"ITOLITLS", "lit"), (b"ITSF", "chm"), (b"\xeaDRMION\xee", "kindle"), (b"ARROW1", "arrow"),
    (b"!BDN", "outlook"), (b"\xff\xfe\xff\x0eSkpM", "binary"),
)
DOCUMENT_SUFFIXES = (".pdf", ".rtf", ".doc", ".docx", ".docm", ".odt", ".epub", ".mobi", ".azw3", ".pages", ".wps")
"""Suffixes of binary documents, with which web pages and texts are saved by mistake."""
TEXT_SUFFIXES = ("", ".txt", ".text", ".asc", ".dat", ".log", ".out", ".download", ".sub")
"""Suffixes of texts without a particular format, which their content may tell."""

_XML = re.compile(r"\s*(?:<\?xml[^>]*\?>\s*)?(?:<!--.{0,4000}?-->\s*|<\?[^>]{0,500}\?>\s*|<!DOCTYPE[^>\[]{0,500}"
                  r"(?:\[[^\]]{0,4000}\]\s*)?>\s*)*<(?:[\w.-]+:)?([\w.-]+)", re.DOTALL | re.IGNORECASE)
_HTML = re.compile(r"\s*(?:<\?xml[^>]*\?>\s*|<!--.{0,4000}?-->\s*)*<(?:!doctype\s+html|html[\s>]|head[\s>]|body[\s>])",
                   re.DOTALL | re.IGNORECASE)
_MAILBOX = re.compile(r"From \S+ +[A-Z][a-z]{2} [A-Z][a-z]{2} [ \d]\d \d\d:\d\d[^\n]*\n(?:[A-Za-z-]+: )")
_XML_KINDS = {"TEI": "tei", "TEI.2": "tei", "teiCorpus": "tei", "FictionBook": "fictionbook", "html": "html",
              "mediawiki": "mediawiki", "tt": "ttml"}


def recognise(name: str, head: bytes, encoding: str = "") -> str:
    """The format of a file: a key of `formats.read` or of `formats.refusal`; empty for plain text and unknown bytes.

    Args:
        name: the file's name, without the suffix of a packer; empty for standard input.
        head: its first bytes, at least `HEAD` of them if there are as many.
        encoding: of a text without a byte order mark; empty: UTF-8, or whatever it may be.
    """
    found = next((kind for magic, kind in _MAGIC if head.startswith(magic)), "")
    if found or head[60:68] in (b"BOOKMOBI", b"TEXtREAd"):
        return found or "kindle"
    if b"%PDF-" in head[:1024] and head.count(b"\0", 0, 1024):
        return "pdf"
    suffix = PurePath(name).suffix.lower()
    text = _as_text(head, encoding)
    kind = "json" if text.startswith("window.YTD.") else BY_SUFFIX.get(suffix, "")  # an archive of Twitter, in .js
    if kind == "xml":
        root = _XML.match(text)
        return _XML_KINDS.get(root[1], "xml") if root else "html" if _HTML.match(text) else ""
    if kind == "json":
        return "jsonl" if is_json_lines(text) else "json"
    if kind or suffix not in (*TEXT_SUFFIXES, *DOCUMENT_SUFFIXES) or "\0" in text[:1024]:
        return kind
    return _by_content(text) or ("" if suffix else _records_by_content(text, len(head) < HEAD))


def _as_text(head: bytes, encoding: str) -> str:
    """The head as text, well enough to recognise its form."""
    for mark, marked in ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"),
                         (codecs.BOM_UTF16_BE, "utf-16-be")):
        if head.startswith(mark):
            return head[len(mark):].decode(marked, "replace").replace("\r\n", "\n").replace("\r", "\n")
    try:
        text = head.decode(encoding or "utf-8", "replace")
    except (LookupError, UnicodeError):
        text = head.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _by_content(text: str) -> str:
    """The format of running text, by its beginning."""
    start = text.lstrip("\ufeff \t\n")
    if _HTML.match(start):
        return "html"
    if start.startswith("WEBVTT"):
        return "subtitles"
    if re.match(r"\d+\n", start) and TIMES.fullmatch(start.split("\n")[1]):
        return "subtitles"
    if start.startswith("[Script Info]"):
        return "substation"
    if re.match(r"\{\d+\}\{\d+\}", start):
        return "frames"
    if _MAILBOX.match(start):
        return "mailbox"
    if whatsapp.is_whatsapp(start):
        return "whatsapp"
    if start.startswith("<?xml"):
        root = _XML.match(start)
        return _XML_KINDS.get(root[1], "xml") if root else ""
    return ""


def _records_by_content(text: str, is_whole: bool) -> str:
    """The format of records, by their beginning."""
    start = text.lstrip("\ufeff \t\n")
    if is_json_lines(start):
        return "jsonl"
    if is_json_array(start, is_whole):
        return "json"
    return "csv" if tables.is_table(start, is_whole) else ""


def is_json_lines(text: str) -> bool:
    """True if the first lines, two at least, are JSON objects. The last may be cut, and half of the others broken."""
    lines = [line for line in text.split("\n")[:20] if line.strip()]
    whole = [line for line in lines[:-1] if line.lstrip("\ufeff").startswith("{")]
    if len(lines) < 2 or len(whole) < len(lines) - 1 or not lines[-1].lstrip("\ufeff").startswith("{"):
        return False
    good = sum(map(is_object, whole))
    return good > 0 and good >= 0.5 * len(whole)


def is_json_array(text: str, is_whole: bool) -> bool:
    """True if a text begins an array of objects or strings, or is one whole object."""
    if re.match(r"\[\s*(?:\{\s*\"|\")", text):
        try:
            json.JSONDecoder().raw_decode(text,
                                          text.index("[") + 1 + len(re.match(r"\[(\s*)",
                                                                             text)[1]))  # type: ignore[index]
        except (ValueError, RecursionError):
            return not is_whole
        return True
    return is_whole and text.startswith("{") and is_object(text)


def is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line.lstrip("\ufeff")), dict)
    except (ValueError, RecursionError):
        return False
