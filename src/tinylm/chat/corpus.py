"""Chat corpora: the conversations of a file as a corpus, so that they are split, encoded, trained on and judged as any
other text is. A document is a conversation, and its pieces are what its chat format renders."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tinylm.chat.chat_format import ChatFormat, Segment, chat_format
from tinylm.chat.conversation import Conversation
from tinylm.chat.encode import joined
from tinylm.chat.files import ChatFile, read_chat_file
from tinylm.config.chat import check_reading
from tinylm.errors import TinyLMError
from tinylm.text.corpus import Corpus, Piece, open_corpus
from tinylm.text.reading.sources import Options, SourceLike, Tally, Texts
from tinylm.text.split import Slice

BUILT_IN_CHATS = ("sums",)
"""Names of chats that tinylm makes itself."""
IN_ORDER = ("whatsapp", "telegram")
"""Kinds of files whose conversations follow each other in time: the last of them are the ones to hold out."""


class ChatCorpus(Corpus):
    """The conversations of a chat file.

    Where the file says neither which conversations are for validation nor when they were held, they stand in an order
    that is drawn once and for all: a file of questions is sorted by topic more often than not, and the last of them
    would be a topic that no model has read about.

    Attributes:
        conversations: all, those to hold out last.
        held_out: the number of conversations that the file itself holds out; 0: none.
        kind: of the file, such as "pairs".
    """

    has_turns = True

    def __init__(self, name: str, file: ChatFile, form: ChatFormat, opened_as: Options) -> None:
        super().__init__(name, [], opened_as, file.notes)
        self.documents = "jsonl"
        self.kind, self._form = file.kind, form
        own = list(zip(file.conversations, file.lines, strict=True))
        others = [(each, 0) for each in file.validation or []]
        if not others and file.kind not in IN_ORDER:
            random.Random(0).shuffle(own)
        self.held_out = len(others)
        self.conversations = [conversation for conversation, _ in (*own, *others)]
        self._lines = [line for _, line in (*own, *others)]

    def _pieces(self, _: Tally) -> Iterator[Piece]:
        for conversation, line in zip(self.conversations, self._lines, strict=True):
            segments = learned(self._form, conversation)
            for number, (content, is_answer) in enumerate(segments, start=1):
                text, special = (content, "") if isinstance(content, str) else ("", content.entry)
                yield Piece(text, number == len(segments), self.name, line, in_one_line=True, special=special,
                            is_target=is_answer)

    def open_like(self, source: SourceLike) -> Corpus:
        return open_source(source, self._opened_as)


def learned(form: ChatFormat, conversation: Conversation) -> list[Segment]:
    """The segments of a conversation as far as there is something to learn: up to the end of its last answer."""
    segments = joined(segment for segment in form.render(conversation) if segment.content != "")
    while segments and not segments[-1].is_answer:
        segments.pop()
    return segments


def conversations_of(part: Slice) -> list[Conversation]:
    """The conversations of a part of a chat corpus; none of another corpus."""
    return part.corpus.conversations[part.start:part.stop] if isinstance(part.corpus, ChatCorpus) else []


def open_source(source: SourceLike, options: Options = Options(), **overrides: Any) -> Corpus:  # noqa: B008 (frozen)
    """Opens what a run trains on: conversations where the options have a chat format, else a text.

    Args:
        overrides: single options by name, over `options`.

    Raises:
        TinyLMError: an option that is not for such a source; as `open_corpus`; or as `read_chat_file`.
    """
    check_reading(overrides, is_chat=bool(options.chat_format))
    if not options.chat_format:
        return open_corpus(source, options, **overrides)
    options = replace(options, **overrides)
    if isinstance(source, Texts) or str(source) == "-":
        raise TinyLMError("conversations are read from a file", where="texts" if isinstance(source, Texts) else "-",
                          remedy="Save them as a file first, such as chat.jsonl")
    file = read_chat_file(source, kind=options.format, me=options.me or None)
    corpus = ChatCorpus(Path(source).name, file, chat_format(options.chat_format), options)
    if not any(piece.is_target for piece in corpus.pieces()):
        raise TinyLMError("there is no answer in it to learn from", where=str(source),
                          remedy="Give a file whose conversations have answers of the assistant")
    return corpus
