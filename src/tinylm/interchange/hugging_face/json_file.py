"""JSON files, as Hugging Face's programs write them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Writes values as a JSON file: two blanks of indentation, sorted by name, ASCII alone. Raises: OSError.

    >>> write_json(Path("config.json"), {"b": 1, "a": [2]})
    >>> json.loads(Path("config.json").read_bytes())
    {'a': [2], 'b': 1}
    """
    path.write_bytes((json.dumps(values, indent=2, sort_keys=True) + "\n").encode())
