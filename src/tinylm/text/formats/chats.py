"""Chat exports: WhatsApp's text; Telegram, Discord, Messenger, Slack, ChatGPT and Claude's JSON.

Each chat becomes one document of "Name: text" lines; times, notices and media are left out.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tinylm.text.formats.extracted import Extracted, storable

Message = tuple[str, str]
"""(name, text)."""


def _chats(kind: str, chats: Iterable[Iterable[Message]]) -> Extracted | None:
    """A document for each chat; None if there is no message."""
    documents: list[tuple[int, str]] = []
    count = dropped = 0
    for chat in chats:
        lines = []
        for name, text in chat:
            text = storable(text).strip()
            if text:
                lines.append(f"{storable(name)}: {text}\n" if name else f"{text}\n")
            else:
                dropped += 1
        if lines:
            documents.append((1, "".join(lines)))
            count += len(lines)
    if not documents:
        return None
    several = f" in {len(documents):,} chats" if len(documents) > 1 else ""
    left_out = "times, notices and media" + f" ({dropped:,} message{'s' * (dropped != 1)} without text)" * bool(dropped)
    return Extracted(documents, f'read as an export of {kind}: {count:,} message{"s" * (count != 1)}{several} as lines '
                                f'"Name: text", without {left_out}')


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


def _objects(values: object) -> list[dict[str, Any]]:
    """The objects of a list."""
    return [each for each in values if isinstance(each, dict)] if isinstance(values, list) else []


# ---- JSON objects


def of_object(export: dict[str, Any]) -> Extracted | None:
    """The chats of an export that is one object: of Telegram, Discord or Messenger; None for another object."""
    messages = _objects(export.get("messages"))
    first = messages[0] if messages else {}
    chats = export.get("chats")
    if isinstance(chats, dict) and "list" in chats:
        return _chats("Telegram", (_telegram(chat.get("messages")) for chat in _objects(chats["list"])))
    if "text" in first and "type" in first and ("from" in first or "actor" in first or "date" in first):
        return _chats("Telegram", [_telegram(messages)])
    if "author" in first and "content" in first and ("channel" in export or "guild" in export):
        return _chats("Discord", [_discord(messages)])
    if "sender_name" in first:
        return _chats("Messenger or Instagram", [_messenger(messages)])
    return of_list([export]) if begins_a_list(export) else None


def _telegram(messages: object) -> Iterator[Message]:
    for message in _objects(messages):
        if message.get("type") == "message":
            yield _name(message.get("from")), _text(message.get("text"))


def _discord(messages: list[dict[str, Any]]) -> Iterator[Message]:
    for message in messages:
        if message.get("type") in (None, "Default", "Reply", 0, 19):
            yield _name(message.get("author"), "nickname", "name", "username"), _text(message.get("content"))


def _messenger(messages: list[dict[str, Any]]) -> Iterator[Message]:
    """A chat of Messenger, where the last message comes first, and bytes of UTF-8 are written as characters."""
    for message in reversed(messages):
        yield _mended(_name(message.get("sender_name"))), _mended(_text(message.get("content")))


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


def of_list(export: list[Any]) -> Extracted | None:
    """The chats of an export that is a list: ChatGPT's or Claude's conversations, or a day's messages in Slack."""
    chats = _objects(export)
    if "mapping" in chats[0]:
        return _chats("ChatGPT", map(_chatgpt, chats))
    if "chat_messages" in chats[0]:
        return _chats("Claude", map(_claude, chats))
    return _chats("Slack", [_slack(chats)])


def _chatgpt(chat: dict[str, Any]) -> Iterator[Message]:
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
                yield role, _text(content.get("parts"))


def _claude(chat: dict[str, Any]) -> Iterator[Message]:
    for message in _objects(chat.get("chat_messages")):
        yield _name(message.get("sender")), _text(message.get("text")) or _text(message.get("content"))


_SLACK_LINK = re.compile(r"<(?:[@#!])?([^<>|]*)(?:\|([^<>]*))?>")


def _slack(messages: list[dict[str, Any]]) -> Iterator[Message]:
    for message in messages:
        if message.get("type") == "message" and message.get("subtype") in (None, "thread_broadcast", "me_message"):
            name = _name(message.get("user_profile"), "display_name", "real_name", "name")
            text = _SLACK_LINK.sub(lambda link: link[2] or link[1], _text(message.get("text")))
            yield name or _name(message.get("user")), html.unescape(text)
