"""The settings of chat: what `--chat` stands for, and choices that contradict it or need it."""

from __future__ import annotations

from collections.abc import Iterable

from tinylm.config.presets import PartialConfig
from tinylm.errors import TinyLMError

OWN_FORMAT = "turns"
"""The chat format of models that tinylm makes; an imported model keeps its own."""
OF_CHATS = ("format", "me", "text")
"""Settings of `data` that are about conversations alone."""
OF_TEXTS = ("documents", "formats")
"""Settings of `data` that are about texts alone."""


def chat_layer(chat: bool) -> PartialConfig:
    """The settings by section that `--chat` stands for; none without it.

    >>> chat_layer(True)
    {'data': {'chat_format': 'turns'}}
    """
    return {"data": {"chat_format": OWN_FORMAT}} if chat else {}


def keep_chat_format(chosen: PartialConfig, of_base: str) -> PartialConfig:
    """The settings of a run that goes on from a base: a base that chats keeps the format it knows.

    >>> keep_chat_format({"data": {"chat_format": "turns"}}, "chatml")
    {'data': {'chat_format': 'chatml'}}
    """
    if not of_base or not chosen["data"].get("chat_format"):
        return chosen
    return {**chosen, "data": {**chosen["data"], "chat_format": of_base}}


def check_chat(chosen: PartialConfig) -> None:
    """Raises: TinyLMError: a choice is about texts, and the run is of conversations; or the other way round."""
    data = chosen["data"]
    check_reading(data, is_chat=bool(data.get("chat_format")), remedy="Add --chat, or leave it out")
    if data.get("chat_format") and data.get("packing") == "windows":
        raise TinyLMError("windows cut conversations anywhere, and a question from its answer", where="data.packing",
                          remedy="Choose packed or padded, or leave it out")
    if data.get("text") and chosen["base"].get("replay"):
        raise TinyLMError("both --text and --replay mix in a text", where="--text", remedy="Leave out one of them")


def check_reading(names: Iterable[str], *, is_chat: bool, remedy: str = "Leave it out") -> None:
    """Checks settings of how a source is read.

    Args:
        remedy: for one that is about conversations.

    Raises:
        TinyLMError: one is about conversations, and the source is a text; or the other way round.
    """
    for name in names:
        if name in (OF_TEXTS if is_chat else OF_CHATS):
            what = "is for texts, and these are conversations" if is_chat else (
                "is for conversations, and this is a text")
            raise TinyLMError(what, where=f"--{name.replace('_', '-')}",
                              remedy="Leave it out" if is_chat else remedy)
