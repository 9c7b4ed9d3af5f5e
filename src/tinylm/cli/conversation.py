"""A conversation with a chat model at a prompt that stays open: `tinylm chat`."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from tinylm.chat.conversation import Conversation, Message
from tinylm.cli.open_prompt import Commands, OpenPrompt, print_pieces
from tinylm.cli.output import print_note
from tinylm.cli.typed import read_typed
from tinylm.errors import TinyLMError

if TYPE_CHECKING:
    from tinylm.config.schema import SampleConfig
    from tinylm.generation.completion import GenerationRequest
    from tinylm.lm import LanguageModel

CONTINUED = "… "
"""Stands before a line that goes on from a line with a backslash at its end."""


class Answering(OpenPrompt):
    """A conversation: a person asks, and the model answers.

    Args:
        lm, settings: as `OpenPrompt`.
        system: what the model is to be, said before all questions; empty: nothing.

    Attributes:
        said: the questions and answers so far.

    Raises:
        TinyLMError: a setting that cannot be, or a system text with words that the model does not know.
    """

    greeting = "This model answers. /help shows what else there is."
    help = """\
  a line          is said to the model; with a backslash at its end it goes on in the next line
  /retry          another answer to the last question
  /undo           takes the last question and its answer back
  /reset          forgets all that was said
  /system TEXT    tells the model what it is to be, from now on; "" for nothing
  /save FILE      keeps the conversation, as `tinylm train FILE --chat` reads it"""

    def __init__(self, lm: LanguageModel, settings: dict[str, Any], system: str = "") -> None:
        super().__init__(lm, settings)
        self.said: Conversation = []
        self._system, self._n_retries, self._n_dropped = self._checked_system(system), 0, 0

    def commands(self) -> Commands:
        return {**super().commands(), "retry": lambda _: self._retry(), "undo": lambda _: self._undo(),
                "reset": lambda _: self._reset(), "system": self._change_system, "save": self._save}

    def sample_config(self, settings: dict[str, Any]) -> SampleConfig:
        return self.lm.chat.sample_config(**settings)

    def read(self, prompt: str) -> str:
        lines = [super().read(prompt)]
        with suppress(EOFError):
            while lines[-1].endswith("\\"):
                lines[-1] = lines[-1][:-1]
                lines.append(super().read(CONTINUED))
        return "\n".join(lines)

    def take(self, line: str) -> None:
        """Says a line to the model, and prints its answer."""
        if line:
            self._n_retries = 0
            self._ask(read_typed(self.lm.tokenizer, line))

    @property
    def messages(self) -> Conversation:
        """The conversation so far, with its system text."""
        return [*self._system_message, *self.said]

    @property
    def _system_message(self) -> Conversation:
        return [Message("system", self._system)] if self._system else []

    def _ask(self, question: str) -> None:
        asked = Message("user", question)
        config = self.sample_config(self.settings)
        seed = {} if config.seed is None else {"seed": config.seed + self._n_retries}
        prompt, (request,), *_ = self.lm.chat.requests([*self.messages, asked], **{**self.settings, **seed})
        if prompt.n_dropped > self._n_dropped:
            self._tell_dropped(prompt.n_dropped)
        self._n_dropped = prompt.n_dropped
        try:
            print_pieces(self.lm.generator.stream_request(request))
        finally:  # also where Ctrl-C stops it: what was written stays
            self._keep(asked, request)
        if request.builder.completion().stopped_by == "length":
            print_note(f"(cut off after {len(request.builder.ids):,} tokens{self._remedy(request)})")

    def _keep(self, asked: Message, request: GenerationRequest) -> None:
        """Keeps a question and its answer, or as much of the answer as there is; neither, if nothing has come."""
        if request.builder.ids:
            self.said += [asked, Message("assistant", request.builder.text)]
        else:
            print_note("(stopped before an answer began: the question is taken back)")

    def _remedy(self, request: GenerationRequest) -> str:
        """Words about a longer answer, where a setting is what has ended it."""
        most = request.config.max_tokens
        return (": the model sees no more at once" if len(request.builder.ids) < most else
                f": /max_tokens {2 * most} for more")

    def _tell_dropped(self, n_dropped: int) -> None:
        from tinylm.generation.chat import dropped_sentence

        print_note(f"({dropped_sentence(n_dropped, self.lm.config.model.context_length)})")

    # ---- commands

    def _retry(self) -> None:
        *_, question, _ = self._last_turn()
        if self.sample_config(self.settings).is_greedy:
            print_note("(always the likeliest token, so the answer is the same; /temperature 0.8 would change it)")
        self._n_retries += 1
        before, self.said = self.said, self.said[:-2]
        try:
            self._ask(question.content)
        finally:
            if len(self.said) < len(before):  # no other answer came
                self.said = before

    def _undo(self) -> None:
        from tinylm.system.untrusted import replace_control_codes

        question, _ = self._last_turn()
        self.said, self._n_retries = self.said[:-2], 0
        print(f"(taken back: {replace_control_codes(question.content)})")

    def _last_turn(self) -> Conversation:
        """The last question and its answer. Raises: TinyLMError: nothing was said yet."""
        if not self.said:
            raise TinyLMError("nothing was said yet", remedy="Ask the model something first")
        return self.said[-2:]

    def _reset(self) -> None:
        self.said, self._n_dropped = [], 0
        print("(all forgotten, but for the system text)" if self._system else "(all forgotten)")

    def _change_system(self, text: str) -> None:
        from tinylm.system.untrusted import replace_control_codes

        if text:
            self._system = self._checked_system("" if text in ('""', "''") else text)
        print(f"  system  {replace_control_codes(self._system) or '(none)'}")

    def _checked_system(self, text: str) -> str:
        """A system text as the tokenizer reads it. Raises: TinyLMError: the model cannot be told it."""
        system = read_typed(self.lm.tokenizer, text)
        if system:
            self.lm.chat.requests([Message("system", system), Message("user", "")], max_tokens=1)
        return system

    def _save(self, name: str) -> None:
        """Writes the conversation as a line of messages, without questions that have no answer, since nothing can be
        learned from these. An earlier file is replaced where the person says so."""
        from tinylm.system.files import write_atomically, write_remedy
        from tinylm.system.paths import given_path

        self._last_turn()
        if not name:
            raise TinyLMError("into which file?", where="/save", remedy="For example /save conversation.jsonl")
        kept = [message for turn in zip(self.said[::2], self.said[1::2], strict=True)
                if all(message.content.strip() for message in turn) for message in turn]
        if not kept:
            raise TinyLMError("no question has an answer that could be kept", where="/save",
                              remedy="Ask the model something first")
        path = given_path(name)
        if path.exists() and not self._may_replace(name):
            raise TinyLMError("there is a file already, and it stays as it is", where=name, remedy="Give another name")
        line = json.dumps({"messages": [each._asdict() for each in [*self._system_message, *kept]]}, ensure_ascii=False)
        try:
            write_atomically(path, line + "\n")
        except OSError as error:
            raise TinyLMError(f"cannot be written ({error.strerror or error})", where=name,
                              remedy=write_remedy(error)) from None
        count, n_left_out = len(kept) // 2, (len(self.said) - len(kept)) // 2
        print(f"{name} holds {count} answered question{'s' * (count != 1)}"
              + f"; left out, because question or answer is empty: {n_left_out}" * bool(n_left_out))

    def _may_replace(self, name: str) -> bool:
        """True if a person at a terminal says so."""
        return sys.stdin.isatty() and super().read(f"{name} is there already. Replace it? [y/N] ").strip().lower() in (
            "y", "yes")
