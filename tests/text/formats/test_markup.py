"""Subtitles, mails, notebooks, XML: what their authors said, without what programs need."""

from __future__ import annotations

import json

from tests.text.formats.conftest import Reader, Refused

SRT = ("\ufeff1\n00:00:01,000 --> 00:00:02,500\n<i>Hello</i> there,\n- 12 o'clock.\n\n"
       "2\n00:00:03,000 --> 00:00:04,000 X1:10\n{\\an8}<font color=\"#fff\">Bye.</font>\n\n"
       "3\n00:00:05,000 --> 00:00:06,000\n\n4\n00:01:03.000 --> 00:01:04.000\n42\n")
VTT = ("WEBVTT - a talk\n\nSTYLE\n::cue { color: red }\n\nNOTE a remark\n\nintro\n00:01.000 --> 00:02.000 align:start\n"
       "<v Roger>Hello &amp; welcome</v>\n\n00:02.000 --> 00:03.000\nHello &amp; welcome\nto<00:02.500><c> it</c>\n")
ASS = ("[Script Info]\nTitle: x\n\n[V4+ Styles]\nFormat: Name, Fontname\nStyle: Default,Arial\n\n[Events]\n"
       "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
       "Comment: 0,0:00:00.00,0:00:01.00,Default,,0,0,0,,no\n"
       "Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,{\\i1}Hello{\\i0}, you\\Nthere\n")


def test_subtitles(read: Reader) -> None:
    said = "Hello there,\n- 12 o'clock.\nBye.\n42\n"
    assert read("a.srt", SRT).documents == [said]
    assert read("a.srt", SRT.replace("\n", "\r\n").encode("utf-16")).documents == [said]
    assert read("film.txt", SRT).documents == [said], "told by its content"
    assert read("a.vtt", VTT).documents == ["Hello & welcome\nto it\n"], "what rolls is said once"
    assert read("a.ass", ASS).documents == ["Hello, you\nthere\n"]
    assert "without numbers, times and tags" in read("a.srt", SRT).notes
    assert read("a.sbv", "0:00:01.000,0:00:02.000\nHello,\nyou.\n\n0:00:03.000,0:00:04.000\nBye.\n").documents == [
        "Hello,\nyou.\nBye.\n"]
    assert read("a.sub", "{1}{25}{y:i}Hello,|you.\n{30}{55}Bye.\n").documents == ["Hello,\nyou.\nBye.\n"]
    assert read("a.lrc", "[ar:Somebody]\n[00:12.00]Line one\n[00:15.30][01:15.30]Line two\n").documents == [
        "Line one\nLine two\n"]
    ttml = "<tt xmlns='http://www.w3.org/ns/ttml'><head><metadata/></head><body><div>"
    assert read("a.ttml", ttml + "<p begin='1s'>Hello,<br/>you.</p></div></body></tt>").documents == ["Hello,\nyou.\n"]


def test_mails(read: Reader) -> None:
    mail = ("From: a@b.c\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\nContent-Type: text/plain; charset=iso-8859-1\n"
            "Content-Transfer-Encoding: quoted-printable\n\nHallo =FCber=\nall\n")
    assert read("a.eml", mail).documents == ["Grüße\n\nHallo überall\n"]
    box = ("From a@b Mon Jan  1 00:00:00 2024\nSubject: one\n\nFirst.\nFrom here on it goes on.\n\n"
           "From c@d Mon Jan  1 00:00:00 2024\nSubject: two\nContent-Type: text/html\n\n<p>Second.</p>\n")
    found = read("inbox.mbox", box)
    assert found.documents == ["one\n\nFirst.\nFrom here on it goes on.\n", "two\n\nSecond.\n"]
    assert found.lines == [2, 8]
    page = ("Subject: t\nMIME-Version: 1.0\nContent-Type: multipart/related; boundary=\"b\"\n\n--b\n"
            "Content-Type: text/html; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"
            "<html><p>Caf=C3=A9</p></html>\n--b--\n")
    assert read("page.mhtml", page).documents == ["Café\n"]


def test_notebooks(read: Reader, refused: Refused) -> None:
    cells = [{"cell_type": "markdown", "source": ["# Title\n", "Words."]},
             {"cell_type": "code", "source": "x = 1", "outputs": [{"text": ["never learned"]}]}]
    assert read("a.ipynb", json.dumps({"cells": cells, "nbformat": 4})).documents == ["# Title\nWords.\n\nx = 1\n"]
    assert "jupyter nbconvert" in refused("b.ipynb", "{}")


def test_xml_of_known_kinds(read: Reader, refused: Refused) -> None:
    tei = ("<?xml version='1.0'?><TEI xmlns='http://www.tei-c.org/ns/1.0'><teiHeader><p>no</p></teiHeader><text><body>"
           "<head>Title</head><lg><l>line one</l><l>line <hi>two</hi></l></lg><p>a\n  b</p></body></text></TEI>")
    assert read("a.xml", tei).documents == ["Title\nline one\nline two\na b\n"]
    book = ("<?xml version='1.0' encoding='utf-8'?><FictionBook xmlns='x'><description><p>no</p></description><body>"
            "<title><p>Я</p></title><p>Текст <emphasis>тут</emphasis>.</p></body><binary>QUJD</binary></FictionBook>")
    assert read("a.fb2", book).documents == ["Я\nТекст тут.\n"]
    assert "wikiextractor" in refused("dump.xml", "<mediawiki xmlns='x'><page/></mediawiki>")
    assert "xmllint --xpath 'string(/)'" in refused("map.xml", "<?xml version='1.0'?><osm><node/></osm>")
    assert read("map.xml", "<osm><node>kept as it is</node></osm>", formats="keep").documents[0].startswith("<osm>")
