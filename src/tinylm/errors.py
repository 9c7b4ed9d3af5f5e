"""Errors that a person can mend: what was wrong, where, and what to try.

Each is raised as a `TinyLMError`; the command line prints it as one message and exits with 2. A broken assumption
of the program is an `assert`, and shows its traceback.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # its import takes a tenth of the time of `tinylm --help`
    from pathlib import Path


class TinyLMError(ValueError):
    """An error that the user can mend; a ValueError. Each part is a sentence or several, and may lack its last full
    stop; `str()` joins the parts into one line.

    Args:
        what: what was wrong.
        where: the file, line, option or field in which it was found; default: none.
        remedy: what to try instead; default: none. Advice works when typed.

    Attributes: `what`, `where` and `remedy`, as given.

    >>> print(TinyLMError("must be a number, but it is 'many'", where="train.steps", remedy="Write it in figures"))
    train.steps: must be a number, but it is 'many'. Write it in figures.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, where, remedy
        super().__init__(sentences(f"{where}: {what}" if where else what, remedy))


def sentences(*parts: str) -> str:
    """Joins the parts that are not empty as sentences in one line, each with its full stop, question or exclamation
    mark. A command at the very end has none, since people copy it.

    >>> sentences("Did you mean 'a.txt'?", "", "Go on with: tinylm train --resume --out runs/a")
    "Did you mean 'a.txt'? Go on with: tinylm train --resume --out runs/a"
    """
    given = [part for part in parts if part]
    last = [part if _ENDS_WITH_COMMAND.search(part) else _sentence(part) for part in given[-1:]]
    return " ".join([*map(_sentence, given[:-1]), *last])


def nearest(word: str, known: Iterable[str], most: int = 1) -> list[str]:
    """The known words that look most like `word`, best first, at most `most` of them."""
    return difflib.get_close_matches(word, list(known), n=most, cutoff=0.5)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The remedy for a mistyped word: names the nearest known word, or lists the known words if none is near.

    >>> did_you_mean("adm", ["adam", "muon"])
    "Did you mean 'adam'?"
    """
    known = list(known)
    close = nearest(word, known)
    return f"Did you mean {close[0]!r}?" if close else f"Choose one of: {', '.join(known)}"


def command(name: str, *words: object, text: str | None = None) -> str:
    """A command of tinylm as a person can type it, each word quoted for the shell of this system.

    Args:
        name: the command.
        words: options and arguments in order; a `Path` that begins with a dash is written as ./-name, so that no
            program takes it for an option.
        text: the last argument, such as a prompt; after `--` if it begins with a dash.

    >>> from pathlib import Path
    >>> command("generate", Path("runs/my book"), "--seed", 1, text="It was")
    "tinylm generate 'runs/my book' --seed 1 'It was'"
    """
    line = ["tinylm", name, *(_as_path(word) if isinstance(word, os.PathLike) else str(word) for word in words)]
    if text is not None:
        line += ["--", text] if text.startswith("-") else [text]
    return shell(line)


def shell(words: Iterable[str], *, windows: bool = os.name == "nt") -> str:
    """Words as one line for the shell of this system.

    Args:
        words: the program and its arguments.
        windows: quotes for cmd.exe and PowerShell, else for a POSIX shell; default: as this system is.

    >>> shell(["cat", "it's\\n"], windows=False)
    "cat $'it\\\\'s\\\\n'"
    >>> shell(["type", "runs\\\\my book.txt"], windows=True)
    'type "runs\\\\my book.txt"'
    """
    return " ".join(map(_quoted_on_windows if windows else _quoted, words))


def _quoted_on_windows(word: str) -> str:
    """The word in double quotes, where cmd.exe or PowerShell would read a character of it as more than a letter."""
    if re.fullmatch(r"[\w:./\\+=~-]+", word):
        return word
    return '"' + re.sub(r'(\\*)("|\Z)', lambda found: 2 * found[1] + found[2].replace('"', '\\"'), word) + '"'


def _quoted(word: str) -> str:
    """The word as shlex quotes it; with escapes that bash, zsh and ksh read, where it holds control codes or bytes."""
    if not _UNPRINTABLE.search(word):
        return shlex.quote(word)
    escapes = {ord("\\"): "\\\\", ord("'"): "\\'", ord("\n"): "\\n", ord("\t"): "\\t"}
    return f"$'{_UNPRINTABLE.sub(_octal, word.translate(escapes))}'"


def _octal(found: re.Match[str]) -> str:
    return "".join(f"\\{byte:03o}" for byte in found[0].encode("utf-8", "surrogateescape"))


_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\udc80-\udcff]")


def shell_word(path: str | Path) -> str:
    """A path as one word of a command line of this system, for commands of other programs."""
    return shell([_as_path(path)])


def _as_path(path: str | os.PathLike[str]) -> str:
    return os.path.join(os.curdir, path) if str(path).startswith("-") else str(path)


_ENDS_WITH_COMMAND = re.compile(r"(: tinylm \S.*|^tinylm \S[^;)]*)$")


def _sentence(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else text + "."
