"""The training text of a model, opened again for a run that resumes and for an evaluation: the text may have moved or
changed meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from tinylm.chat.corpus import open_source
from tinylm.chat.files import BUILT_IN as BUILT_IN_CHAT
from tinylm.config.schema import DataConfig
from tinylm.errors import TinyLMError, sentences
from tinylm.system.paths import IN_MEMORY, given_path
from tinylm.text.corpus import Corpus, open_corpus
from tinylm.text.reading.built_in import BUILT_IN
from tinylm.text.reading.sources import Options, SourceLike, Texts
from tinylm.text.split import Slice, Split, split_corpus, whole

Opened = TypeVar("Opened")
Elsewhere = Callable[..., str]
"""Words of a command that name a text, as `SOURCE`, into a remedy for a text that is not where it was."""


def absolute_source(source: SourceLike, *, is_chat: bool = False) -> str:
    """A path that still holds from another working folder; built-in names and `-` stay as they are."""
    if isinstance(source, Texts):
        return IN_MEMORY
    return str(source) if str(source) in _names(is_chat) else os.path.abspath(given_path(source))


def _names(is_chat: bool) -> tuple[str, ...]:
    """The sources that are no paths."""
    return ("-", IN_MEMORY, *([BUILT_IN_CHAT] if is_chat else BUILT_IN))


def absolute_validation(validation: Any, *, is_chat: bool = False) -> Any:
    """Path of a validation text that holds from another working folder; a share stays a share."""
    return absolute_source(validation, is_chat=is_chat) if isinstance(validation, str) else validation


def validation_fingerprint(split: Split, validation: Any) -> str:
    """The fingerprint of a text that only validates; empty where a share of the training text does."""
    if split.validation is None or not isinstance(validation, str):
        return ""
    return split.validation.corpus.stats().fingerprint


def open_training_text(data: DataConfig, elsewhere: Elsewhere, *, is_new_location: bool = False,
                       texts: Texts | None = None) -> tuple[Corpus, Split]:
    """The text as `data` says, and what of it is held out.

    Args:
        is_new_location: a person says that it lies there now.
        texts: the text itself, where a program holds it.

    Raises:
        TinyLMError: a text is not there any more, cannot be read, or is not the same; with the remedy `elsewhere`.
    """
    def read() -> Corpus:
        corpus = open_source(texts or data.source, Options.of(data))
        corpus.stats()
        return corpus

    names = _names(bool(data.chat_format))
    corpus = _opened(read, data.source, elsewhere("SOURCE"), names)
    if data.fingerprint and corpus.stats().fingerprint != data.fingerprint:
        raise _other_text(data.source, elsewhere("SOURCE"), is_new_location)
    if not isinstance(data.validation, str):
        return corpus, split_corpus(corpus, data.validation)
    remedy = elsewhere("--validation", "FILE")
    split = _opened(lambda: split_corpus(corpus, data.validation), data.validation, remedy, names)
    before = data.validation_fingerprint
    if before and validation_fingerprint(split, data.validation) != before:
        raise _other_text(data.validation, remedy, is_new_location)
    return corpus, split


def open_beside(data: DataConfig, elsewhere: Elsewhere) -> Slice | None:
    """The text that a run reads beside its conversations; None without one. Raises: as `open_training_text`."""
    if not data.text:
        return None

    def read() -> Slice:
        return whole(open_corpus(data.text))

    found = _opened(read, data.text, elsewhere("--text", "FILE"), _names(is_chat=False))
    if data.text_fingerprint and found.corpus.stats().fingerprint != data.text_fingerprint:
        raise _other_text(data.text, elsewhere("--text", "FILE"), is_new_location=False)
    return found


def _opened(read: Callable[[], Opened], location: str, remedy: str, names: tuple[str, ...]) -> Opened:
    try:
        return read()
    except TinyLMError as error:
        if location in names or os.path.exists(location):
            raise
        near = error.remedy if error.remedy.startswith("Did you mean") else ""
        raise TinyLMError("the text of this model is not there", where=location,
                          remedy=sentences(near, remedy)) from None


def _other_text(location: str, remedy: str, is_new_location: bool) -> TinyLMError:
    if is_new_location:
        return TinyLMError("this is not the text that the run began with", where=location,
                           remedy="Name that text, or train anew with --force")
    try:
        seconds = Path(location).stat().st_mtime if Path(location).is_file() else None
    except OSError:
        seconds = None
    when = f"; it was last written on {time.strftime('%Y-%m-%d at %H:%M', time.localtime(seconds))}" if seconds else ""
    return TinyLMError(f"this text has changed since the model was trained on it{when}", where=location,
                       remedy=sentences("Restore it as it was", remedy))
