"""A prompt that stays open: lines for a model, and commands that begin with a slash."""

from __future__ import annotations

import json
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from tinylm.cli.output import print_note
from tinylm.cli.prompts import read_line
from tinylm.cli.typed import read_settings
from tinylm.reports.table import columns

if TYPE_CHECKING:
    from tinylm.config.schema import SampleConfig
    from tinylm.lm import LanguageModel

PROMPT = "> "
HELP = """\
  /settings       how tokens are chosen
  /NAME VALUE     changes that, such as /temperature 0.7 or /max_tokens 50
  /help           this
  /quit           leaves, as Ctrl-D does; Ctrl-C stops a text
  //...           a line that begins with a slash"""
Commands = dict[str, Callable[[str], None]]


class OpenPrompt(ABC):
    """Reads lines, gives them to a model, and changes settings.

    Args:
        lm: the model.
        settings: fields of `SampleConfig`.

    Attributes:
        greeting: what is printed first.
        help: what lines and further commands do.

    Raises:
        TinyLMError: a setting that cannot be.
    """

    greeting = ""
    help = ""

    def __init__(self, lm: LanguageModel, settings: dict[str, Any]) -> None:
        self.lm, self.settings = lm, read_settings(lm, settings)
        self._checked(self.settings)

    @abstractmethod
    def take(self, line: str) -> None:
        """Does with a line what it is for."""

    def commands(self) -> Commands:
        """The commands by name; each takes what stands after its name."""
        return {"help": lambda _: print(f"{self.help}\n{HELP}"), "settings": lambda _: self._print_settings()}

    def sample_config(self, settings: dict[str, Any]) -> SampleConfig:
        """Sampling settings of the model with changes applied. Raises: TinyLMError: a value that cannot be."""
        return self.lm.sample_config(**settings)

    def run(self) -> None:
        """Handles lines until the input ends or a line says /quit. An error is printed, and the prompt stays open."""
        from tinylm.errors import TinyLMError

        print(self.greeting)
        is_open = True
        while is_open:
            try:
                is_open = self.handle_line(self.read(PROMPT))
            except TinyLMError as error:
                print_note(str(error))
            except KeyboardInterrupt:
                print()
            except EOFError:
                print()
                return

    def read(self, prompt: str) -> str:
        """Reads a line. Raises: EOFError: there is none."""
        return read_line(prompt if sys.stdin.isatty() else "")

    def handle_line(self, line: str) -> bool:
        """Handles one typed line. Returns True if the prompt stays open."""
        if not line.startswith("/") or line.startswith("//"):
            self.take(line[1:] if line.startswith("//") else line)
            return True
        name, _, value = line[1:].strip().partition(" ")
        if name in ("quit", "exit"):
            return False
        known = self.commands()
        if name in known:
            known[name](value.strip())
        else:
            self._change_setting(name.replace("-", "_"), value.strip())
        return True

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
            known = [*self.commands(), "quit", *SampleConfig.model_fields]
            raise TinyLMError(f"there is no /{name}", remedy=did_you_mean(name, known))
        if value:
            changed = {**self.settings, name: parse_value(value)}
            if name == "temperature":
                changed["greedy"] = False
            self._checked(changed)
            self.settings = read_settings(self.lm, changed)
            now = self._checked(self.settings)
        print(f"  {name}  {json.dumps(now[name], ensure_ascii=False)}")

    def _checked(self, settings: dict[str, Any]) -> dict[str, Any]:
        return self.sample_config(settings).model_dump(mode="json")


def print_pieces(pieces: Iterator[str]) -> None:
    """Prints a text as it comes, and ends its line. What would drive the terminal is replaced."""
    from tinylm.system.untrusted import replace_control_codes

    for piece in pieces:
        print(replace_control_codes(piece), end="", flush=True)
    print()
