"""A chat file of any kind, read as a person's would be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tinylm.chat.files import ChatFile, read_chat_file
from tinylm.errors import TinyLMError

Read = Callable[..., ChatFile]
Refused = Callable[..., str]


def _written(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Reads a file: `read("a.txt", "Q: why ?\\nA: so")`."""
    def read(name: str, content: bytes | str, **options: Any) -> ChatFile:
        found = read_chat_file(_written(tmp_path, name, content), **options)
        assert len(found.lines) == len(found.conversations)
        assert found.validation is None
        return found

    return read


@pytest.fixture
def refused(tmp_path: Path) -> Refused:
    """The message of a file that cannot be read: one line that names the file."""
    def refused(name: str, content: bytes | str, **options: Any) -> str:
        path = _written(tmp_path, name, content)
        with pytest.raises(TinyLMError) as caught:
            read_chat_file(path, **options)
        message = str(caught.value)
        assert "\n" not in message
        assert message.startswith(str(path))
        assert caught.value.remedy
        return message.removeprefix(str(path))

    return refused


def texts(found: ChatFile) -> list[list[str]]:
    """The texts of each conversation; a system text begins with "system: "."""
    return [[f"system: {text}" if role == "system" else text for role, text in each] for each in found.conversations]
