"""EPUB: the chapters of a book, in the order of its spine."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from urllib.parse import unquote

from tinylm.text.formats import html, xml
from tinylm.text.formats.archive import Archive
from tinylm.text.formats.extracted import Extracted, Unreadable, single

_CONTAINER, _ENCRYPTION = "META-INF/container.xml", "META-INF/encryption.xml"


class _Elements:
    """Collects the attributes of every element, by its name."""

    def __init__(self) -> None:
        self.found: dict[str, list[dict[str, str]]] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.found.setdefault(name, []).append(attributes)

    def end(self, name: str) -> None:
        pass

    def data(self, text: str) -> None:
        pass


def read_epub(archive: Archive, decode: Callable[[bytes, str], str]) -> Extracted:
    """The text of a book. Raises: Unreadable: the book is protected (DRM), broken, or has no chapters."""
    _refuse_protected(archive)
    chapters = _chapters(archive)
    texts = []
    for name in chapters:
        page = archive.read(name)
        texts.append(html.text_of(decode(page, html.declared_encoding(page))))
    if not any(text.strip() for text in texts):
        raise Unreadable("is an EPUB book that holds no text", where=archive.where,
                         remedy="A book of scanned pages is pictures: an OCR program such as Tesseract reads those")
    return single("\n".join(text for text in texts if text),
                  f"read as an EPUB book: the text of its {len(chapters)} parts in order, without tags")


def _elements(archive: Archive, name: str) -> dict[str, list[dict[str, str]]]:
    elements = _Elements()
    xml.parse(archive.read(name), elements, archive.where)
    return elements.found


def _chapters(archive: Archive) -> list[str]:
    """The names of the spine's HTML files, without the table of contents."""
    roots = [root.get("full-path", "") for root in _elements(archive, _CONTAINER).get("rootfile", [])]
    package = next((root for root in roots if root in archive.names), "")
    if not package:
        raise Unreadable("is a broken EPUB book: it names no package document", where=archive.where,
                         remedy="Copy it again from where it came")
    found = _elements(archive, package)
    items = {item.get("id", ""): item for item in found.get("item", [])}
    chapters = []
    for reference in found.get("itemref", []):
        item = items.get(reference.get("idref", ""), {})
        name = posixpath.normpath(posixpath.join(posixpath.dirname(package), unquote(item.get("href", ""))))
        if "html" in item.get("media-type", "html") and "nav" not in item.get("properties", "").split():
            chapters += [name] if name in archive.names else []
    return chapters


def _refuse_protected(archive: Archive) -> None:
    """Raises Unreadable for encrypted chapters. Encrypted fonts are common, and no obstacle."""
    if _ENCRYPTION not in archive.names:
        return
    locked = [unquote(each.get("URI", "")) for each in _elements(archive, _ENCRYPTION).get("CipherReference", [])]
    if any(name.endswith(("html", ".htm", ".xml")) for name in locked):
        raise Unreadable("is an EPUB book protected against copying (DRM), so its text cannot be read",
                         where=archive.where, remedy="Give a book without such protection")
