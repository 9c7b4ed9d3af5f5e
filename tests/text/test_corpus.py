"""Every way to point at a text, and an answer for each that cannot work."""

from __future__ import annotations

import codecs
import gzip
import io
import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from tinylm.errors import TinyLMError
from tinylm.text import corpus as corpus_module
from tinylm.text.corpus import Corpus, open_corpus
from tinylm.text.formats.recognise import HEAD
from tinylm.text.reading import packed as packed_module
from tinylm.text.reading import records as records_module
from tinylm.text.reading.built_in import BUILT_IN, HELLO

Write = Callable[[str, bytes | str], Path]


def documents_of(corpus: Corpus) -> list[str]:
    found, held = [], ""
    for piece in corpus.pieces():
        held += piece.text
        if piece.ends_document:
            found.append(held)
            held = ""
    assert not held, "the last piece ends its document"
    return found


# ---- sources


def test_hello_is_the_notebooks_corpus() -> None:
    hello = open_corpus("hello")
    assert (hello.name, hello.documents, documents_of(hello)) == ("hello", "line", list(HELLO))
    assert hello.stats()[:3] == (76, 76, 4)


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_built_in_texts_open_and_are_the_same_twice(name: str) -> None:
    first, second = open_corpus(name), open_corpus(name)
    assert list(first.pieces()) == list(second.pieces())
    assert first.stats().documents >= 1


def test_built_in_sources_exclude_tests_and_installed_packages() -> None:
    names = [source.where for source in open_corpus("python-stdlib")._sources]
    assert len(names) > 300
    assert not any("site-packages" in name or "/test/" in name or "/tests/" in name for name in names)


def test_a_built_in_name_means_the_same_in_every_folder(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(write("hello", "my own text").parent)
    assert documents_of(open_corpus("./hello")) == ["my own text"]
    assert documents_of(open_corpus("hello")) == list(HELLO)


def test_a_file_is_one_document_kept_as_it_is(write: Write) -> None:
    text = "one\r\ntwo\n\n three\t\n"
    corpus = open_corpus(write("a.txt", text), line_ends="keep")
    assert (corpus.documents, documents_of(corpus), corpus.notes()) == ("text", [text], [])


@pytest.mark.parametrize("chunk", [1, 2, 3, 1 << 20])
def test_line_ends_of_other_systems(write: Write, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(packed_module, "CHUNK", chunk)
    corpus = open_corpus(write("a.txt", "one\r\ntwo\n\rthree\r\r\nfour\f\x85\u2028\r"))
    assert documents_of(corpus) == ["one\ntwo\n\nthree\n\nfour\f\x85\u2028\n"]
    assert corpus.notes() == ["2 line ends of Windows (CRLF) and 3 line ends of old Macs (CR) read as \\n; "
                              "--set data.line_ends=keep keeps them"]


def test_lines(write: Write) -> None:
    path = write("a.txt", "one\r\n\n  \ntwo \u2028 still two\nthree\r")
    assert documents_of(open_corpus(path, documents="line")) == ["one", "two \u2028 still two", "three"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson", "a.jsonl.gz"])
def test_jsonl_by_its_name(write: Write, name: str) -> None:
    content = b'{"text": "one", "id": 1}\n\n{"text": ""}\r\n{"text": "two\\n\\ud83d\\ude00"}'
    corpus = open_corpus(write(name, gzip.compress(content) if name.endswith(".gz") else content))
    assert (corpus.documents, documents_of(corpus)) == ("jsonl", ["one", "two\n😀"])


def test_jsonl_with_another_field(write: Write) -> None:
    assert documents_of(open_corpus(write("a.jsonl", '{"body": "one"}'), text_field="body")) == ["one"]


def test_packed_files(write: Write) -> None:
    text = "some text\n" * 50_000
    packed = zstandard.ZstdCompressor()
    half = len(text) // 2
    files = [write("a.txt.gz", gzip.compress(text.encode())),
             write("b.gz", gzip.compress(text[:half].encode()) + gzip.compress(text[half:].encode())),
             write("a.txt.zst", packed.compress(text.encode())),
             write("b.zst", packed.compress(text[:half].encode()) + packed.compress(text[half:].encode()))]
    for path in files:
        assert documents_of(open_corpus(path)) == [text], path


def test_a_folder_is_its_text_files_in_order(write: Write, tmp_path: Path) -> None:
    for name, content in {"b.txt": b"B", "a/z.md": b"AZ", "a/c.jsonl": b'{"text": "J1"}\n{"text": "J2"}', "empty": b"",
                          ".hidden/x.txt": b"no", "a/.y": b"no", "c.png": b"\x89PNG\0\0\0", "d.gz": gzip.compress(b"D"),
                          "e.txt": codecs.BOM_UTF16_LE + "E".encode("utf-16-le")}.items():
        write(name, content)
    corpus = open_corpus(tmp_path)
    assert documents_of(corpus) == ["J1", "J2", "AZ", "B", "D", "E"]
    assert (corpus.name, corpus.documents) == (tmp_path.name, "text")
    assert documents_of(open_corpus(tmp_path, documents="jsonl")) == ["J1", "J2"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_encodings(write: Write, encoding: str) -> None:
    text = "Grüße, 世界 😀\n" * 1000
    assert documents_of(open_corpus(write("a.txt", text.encode(encoding)))) == [text]
    big_endian = codecs.BOM_UTF16_BE + text.encode("utf-16-be")
    assert documents_of(open_corpus(write("b.txt", big_endian))) == [text]


def test_standard_input_is_read_twice_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(corpus_module.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("Grüße\nan alle\n".encode())))
    corpus = open_corpus("-", documents="line")
    assert documents_of(corpus) == documents_of(corpus) == ["Grüße", "an alle"]
    assert corpus.name == "standard input"
    assert len(list(tmp_path.iterdir())) == 1
    del corpus
    assert not list(tmp_path.iterdir())


@pytest.mark.needs_posix
def test_a_pipe_is_read_like_standard_input(tmp_path: Path) -> None:
    code = "import sys; from tinylm.text.corpus import open_corpus; c = open_corpus(sys.argv[1]); print(c.stats()[:3])"
    os.mkfifo(tmp_path / "pipe")
    reader = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "pipe")], stdout=subprocess.PIPE)
    (tmp_path / "pipe").write_text("through a pipe")
    assert reader.communicate(timeout=60)[0].decode().strip() == "(14, 14, 1)"


# ---- pieces


def test_a_long_document_comes_in_pieces_that_add_up(write: Write) -> None:
    text = "a word or two, and another line\n" * 200_000
    corpus = open_corpus(write("a.txt", text))
    pieces = list(corpus.pieces())
    assert "".join(piece.text for piece in pieces) == text
    assert [piece.ends_document for piece in pieces] == [False] * (len(pieces) - 1) + [True]
    assert all(len(piece.text) < 1.1 * corpus_module.PIECE for piece in pieces)


@given(st.lists(st.text("ab' \n\t\x1c\u2003é.", max_size=30), max_size=8), st.integers(1, 9))
def test_pieces_are_cut_before_white_space_only(chunks: list[str], size: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus_module, "PIECE", size)
        pieces = list(corpus_module._cut(chunks, "a"))
    assert "".join(piece.text for piece in pieces) == "".join(chunks)
    for piece, following in itertools.pairwise(pieces):
        assert piece.text
        assert following.text[0].isspace()
    assert [piece.ends_document for piece in pieces] == [False] * (len(pieces) - 1) + [True] * bool(pieces)


def test_the_fingerprint_knows_text_and_boundaries(write: Write) -> None:
    texts = [["ab"], ["a", "b"], ["b", "a"], ["ab", "c"]]
    prints = [open_corpus(write(f"{i}.txt", "\n".join(lines)), documents="line").stats().fingerprint
              for i, lines in enumerate(texts)]
    assert len(set(prints)) == 4
    again = write("again.jsonl", "\n".join(json.dumps({"text": line}) for line in texts[1]))
    assert open_corpus(again).stats().fingerprint == prints[1]


def test_stats_count_the_decoded_text(write: Write) -> None:
    stats = open_corpus(write("a.txt", "héllo\n".encode("utf-16"))).stats()
    assert (stats.characters, stats.bytes, stats.documents, stats.alphabet) == (6, 7, 1, "\nhloé")


# ---- T6: bad input has an answer

SENTENCE = "plain words, one after another\n"
JSONL = '{"text": "one"}\n'
BAD_FILES: dict[str, tuple[str, bytes, str]] = {
    # name of the case: name of the file, its bytes, what the message must say
    "empty": ("a.txt", b"", "a.txt: there is no text in it"),
    "only a byte order mark": ("a.txt", codecs.BOM_UTF8, "there is no text in it"),
    "white space": ("a.txt", b" \n\t\n" * 9, "nothing but white space"),
    "binary": ("a.txt", bytes(range(256)) * 9, "looks like a binary file"),
    "binary without NUL": ("a.bin", b"%xyz\n" + bytes(range(1, 256)) * 9, "looks like a binary file"),
    "gzip in gzip": ("a.gz.gz", gzip.compress(gzip.compress(SENTENCE.encode() * 9)), "packed twice"),
    "a NUL far inside": ("a.txt", SENTENCE.encode() * 9999 + b"\0", f"NUL character at byte {len(SENTENCE) * 9999}"),
    "latin1": ("a.txt", (SENTENCE + "Grüße").encode("latin1"), f"byte {len(SENTENCE) + 2} is 0xFC"),
    "latin1 far inside": ("a.txt", SENTENCE.encode() * 99999 + b"\xfc", f"byte {len(SENTENCE) * 99999} is 0xFC"),
    "latin1 after a mark": ("a.txt", codecs.BOM_UTF8 + b"ab\xfc.", "byte 5 is 0xFC"),
    "cut within a character": ("a.txt", "ab€".encode()[:-1], "byte 2 is 0xE2"),
    "utf-16 without a mark": ("a.txt", SENTENCE.encode("utf-16-le") * 9, "--encoding utf-16-le"),
    "utf-16 the other way": ("a.txt", SENTENCE.encode("utf-16-be") * 9, "--encoding utf-16-be"),
    "half a pair in utf-16": ("a.txt", codecs.BOM_UTF16_LE + b"a\0\0\xd8b\0", "is not UTF-16: byte 4 is"),
    "gzip cut short": ("a.gz", gzip.compress(os.urandom(9999).hex().encode())[:-20], ".gz file is broken"),
    "gzip of garbage": ("a.gz", SENTENCE.encode(), ".gz file is broken"),
    "gzip damaged": ("a.gz", gzip.compress(SENTENCE.encode() * 9)[:-6] + b"XXXXXX", ".gz file is broken"),
    "zstd cut short": ("a.zst", zstandard.compress(os.urandom(9999).hex().encode())[:-20], ".zst file is broken"),
    "zstd of garbage": ("a.zst", SENTENCE.encode(), ".zst file is broken"),
    "zstd of nothing": ("a.zst", b"", ".zst file is broken"),
    "jsonl with a bad line": ("a.jsonl", (JSONL * 6 + "{nonsense\n").encode(), "line 7: is not valid JSON"),
    "jsonl of another kind": ("a.jsonl", (JSONL * 2 + "[1]").encode(), "line 3: has no field 'text'; it is not a JSON"),
    "jsonl without the field": ("a.jsonl", b'{"id": 1, "body": "b"}', "line 1: has no field 'text'; its fields"),
    "jsonl with a number": ("a.jsonl", b'{"text": 5}', "line 1: the field 'text' is not a string"),
    "jsonl with half a pair": ("a.jsonl", b'{"text": "a\\ud800"}', "half of a surrogate pair"),
    "jsonl too deep": ("a.jsonl", b"[" * 99999, "line 1: is not"),
}


def complaint(source: str | Path, **options: str) -> str:
    """The message of a source that cannot work: one line, with the name of the source or file in it."""
    with pytest.raises(TinyLMError) as caught:
        open_corpus(source, **options).stats()
    message = str(caught.value)
    assert "\n" not in message
    assert caught.value.where
    assert caught.value.__cause__ is None
    return message


@pytest.mark.parametrize("case", BAD_FILES)
def test_bad_files(write: Write, case: str) -> None:
    name, content, expected = BAD_FILES[case]
    path = write(name, content)
    message = complaint(path)
    assert expected in message
    assert name in message
    assert [entry.name for entry in path.parent.iterdir()] == [name], "nothing is written"


def test_the_remedy_for_a_wrong_encoding_works(write: Write) -> None:
    path = write("a.txt", "Grüße aus der schönen Stadt, müde Füße und süße Äpfel.".encode("latin1"))
    assert "most likely: --encoding windows-1252" in complaint(path)
    assert documents_of(open_corpus(path, encoding="windows-1252"))[0].startswith("Grüße aus")


@pytest.mark.parametrize("documents", ["text", "line", "jsonl"])
def test_a_word_without_end(write: Write, monkeypatch: pytest.MonkeyPatch, documents: str) -> None:
    for module, name in ((corpus_module, "PIECE"), (packed_module, "CHUNK")):
        monkeypatch.setattr(module, name, 1 << 10)
    for module in (corpus_module, records_module):
        monkeypatch.setattr(module, "LONGEST", 1 << 14)
    read: list[int] = []

    def plain(file: io.BufferedReader) -> Iterator[bytes]:
        for chunk in iter(lambda: file.read(1024), b""):
            read.append(len(chunk))
            yield chunk

    monkeypatch.setattr(packed_module, "_plain", plain)
    message = complaint(write("a.txt", "x" * (1 << 20)), documents=documents)
    assert ("a single word of over" if documents == "text" else "line 1: a line of over") in message
    assert sum(read) < HEAD + (1 << 15), "it gives up early rather than read a gigabyte into memory"


def test_missing_names_what_is_near(write: Write) -> None:
    path = write("shakespeare.txt", SENTENCE)
    assert f"Did you mean {str(path)!r}?" in complaint(path.with_name("shakespaere.txt"))
    assert "Did you mean 'python-stdlib'?" in complaint("python-stdlb")
    assert "hello, animals, python-reference, python-stdlib" in complaint(path.with_name("zzz"))
    assert "there is no such file" in complaint("")
    assert "there is no such file" in complaint("no/such/folder/at/all")
    assert "cannot be read" in complaint("x" * 5000)


def test_folders_without_text(write: Write, tmp_path: Path) -> None:
    assert "this folder holds no text files" in complaint(tmp_path)
    write("a.png", b"\0\0")
    assert "this folder holds no text files" in complaint(tmp_path)
    write("a.txt", SENTENCE)
    assert "no .jsonl or .ndjson files" in complaint(tmp_path, documents="jsonl")


def test_permission_denied(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("a.txt", SENTENCE)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(packed_module, "open", refuse, raising=False)
    assert complaint(path) == f"{path}: cannot be read (Permission denied)."


def test_empty_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert complaint("-").startswith("standard input: there is no text in it")


def test_an_unknown_kind_of_documents(write: Write) -> None:
    assert "Did you mean 'line'?" in complaint(write("a.txt", SENTENCE), documents="lines")


def places(corpus: Corpus) -> list[tuple[str, str, int]]:
    return [(piece.text, Path(piece.file).name, piece.line) for piece in corpus.pieces()]


def test_a_piece_knows_its_file_and_line(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus_module, "PIECE", 5)
    write("folder/a.txt", "one two\nthree\r\nfour five")
    folder = write("folder/b.jsonl", '{"text": "six\\nseven"}\n\n{"text": "eleven\\nnine"}\n').parent
    assert places(open_corpus(folder)) == [
        ("one two", "a.txt", 1), ("\nthree", "a.txt", 1), ("\nfour five", "a.txt", 2),
        ("six\nseven", "b.jsonl", 1), ("eleven", "b.jsonl", 3), ("\nnine", "b.jsonl", 3)]
    lines = write("lines.txt", "one\n\ntwo\r\n")
    assert places(open_corpus(lines, documents="line")) == [("one", "lines.txt", 1), ("two", "lines.txt", 3)]
    assert {piece.file for piece in open_corpus("python-reference").pieces()} == {"python-reference"}


def test_text_never_imports_torch() -> None:
    code = ("import sys, tinylm.text.rows, tinylm.text.tokenizer, tinylm.text.dataset; "
            "sys.exit(any(name in sys.modules for name in ('torch', 'transformers', 'pydantic')))")
    subprocess.run([sys.executable, "-c", code], check=True)
