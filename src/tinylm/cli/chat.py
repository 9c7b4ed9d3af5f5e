"""tinylm chat RUN: a prompt that stays open."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from tinylm.cli.flags import add_model
from tinylm.cli.output import print_note
from tinylm.cli.prompts import read_line
from tinylm.cli.sampling import add_sampling_options, add_weight_dtype, sampling_options, weight_dtype_of
from tinylm.cli.typed import read_settings, read_typed
from tinylm.reports.table import columns

if TYPE_CHECKING:
    from tinylm.lm import LanguageModel

EXAMPLE = "tinylm chat runs/book --temperature 0.7"
GREETING = "This model does not answer: it writes on from all that stands here so far. /help shows what else there is."
HELP = """\
  a line          goes on from there; an empty line just goes on
  /settings       how tokens are chosen
  /NAME VALUE     changes that, such as /temperature 0.7 or /max_tokens 50
  /reset          forgets the text so far
  /help           this
  /quit           leaves, as Ctrl-D does; Ctrl-C stops a text
  //...           a line that begins with a slash"""
PROMPT = "> "


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    add_sampling_options(parser)
    add_weight_dtype(parser)


def run(arguments: argparse.Namespace) -> int:
    import tinylm

    chat = Chat(tinylm.load(arguments.run, weight_dtype=weight_dtype_of(arguments)), sampling_options(arguments))
    with suppress(ImportError):
        import readline  # noqa: F401 - lines can be edited, and earlier ones come back; they are kept nowhere else
    with _exit_on_sigterm():
        chat.run()
    return 0


class Chat:
    """A text that a person and a model write in turns.

    Args:
        lm: the model.
        settings: fields of `SampleConfig`.

    Raises:
        TinyLMError: a setting that cannot be.
    """

    def __init__(self, lm: LanguageModel, settings: dict[str, Any]) -> None:
        self.lm, self.settings = lm, read_settings(lm, settings)
        self.reset()

    def reset(self) -> None:
        self.ids, self._has_warned = [*self.lm.tokenizer.specials.prefix], False

    def run(self) -> None:
        """Handles lines until the input ends or a line says /quit. An error is printed, and the prompt stays open."""
        from tinylm.errors import TinyLMError

        print(GREETING)
        is_open = True
        while is_open:
            try:
                is_open = self.handle_line(read_line(PROMPT if sys.stdin.isatty() else ""))
            except TinyLMError as error:
                print_note(str(error))
            except KeyboardInterrupt:
                print()
            except EOFError:
                print()
                return

    def handle_line(self, line: str) -> bool:
        """Handles one typed line. Returns True if the prompt stays open."""
        if not line.startswith("/") or line.startswith("//"):
            self._continue(line[1:] if line.startswith("//") else line)
            return True
        name, _, value = line[1:].strip().partition(" ")
        commands = {"help": lambda: print(HELP), "settings": self._print_settings, "reset": self._forget}
        if name in commands:
            commands[name]()
        elif name not in ("quit", "exit"):
            self._change_setting(name.replace("-", "_"), value.strip())
        return name not in ("quit", "exit")

    def _continue(self, line: str) -> None:
        from tinylm.system.untrusted import replace_control_codes

        ids = [*self.ids, *self._encoded(line)]
        request, = self.lm.generator.requests(ids, **self.settings)
        try:
            for piece in self.lm.generator.stream_request(request):
                print(replace_control_codes(piece), end="", flush=True)
        finally:  # also where Ctrl-C stops it: what was written stays
            self._keep(ids, request.builder.ids, request.builder.text if request.builder.stopped else None)
        print()
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

    def _print_settings(self) -> None:
        now = self._checked(self.settings)
        print("\n".join(columns((f"  {name}", json.dumps(value, ensure_ascii=False)) for name, value in now.items())))

    def _change_setting(self, name: str, value: str) -> None:
        from tinylm.config.aliases import standard_names
        from tinylm.config.overrides import parse_value
        from tinylm.config.schema import SampleConfig
        from tinylm.errors import TinyLMError, did_you_mean

        now = self._checked(self.settings)
        name, = standard_names({name: value}, now)
        if name not in now:
            known = ["help", "settings", "reset", "quit", *SampleConfig.model_fields]
            raise TinyLMError(f"there is no /{name}", remedy=did_you_mean(name, known))
        if value:
            changed = {**self.settings, name: parse_value(value)}
            if name == "temperature":
                changed["greedy"] = False
            self.settings = read_settings(self.lm, changed)
            now = self._checked(self.settings)
        print(f"  {name}  {json.dumps(now[name], ensure_ascii=False)}")

    def _checked(self, settings: dict[str, Any]) -> dict[str, Any]:
        """Sampling settings of the model with changes applied. Raises: TinyLMError: a value that cannot be."""
        return self.lm.sample_config(**settings).model_dump(mode="json")


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
