"""tinylm chat RUN: a prompt that stays open, for a conversation with a model, or to let it write on."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from tinylm.cli.flags import add_model
from tinylm.cli.open_prompt import Commands, OpenPrompt, print_pieces
from tinylm.cli.output import print_note
from tinylm.cli.prompts import typed
from tinylm.cli.sampling import add_sampling_options, add_weight_dtype, sampling_options, weight_dtype_of
from tinylm.cli.typed import read_typed

if TYPE_CHECKING:
    from tinylm.lm import LanguageModel

EXAMPLE = "tinylm chat runs/book --temperature 0.7"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument("--system", metavar="TEXT", help="said to a model that answers, before all questions")
    add_sampling_options(parser)
    add_weight_dtype(parser)


def run(arguments: argparse.Namespace) -> int:
    import tinylm

    lm = tinylm.load(arguments.run, weight_dtype=weight_dtype_of(arguments))
    prompt = open_prompt(lm, sampling_options(arguments), arguments.system)
    with suppress(ImportError):
        import readline  # lines can be edited, and earlier ones come back; they are kept nowhere else

        if "libedit" not in (readline.__doc__ or ""):
            readline.parse_and_bind("set enable-bracketed-paste on")  # several pasted lines are one text
    with _exit_on_sigterm():
        prompt.run()
    return 0


def open_prompt(lm: LanguageModel, settings: dict[str, Any], system: str | None) -> OpenPrompt:
    """The prompt for a model: a conversation, if it has a chat format.

    Raises:
        TinyLMError: a setting that cannot be; a system text for a model without a chat format.
    """
    from tinylm.errors import TinyLMError

    if lm.config.data.chat_format:
        from tinylm.cli.conversation import Answering

        return Answering(lm, settings, system=typed(system or ""))
    if system is not None:
        raise TinyLMError("this model has no chat format: it writes on from a text, and does not answer",
                          where="--system", remedy="Leave it out, and begin the text as it is to go on")
    return Chat(lm, settings)


class Chat(OpenPrompt):
    """A text that a person and a model write in turns. Arguments and errors: as `OpenPrompt`."""

    greeting = ("This model does not answer: it writes on from all that stands here so far. /help shows what else "
                "there is.")
    help = """\
  a line          goes on from there; an empty line just goes on
  /reset          forgets the text so far"""

    def __init__(self, lm: LanguageModel, settings: dict[str, Any]) -> None:
        super().__init__(lm, settings)
        self.reset()

    def reset(self) -> None:
        self.ids, self._has_warned = [*self.lm.tokenizer.specials.prefix], False

    def commands(self) -> Commands:
        return {**super().commands(), "reset": lambda _: self._forget()}

    def take(self, line: str) -> None:
        """Lets the model write on from all that was written, and from a line after it."""
        ids = [*self.ids, *self._encoded(line)]
        request, = self.lm.generator.requests(ids, **self.settings)
        try:
            print_pieces(self.lm.generator.stream_request(request))
        finally:  # also where Ctrl-C stops it: what was written stays
            self._keep(ids, request.builder.ids, request.builder.text if request.builder.stopped else None)
        if self.ids and self.ids[-1] in self.lm.tokenizer.specials.ends:
            self.reset()
            print_note("(end of text: the next line begins another one)")
        elif request.builder.n_dropped and not self._has_warned:
            self._has_warned = True
            print_note(f"(it sees {self.lm.config.model.context_length} tokens at once, and has begun to forget the "
                       "first)")

    def _keep(self, ids: list[int], new: list[int], stopped: str | None) -> None:
        """Stores the text so far, without a stop text, which may have ended inside a token."""
        self.ids = [*ids, *(new if stopped is None else self.lm.tokenizer.encode_text(stopped))]

    def _encoded(self, line: str) -> list[int]:
        """Ids of a typed line, after a line break if there is text before it and the tokenizer knows line breaks."""
        from tinylm.errors import TinyLMError

        tokenizer, line = self.lm.tokenizer, read_typed(self.lm.tokenizer, line)
        if line and len(self.ids) > 1 and not tokenizer.decode(self.ids[-1:]).endswith("\n"):
            for joint in ("\n", " "):
                with suppress(TinyLMError):
                    return tokenizer.encode_text(joint + line)
        return tokenizer.encode_text(line)

    def _forget(self) -> None:
        self.reset()
        print("(all forgotten)")


@contextmanager
def _exit_on_sigterm() -> Iterator[None]:
    """Lets SIGTERM end the command. Other commands treat SIGTERM like Ctrl-C, which here stops a text only."""
    def leave(*_: object) -> None:
        raise SystemExit(130)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
