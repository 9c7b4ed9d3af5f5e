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
from tinylm.chat.files import ChatFile, read_chat_file
from tinylm.config.chat import check_reading
from tinylm.system.paths import IN_MEMORY
from tinylm.text.corpus import Corpus, Piece, open_corpus
from tinylm.text.reading.sources import Options, SourceLike, Tally, Texts
from tinylm.text.split import Slice


class ChatCorpus(Corpus):
    """The conversations of a chat file.

    Conversations that follow each other in time keep their order: the last of them are the ones to hold out. Others
    stand in an order that is drawn once and for all. A file of questions is sorted by topic more often than not: the
    last of them would be a topic that no model has read about, and the answer to a question would stand beside it in a
    row, asked in other words.

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
        self.is_shuffled = not file.in_order
        if self.is_shuffled:
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
    segments = [segment for segment in form.render(conversation) if segment.content != ""]
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
    file = read_chat_file(source, kind=options.format, me=options.me or None, text_field=options.text_field,
                          skip_bad=options.skip_bad, encoding=options.encoding)
    name = IN_MEMORY if isinstance(source, Texts) else "standard input" if source == "-" else Path(source).name
    return ChatCorpus(name, file, chat_format(options.chat_format), options)
