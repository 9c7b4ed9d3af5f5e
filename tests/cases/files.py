"""Files in the formats that people have, built byte by byte, so that none has to be kept."""

from __future__ import annotations

import io
import zipfile

DOCX_TYPES = "<?xml version='1.0'?><Types xmlns='http://schemas.openxmlformats.org/package/2006/content-types'/>"
_W = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def zipped(members: dict[str, str | bytes], packing: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive; a member `mimetype` comes first and is stored, as EPUB and ODT have it."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", packing) as archive:
        for name, content in sorted(members.items(), key=lambda item: item[0] != "mimetype"):
            archive.writestr(name, content, zipfile.ZIP_STORED if name == "mimetype" else None)
    return data.getvalue()


def docx(*paragraphs: str, body: str = "", **parts: str) -> bytes:
    """A Word document of plain paragraphs. `body`: further XML in it."""
    inside = "".join(f"<w:p><w:pPr><w:tabs><w:tab/></w:tabs></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"
                     for text in paragraphs)
    document = (f"<?xml version='1.0'?><w:document xmlns:w='{_W}' xmlns:mc='mc'><w:body>{inside}{body}</w:body>"
                "</w:document>")
    return zipped({"[Content_Types].xml": DOCX_TYPES, "word/document.xml": document,
                   **{f"word/{name}.xml": f"<w:notes xmlns:w='{_W}'>{part}</w:notes>" for name, part in parts.items()}})


def odt(*paragraphs: str, mimetype: str = "application/vnd.oasis.opendocument.text") -> bytes:
    """A LibreOffice document."""
    return zipped({"mimetype": mimetype, "content.xml": odt_content(*paragraphs)})


def odt_content(*paragraphs: str) -> str:
    return ("<?xml version='1.0'?><office:document-content xmlns:office='office' xmlns:text='text'><office:body>"
            "<office:text>" + "".join(f"<text:p>{text}</text:p>" for text in paragraphs) + "</office:text>"
            "</office:body></office:document-content>")


def epub(*chapters: str, encryption: str = "") -> bytes:
    """A book: a navigation page, which is no chapter, then chapters in the order of their numbers backwards in the
    manifest, so that only the spine tells the order."""
    items = "".join(f"<item id='c{i}' href='text/c%20{i}.xhtml' media-type='application/xhtml+xml'/>"
                    for i in reversed(range(len(chapters))))
    spine = "<itemref idref='nav'/>" + "".join(f"<itemref idref='c{i}'/>" for i in range(len(chapters)))
    package = ("<?xml version='1.0'?><package xmlns='http://www.idpf.org/2007/opf'><manifest>"
               "<item id='nav' href='nav.xhtml' properties='nav' media-type='application/xhtml+xml'/>"
               f"{items}</manifest><spine>{spine}</spine></package>")
    container = ("<?xml version='1.0'?><container xmlns='urn:oasis:names:tc:opendocument:xmlns:container'><rootfiles>"
                 "<rootfile full-path='OEBPS/book.opf'/></rootfiles></container>")
    pages = {f"OEBPS/text/c {i}.xhtml": f"<?xml version='1.0' encoding='utf-8'?><html><head><title/></head><body>"
             f"{chapter}</body></html>" for i, chapter in enumerate(chapters)}
    extra = {"META-INF/encryption.xml": encryption} if encryption else {}
    return zipped({"mimetype": "application/epub+zip", "META-INF/container.xml": container, "OEBPS/book.opf": package,
                   "OEBPS/nav.xhtml": "<html><body><nav>Contents</nav>Contents</body></html>", **pages, **extra})


def pdf(*pages: str) -> bytes:
    """A PDF with a line of Latin letters on each page; an empty page has a picture's worth of nothing."""
    objects = ["<</Type/Catalog/Pages 2 0 R>>",
               f"<</Type/Pages/Count {len(pages)}/Kids[{' '.join(f'{4 + 2 * i} 0 R' for i in range(len(pages)))}]>>",
               "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    for i, text in enumerate(pages):
        drawing = f"BT /F1 12 Tf 72 700 Td ({text}) Tj ET" if text else ""
        objects += [f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 3 0 R>>>>"
                    f"/Contents {5 + 2 * i} 0 R>>", f"<</Length {len(drawing)}>>stream\n{drawing}\nendstream"]
    data, places = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, start=1):
        places.append(len(data))
        data += f"{number} 0 obj{each}endobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    return data + (f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
                   f"trailer<</Root 1 0 R/Size {len(objects) + 1}>>\nstartxref\n{len(data)}\n%%EOF").encode()
