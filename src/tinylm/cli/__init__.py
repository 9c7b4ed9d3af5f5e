"""The command line: one thin module a command, imported when the command is given."""

from __future__ import annotations

import time

STARTED = time.perf_counter()
"""The time of the process's start, nearly: a run of some minutes counts from here."""

import atexit  # noqa: E402
import importlib  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from contextlib import suppress  # noqa: E402
from typing import NoReturn  # noqa: E402

from tinylm.errors import TinyLMError, did_you_mean  # noqa: E402
from tinylm.system.signals import interruptible  # noqa: E402
from tinylm.system.standard_streams import ascii_fallback, redirect_to_null  # noqa: E402

COMMANDS = {
    "demo": "the teaching notebook, told step by step, in seconds",
    "learn": "the lesson on all of it: pages, and exercises that are checked",
    "train": "make a model from a text",
    "plan": "what train would do, with its time and memory",
    "generate": "let a model write on from a prompt",
    "chat": "a conversation with a model that answers; any other writes on",
    "studio": "a local page on which models are made, watched, questioned and exported",
    "serve": "models behind an HTTP API, as OpenAI's clients ask for them",
    "predict": "the probabilities of the next token",
    "tokenize": "the tokens and ids of a text",
    "evaluate": "how good a model is, beside plain counting",
    "report": "the curves, samples and numbers of a training run as one page",
    "inspect": "the structure of a model, and every parameter with its formula",
    "explain": "what a model computes on a text, and what changes without a part of it",
    "export": "a model for transformers, llama.cpp, Ollama, LM Studio, ONNX Runtime",
    "import": "a model folder from another program's model",
    "merge": "a model folder of an adapter (LoRA) and its base",
    "machine": "what this machine has and can: a self-test of every path",
}

_MODULES = {"import": "importing"}
"""The modules of commands whose names are words of Python."""

_HELP = """\
usage: tinylm COMMAND ...

Your own small language model, from your own text, on your own machine.

{commands}

  tinylm COMMAND --help   how to use one of them
  tinylm --version

For example:
  tinylm train book.txt --minutes 5
  tinylm generate runs/book "It was"
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. Returns the exit code: 0, 2 for something to mend, 130 for Ctrl-C and SIGTERM.

    Args:
        arguments: None: this is the program, and its process ends with it.
    """
    if arguments is not None:
        return _run_guarded(list(arguments))
    for number in (signal.SIGINT, signal.SIGTERM):  # one that comes before or after the command itself, while nothing
        signal.signal(number, signal.SIG_DFL)  # is half made, ends the process there and then, without a traceback
    _open_closed_streams()
    _exit_process(_run_guarded(sys.argv[1:]))


def _open_closed_streams() -> None:
    """Opens the null device for each standard stream that is closed, as in `tinylm train book.txt >&-`. The next file
    that is opened would else get the stream's descriptor, and the prints of any library would be written into it."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115


def _exit_process(code: int) -> NoReturn:
    """Ends the process after its exit handlers have run. Tearing torch down first, object by object, would take half a
    second longer."""
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # what is not written by now cannot be written
            stream.flush()
    os._exit(code)


def _run_guarded(given: list[str]) -> int:
    """Runs one command, and prints its error. Returns the exit code."""
    with ascii_fallback():
        try:
            with interruptible(signal.SIGINT, signal.SIGTERM):  # alike: what is half made is removed
                code = _dispatch(given)
            sys.stdout.flush()  # while it can still be told that it failed
            return code
        except TinyLMError as error:
            from tinylm.system.untrusted import escape_control_codes  # most programs end without it

            print(f"tinylm: {escape_control_codes(error)}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("\ntinylm: stopped", file=sys.stderr)
            return 130
        except BrokenPipeError:  # the reader has seen enough, as in `tinylm inspect RUN | head`
            redirect_to_null(sys.stdout)
            return 0
        except OSError as error:
            if error.filename is not None:  # a file that should have been asked for with more care: show where
                raise
            redirect_to_null(sys.stdout)
            print(f"tinylm: the output could not be written ({error.strerror})", file=sys.stderr)
            return 2


def _dispatch(given: list[str]) -> int:
    if not given or given[0] in ("-h", "--help", "help"):
        print(_HELP.format(commands="\n".join(f"  {name:<10} {about}" for name, about in COMMANDS.items())), end="")
        return 0
    if given[0] in ("-V", "--version"):
        from tinylm import __version__

        print(f"tinylm {__version__}")
        return 0
    name, *rest = given
    if name not in COMMANDS:
        raise TinyLMError(f"there is no command {name!r}", remedy=did_you_mean(name, COMMANDS))
    from tinylm.cli.parser import Parser

    command = importlib.import_module(f"tinylm.cli.{_MODULES.get(name, name)}")
    parser = Parser(name, COMMANDS[name][0].upper() + COMMANDS[name][1:] + ".", f"For example:  {command.EXAMPLE}")
    command.add_arguments(parser)
    code: int = command.run(parser.parse(rest))
    return code
