"""Bytes that are no UTF-8: told by what they are, with a remedy that works as typed (kind F)."""

from __future__ import annotations

import codecs
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cases.recipes import QUICK, accented, book, cut, rhyme, script, windows_1252
from tests.cli.conftest import Command
from tinylm.errors import TinyLMError
from tinylm.text.corpus import open_corpus
from tinylm.text.reading.encodings import checked_encoding

Put = Callable[[str, bytes], Path]
CZECH = "Příliš žluťoučký kůň úpěl ďábelské ódy. Byl jednou jeden král, který měl tři dcery.\n" * 20
FRENCH = "L’été dernier, nous avons mangé des crêpes près de la forêt, où le garçon était né. Ça va ?\n" * 20
HEBREW = "היה היה פעם מלך אחד שהיו לו שלוש בנות יפות\n" * 20
KOREAN = "옛날 옛적에 어느 나라에 세 딸을 둔 왕이 살고 있었습니다. 아침 햇살이 정원을 비추었습니다.\n" * 20
TRADITIONAL = "從前有一個國王，他有三個美麗的女兒，他們住在一座大城堡裡。早晨的陽光照在花園裡。\n" * 20


@pytest.fixture
def put(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Put:
    """Writes a file into the folder of the test, which is the working folder."""
    monkeypatch.chdir(tmp_path)

    def write(name: str, content: bytes) -> Path:
        Path(name).write_bytes(content)
        return Path(name)

    return write


def text_of(path: Path, **options: str) -> str:
    return "".join(piece.text for piece in open_corpus(path, **options).pieces())


def refusal(path: Path, **options: str) -> TinyLMError:
    with pytest.raises(TinyLMError) as caught:
        open_corpus(path, **options).stats()
    assert caught.value.where.startswith(str(path))
    assert "latin1" not in str(caught.value)
    return caught.value


def offered(error: TinyLMError) -> list[str]:
    """The encodings that a refusal names, in its order."""
    return re.findall(r"--encoding ([\w-]+)", error.remedy)


# ---- texts in other encodings

TEXTS = {
    "case_20_windows_1252": (windows_1252().decode("cp1252"), "cp1252", ["windows-1252"]),
    "case_21_gbk": (script("zh"), "gbk", ["gb18030"]),
    "french_mac": (FRENCH, "mac_roman", ["mac-roman"]), "french_dos": (FRENCH.replace("’", "'"), "cp437", ["cp850"]),
    "latin1": (FRENCH.replace("’", "'"), "latin-1", ["windows-1252"]),
    "big5": (TRADITIONAL, "big5", ["big5"]), "shift_jis": (script("ja"), "shift_jis", ["shift_jis"]),
    "euc_jp": (script("ja"), "euc_jp", ["euc-jp"]), "euc_kr": (KOREAN, "euc_kr", ["cp949"]),
    "koi8_r": (script("ru"), "koi8_r", ["koi8-r"]), "cp1251": (script("ru"), "cp1251", ["windows-1251"]),
    "cp866": (script("ru"), "cp866", ["cp866"]), "greek": (script("el"), "iso8859_7", ["windows-1253"]),
    "hebrew": (HEBREW, "cp1255", ["windows-1255"]), "thai": (script("th").replace("。", ""), "cp874", ["cp874"]),
    "czech_windows": (CZECH, "cp1250", ["windows-1250"]), "czech": (CZECH, "iso8859_2", ["windows-1250", "iso-8859-2"]),
}


@pytest.mark.parametrize("case", TEXTS)
def test_the_likeliest_encoding_comes_first_and_reads_the_text(put: Put, case: str) -> None:
    text, encoding, expected = TEXTS[case]
    path = put("my text.txt", text.encode(encoding))
    error = refusal(path)
    place = re.match(r"is not UTF-8: byte (\d+) is 0x(..), in line 1 ", error.what)
    assert place
    assert path.read_bytes()[int(place[1])] == int(place[2], 16) > 127
    assert offered(error)[:len(expected)] == expected
    assert text_of(path, encoding=expected[-1]) == text


def test_case_20_the_remedy_works_as_typed(put: Put, tinylm: Command) -> None:
    path = put("cp1252.txt", windows_1252())
    said = tinylm("train", path, *QUICK, "--out", "run")
    assert said.code == 2
    assert said.err.startswith("tinylm: cp1252.txt: is not UTF-8: byte ")
    option = re.search(r"--encoding \S+", said.err)
    assert option
    planned = tinylm("plan", path, *QUICK, *option[0].split(), "--json").json
    assert planned["config"]["data"]["encoding"] == "windows-1252"


def test_what_says_nothing_is_not_guessed_at(put: Put) -> None:
    noise = bytes(0x80 + 7 * index * index % 128 for index in range(4000))
    error = refusal(put("noise.txt", noise))
    assert error.remedy == "Its bytes do not tell its encoding. If you know it: --encoding NAME"


def test_what_is_quoted_of_a_text_drives_no_terminal(put: Put) -> None:
    error = refusal(put("a.txt", ("müde Füße \x1b[31m und \x9b31m süße Äpfel\n" * 30).encode("latin-1")))
    assert str(error).isprintable()


def test_the_place_counts_lines_and_bytes(put: Put) -> None:
    before = "plain line\n" * 200_000
    error = refusal(put("late.txt", before.encode() + FRENCH.encode("cp1252")))
    assert f"byte {len(before) + 1} is 0x92, in line 200001" in error.what
    assert offered(error)[0] == "windows-1252"


def test_a_packed_text(put: Put) -> None:
    import gzip

    path = put("old.txt.gz", gzip.compress(windows_1252()))
    assert text_of(path, encoding=offered(refusal(path))[0]) == windows_1252().decode("cp1252")


# ---- UTF-8 with a flaw


def test_case_23_a_text_cut_within_its_last_character(put: Put) -> None:
    path = put("cut.txt", cut())
    error = refusal(path)
    assert error.what == ("ends in the middle of a character "
                          f"(byte {len(cut()) - 1} is 0xC3, in line {cut().count(10) + 1}, and the file ends there)")
    mended = re.search(r"head -c .* > mended\.txt", error.remedy)
    assert mended
    subprocess.run(mended[0], shell=True, check=True)
    assert text_of(Path("mended.txt")) == book()


@pytest.mark.parametrize(("name", "text", "lost"), [
    ("chinese", script("zh"), 1), ("emoji", script("emoji"), 3), ("thai", script("th"), 2), ("greek", script("el"), 1)])
def test_cut_texts_of_other_scripts_lose_a_character_and_no_more(put: Put, name: str, text: str, lost: int) -> None:
    path = put(f"the {name}.txt", (text + "é€😀"[len("é€😀") - 1 if lost == 3 else lost - 1]).encode()[:-1])
    error = refusal(path)
    assert error.what.startswith("ends in the middle of a character")
    assert "--encoding" not in error.remedy, "what came before leaves no doubt that it is UTF-8"
    subprocess.run(error.remedy[error.remedy.index("head"):], shell=True, check=True)
    assert text_of(Path("mended.txt")) == text


@pytest.mark.needs_posix
def test_a_few_bad_bytes_are_counted(put: Put) -> None:
    text = accented("NFC").encode()
    path = put("it's mixed.txt", text + b"caf\xe9 noir, th\xe9 vert\n" + text)
    error = refusal(path)
    assert "is UTF-8 but for 2 bytes, of which the first, byte" in error.what
    subprocess.run(error.remedy[error.remedy.index("iconv"):], shell=True, check=False)
    assert text_of(Path("mended.txt")).count("caf noir, th vert") == 1


@pytest.mark.parametrize(("kind", "encoding", "named"), [
    ("zh", "gb18030", "gb18030"), ("ja", "shift_jis", "cp932"), ("ja", "euc_jp", "euc-jp")])
def test_a_bad_byte_in_a_text_of_another_encoding(put: Put, kind: str, encoding: str, named: str) -> None:
    content = script(kind, 40_000).encode(encoding)
    at = content.index(b"\n", 30_000)
    path = put("novel.txt", content[:at] + b"\xff" + content[at:])
    assert offered(refusal(path))[0] == named
    error = refusal(path, encoding=encoding)
    assert f"but for 1 byte: byte {at} is 0xFF" in error.what
    mend = error.remedy[error.remedy.index("python"):]
    subprocess.run(mend.replace("python", sys.executable, 1), shell=True, check=True)
    assert text_of(Path("mended.txt")) == script(kind, 40_000)


# ---- UTF-16 and UTF-32


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("kind", ["book", "zh", "ru", "ja", "ar"])
def test_case_29_with_a_mark_they_are_read_and_without_one_named(put: Put, encoding: str, kind: str) -> None:
    text = book(4000) if kind == "book" else script(kind, 4000)
    mark = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE, "utf-32-le": codecs.BOM_UTF32_LE,
            "utf-32-be": codecs.BOM_UTF32_BE}[encoding]
    assert text_of(put("marked.txt", mark + text.encode(encoding))) == text
    error = refusal(put("bare.txt", text.encode(encoding)))
    assert error.what == f"looks like {encoding[:6].upper()} without a byte order mark"
    assert offered(error) == [encoding]
    assert text_of(Path("bare.txt"), encoding=encoding) == text


def test_a_damaged_utf_16_is_told_as_such(put: Put) -> None:
    error = refusal(put("a.txt", codecs.BOM_UTF16_LE + "ab".encode("utf-16-le") + b"\0\xd8c\0"))
    assert error.what.startswith("is not UTF-16: byte 6 is 0x00, in line 1")
    assert "ends in the middle of a character" in refusal(put("b.txt", "ab".encode("utf-16") + b"c")).what


# ---- the option


def test_a_text_in_utf_8_is_read_as_such_whatever_was_named(put: Put) -> None:
    path = put("a.txt", FRENCH.encode())
    corpus = open_corpus(path, encoding="windows-1252")
    assert "".join(piece.text for piece in corpus.pieces()) == FRENCH
    assert corpus.notes() == ["a.txt is UTF-8, and read as such, not as windows-1252"]
    assert text_of(put("b.txt", book(900).encode()), encoding="utf-16-le") == book(900)


@pytest.mark.parametrize(("named", "remedy"), [
    ("klingon", "Did you mean"), ("windows1252", "Did you mean 'windows-1252'?"),
    ("ansi", "Did you mean 'windows-1252'?"), ("koi8", "Did you mean 'koi8-"),
    ("hex", "such as windows-1252"), ("rot13", "such as windows-1252"),
    ("idna", "such as"), ("unicode_escape", ""), ("", "such as"), ("a\0b", "such as")])
def test_names_that_are_no_encoding_of_texts(put: Put, named: str, remedy: str) -> None:
    with pytest.raises(TinyLMError, match="there is no encoding of texts named") as caught:
        open_corpus(put("a.txt", rhyme()), encoding=named)
    assert remedy in caught.value.remedy
    near = re.search(r"Did you mean '(.*)'", caught.value.remedy)
    assert not near or checked_encoding(near[1])


def test_the_wrong_encoding_is_told_with_a_better_one(put: Put, tinylm: Command) -> None:
    path = put("ru.txt", script("ru").encode("koi8_r"))
    said = tinylm("plan", path, *QUICK, "--encoding", "euc_jp")
    assert said.code == 2
    assert "ru.txt: is not euc_jp: byte" in said.err
    assert "most likely: --encoding koi8-r" in said.err


def test_every_command_in_a_refusal_is_one_line_of_the_shell(put: Put) -> None:
    path = put("-it's $HOME.txt", cut())
    command = refusal(path).remedy
    subprocess.run(command[command.index("head"):command.index("; or")], shell=True, check=True)
    assert text_of(Path("mended.txt")) == book()
    assert shlex.split(command[command.index("head"):])[4] == "./-it's $HOME.txt"


def test_utf_16_of_east_asia_without_a_mark_and_without_a_space_is_told(put: Put) -> None:
    text = "在我的后园，可以看见墙外有两株树，一株是枣树，还有一株也是枣树。" * 40
    path = put("zh.txt", text.encode("utf-16-le"))
    assert "--encoding utf-16-le" in refusal(path).remedy
    assert text_of(path, encoding="utf-16-le") == text


def test_halves_of_characters_as_java_writes_them_are_told_and_joined(put: Put) -> None:
    path = put("cesu.txt", book(600).encode() + b"\xed\xa0\xbd\xed\xb8\x80 and on\n")
    refused = refusal(path)
    assert "CESU-8" in refused.what
    if os.name != "nt":
        subprocess.run(re.search("python3 .*", refused.remedy)[0], shell=True, check=True)  # type: ignore[index]
        assert text_of(Path("mended.txt")).endswith("\U0001f600 and on\n")


@pytest.mark.parametrize("content", [
    pytest.param(book(6000).encode("cp037"), id="ebcdic"),
    pytest.param(book(6000).encode() + "\U0001f600".encode("utf-16-le") + b"\n", id="a piece of UTF-16"),
])
def test_no_encoding_is_named_whose_text_would_be_no_text(put: Put, content: bytes) -> None:
    assert "gb18030" not in refusal(put("a.txt", content)).remedy
    assert "shift_jis" not in refusal(put("a.txt", content)).remedy


def test_japanese_in_escapes_is_told_and_read(tinylm: Command, put: Put) -> None:
    text = "吾輩は猫である。名前はまだ無い。\n" * 100
    path = put("mail.txt", text.encode("iso2022_jp"))
    assert "--encoding iso-2022-jp reads it" in tinylm("plan", path, *QUICK).out
    assert text_of(path, encoding="iso-2022-jp") == text


@pytest.mark.parametrize(("content", "code"), [(b"\x1b[31mred\x1b[0m rose\n", "1B"), (b"plain rose\x1a", "1A"),
                                               ("a \x93quoted\x94 rose\n".encode(), "93")])
def test_control_characters_are_told_and_left_out_as_advised(tinylm: Command, put: Put, content: bytes,
                                                             code: str) -> None:
    path = put("log.txt", b"red rose\n" * 200 + content)
    out = tinylm("plan", path, *QUICK).out
    assert f"it holds control characters (such as U+00{code}), which are learned too" in out
    if os.name != "nt":
        command = re.search("python3 .*(?= leaves)", " ".join(out.split()))
        assert command
        subprocess.run(command[0], shell=True, check=True)
        assert not re.search("[\x1a\x1b\x93\x94]|31m", Path("log-plain.txt").read_text("utf-8"))


def test_what_a_terminal_recorded_is_refused_with_the_place_of_its_codes(put: Put) -> None:
    refused = refusal(put("typescript", b"\x1b]0;title\x07ls\x08\x08\n" * 100))
    assert "a control character, 0x07, at byte 9" in refused.what
    assert "col -b" in refused.remedy
