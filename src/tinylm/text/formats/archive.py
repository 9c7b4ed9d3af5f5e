"""Zip archives that hold one text (DOCX, ODT, EPUB): read in memory within bounds, recognised by their content."""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib

from tinylm.errors import TinyLMError
from tinylm.text.formats.extracted import LARGEST, Unreadable

_SUSPICIOUS, _RATIO = 16 << 20, 200
"""Bytes and ratio of unpacked to packed size; a member that exceeds both is a zip bomb."""


class Archive:
    """The members of a zip file, of which at most `LARGEST` bytes are unpacked in all.

    Raises:
        Unreadable: the file is broken, protected by a password, or unpacks to too much.
    """

    def __init__(self, data: bytes, where: str) -> None:
        self.where, self._left = where, LARGEST
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
            self.names = self._zip.namelist()
        except (zipfile.BadZipFile, ValueError, NotImplementedError, OSError) as error:
            raise self._broken(error) from None

    def read(self, name: str) -> bytes:
        try:
            member = self._zip.getinfo(name)
        except KeyError:
            raise Unreadable(f"is broken: {name} is missing in it", where=self.where,
                             remedy="Copy it again from where it came") from None
        if member.flag_bits & 1:
            raise Unreadable("is protected by a password", where=self.where,
                             remedy="Save a copy without the password, from the program that made it")
        try:
            with self._zip.open(member) as packed:
                data = packed.read(self._left + 1)
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError, zlib.error,
                lzma.LZMAError) as error:
            raise self._broken(error) from None
        self._left -= len(data)
        if self._left < 0 or (len(data) > _SUSPICIOUS and len(data) > _RATIO * max(1, member.compress_size)):
            raise Unreadable(f"unpacks to far more than its size ({name}: {len(data):,} bytes or more)",
                             where=self.where, remedy="Unpack it yourself, if it is from somebody whom you trust")
        return data

    def _broken(self, error: Exception) -> TinyLMError:
        return Unreadable(f"is a broken archive ({str(error).rstrip('.')})", where=self.where,
                          remedy="Copy it again from where it came")
