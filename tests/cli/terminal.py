"""`tinylm chat` in a terminal of its own, with a person in front of it."""

from __future__ import annotations

import codecs
import os
import re
import select
import subprocess
import sys
import time

import pytest

pty = pytest.importorskip("pty", reason="there are no terminals to make on this system")
PROMPT = "\n> "
IN_A_TERMINAL = """
import fcntl, sys, termios
from tinylm.cli import main

fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # keys such as Ctrl-C then reach the process
sys.exit(main())
"""
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Terminal:
    """`tinylm chat` with a person in front of it."""

    def __init__(self, *arguments: object) -> None:
        ours, theirs = pty.openpty()
        self._ours, self._read = ours, ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a read may end within a character
        self.process = subprocess.Popen([sys.executable, "-c", IN_A_TERMINAL, "chat", *map(str, arguments)],
                                        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
                                        env={**os.environ, "TERM": "xterm"})
        os.close(theirs)

    def until(self, text: str, seconds: float = 60) -> str:
        """All that is shown up to this text, and no further."""
        assert self._comes(text, seconds), f"{text!r} does not come after {self._read!r}"
        shown, _, self._read = self._read.partition(text)
        return shown

    def _comes(self, text: str, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while text not in self._read:
            if not select.select([self._ours], [], [], max(0, deadline - time.monotonic()))[0]:
                return False
            self._read += ESCAPES.sub("", self._decoder.decode(os.read(self._ours, 65536))).replace("\r", "")
        return True

    @property
    def shown(self) -> str:
        """What is shown beyond all that was asked for."""
        return self._read

    def wait(self, seconds: float = 60) -> None:
        """Waits until something more is shown."""
        assert select.select([self._ours], [], [], seconds)[0], "nothing more is shown"
        self._read += ESCAPES.sub("", self._decoder.decode(os.read(self._ours, 65536))).replace("\r", "")

    def interrupt(self) -> None:
        """Ctrl-C, until there is a prompt: Python sees one too late that comes just before it waits for a key."""
        for _ in range(10):
            self.type("\x03")
            if self._comes(PROMPT, 5):
                break
        self.until(PROMPT)

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def ask(self, line: str) -> str:
        """Types a line; what is shown between it and the next prompt."""
        self.type(line + "\n")
        self.until(line + "\n")
        return self.until(PROMPT)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(timeout=30)
        os.close(self._ours)
