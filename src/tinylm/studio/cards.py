"""Cards of models: what a person sees of each on the first page, read from its folder without loading its weights."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tinylm import model_folder
from tinylm.config.schema import RunConfig
from tinylm.errors import TinyLMError
from tinylm.inspection.structure import total_parameters
from tinylm.interchange.html.export import MANY, check_held
from tinylm.page.tokenizer_data import tokenizer_data
from tinylm.reports.history import History
from tinylm.serving.model_registry import Fingerprint
from tinylm.studio.histories import Histories, finite_baselines

FILES = (model_folder.CONFIG, model_folder.TOKENIZER, model_folder.WEIGHTS, model_folder.METRICS)
"""Files by whose time and size a card is known to be of today."""


class Cards:
    """Cards by model, each read anew when its folder has changed.

    Args:
        histories: of the runs that made them.
    """

    def __init__(self, histories: Histories) -> None:
        self._histories = histories
        self._read: dict[str, tuple[Fingerprint, dict[str, Any]]] = {}

    def of(self, id: str, folder: Path) -> dict[str, Any]:
        """The card of a model without its state. One that cannot be read says why, as its error."""
        now = _fingerprint(folder)
        before, card = self._read.get(id, ((), {}))
        if before != now:
            try:
                card = _card(folder, self._histories.of(folder).history)
            except TinyLMError as error:
                card = {"error": str(error)}
            self._read[id] = now, card
        return {"id": id, "name": id, **card}


def _fingerprint(folder: Path) -> Fingerprint:
    found = []
    for name in FILES:
        with suppress(OSError):
            stat = (folder / name).stat()
            found.append((stat.st_ino, stat.st_mtime_ns, stat.st_size))
    return tuple(found)


def _card(folder: Path, history: History) -> dict[str, Any]:
    config, weights = model_folder.read_config(folder), folder / model_folder.WEIGHTS
    best, ratio = history.best, history.bits_per_byte_per_nat
    bits = best.loss * ratio + history.left_out_bits if best is not None and ratio is not None else None
    has_weights = weights.is_file()
    when = (weights if has_weights else folder / model_folder.CONFIG).stat().st_mtime
    return {"text": Path(config.data.source).name, "parameters": total_parameters(config.model),
            "size_bytes": weights.stat().st_size if has_weights else 0, "has_weights": has_weights,
            "bits_per_byte": bits, "baselines": finite_baselines(history),
            "date": iso_date(when), "minutes": config.train.minutes,
            "has_chat": bool(config.data.chat_format), "in_browser": has_weights and runs_in_page(folder, config)}


def iso_date(seconds: float) -> str:
    """A time in seconds since the epoch as ISO 8601 writes it, in UTC.

    >>> iso_date(0)
    '1970-01-01T00:00:00+00:00'
    """
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def runs_in_page(folder: Path, config: RunConfig) -> bool:
    """True if a page can run the model itself, and opens without a long wait."""
    try:
        check_held(config.model)
        tokenizer_data(model_folder.read_tokenizer(folder))
    except (TinyLMError, json.JSONDecodeError):
        return False
    return total_parameters(config.model) < MANY
