"""Texts as a person gives them: what was read is told, and what cannot be read leaves nothing."""

from __future__ import annotations

import gzip
import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from tests.studio.conftest import Application
from tinylm.studio import texts
from tinylm.text.corpus import open_corpus

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"


def upload(app: Application, name: str, data: bytes) -> dict:
    reply = app.ask(f"/api/texts?name={name}", data)
    assert reply.status == 200, reply
    return reply.json


def kept(app: Application) -> list[Path]:
    return list((app.folder / ".studio" / "texts").iterdir())


def test_what_was_read_is_told(application: Application) -> None:
    about = upload(application, "diary.txt", b"Dear diary, today I saw a cat.\n" * 4 + "née\n".encode())
    assert about["name"] == "diary.txt"
    assert (about["characters"], about["bytes"], about["documents"]) == (128, 129, 1)
    assert about["first"].startswith("Dear diary")
    assert about["odd_bytes"] == 0
    assert about["repeated_share"] == pytest.approx(90 / 123)
    assert application.ask("/api/texts").json["texts"] == [about]
    assert application.ask(f"/api/texts/{about['text']}", method="DELETE").status == 200
    assert application.ask("/api/texts").json["texts"] == []


@pytest.mark.parametrize(("encoding", "sentence"), [
    ("windows-1252", "Über den Wolken muß die Freiheit wohl grenzenlos sein, sagte der Bäcker. "),
    ("koi8-r", "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива. "),
    ("utf-16", "Once upon a time there was a text of two bytes a letter. ")])
def test_a_text_in_another_encoding_is_read(application: Application, encoding: str, sentence: str) -> None:
    about = upload(application, "old.txt", (sentence * 20).encode(encoding))
    assert about["first"].startswith(sentence)
    assert about["characters"] == 20 * len(sentence)
    assert about["odd_bytes"] == 0


def test_odd_bytes_are_counted_and_left_out(application: Application) -> None:
    about = upload(application, "odd.txt", "Grüße, née, café, naïve, Æther\n".encode() * 10 + b"a\xffb\n" * 3)
    assert about["odd_bytes"] == 3
    text = texts.file_of(application.folder / ".studio" / "texts" / about["text"]).read_text(encoding="utf-8")
    assert text.endswith("ab\n" * 3)
    assert "\ufffd" not in text


def test_formats_are_read_as_the_command_reads_them(application: Application) -> None:
    epub = BytesIO()
    with zipfile.ZipFile(epub, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", f'<w:document xmlns:w="{WORD}"><w:body><w:p><w:r>'
                                              "<w:t>Words of a document.</w:t></w:r></w:p></w:body></w:document>")
    assert upload(application, "a.docx", epub.getvalue())["first"].strip() == "Words of a document."
    assert upload(application, "a.txt.gz", gzip.compress(b"packed words"))["first"] == "packed words"
    assert "<" not in upload(application, "a.html", b"<html><body><p>Words of a page.</p></body></html>")["first"]


@pytest.mark.parametrize(("name", "data"), [
    ("empty.txt", b""), ("space.txt", b" \n\t\n"), ("nul.txt", b"a\x00b" * 40), ("noise.bin", bytes(range(256)) * 40),
    ("a.png", b"\x89PNG\r\n\x1a\n" + b"\x00" * 60), ("bad.gz", b"\x1f\x8b\x08\x00broken"),
    ("bad.docx", b"PK\x03\x04broken"), ("a.pdf", b"%PDF-1.4\nbroken")])
def test_what_is_no_text_is_one_sentence_and_leaves_nothing(application: Application, name: str, data: bytes) -> None:
    reply = application.ask(f"/api/texts?name={name}", data)
    assert reply.status == 400, reply
    message = reply.json["error"]["message"]
    assert name in message
    assert str(application.folder) not in message, "a person has not put it there"
    assert "--" not in message, "a page has no options"
    assert not kept(application)


def test_a_text_is_bounded(application: Application, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "MAX_TEXT_BYTES", 1000)
    monkeypatch.setattr(texts, "MAX_TEXTS", 2)
    assert application.ask("/api/texts?name=a.txt", b"a" * 1001).status == 413
    assert application.ask("/api/texts?name=a.txt", b"a" * 1001, headers={"content-length": "9"}).status == 413
    assert not kept(application)
    upload(application, "a.txt", b"one text")
    upload(application, "a.txt", b"another")
    assert application.ask("/api/texts?name=a.txt", b"a third").status == 409


def test_a_client_that_leaves_in_the_middle_leaves_nothing(application: Application) -> None:
    from tests.http.application import ask
    from tests.studio.conftest import KEY

    ask(application.app, "/api/texts?name=a.txt", None, method="POST", headers={"authorization": f"Bearer {KEY}"},
        more=lambda: [{"type": "http.disconnect"}])
    assert not [path for path in kept(application) if not path.name.startswith(".")] or not kept(application)
    assert not application.log


def test_several_texts_are_one_source_under_a_name_for_people(application: Application) -> None:
    keys = [upload(application, name, f"The text called {name}, {number}.".encode())["text"]
            for number, name in enumerate(["b.txt", "a.txt", "B.txt"])]
    source = application.texts.source(keys)
    assert source.name == "b and 2 more"
    assert sorted(path.name for path in source.iterdir()) == ["B (2).txt", "a.txt", "b.txt"]
    assert open_corpus(source).stats().documents == 3
    assert application.texts.source(keys) == source
    assert application.texts.source(keys[:1]).name == "b.txt"
    application.ask(f"/api/texts/{keys[0]}", method="DELETE")
    assert (source / "b.txt").is_file(), "a model that was made of it has its own"
