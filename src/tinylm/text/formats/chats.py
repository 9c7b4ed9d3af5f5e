"""Chat exports: WhatsApp's text; Telegram, Discord, Messenger, Slack, ChatGPT and Claude's JSON.

Each chat becomes one document of "Name: text" lines; times, notices and media are left out.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from tinylm.text.formats.extracted import Extracted, storable


class ChatMessage(NamedTuple):
    """A message of an exported chat.

    Attributes:
        name: of the person who wrote it; empty for a notice of the program.
        text: empty if the message has no text, such as a picture.
        stamp: date and time as the program writes them, or seconds since 1970; empty if it writes none.
        line: of the file in which the message begins, from 1; 0 in formats without lines to speak of.
    """

    name: str
    text: str
    stamp: str = ""
    line: int = 0


class Export(NamedTuple):
    """The chats that a program exported, each with its messages in order."""

    program: str
    chats: Iterable[Iterable[ChatMessage]]


def extracted(export: Export) -> Extracted | None:
    """A document for each chat; None if there is no message."""
    documents: list[tuple[int, str]] = []
    count = dropped = 0
    for chat in export.chats:
        lines = []
        for message in chat:
            text = storable(message.text).strip()
            if text:
                lines.append(f"{storable(message.name)}: {text}\n" if message.name else f"{text}\n")
            else:
                dropped += 1
        if lines:
            documents.append((1, "".join(lines)))
            count += len(lines)
    if not documents:
        return None
    several = f" in {len(documents):,} chats" if len(documents) > 1 else ""
    left_out = "times, notices and media" + f" ({dropped:,} message{'s' * (dropped != 1)} without text)" * bool(dropped)
    return Extracted(documents, f'read as an export of {export.program}: {count:,} message{"s" * (count != 1)}{several}'
                                f' as lines "Name: text", without {left_out}')


def _text(value: object) -> str:
    """A text, or the texts of a list of parts."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return _text(value.get("text", ""))
    if isinstance(value, list):
        return "".join(_text(part) for part in value)
    return ""


def _name(value: object, *keys: str) -> str:
    """A name, or the first that an object has under some keys."""
    if isinstance(value, Mapping):
        return next((str(value[key]) for key in keys if value.get(key)), "")
    return value if isinstance(value, str) else ""


def _stamp(message: Mapping[str, Any], *keys: str) -> str:
    """The first stamp that a message has under some keys."""
    return next((str(message[key]) for key in keys if message.get(key)), "")


def _objects(values: object) -> list[dict[str, Any]]:
    """The objects of a list."""
    return [each for each in values if isinstance(each, dict)] if isinstance(values, list) else []


# ---- JSON objects


def of_object(export: dict[str, Any]) -> Export | None:
    """The chats of an export that is one object: of Telegram, Discord or Messenger; None for another object."""
    messages = _objects(export.get("messages"))
    first = messages[0] if messages else {}
    chats = export.get("chats")
    if isinstance(chats, dict) and "list" in chats:
        return Export("Telegram", (_telegram(chat.get("messages")) for chat in _objects(chats["list"])))
    if "text" in first and "type" in first and ("from" in first or "actor" in first or "date" in first):
        return Export("Telegram", [_telegram(messages)])
    if "author" in first and "content" in first and ("channel" in export or "guild" in export):
        return Export("Discord", [_discord(messages)])
    if "sender_name" in first:
        return Export("Messenger or Instagram", [_messenger(messages)])
    return of_list([export]) if begins_a_list(export) else None


def _telegram(messages: object) -> Iterator[ChatMessage]:
    for message in _objects(messages):
        if message.get("type") == "message":
            stamp = _stamp(message, "date_unixtime", "date")
            yield ChatMessage(_name(message.get("from")), _text(message.get("text")), stamp)


def _discord(messages: list[dict[str, Any]]) -> Iterator[ChatMessage]:
    for message in messages:
        if message.get("type") in (None, "Default", "Reply", 0, 19):
            name = _name(message.get("author"), "nickname", "name", "username")
            yield ChatMessage(name, _text(message.get("content")), _stamp(message, "timestamp"))


def _messenger(messages: list[dict[str, Any]]) -> Iterator[ChatMessage]:
    """A chat of Messenger, where the last message comes first, and bytes of UTF-8 are written as characters."""
    for message in reversed(messages):
        milliseconds = message.get("timestamp_ms")
        stamp = str(milliseconds / 1000) if isinstance(milliseconds, int) else ""
        yield ChatMessage(_mended(_name(message.get("sender_name"))), _mended(_text(message.get("content"))), stamp)


def _mended(text: str) -> str:
    try:
        return text.encode("latin-1").decode("utf-8")
    except UnicodeError:
        return text


# ---- JSON lists


def begins_a_list(first: object) -> bool:
    """True for an object like the first of a list that `of_list` knows."""
    return isinstance(first, dict) and (
        isinstance(first.get("mapping"), dict) or "chat_messages" in first
        or (first.get("type") == "message" and "ts" in first))


def of_list(export: list[Any]) -> Export:
    """The chats of an export that is a list: ChatGPT's or Claude's conversations, or a day's messages in Slack."""
    chats = _objects(export)
    if "mapping" in chats[0]:
        return Export("ChatGPT", map(_chatgpt, chats))
    if "chat_messages" in chats[0]:
        return Export("Claude", map(_claude, chats))
    return Export("Slack", [_slack(chats)])


def _chatgpt(chat: dict[str, Any]) -> Iterator[ChatMessage]:
    """The messages from the first to the current one: of an answer that was tried again, the one that was kept."""
    nodes = chat.get("mapping")
    nodes = nodes if isinstance(nodes, dict) else {}
    at, way = chat.get("current_node"), []
    if at not in nodes:
        way = [node for node in nodes.values() if isinstance(node, dict)]
    seen = set()
    while isinstance(at, str) and isinstance(nodes.get(at), dict) and at not in seen:
        seen.add(at)
        way.append(nodes[at])
        at = nodes[at].get("parent")
    for node in reversed(way) if seen else way:
        message = node.get("message")
        if isinstance(message, dict):
            content = message.get("content")
            role = _name(message.get("author"), "role")
            if role in ("user", "assistant") and isinstance(content, dict):
                yield ChatMessage(role, _text(content.get("parts")))


def _claude(chat: dict[str, Any]) -> Iterator[ChatMessage]:
    for message in _objects(chat.get("chat_messages")):
        yield ChatMessage(_name(message.get("sender")), _text(message.get("text")) or _text(message.get("content")))


_SLACK_LINK = re.compile(r"<(?:[@#!])?([^<>|]*)(?:\|([^<>]*))?>")


def _slack(messages: list[dict[str, Any]]) -> Iterator[ChatMessage]:
    for message in messages:
        if message.get("type") == "message" and message.get("subtype") in (None, "thread_broadcast", "me_message"):
            name = _name(message.get("user_profile"), "display_name", "real_name", "name")
            text = _SLACK_LINK.sub(lambda link: link[2] or link[1], _text(message.get("text")))
            yield ChatMessage(name or _name(message.get("user")), html.unescape(text), _stamp(message, "ts"))
