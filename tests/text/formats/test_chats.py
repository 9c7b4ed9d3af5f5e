"""Exported chats are lines "Name: text", one document a chat, whatever program they are from."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.text.formats.conftest import Reader
from tinylm.text.formats.recognise import recognise

SAID = "Anna: Hallo du\nBob B.: Ja: gern!\nund noch was\nAnna: bis dann\n"
BODY = (("Anna", "Hallo du"), ("Bob B.", "Ja: gern!\nund noch was"), ("Anna", "bis dann"))
STAMPS = {
    "German": "31.12.20, 23:59 - {}: {}", "American": "12/31/20, 11:59 PM - {}: {}",
    "iPhone": "[31.12.20, 23:59:12] {}: {}", "iPhone, American": "\u200e[12/31/20, 11:59:12\u202fPM] {}: {}",
    "ISO": "2020-12-31, 23:59 - {}: {}", "Spanish": "31/12/20, 11:59 p. m. - {}: {}",
    "Chinese": "2020/12/31 下午11:59 - {}: {}", "with a dash": "31.12.2020, 23:59 – {}: {}",
    "Indian": "31/12/20, 11:59 pm - {}: {}",
    "Arabic": "٣١/١٢/٢٠٢٠، ١١:٥٩ م - {}: {}", "Finnish": "31.12.2020 klo 23.59 - {}: {}",
}


@pytest.mark.parametrize("kind", STAMPS)
def test_whatsapp(read: Reader, kind: str) -> None:
    found = read("WhatsApp Chat.txt", "".join(STAMPS[kind].format(*said) + "\n" for said in BODY))
    assert found.documents == [SAID]
    assert 'export of WhatsApp: 3 messages as lines "Name: text", without times' in found.notes


def test_notices_and_media_of_whatsapp_are_left_out_and_counted(read: Reader) -> None:
    notices = ["31.12.20, 23:58 - Messages and calls are end-to-end encrypted.",
               "31.12.20, 23:58 - Bob: <Media omitted>",
               "31.12.20, 23:58 - Bob: IMG-20201231-WA0001.jpg (file attached)", "31.12.20, 23:58 - Bob: null",
               "31.12.20, 23:58 - Bob: This message was deleted", "31.12.20, 23:58 - Bob: \u200eimage omitted"]
    lines = [STAMPS["German"].format(*said) for said in BODY]
    found = read("chat.txt", "\n".join([*notices, *lines]) + "\n")
    assert found.documents == [SAID]
    assert "6 notices or media" in found.notes
    kept = read("chat.txt", "\n".join([*notices, *lines]) + "\n", formats="keep")
    assert kept.documents[0].startswith("31.12.20, 23:58")


NO_CHATS = {
    "a log": "".join(f"[2020-12-31 23:59:{i:02}] {level}: done\n" for i, level in enumerate(["INFO", "WARNING"] * 9)),
    "a log with loggers": "2024-01-01 10:00:00 - server - INFO - done: all\n" * 9,
    "a log of programs": "[2024-01-01 10:00:00] server.app: done\n" * 9,
    "a diary": "31.12.2020\nDear diary: nothing.\n\n1.1.2021\nDear diary: again nothing.\n" * 9,
    "scores": "12/31/20, 3:2 - a good game it was\n" + "Then: nothing happened for long.\n" * 30,
    "a play": "ANNA: Hallo du\nBOB: Ja: gern!\n" * 9,
}


@pytest.mark.parametrize("kind", NO_CHATS)
def test_what_only_looks_like_a_chat(kind: str) -> None:
    assert recognise("a.txt", NO_CHATS[kind].encode()) == ""


TELEGRAM: dict[str, Any] = {"name": "Bob", "type": "personal_chat", "id": 1, "messages": [
    {"id": 1, "type": "service", "actor": "Anna", "action": "phone_call", "text": ""},
    {"id": 2, "type": "message", "date": "2020-01-01T00:00:00", "from": "Anna", "text": "Hallo du"},
    {"id": 3, "type": "message", "date": "2020-01-01T00:00:00", "from": "Bob B.",
     "text": ["Ja: ", {"type": "bold", "text": "gern!"}, "\nund noch was"]},
    {"id": 4, "type": "message", "from": "Bob B.", "photo": "a.jpg", "text": ""},
    {"id": 5, "type": "message", "from": "Anna", "text": "bis dann"}]}


def _discord(name: str, text: str, kind: str = "Default") -> dict[str, Any]:
    return {"id": "1", "type": kind, "content": text, "author": {"name": name.lower(), "nickname": name}}


def _node(role: str, text: str, parent: str) -> dict[str, Any]:
    content = {"content_type": "text", "parts": [text]}
    return {"message": {"author": {"role": role}, "content": content}, "parent": parent}


def _latin(text: str) -> str:
    return text.encode().decode("latin-1")


EXPORTS: dict[str, tuple[Any, list[str], str]] = {
    # name of the case: export, documents, what is said of it
    "Telegram": (TELEGRAM, [SAID], "export of Telegram: 3 messages as lines"),
    "all of Telegram": ({"about": "x", "chats": {"list": [TELEGRAM, TELEGRAM]}}, [SAID, SAID], "6 messages in 2 chats"),
    "Discord": ({"guild": {"id": "1"}, "channel": {"name": "x"}, "messages": [
        *(_discord(*said) for said in BODY), _discord("Zoe", "Joined the server.", "GuildMemberJoin")]},
        [SAID], "export of Discord: 3 messages"),
    "Messenger": ({"participants": [], "messages": [
        {"sender_name": _latin(name), "content": _latin(text)} for name, text in (*BODY[:0:-1], ("René", "schön"))]},
        [SAID.replace("Anna: Hallo du", "René: schön")], "export of Messenger or Instagram: 3"),
    "ChatGPT": ([{"title": "t", "current_node": "d", "mapping": {
        "a": {"message": None, "parent": None}, "b": _node("user", "What is it?", "a"),
        "c": _node("assistant", "First try.", "b"), "d": _node("assistant", "It is that.", "b")}}],
        ["user: What is it?\nassistant: It is that.\n"], "export of ChatGPT: 2"),
    "Claude": ([{"uuid": "1", "chat_messages": [
        {"sender": "human", "text": "Hi."}, {"sender": "assistant", "text": "Yes?"}]}],
        ["human: Hi.\nassistant: Yes?\n"], "export of Claude: 2"),
    "Slack": ([{"type": "message", "user": "U1", "ts": "1", "text": "see <@U2> &amp; <https://a.b|this>",
                "user_profile": {"real_name": "Anna"}},
               {"type": "message", "subtype": "channel_join", "ts": "2", "text": "joined"}],
              ["Anna: see U2 & this\n"], "export of Slack: 1 message as"),
}


@pytest.mark.parametrize("kind", EXPORTS)
def test_json_exports(read: Reader, kind: str) -> None:
    export, documents, expected = EXPORTS[kind]
    for indent in (None, 1):
        found = read("result.json", json.dumps(export, indent=indent))
        assert found.documents == documents
        assert expected in found.notes
    lines = read("result.json", json.dumps(export), documents="line").documents
    assert lines == [line for document in documents for line in document.splitlines()]


def test_a_chat_that_goes_in_circles_ends(read: Reader) -> None:
    chat = [{"current_node": "a", "mapping": {"a": _node("user", "one", "b"), "b": _node("assistant", "two", "a")}}]
    assert read("conversations.json", json.dumps(chat)).documents == ["assistant: two\nuser: one\n"]
