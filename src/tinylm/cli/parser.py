"""Arguments of a command: options anywhere, words in order, and everything after `--` a word."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from tinylm.errors import TinyLMError, command, nearest, shell

_NUMBER = re.compile(r"-(\d+|\d*\.\d+)(,-?(\d+|\d*\.\d+))*$")
"""A negative number, or several numbers with commas between."""
_TEXT = re.compile(r"-[^-\W\d]\S+$|-h.")
"""Texts that argparse would take for -h and more. No option here is a dash with several letters."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are `TinyLMError`, and whose words (RUN, PROMPT, ...) may stand before, between
    and after the options, or begin with a dash after `--`.

    Args:
        name: the name of the command.
        description: a sentence above the list of options.
        epilog: an example below it.
    """

    def __init__(self, name: str, description: str, epilog: str) -> None:
        self._name, self._positional_actions = name, list[argparse.Action]()
        super().__init__(prog=f"tinylm {name}", description=description, epilog=epilog,
                         formatter_class=argparse.RawDescriptionHelpFormatter)

    def add_argument(self, *names: Any, **settings: Any) -> argparse.Action:
        action = super().add_argument(*names, **settings)
        if not action.option_strings:
            self._positional_actions.append(action)
        return action

    def error(self, message: str) -> NoReturn:
        option = re.match(r"argument ([^:]+): expected one argument", message)
        remedy = f"A value that begins with a dash is written {option[1]}=-VALUE" if option else ""
        raise TinyLMError(f"{message} (see {self.prog} --help)", remedy=remedy)

    def parse(self, given: Sequence[str]) -> argparse.Namespace:
        """The values of all arguments.

        Raises:
            TinyLMError: an option that does not exist (the nearest one is named, or the way to write a text that
                begins with a dash), a word too many or too few.
        """
        end = list(given).index("--") if "--" in given else len(given)
        texts = [each for each in given[:end] if _TEXT.match(each)]
        arguments, rest = self._parse_options([each for each in given[:end] if each not in texts])
        unknown = texts + [each for each in rest if _is_option(each)]
        words = [*(each for each in rest if each not in unknown), *given[end + 1:]]
        if unknown:
            raise self._unknown(unknown[0], given, len(unknown) == 1 and len(words) < len(self._positional_actions))
        self._assign_positionals(words, arguments)
        return arguments

    def _parse_options(self, given: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
        """The options, and all else in order: words, and options that do not exist. Words are out of argparse's sight
        meanwhile, in the way of its own `parse_intermixed_args`, which knows no `--`."""
        self.usage = self.format_usage().removeprefix("usage: ")
        before = [(action, action.nargs, action.default) for action in self._positional_actions]
        for action in self._positional_actions:
            action.nargs = action.default = argparse.SUPPRESS
        try:
            return self.parse_known_args(given)
        finally:
            for action, nargs, default in before:
                action.nargs, action.default = nargs, default

    def _assign_positionals(self, words: Sequence[str], arguments: argparse.Namespace) -> None:
        if len(words) > len(self._positional_actions):
            surplus = words[len(self._positional_actions)]
            raise TinyLMError(f"{surplus!r} is one argument too many",
                              remedy=f"See {self.prog} --help; {self._surplus_remedy(surplus)}")
        missing = [str(action.metavar) for action in self._positional_actions[len(words):] if action.nargs is None]
        if missing:
            self.error(f"the following arguments are required: {', '.join(missing)}")
        for place, action in enumerate(self._positional_actions):
            setattr(arguments, action.dest, words[place] if place < len(words) else action.default)

    def _surplus_remedy(self, surplus: str) -> str:
        if surplus.startswith("--") and len(surplus) > 2:
            return "options stand before the two dashes"
        if any(action.metavar == "SOURCE" for action in self._positional_actions):
            return "several files go into one folder, which is named as the SOURCE"
        return "a text of several words is written in quotes"

    def _unknown(self, argument: str, given: Sequence[str], may_be_word: bool) -> TinyLMError:
        name = argument.partition("=")[0]
        options = [option.removeprefix("--") for option in self._option_string_actions if option.startswith("--")]
        close = nearest(name.removeprefix("--"), options) if name.startswith("--") else []
        remedy = f"Did you mean '--{close[0]}'?" if close else f"See {self.prog} --help"
        if setting := _as_setting(argument) if "set" in options else "":
            return TinyLMError(f"there is no option {name!r}", remedy=f"It is a setting: --set {setting}")
        if may_be_word:
            others = [each for each in given if each not in (argument, "--")]
            words = command(self._name, *others, text=argument)
            remedy += f"{' ' if close else '. '}Or, if it is the {self._positional_actions[-1].metavar}: {words}"
        return TinyLMError(f"there is no option {name!r}", remedy=remedy)


def _as_setting(argument: str) -> str:
    """The words for --set in the place of an option with a setting's name; empty: no setting has the name."""
    from tinylm.config.overrides import section_of  # takes pydantic, which no --help needs

    option, _, value = argument.removeprefix("--").partition("=")
    name = option.replace("-", "_")
    home = section_of(name) if argument.startswith("--") else ""
    return f"{home}.{name}={shell([value]) if value else 'VALUE'}" if home else ""


def _is_option(argument: str) -> bool:
    """True where argparse sees an option: a dash alone, a text with spaces and a negative number are words."""
    return argument.startswith("-") and argument != "-" and " " not in argument and not _NUMBER.match(argument)
