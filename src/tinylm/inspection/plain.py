"""Plain data: results as the dictionaries, lists, texts and numbers that JSON has."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any


def plain(result: Any) -> Any:
    """Turns dataclasses and named tuples, and those within them, into dictionaries, and other sequences into lists.

    >>> from tinylm.inspection.embeddings import EmbeddingMap, MapPoint
    >>> plain(EmbeddingMap((MapPoint(5, "how", 0.5, -1.0),), (0.9, 0.1)))
    {'points': [{'id': 5, 'token': 'how', 'x': 0.5, 'y': -1.0}], 'explained': [0.9, 0.1]}
    """
    if is_dataclass(result):
        return {field.name: plain(getattr(result, field.name)) for field in fields(result)}
    if isinstance(result, tuple) and hasattr(result, "_asdict"):
        return plain(result._asdict())
    if isinstance(result, dict):
        return {name: plain(value) for name, value in result.items()}
    if isinstance(result, list | tuple):
        return [plain(each) for each in result]
    return result
