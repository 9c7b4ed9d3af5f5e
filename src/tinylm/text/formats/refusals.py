"""Formats that are not read: what each is called, and the way from it to a text."""

from __future__ import annotations

from pathlib import PurePath

from tinylm.text.formats.extracted import Unreadable

_OFFICE = "Open it in Word or LibreOffice and save it as .docx or as plain text; or: soffice --headless --convert-to " \
          "{to} FILE{suffix}"
_CALIBRE = "Make an EPUB of it with Calibre: ebook-convert FILE{suffix} FILE.epub"
_XML = "Take its text out, for example: xmllint --xpath 'string(/)' FILE{suffix} > FILE.txt. Or --set " \
       "data.formats=keep learns the file as it stands"

_KINDS = {
    "djvu": ("is a DjVu document", "Take its text out: djvutxt FILE{suffix} FILE.txt"),
    "postscript": ("is PostScript, a program for printers", "Take its text out: ps2ascii FILE{suffix} FILE.txt"),
    "wordperfect": ("is a WordPerfect document", _OFFICE.format(to="docx", suffix="{suffix}")),
    "property list": ("is a web archive or property list of a Mac", "Open it and save its text; on a Mac: textutil "
                      "-convert txt FILE{suffix}"),
    "parquet": ("is a Parquet table", "Write it as JSON lines, with pandas for one: pandas.read_parquet('FILE{suffix}')"
                ".to_json('FILE.jsonl', orient='records', lines=True)"),
    "arrow": ("is an Arrow table", "Write it as JSON lines, with pandas for one: pandas.read_feather('FILE{suffix}')"
              ".to_json('FILE.jsonl', orient='records', lines=True)"),
    "lit": ("is a book for Microsoft Reader", _CALIBRE), "kindle": ("is a book for Kindle (MOBI, AZW)", _CALIBRE),
    "chm": ("is a compiled HTML help file", "Unpack its pages: 7z x FILE{suffix}"),
    "outlook": ("is a mail folder of Outlook", "Write its mails as .mbox: readpst FILE{suffix}"),
    "mediawiki": ("is a dump of a wiki such as Wikipedia, whose text is full of markup",
                  "Take its articles out with the package wikiextractor: "
                  "wikiextractor --json FILE{suffix} -o articles"),
    "xml": ("is XML of a kind that is not known here", _XML),
    "sheet": ("is a spreadsheet", "Save the sheet that holds the text as .csv; or: "
              "soffice --headless --convert-to csv FILE{suffix}"),
    "slides": ("is a presentation", "Open it and save its outline as plain text; or: "
               "soffice --headless --convert-to pdf FILE{suffix}"),
    "pages": ("is a document of Apple's Pages, Numbers or Keynote",
              "Open it there and export it as Word or plain text"),
}
_OLD_OFFICE = {
    ".xls": ("is an old Excel spreadsheet", "csv"), ".ppt": ("is an old PowerPoint presentation", "pdf"),
    ".msg": ("is a mail of Outlook", ""), ".doc": ("is an old Word document", "docx"),
}


def refusal(kind: str, where: str) -> Unreadable | None:
    """The refusal of a format that is recognised and not read; None if the kind is not of these."""
    suffix = PurePath(where).suffix.lower()
    if kind == "old office":
        what, to = _OLD_OFFICE.get(suffix, ("is an old Office document, such as .doc", "docx"))
        remedy = _OFFICE.format(to=to, suffix="{suffix}") if to else "Save its text from Outlook"
        return Unreadable(what, where=where, remedy=remedy.format(suffix=suffix or ".doc"))
    if kind not in _KINDS:
        return None
    what, remedy = _KINDS[kind]
    return Unreadable(what, where=where, remedy=remedy.format(suffix=suffix))
