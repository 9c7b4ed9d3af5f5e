"""Binary files, recognised by their first bytes, with the way to the text in files that hold one."""

from __future__ import annotations

import re
from pathlib import Path

from tinylm.errors import TinyLMError, command, shell_word

_CONTROLS = bytes({*range(32), 127} - set(b"\t\n\v\f\r\x1b"))

_KINDS = {
    rb"\x89PNG": "a PNG picture", rb"\xff\xd8\xff": "a JPEG picture", rb"GIF8[79]a": "a GIF picture",
    rb"BM.{4}\0\0\0\0": "a BMP picture", rb"II\*\0|MM\0\*": "a TIFF picture", rb"RIFF....WEBP": "a WebP picture",
    rb"8BPS": "a Photoshop picture", rb"\0\0\x01\0": "an icon", rb"....ftyp(?:heic|heix|mif1|avif)": "a HEIF picture",
    rb"ID3|\xff[\xe2\xe3\xf2\xf3\xfa\xfb]": "an MP3 recording", rb"RIFF....WAVE": "a WAV recording",
    rb"fLaC": "a FLAC recording", rb"OggS": "an Ogg recording", rb"....ftyp": "an MP4 or QuickTime film",
    rb"RIFF....AVI ": "an AVI film", rb"\x1aE\xdf\xa3": "a Matroska or WebM film", rb"FLV\x01": "a Flash film",
    rb"SQLite format 3\0": "an SQLite database", rb"\x7fELF": "a program (ELF)", rb"MZ": "a Windows program",
    rb"L\0\0\0\x01\x14\x02\0": "a Windows shortcut",
    rb"\xcf\xfa\xed\xfe|\xce\xfa\xed\xfe|\xca\xfe\xba\xbe": "a program (Mach-O or Java)", rb"\0asm": "a program (wasm)",
    rb"%PDF": "a PDF document", rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an old Word, Excel or PowerPoint document",
    rb"wOF[F2]|OTTO|\0\x01\0\0\0": "a font", rb"PAR1": "a Parquet table", rb"ARROW1": "an Arrow table",
    rb"\x93NUMPY": "a NumPy array", rb"\x89HDF": "an HDF5 file", rb"GGUF": "a GGUF model",
    rb"\x80[\x02-\x05]": "a Python pickle", rb".{8}\{\"": "a safetensors model", rb"PACK\0": "a Git pack",
}
"""Patterns of first bytes -> kind of file. Only the bytes of files that are not text are matched."""

_ARCHIVES = {
    rb"PK(?:\x03\x04|\x05\x06|\x07\x08)": ("a zip archive", "python -m zipfile -e {file} {folder}"),
    rb".{257}ustar": ("a tar archive", "python -m tarfile -e {file} {folder}"),
    rb"7z\xbc\xaf\x27\x1c": ("a 7z archive", "7z x -o{folder} {file}"),
    rb"Rar!\x1a\x07": ("a rar archive", "unrar x {file} {folder}/"),
    rb"\x04\x22\x4d\x18": ("a file packed by lz4", "lz4 -d {file}"),
    rb"LZIP": ("a file packed by lzip", "lzip -d {file}"),
    rb"\x1f[\x9d\xa0]": ("a file packed by compress", "uncompress {file}"),
    rb"\x1f\x8b\x08|\x28\xb5\x2f\xfd|\xfd7zXZ\0|BZh[1-9]1AY": ("a file that is packed twice", ""),
}


def looks_binary(head: bytes) -> bool:
    """True if over 2% of the bytes are control codes that no text has (a tenth of compressed data), or 10% are NUL."""
    others = head.replace(b"\0", b"")
    return head.count(0) > 0.1 * len(head) or len(others.translate(None, _CONTROLS)) < 0.98 * len(others)


def is_known_binary(head: bytes) -> bool:
    """True for archives and other binary files that may hold so much text that they look like a text."""
    return b"\0" in head and (_archive(head) is not None or (b"\0" in head[:16] and bool(kind_of_bytes(head))))


def kind_of_bytes(head: bytes) -> str:
    """The kind of a binary file by its first bytes, such as "a PNG picture"; "" for unknown bytes."""
    return next((kind for start, kind in _KINDS.items() if re.match(start, head, re.S)), "")


def no_text(head: bytes, where: str, position: str = "") -> TinyLMError:
    """The error for a binary file: its kind, and the way to a text in it.

    Args:
        position: the position of its first NUL character, for people; empty: none.
    """
    if archive := _archive(head):
        return TinyLMError(f"is {archive[0]}, and no text", where=where, remedy=_way_to_texts(archive[1], where))
    kind = kind_of_bytes(head)
    position = position and f" ({position})"
    if not kind and not position and (control := re.search(b"[%s]" % re.escape(_CONTROLS), head)):
        return TinyLMError(f"looks like a binary file (a control character, 0x{control[0][0]:02X}, at byte "
                           f"{control.start()})", where=where,
                           remedy="Give a text file; of what a terminal recorded: col -b makes a text of it")
    what = f"is {kind}, and no text" if kind else f"looks like a binary file{position}"
    return TinyLMError(what, where=where, remedy="Give a text file")


def _archive(head: bytes) -> tuple[str, str] | None:
    return next((found for start, found in _ARCHIVES.items() if re.match(start, head, re.S)), None)


def _way_to_texts(unpack: str, where: str) -> str:
    if not unpack:
        return "Unpack it until it is text"
    folder = Path(where).with_suffix("")
    folder = folder.with_suffix("") if folder.suffix == ".tar" else folder
    if folder == Path(where):  # the source is a file without a suffix
        folder = folder.with_name(f"{folder.name}-texts")
    typed = unpack.format(file=shell_word(where), folder=shell_word(folder))
    if "{folder}" not in unpack:
        return f"Unpack it first: {typed}"
    return f"Unpack it, then give the folder: {typed}; {command('train', folder)}"
