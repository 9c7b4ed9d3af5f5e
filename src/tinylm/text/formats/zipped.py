"""Zip archives, distinguished by their content."""

from __future__ import annotations

from tinylm.text.formats import epub, office
from tinylm.text.formats.archive import Archive
from tinylm.text.formats.extracted import Extracted, File, Unreadable
from tinylm.text.formats.recognise import HEAD
from tinylm.text.formats.refusals import refusal
from tinylm.text.reading.binary import no_text

_BY_MIMETYPE = {"application/epub+zip": "epub", "application/vnd.oasis.opendocument.text": "odt",
                "application/vnd.oasis.opendocument.text-template": "odt",
                "application/vnd.oasis.opendocument.spreadsheet": "sheet",
                "application/vnd.oasis.opendocument.presentation": "slides"}
_BY_FOLDER = {"word/": "docx", "xl/": "sheet", "ppt/": "slides", "Index/": "pages", "Index.zip": "pages"}


def _kind_of(archive: Archive) -> str:
    if "mimetype" in archive.names:
        return _BY_MIMETYPE.get(archive.read("mimetype")[:100].decode("ascii", "replace").strip(), "")
    if "META-INF/container.xml" in archive.names:
        return "epub"
    folder = next((folder for folder in _BY_FOLDER if any(name.startswith(folder) for name in archive.names)), "")
    return _BY_FOLDER.get(folder, "")


def read(file: File) -> Extracted:
    """The text of the document in a zip file. Raises: Unreadable: the file is broken, or an archive of other files."""
    archive = Archive(file.data, file.where)
    kind = _kind_of(archive)
    if kind == "epub":
        return epub.read_epub(archive, file.decode)
    if kind in ("docx", "odt"):
        return office.read_docx(archive) if kind == "docx" else office.read_odt(archive)
    plain = no_text(file.data[:HEAD], file.where)
    raise refusal(kind, file.where) or Unreadable(plain.what, where=plain.where, remedy=plain.remedy)
