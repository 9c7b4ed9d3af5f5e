"""Formats that are not read: the name of each, and the way from it to a text."""

from __future__ import annotations

from pathlib import PurePath

from tinylm.text.formats.extracted import Unreadable, way

_OFFICE = "Open it in Word or LibreOffice and save it as .docx or as plain text; or: soffice --headless --convert-to " \
          "{to} {file}"
_CALIBRE = "Make an EPUB of it with Calibre: ebook-convert {file} {base}.epub"
_XML = "Take its text out, for example: xmllint --xpath 'string(/)' {file} > {base}.txt. Or --set " \
       "data.formats=keep learns the file as it stands"
_PANDAS = "Write it as JSON lines, for example: python -c \"import sys, pandas; pandas.{read}(sys.argv[1])" \
          ".to_json(sys.argv[2], orient='records', lines=True)\" {file} {base}.jsonl"

_KINDS = {
    "djvu": ("is a DjVu document", "Take its text out: djvutxt {file} {base}.txt"),
    "postscript": ("is PostScript, a program for printers", "Take its text out: ps2ascii {file} {base}.txt"),
    "wordperfect": ("is a WordPerfect document", _OFFICE.replace("{to}", "docx")),
    "property list": ("is a web archive or property list of a Mac", "Open it and save its text; on a Mac: textutil "
                      "-convert txt {file}"),
    "parquet": ("is a Parquet table, and no text", _PANDAS.replace("{read}", "read_parquet")),
    "arrow": ("is an Arrow table, and no text", _PANDAS.replace("{read}", "read_feather")),
    "lit": ("is a book for Microsoft Reader", _CALIBRE), "kindle": ("is a book for Kindle (MOBI, AZW)", _CALIBRE),
    "chm": ("is a compiled HTML help file", "Unpack its pages: 7z x {file}"),
    "outlook": ("is a mail folder of Outlook", "Write its mails as .mbox: readpst {file}"),
    "mediawiki": ("is a dump of a wiki such as Wikipedia, whose text is full of markup",
                  "Take its articles out with the package wikiextractor: "
                  "wikiextractor --json {file} -o articles"),
    "xml": ("is XML of a kind that is not known here", _XML),
    "sheet": ("is a spreadsheet", "Save the sheet that holds the text as .csv; or: "
              "soffice --headless --convert-to csv {file}"),
    "slides": ("is a presentation", "Open it and save its outline as plain text; or: "
               "soffice --headless --convert-to pdf {file}"),
    "pages": ("is a document of Apple's Pages, Numbers or Keynote",
              "Open it there and export it as Word or plain text"),
}
_OLD_OFFICE = {
    ".xls": ("is an old Excel spreadsheet", "csv"), ".ppt": ("is an old PowerPoint presentation", "pdf"),
    ".msg": ("is a mail of Outlook", ""), ".doc": ("is an old Word document", "docx"),
}


def refusal(kind: str, where: str) -> Unreadable | None:
    """The error for a format that is recognised but not read; None for another kind."""
    if kind == "old office":
        what, to = _OLD_OFFICE.get(PurePath(where).suffix.lower(), ("is an old Office document, such as .doc", "docx"))
        remedy = _OFFICE.replace("{to}", to) if to else "Save its text from Outlook"
    elif kind in _KINDS:
        what, remedy = _KINDS[kind]
    else:
        return None
    return Unreadable(what, where=where, remedy=way(remedy, where))
