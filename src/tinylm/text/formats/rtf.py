"""RTF, read by striprtf."""

from __future__ import annotations

from tinylm.text.formats.extracted import Extracted, File, Unreadable, missing_package, single, storable


def read(file: File) -> Extracted:
    """The text of an RTF document. Raises: Unreadable: striprtf is not installed, or the file is broken."""
    try:
        from striprtf.striprtf import rtf_to_text
    except ImportError:
        raise missing_package("striprtf", "an RTF document", file.where, "open it in a word processor and save it as "
                              "plain text in UTF-8") from None
    try:
        text: str = rtf_to_text(file.data.decode("cp1252", "replace"), errors="replace")
    except Exception as error:  # a foreign file may raise any error in a library
        raise Unreadable(f"is an RTF document that cannot be read ({type(error).__name__}: {error})", where=file.where,
                         remedy="Open it in a word processor and save it as plain text in UTF-8") from None
    return single(storable(text), "read as RTF: its text without formatting")
