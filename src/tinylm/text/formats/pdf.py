"""PDF, read by pypdf, page after page."""

from __future__ import annotations

import io
import logging
from typing import Any

from tinylm.text.formats.extracted import Extracted, File, Unreadable, missing_package, single, storable, way

_BY_HAND = "make a text of it with Poppler: pdftotext {file} {base}.txt"


def read(file: File) -> Extracted:
    """The text of a PDF. Raises: Unreadable: pypdf is missing, or the file is broken, locked, or made of pictures."""
    try:
        import pypdf
    except ImportError:
        raise missing_package("pypdf", "a PDF", file.where, way(_BY_HAND, file.where)) from None
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # pypdf warns about the structure of a file, not its text
    try:
        reader = pypdf.PdfReader(io.BytesIO(file.data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("is a PDF that is protected by a password", where=file.where,
                             remedy=way("Make a copy without it: qpdf --decrypt --password=... {file} {base}-open.pdf",
                                        file.where))
        pages = [storable(page.extract_text()) for page in reader.pages]
    except Unreadable:
        raise
    except Exception as error:  # a foreign file may raise any error in a library
        raise _broken(error, file.where) from None
    return _joined(pages, file.where)


def _broken(error: Exception, where: str) -> Unreadable:
    if type(error).__name__ == "DependencyError":
        return Unreadable("is an encrypted PDF, which pypdf reads only beside the package cryptography", where=where,
                          remedy=way("Install that: pip install cryptography. Or make a copy: "
                                     "qpdf --decrypt {file} {base}-open.pdf", where))
    return Unreadable(f"is a PDF that cannot be read ({type(error).__name__}: {error})", where=where,
                      remedy=way(f"Perhaps another program can {_BY_HAND}", where))


def _joined(pages: list[Any], where: str) -> Extracted:
    empty = sum(not page.strip() for page in pages)
    if empty == len(pages):
        raise Unreadable(f"is a PDF whose {len(pages):,} pages hold no text, only pictures", where=where,
                         remedy=way("An OCR program can add the text of scanned pages: ocrmypdf {file} {base}-ocr.pdf",
                                    where))
    note = "read as PDF: the text of its pages, with line ends and hyphens as they stand there"
    if empty:
        note += f"; {empty:,} of {len(pages):,} pages have none"
    return single("".join(page.strip("\n") + "\n" for page in pages if page.strip()), note)
