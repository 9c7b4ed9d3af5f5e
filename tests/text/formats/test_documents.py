"""Documents of word processors, books, PDF: their text, or why there is none."""

from __future__ import annotations

import sys
import zipfile

import pytest

from tests.cases.files import docx, epub, odt, odt_content, pdf, zipped
from tests.text.formats.conftest import Reader, Refused
from tinylm.system.extras import install_command
from tinylm.text.formats import archive


def test_word_documents(read: Reader) -> None:
    body = ("<w:p><w:r><w:t>tab</w:t><w:tab/><w:t xml:space='preserve'>and </w:t><w:br/><w:t>break</w:t></w:r>"
            "<w:del><w:r><w:delText>deleted</w:delText></w:r></w:del><w:ins><w:r><w:t>, added</w:t></w:r></w:ins></w:p>"
            "<mc:AlternateContent><mc:Choice><w:p><w:r><w:t>box</w:t></w:r></w:p></mc:Choice>"
            "<mc:Fallback><w:p><w:r><w:t>box</w:t></w:r></w:p></mc:Fallback></mc:AlternateContent>"
            "<w:tbl><w:tr><w:tc><w:p><w:r><w:instrText>PAGE</w:instrText><w:t>cell</w:t></w:r></w:p></w:tc></w:tr></w:tbl>")
    found = read("a.docx", docx("One.", "Two &amp; three.", body=body,
                                footnotes="<w:p><w:r><w:t>A note.</w:t></w:r></w:p>"))
    assert found.documents == ["One.\nTwo & three.\ntab\tand \nbreak, added\nbox\ncell\nA note.\n"]
    assert "read as a Word document" in found.notes
    assert read("a.docx", docx("One.", "Two."), documents="line").documents == ["One.", "Two."]


def test_open_document_texts(read: Reader) -> None:
    text = ("One<text:s text:c='2'/>and<text:tab/>two<text:line-break/>lines", "A claim<text:note><text:note-citation>1"
            "</text:note-citation><text:note-body><text:p>Its note.</text:p></text:note-body></text:note>, and more.")
    expected = "One  and\ttwo\nlines\nA claim, and more.\nIts note.\n"
    assert read("a.odt", odt(*text)).documents == [expected]
    assert read("a.fodt", odt_content(*text)).documents == [expected]


def test_books_are_read_in_the_order_of_their_spine(read: Reader) -> None:
    found = read("a.epub", epub("<h1>I</h1><p>It began.</p>", "<p>It ended.</p>"))
    assert found.documents == ["I\n\nIt began.\n\nIt ended.\n"]
    assert "EPUB book: the text of its 2 parts" in found.notes


def test_pdf(read: Reader) -> None:
    found = read("a.pdf", pdf("The first page", "", "The third page"))
    assert found.documents == ["The first page\nThe third page\n"]
    assert "1 of 3 pages have none" in found.notes


def test_rtf(read: Reader) -> None:
    text = r"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}\f0 Caf\'e9 \b bold\b0 , \u8220?so\u8221?.\par Two.}"
    found = read("letter.rtf", text)
    assert found.documents == ["Café bold, “so”.\nTwo."]
    assert "fonttbl" not in read("saved.txt", text).documents[0], "told by its content"


@pytest.mark.parametrize("package", ["pypdf", "striprtf"])
def test_without_the_package_the_way_to_it_is_told(refused: Refused, monkeypatch: pytest.MonkeyPatch,
                                                   package: str) -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    name, content = ("a.pdf", pdf("x y z")) if package == "pypdf" else ("a.rtf", b"{\\rtf1 x y}")
    message = refused(name, content)
    assert f"the package {package}" in message
    assert f"Install it: {install_command('formats')}. Or" in message


DRM = "<encryption><EncryptedData><CipherReference URI='OEBPS/text/c%200.xhtml'/></EncryptedData></encryption>"
ENTITY = "<!DOCTYPE x [<!ENTITY a {}>]><w:document xmlns:w='w'><w:p><w:t>&a;</w:t></w:p></w:document>"
UNREADABLE = {
    # name of the case: name of the file, its bytes, what the message must say
    "a cut archive": ("a.docx", docx("One" * 99)[:-40], "is a broken archive"),
    "a protected book": ("a.epub", epub("<p>x</p>", encryption=DRM), "protected against copying"),
    "a book without text": ("a.epub", epub("<img src='1.png'/>"), "holds no text"),
    "scanned pages": ("a.pdf", pdf("", ""), "ocrmypdf"),
    "a broken PDF": ("a.pdf", b"%PDF-1.7\nnothing of the sort", "is a PDF that cannot be read"),
    "entities of its own": ("a.docx", zipped({"word/document.xml": ENTITY.format("'lol'")}), "declares entities"),
    "entities from elsewhere": ("a.docx", zipped({"word/document.xml": ENTITY.format("SYSTEM 'file:///etc/passwd'")}),
                                "declares entities"),
    "XML that ends early": ("a.odt", zipped({"mimetype": "application/vnd.oasis.opendocument.text",
                                             "content.xml": "<a><b>"}), "not well-formed XML"),
    "a part is missing": ("a.odt", zipped({"mimetype": "application/vnd.oasis.opendocument.text"}),
                          "content.xml is missing"),
    "a spreadsheet": ("a.xlsx", zipped({"xl/workbook.xml": "<x/>"}), "is a spreadsheet"),
    "a spreadsheet of LibreOffice": ("a.ods", odt("x", mimetype="application/vnd.oasis.opendocument.spreadsheet"),
                                     "is a spreadsheet"),
    "a presentation": ("a.pptx", zipped({"ppt/presentation.xml": "<x/>"}), "is a presentation"),
    "Pages": ("a.pages", zipped({"Index/Document.iwa": b"\0"}), "Apple's Pages"),
    "an archive of texts": ("a.zip", zipped({"a.txt": "x", "b/c.txt": "y"}),
                            "Unpack it, then give the folder: python -m zipfile -e"),
    "an old Word document": ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600),
                             "soffice --headless --convert-to docx"),
    "a Kindle book": ("a.azw3", b"x" * 60 + b"BOOKMOBI" + bytes(99), "ebook-convert"),
    "a DjVu document": ("a.djvu", b"AT&TFORM\0\0\0\0DJVU", "djvutxt"),
    "a Parquet table": ("a.parquet", b"PAR1\x15\x04" + bytes(99), "read_parquet"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_documents_without_a_text_to_give(refused: Refused, case: str) -> None:
    name, content, expected = UNREADABLE[case]
    message = refused(name, content)
    assert expected in message
    assert len(message.split(". ")) > 1, "with a remedy"


def test_a_password_is_told(refused: Refused) -> None:
    data = bytearray(docx("One"))
    for at in (data.index(b"PK\x03\x04") + 6, data.index(b"PK\x01\x02") + 8):
        data[at] |= 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zipfile.ZipFile, "namelist", lambda _: ["word/document.xml", "[Content_Types].xml"])
        patch.setattr(zipfile.ZipFile, "getinfo", lambda self, _: self.infolist()[0])
        assert "protected by a password" in refused("a.docx", bytes(data))


def test_zip_bombs_are_refused_before_they_fill_the_memory(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "_SUSPICIOUS", 1 << 16)
    assert "unpacks to far more than its size" in refused("a.docx", docx("a" * (1 << 20)))
    monkeypatch.setattr(archive, "LARGEST", 1 << 12)
    assert "unpacks to far more than its size" in refused("a.odt", odt("word " * 2000))
