"""WhatsApp's exported chats: a .txt whose lines begin with a date, a time and a name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain

from tinylm.text.formats.chats import ChatMessage
from tinylm.text.formats.extracted import Extracted, File, single

_MARKS = "\u200e\u200f\u202a\u202b\u202c\ufeff"
_STAMP = re.compile(
    rf"[{_MARKS}]*(?P<open>\[)?\d{{1,4}}[./\-]\s?\d{{1,2}}[./\-]\s?\d{{1,4}}\.?[,،]?\s+(?:[^\d\s\[\]:]{{1,9}}\s?)?"
    r"\d{1,2}[:.]\d{2}(?:[:.]\d{2})?(?:\s?[^\d\s\[\]:\-–]{1,6}(?:\s[mM]\.)?)?"
    rf"(?(open)\]|\s[-–])\s(?P<rest>.*)", re.DOTALL)
"""Date and time in any order and language: `31.12.20, 23:59 - `, `[12/31/20, 11:59:01 PM] `, `2020/12/31 下午11:59 - `.
"""
_NAME = re.compile(rf"[{_MARKS}]*(?P<name>[^:\n]{{1,80}}?)[{_MARKS}]*: ?(?P<text>.*)", re.DOTALL)
_MEDIA = re.compile(rf"[{_MARKS}]*<[^<>\n]{{3,60}}>|[{_MARKS}]*\S.{{0,80}}\.\w{{2,5}} \([^()\n]{{3,40}}\)|null|\u200e.*"
                    r"|(?:This message was deleted|You deleted this message)\.?", re.DOTALL)
"""`<Media omitted>`, `IMG-1.jpg (file attached)`, and on iPhones any notice, which begins with a mark."""
_EDITED = re.compile(rf"[{_MARKS}]*<This message was edited>$")
_LEVELS = re.compile(r"\b(?:info|warn|warning|error|debug|trace|fatal|critical|notice)\b", re.IGNORECASE)
_LOG_DATE = re.compile(r"\[?\d{4}-\d\d-\d\d[ T]")


def is_whatsapp(head: str) -> bool:
    """True if the first line and a third of all begin with date, time and name, and they are no log: with levels such
    as INFO, or with dates as in logs and none of the marks that phones put before notices."""
    lines = [line for line in head.split("\n")[:200] if line.strip()]
    stamps = [_STAMP.match(line) for line in lines]
    names = {name["name"] for stamp in stamps if stamp and (name := _NAME.match(stamp["rest"]))}
    found = sum(stamp is not None for stamp in stamps)
    if not lines or stamps[0] is None or found < max(3, len(lines) / 3) or not names:
        return False
    return not any(map(_LEVELS.search, names)) and ("\u200e" in head or not _LOG_DATE.match(lines[0]))


def read(file: File) -> Extracted:
    """The text of a chat: lines "Name: text"; further lines of a message follow as they are."""
    dropped = 0
    kept: list[str] = []
    for message in messages(file.text().split("\n")):
        if message.text:
            kept.append(f"{message.name}: {message.text}\n")
        else:
            dropped += 1
    left_out = f"times and {dropped:,} notice{'s' * (dropped != 1)} or media" if dropped else "times"
    return single("".join(kept), f'read as an export of WhatsApp: {len(kept):,} message{"s" * (len(kept) != 1)} '
                                 f'as lines "Name: text", without {left_out}')


def messages(lines: Iterable[str]) -> Iterator[ChatMessage]:
    """Yields the messages of a chat. Notices have no name, and they and media have no text. Lines before the first
    message are passed over."""
    held: list[str] = []
    stamp, began = "", 0
    for number, line in enumerate(chain(lines, [None]), start=1):
        found = _STAMP.match(line) if line is not None else None
        if held and (found or line is None):
            yield _message("\n".join(held).rstrip("\n"), stamp, began)
            held = []
        if found:
            held, stamp, began = [found["rest"]], line[:found.start("rest")], number  # type: ignore[index]
        elif held and line is not None:
            held.append(line)


def _message(whole: str, stamp: str, line: int) -> ChatMessage:
    found = _NAME.fullmatch(whole)
    if not found:
        return ChatMessage("", "", stamp, line)
    text = "" if _MEDIA.fullmatch(found["text"]) else _EDITED.sub("", found["text"]).rstrip()
    return ChatMessage(found["name"].strip("~ \u202f\xa0"), text, stamp, line)
