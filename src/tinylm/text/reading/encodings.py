"""Encodings: byte order marks, the names that people give, and the likely encodings of bytes."""

from __future__ import annotations

import codecs
import io
import re
import unicodedata
from encodings.aliases import aliases

from tinylm.errors import TinyLMError, nearest

MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF32_LE: "utf-32-le", codecs.BOM_UTF32_BE: "utf-32-be",
         codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
"""Byte order marks -> encoding. UTF-32 comes before UTF-16, whose mark is the beginning of its own."""
WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
"""Encodings whose texts hold NUL bytes."""

COMMON = {
    "windows-1252": "Western European, as Windows saves it", "gb18030": "Chinese, GBK included",
    "shift_jis": "Japanese, Shift-JIS", "cp932": "Japanese, Shift-JIS as Windows saves it",
    "windows-1251": "Cyrillic, as Windows saves it", "euc-jp": "Japanese", "big5": "traditional Chinese",
    "cp949": "Korean, EUC-KR included", "koi8-r": "Cyrillic", "koi8-u": "Cyrillic, Ukrainian",
    "windows-1250": "Central European, as Windows saves it", "iso-8859-2": "Central European",
    "iso-8859-1": "Western European",
    "mac-roman": "Western European, of old Macs", "cp850": "Western European, of DOS",
    "cp437": "Western European, of DOS", "cp866": "Cyrillic, of DOS", "iso-8859-5": "Cyrillic",
    "mac-cyrillic": "Cyrillic, of old Macs", "windows-1253": "Greek", "iso-8859-7": "Greek",
    "windows-1254": "Turkish", "windows-1255": "Hebrew", "windows-1256": "Arabic", "windows-1257": "Baltic",
    "windows-1258": "Vietnamese", "cp874": "Thai", "cp852": "Central European, of DOS",
    "mac-latin2": "Central European, of old Macs", "iso2022_jp": "Japanese", "hz": "Chinese"}
"""Encodings of texts, the more frequent first, with their scripts."""
_MULTIBYTE = ("gb18030", "shift_jis", "cp932", "euc-jp", "big5", "cp949")
_NOT_OF_TEXTS = ("idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape")
_NOT_TEXT = ("base64", "bz2", "hex", "quopri", "rot", "rot13", "uu", "zlib", "mbcs", "oem")
_KNOWN = sorted({alias.replace("_", "-") for alias, name in aliases.items()
                 if name.split("_")[0] not in _NOT_TEXT} | set(COMMON))
_EXAMPLES = ("windows-1252", "gb18030", "shift_jis", "koi8-r", "utf-16-le")
_MEANT = {"ansi": "windows-1252", "unicode": "utf-16-le", "western": "windows-1252", "gb": "gb18030"}
"""Names of encodings in other programs."""


def marked(head: bytes) -> tuple[str, int]:
    """The encoding of a byte order mark, and the mark's length; ("", 0) without a mark."""
    return next(((name, len(mark)) for mark, name in MARKS.items() if head.startswith(mark)), ("", 0))


def spoken(name: str) -> str:
    """The name of an encoding in a sentence: UTF-8, UTF-16, windows-1252."""
    return name[:6].rstrip("-").upper() if name.startswith("utf-") else name


def checked_encoding(name: str) -> str:
    """Python's name of an encoding that a person names. Without a mark, UTF-16 and UTF-32 are little-endian.

    Raises:
        TinyLMError: there is no such encoding of texts.
    """
    try:
        found = codecs.lookup(name).name
        io.TextIOWrapper(io.BytesIO(), encoding=name).detach()  # refuses codecs that encode no text, such as hex
        if found.replace("_", "-") in _NOT_OF_TEXTS:
            raise LookupError(name)
    except (LookupError, ValueError):
        near = [_MEANT.get(name.lower(), ""), *nearest(name.lower().replace("_", "-"), _KNOWN)]
        meant = next(filter(None, near), "")
        remedy = f"Did you mean {meant!r}?" if meant else f"Give one that Python knows, such as {', '.join(_EXAMPLES)}"
        raise TinyLMError(f"there is no encoding of texts named {name!r}", where="encoding", remedy=remedy) from None
    return {"utf-16": "utf-16-le", "utf-32": "utf-32-le", "utf-8-sig": "utf-8", "ascii": "utf-8"}.get(found, found)


# ---- what bytes look like


def wide_encoding(sample: bytes) -> str:
    """The UTF-32 or UTF-16 encoding of bytes without a mark; "" if they look like neither."""
    for name, width in (("utf-32-le", 4), ("utf-32-be", 4)):
        if len(sample) >= width and _is_plausible(_decoded(sample[:len(sample) // width * width], name)):
            return name
    even = sample[:len(sample) // 2 * 2]
    texts = {name: _decoded(even, name) or _decoded(even[:-2], name) for name in ("utf-16-le", "utf-16-be")}
    found = [name for name, text in texts.items() if _is_plausible(text)]
    return max(found, key=lambda name: sum(map(str.isascii, texts[name])), default="")


def _decoded(sample: bytes, name: str) -> str:
    try:
        return sample.decode(name)
    except UnicodeDecodeError:
        return ""


def _is_plausible(text: str) -> bool:
    """True if a text has white space or ASCII in it, or is East Asian, and hardly an unassigned or control character.
    The characters of a text that is read in the wrong byte order are scattered over all of Unicode."""
    kinds = [unicodedata.category(character) for character in text[:4096] if character not in "\t\n\v\f\r\x1b"]
    strange = sum(kind in ("Cn", "Co", "Cc", "Cs") for kind in kinds)
    plain = sum(map(str.isascii, text[:4096]))
    eastern = len(_EASTERN.findall(text[:4096]))
    return bool(kinds) and strange <= 0.01 * len(kinds) and (plain >= 0.003 * len(kinds) or eastern > 0.9 * len(kinds))


_EASTERN = re.compile("[\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff00-\uff65]")
"""Letters of East Asia, whose texts may hold nothing else for pages."""


def likely_encodings(sample: bytes, most: int = 3) -> list[str]:
    """The likely encodings of a sample that is not UTF-8, best first; [] if there is no evidence.

    The order is charset-normalizer's. Encodings that it holds equally likely are in the order of `COMMON`.

    Args:
        sample: whole lines or words with bytes beyond ASCII in them, some tens of kilobytes at most.
    """
    from charset_normalizer import from_bytes

    matches = [(match, name) for match in from_bytes(sample)
               if not _is_strange(str(match)) and (name := _common_name(sample, str(match)))]
    if not matches:
        return [name for name in _MULTIBYTE if (text := _decoded(sample, name)) and not _is_strange(text)][:most]
    best = matches[0][0]
    alike = [name for match, name in matches
             if match.chaos <= best.chaos + 0.02 and match.coherence >= best.coherence - 0.12]
    order = sorted(alike, key=list(COMMON).index)
    return list(dict.fromkeys([*order, *(name for _, name in matches)]))[:most]


def _is_strange(text: str) -> bool:
    """True if the decoded sample is not text: it has NUL, or more private characters than damage would make."""
    return "\0" in text or len(re.findall("[\ue000-\uf8ff]", text)) > 0.02 * len(text)


def _common_name(sample: bytes, text: str) -> str:
    """The most frequent encoding that reads the sample as this very text."""
    return next((name for name in COMMON if _decoded(sample, name) == text), "")
