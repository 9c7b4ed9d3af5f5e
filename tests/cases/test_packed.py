"""Packed files are told by their first bytes; what is no text is told by what it is (kind G, bytes)."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import zstandard

from tests.cases.recipes import QUICK, book, records
from tests.cases.test_encodings import Put, put, refusal, text_of
from tests.cli.conftest import Command
from tinylm.text.corpus import open_corpus
from tinylm.text.reading import packed

__all__ = ["put"]

BOOK = book(20_000)
CONTENT = BOOK.encode()
NOISE = random.Random(0).randbytes(4000)


def zstd(content: bytes, window_log: int = 0) -> bytes:
    """Packed as from a pipe, with the window in the header."""
    parameters = zstandard.ZstdCompressionParameters(window_log=window_log or 20)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    return packer.compress(content) + packer.flush()


PACKED = {
    "case_25_xz": ("book.txt.xz", lzma.compress(CONTENT)), "case_25_bz2": ("book.txt.bz2", bz2.compress(CONTENT)),
    "case_28_long_window": ("w.txt.zst", zstd(CONTENT, 28)), "widest_window": ("w30.txt.zst", zstd(CONTENT, 30)),
    "upper_case": ("BOOK.TXT.GZ", gzip.compress(CONTENT)), "upper_case_zst": ("BOOK.TXT.ZST", zstd(CONTENT)),
    "no_suffix": ("book", gzip.compress(CONTENT)), "named_txt": ("book.txt", lzma.compress(CONTENT)),
    "wrong_suffix": ("book.gz", zstd(CONTENT)), "lzma": ("book.lzma", lzma.compress(CONTENT, lzma.FORMAT_ALONE)),
    "two_gzip_members": ("a.gz", gzip.compress(CONTENT[:99]) + gzip.compress(CONTENT[99:])),
    "two_xz_streams": ("a.xz", lzma.compress(CONTENT[:99]) + b"\0" * 8 + lzma.compress(CONTENT[99:])),
    "two_bz2_streams": ("a.bz2", bz2.compress(CONTENT[:99]) + bz2.compress(CONTENT[99:])),
    "two_zstd_frames": ("a.zst", zstd(CONTENT[:99]) + zstd(CONTENT[99:])),
    "skippable_frame_first": ("b.zst", b"\x50\x2a\x4d\x18\x04\0\0\0abcd" + zstd(CONTENT)),
}


@pytest.mark.parametrize("case", PACKED)
def test_packed_texts_are_read(put: Put, case: str) -> None:
    assert text_of(put(*PACKED[case])) == BOOK


@pytest.mark.parametrize("chunk", [1, 7, 100])
@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstd])
def test_in_chunks_of_any_size(put: Put, monkeypatch: pytest.MonkeyPatch, pack: object, chunk: int) -> None:
    text = "Grüße, 世界\n" * 40
    path = put("a", pack(text.encode()))  # type: ignore[operator]
    monkeypatch.setattr(packed, "CHUNK", chunk)
    assert text_of(path) == text


@pytest.mark.parametrize("pack", [bz2.compress, lzma.compress])
def test_records_and_standard_input_too(put: Put, monkeypatch: pytest.MonkeyPatch, pack: object) -> None:
    content = pack(records("one", "two"))  # type: ignore[operator]
    suffix = ".bz2" if content.startswith(b"BZh") else ".xz"
    assert open_corpus(put(f"a.jsonl{suffix}", content)).stats().documents == 2
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert open_corpus("-", documents="jsonl").stats().documents == 2


def test_case_28_a_window_that_is_too_long_names_the_command(put: Put, tinylm: Command) -> None:
    said = tinylm("train", put("w 31.txt.zst", zstd(CONTENT, 31)), *QUICK, "--out", "run")
    assert (said.code, said.err) == (2, "tinylm: w 31.txt.zst: takes more than 1 GiB of memory to unpack. Unpack it "
                                        "first: zstd -d --long=31 'w 31.txt.zst'.\n")


def test_memory_is_bounded_for_xz_as_well(put: Put, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "LARGEST_WINDOW", -(1 << 26) + 1000)
    assert "xz -d a.xz" in refusal(put("a.xz", lzma.compress(CONTENT))).remedy


BROKEN = {
    "xz_cut": ("a.xz", lzma.compress(NOISE.hex().encode())[:-40], ".xz file is broken: it ends in the middle"),
    "bz2_cut": ("a.bz2", bz2.compress(NOISE.hex().encode())[:-40], ".bz2 file is broken: it ends in the middle"),
    "bz2_damaged": ("a.bz2", bz2.compress(CONTENT)[:60] + b"XXXX" + bz2.compress(CONTENT)[64:], ".bz2 file is broken"),
    "xz_damaged": ("a.xz", lzma.compress(CONTENT)[:60] + b"XXXX" + lzma.compress(CONTENT)[64:], ".xz file is broken"),
    "xz_of_text": ("a.xz", CONTENT, ".xz file is broken"), "bz2_of_text": ("a.txt.bz2", CONTENT, ".bz2 file is broken"),
    "no_suffix": ("a", gzip.compress(NOISE.hex().encode())[:-20], ".gz file is broken"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_broken_files(put: Put, case: str) -> None:
    name, content, expected = BROKEN[case]
    error = refusal(put(name, content))
    assert expected in error.what
    assert error.remedy.startswith("Copy it again from where it came")


# ---- no texts


def archive_of(kind: str) -> bytes:
    """A zip or tar archive with a text in it."""
    held = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(held, "w") as file:
            file.writestr("a.txt", BOOK)
    else:
        with tarfile.open(fileobj=held, mode=f"w:{kind}") as file:  # type: ignore[call-overload]
            member = tarfile.TarInfo("a.txt")
            member.size = len(CONTENT)
            file.addfile(member, io.BytesIO(CONTENT))
    return held.getvalue()


@pytest.mark.parametrize(("name", "kind"), [
    ("my texts.zip", "zip"), ("texts.tar", ""), ("texts.tar.gz", "gz"), ("texts.tgz", "gz"), ("texts.tar.xz", "xz"),
    ("texts", "zip"), ("TEXTS.ZIP", "zip")])
def test_an_archive_names_the_way_to_its_texts_which_works(put: Put, name: str, kind: str) -> None:
    error = refusal(put(name, archive_of(kind)))
    assert error.what == f"is a {'zip' if kind == 'zip' else 'tar'} archive, and no text"
    unpack, train = error.remedy.removeprefix("Unpack it, then give the folder: ").split("; ")
    subprocess.run(unpack.replace("python", sys.executable, 1), shell=True, check=True)
    folder = re.sub("^tinylm train ", "", train).strip("'")
    assert text_of(Path(folder)) == BOOK


BINARIES = {
    "picture.txt": (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + NOISE, "is a PNG picture, and no text"),
    "photo.jpg": (b"\xff\xd8\xff\xe0\0\x10JFIF\0" + NOISE, "is a JPEG picture, and no text"),
    "book.gif": (b"GIF89a\x01\0\x01\0" + NOISE, "is a GIF picture, and no text"),
    "messages.db": (b"SQLite format 3\0" + CONTENT, "is an SQLite database, and no text"),
    "program": (b"\x7fELF\x02\x01\x01\0" + NOISE, "is a program (ELF), and no text"),
    "setup.exe": (b"MZ\x90\0\x03\0" + NOISE, "is a Windows program, and no text"),
    "talk.mp3": (b"ID3\x03\0\0\0\0\0" + NOISE, "is an MP3 recording, and no text"),
    "film.mp4": (b"\0\0\0\x18ftypmp42" + NOISE, "is an MP4 or QuickTime film, and no text"),
    "talk.wav": (b"RIFF\x24\x08\0\0WAVEfmt " + NOISE, "is a WAV recording, and no text"),
    "table.parquet": (b"PAR1" + NOISE, "is a Parquet table, and no text"),
    "texts.7z": (b"7z\xbc\xaf\x27\x1c\0\x04" + NOISE, "is a 7z archive, and no text"),
    "texts.rar": (b"Rar!\x1a\x07\x01\0" + NOISE, "is a rar archive, and no text"),
    "data.bin": (NOISE, "looks like a binary file (a NUL character at byte "),
    "book.gz.gz": (gzip.compress(gzip.compress(CONTENT)), "is a file that is packed twice, and no text"),
}


@pytest.mark.parametrize("name", BINARIES)
def test_what_is_no_text_is_told_by_what_it_is(put: Put, name: str) -> None:
    content, expected = BINARIES[name]
    assert refusal(put(name, content)).what.startswith(expected)


@pytest.mark.parametrize("at", [0, 40, 5000, 70_000, 1_100_000])
def test_case_30_a_stray_nul_has_its_place_and_a_remedy(put: Put, at: int) -> None:
    text = "a line of text\n" * 80_000
    error = refusal(put("nul.txt", (text[:at] + "\0" + text[at:]).encode()))
    assert error.what == f"holds a NUL character at byte {at}, in line {at // 15 + 1}, as no text does"
    subprocess.run(error.remedy[error.remedy.index("tr "):], shell=True, check=True)
    assert text_of(Path("mended.txt")) == text


@pytest.mark.parametrize("content", [
    CONTENT + b"\0" * 300, b"one\0two or three words\n" * 9, (BOOK + "\0").encode("utf-16")])
def test_case_30_other_stray_nuls(put: Put, content: bytes) -> None:
    error = refusal(put("nul.txt", content))
    place = re.search(r"NUL character at byte (\d+), in line (\d+)", error.what)
    assert place
    assert content[int(place[1])] == 0
    assert ("tr -d" in error.remedy) == (not content.startswith(b"\xff\xfe")), "it would ruin UTF-16"
