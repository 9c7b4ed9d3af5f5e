"""Exports of messengers: one person is the assistant; pauses part conversations, but no question from its answer."""

from __future__ import annotations

import json
import zipfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.chat.files.conftest import Read, Refused, texts
from tinylm.chat.files import read_chat_file
from tinylm.chat.files.stamps import seconds
from tinylm.errors import TinyLMError

BEGIN = datetime(2020, 12, 31, 10, 0)
SAID = (  # minutes since the beginning, who, what
    (0, "Ben B.", "Nobody asked this"),
    (1, "Anna", "Hello"), (2, "Anna", "are you there?"), (3, "Ben B.", "Yes: here!"),
    (150, "Anna", "Tea at six?"), (20 * 60, "Ben B.", "Sorry,\nI slept"), (20 * 60 + 1, "Ben B.", "tomorrow"),
    (20 * 60 + 59, "Anna", "Fine"), (20 * 60 + 60, "Ben B.", "Good"), (48 * 60, "Anna", "Are you well?"))
EXPECTED = [["Hello\nare you there?", "Yes: here!"],
            ["Tea at six?", "Sorry,\nI slept\ntomorrow", "Fine", "Good"]]

STAMPS = {
    "German": "%d.%m.%y, %H:%M - ", "American": "%m/%d/%y, %I:%M %p - ", "iPhone": "[%d.%m.%y, %H:%M:%S] ",
    "ISO": "%Y-%m-%d, %H:%M - ", "Chinese": "%Y/%m/%d %p%I:%M - ", "Spanish": "%d/%m/%Y, %I:%M %p - ",
}


def _whatsapp(form: str) -> str:
    lines = ["31.12.20, 09:00 - Messages and calls are end-to-end encrypted."] if form.startswith("%d.") else []
    for minutes, name, text in SAID:
        stamp = (BEGIN + timedelta(minutes=minutes)).strftime(form)
        if form == STAMPS["Chinese"]:
            stamp = stamp.replace("AM", "上午").replace("PM", "下午")
        if form == STAMPS["Spanish"]:
            stamp = stamp.replace("AM", "a. m.").replace("PM", "p. m.")
        lines.append(f"{stamp}{name}: {text}")
    return "\n".join([*lines[:4], f"{lines[3].split(': ')[0]}: <Media omitted>", *lines[4:]]) + "\n"


@pytest.mark.parametrize("language", STAMPS)
def test_whatsapp(read: Read, language: str) -> None:
    found = read("WhatsApp Chat.txt", _whatsapp(STAMPS[language]), me="ben b.")
    assert texts(found) == EXPECTED
    assert found.kind == "whatsapp"
    assert found.notes == [
        "read as an export of WhatsApp: 'Anna' asks, and 'Ben B.' answers. Messages of one side in a row are joined. A "
        "pause of over an hour before a question begins a new conversation. Left out because nobody answered, or "
        "nothing was asked: 2 messages"]


def _telegram(stamp: str) -> dict[str, Any]:
    messages: list[dict[str, Any]] = [{"type": "service", "actor": "Anna", "action": "create_group", "text": ""}]
    for minutes, name, text in SAID:
        at = BEGIN + timedelta(minutes=minutes)
        stamps = {"date": at.isoformat(), "date_unixtime": str(int(at.timestamp()))}
        messages.append({"type": "message", stamp: stamps[stamp], "from": name,
                         "text": [text[:3], {"type": "bold", "text": text[3:]}]})
    return {"name": "Ben", "type": "personal_chat", "id": 1, "messages": messages}


@pytest.mark.parametrize("stamp", ["date", "date_unixtime"])
def test_telegram(read: Read, stamp: str) -> None:
    found = read("result.json", json.dumps(_telegram(stamp)), me="Ben B.")
    assert texts(found) == EXPECTED
    assert found.kind == "telegram"
    both = read("all.json", json.dumps({"chats": {"list": [_telegram(stamp), _telegram(stamp)]}}), me="Ben B.")
    assert texts(both) == EXPECTED * 2


def test_an_archive_with_pictures_beside_the_chat(tmp_path: Path) -> None:
    path = tmp_path / "WhatsApp Chat.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("IMG-1.jpg", b"\xff\xd8\xff")
        archive.writestr("_chat.txt", _whatsapp(STAMPS["iPhone"]).replace("\n", "\r\n"))
    assert texts(read_chat_file(path, me="Ben B.")) == EXPECTED
    with pytest.raises(TinyLMError, match=r"WhatsApp Chat\.zip, _chat\.txt: nothing says whose messages"):
        read_chat_file(path)
    with pytest.raises(TinyLMError, match=r"for example: tinylm train \S+WhatsApp Chat\.zip\S --chat --me 'Ben B\.'$"):
        read_chat_file(path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("notes.txt", "one more")
    with pytest.raises(TinyLMError, match=r"its texts are: '_chat\.txt', 'notes\.txt'\. Unpack it"):
        read_chat_file(path, me="Ben B.")


def test_other_programs(read: Read) -> None:
    messages = [{"sender_name": name, "content": text, "timestamp_ms": 1577836800000 + 60000 * minutes}
                for minutes, name, text in reversed(SAID)]
    assert texts(read("message_1.json", json.dumps({"messages": messages}), me="Ben B.")) == EXPECTED
    days = [{"type": "message", "user": name, "text": text, "ts": str(1577836800 + 60 * minutes)}
            for minutes, name, text in SAID]
    assert texts(read("day.json", json.dumps(days), me="Ben B.")) == EXPECTED


def test_talks_with_a_model_have_roles(read: Read) -> None:
    said = [{"sender": "human", "text": "Hello"}, {"sender": "assistant", "text": "Hi"}]
    talk = [{"name": "One", "chat_messages": said}]
    assert texts(read("conversations.json", json.dumps(talk))) == [["Hello", "Hi"]]


def test_a_name_is_asked_for(refused: Refused) -> None:
    chat = _whatsapp(STAMPS["German"])
    message = refused("chat.txt", chat)
    assert ": nothing says whose messages are the answers; who writes, and how often: Ben B. (5), Anna (5)." in message
    assert message.endswith("--chat --me 'Ben B.'")
    assert "nobody in it is called 'Bob'; who writes, and how often: Ben B. (5), Anna (5)" in refused(
        "chat.txt", chat, me="Bob")
    alone = "".join(line + "\n" for line in chat.split("\n") if "Ben" not in line)
    assert "only 'Anna' writes in it" in refused("chat.txt", alone, me="Anna")


@pytest.mark.parametrize(("stamps", "gap"), [
    (["01/02/20, 10:00", "02/02/20, 10:00"], 86400),  # in either order time goes forward: day first
    (["01/31/20, 10:00", "02/01/20, 10:00"], 86400),
    (["1.2.2020, 12:05 AM", "1.2.2020, 12:05 PM"], 43200),
    (["٣١/١٢/٢٠٢٠، ١١:٥٩ ص", "٣١/١٢/٢٠٢٠، ١١:٥٩ م"], 43200),
    (["31.12.2020 klo 23.59", "1.1.2021 klo 0.01"], 120),
    (["99/99/99, 10:00", "98/99/99, 11:00"], 0),
    (["", "31.12.2020, 10:00"], 0),
])
def test_stamps(stamps: list[str], gap: float) -> None:
    before, after = seconds(stamps)
    assert after - before == gap
