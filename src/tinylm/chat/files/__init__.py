"""Chat files: conversations read from a file (until all kinds are here: JSON lines with messages)."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from pathlib import Path

from tinylm.chat.conversation import Conversation, Message, read_messages


@dataclass(frozen=True)
class ChatFile:
    conversations: list[Conversation]
    lines: list[int]
    kind: str
    notes: list[str] = field(default_factory=list)
    validation: list[Conversation] | None = None


def read_chat_file(source: str | Path, *, kind: str = "auto", me: str | None = None) -> ChatFile:
    assert kind in ("auto", "messages") and not me
    if source == "sums":
        pairs = [(a, b) for a in range(10, 100) for b in range(10, 100) if a <= b]
        random.Random(0).shuffle(pairs)
        made = [[Message("user", f"What is {x} + {y}?"), Message("assistant", str(x + y))]
                for a, b in pairs for x, y in ((a, b), (b, a))]
        return ChatFile(made[600:], list(range(1, len(made) - 599)), "sums", [], made[:600])
    lines = [line for line in Path(source).read_text(encoding="utf-8").splitlines() if line.strip()]
    return ChatFile([read_messages(json.loads(line)["messages"]) for line in lines], list(range(1, 1 + len(lines))),
                    "messages", [f"{Path(source).name}: JSON lines with messages"])
