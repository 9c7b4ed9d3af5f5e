"""E-mail (.eml), mailboxes (.mbox), and web pages saved as one (.mhtml), which are mails of several parts."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

from tinylm.text.formats import html
from tinylm.text.formats.extracted import Extracted, File, Unreadable, single, storable

_BETWEEN = re.compile(rb"(?:\A|(?<=\n)\r?\n)From [^\n]*\d{4}[^\n]*\n")

_PARTS = "subject and text; other headers and attachments are left out"


def _parsed(data: bytes, where: str) -> tuple[str, str]:
    """(subject, text) of a mail; empty for a part that the mail lacks."""
    try:
        mail = message_from_bytes(data, _class=EmailMessage, policy=default)
        body = mail.get_body(("plain", "html"))
        if body is None:
            return str(mail.get("Subject", "")), ""
        content = body.get_payload(decode=True)
        page = content if isinstance(content, bytes) else b""
        declared = body.get_content_charset("") or html.declared_encoding(page) or "utf-8"
        text = _decoded(page, declared)
        if body.get_content_subtype() == "html":
            text = html.text_of(text)
        return str(mail.get("Subject", "")), text
    except Exception as error:  # mails are broken in ways that the parser does not foresee
        raise Unreadable(f"is a mail that cannot be read ({type(error).__name__}: {error})", where=where,
                         remedy="Save its text from the mail program") from None


def _decoded(data: bytes, declared: str) -> str:
    try:
        return data.decode(declared, "replace")
    except LookupError:
        return data.decode("utf-8", "replace")


def _document(data: bytes, where: str) -> str:
    subject, text = _parsed(data, where)
    text = storable(text).replace("\r\n", "\n").strip("\n")
    return (f"{storable(subject)}\n\n" if subject else "") + text + "\n" if text or subject else ""


def read_mail(file: File) -> Extracted:
    return single(_document(file.data, file.where), f"read as a mail: {_PARTS}")


def read_page(file: File) -> Extracted:
    """The text of a page in MHTML."""
    return single(_parsed(file.data, file.where)[1], f"{html.NOTE} (MHTML)")


def read_mailbox(file: File) -> Extracted:
    """A document for each mail. Mails that cannot be read are counted."""
    starts = list(_BETWEEN.finditer(file.data))
    documents, broken = [], 0
    line, before = 1, 0
    for start, end in zip(starts, [*(each.start() for each in starts[1:]), len(file.data)], strict=True):
        line += file.data.count(b"\n", before, start.end())
        before = start.end()
        try:
            text = _document(file.data[start.end():end], file.where)
        except Unreadable:
            broken += 1
            continue
        if text:
            documents.append((line, text))
    note = f"read as a mailbox: {len(documents):,} mails, {_PARTS}"
    return Extracted(documents, note + (f"; {broken:,} could not be read" if broken else ""))
