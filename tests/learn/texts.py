"""Texts that the lesson's runs are made of."""

from __future__ import annotations

import codecs
import contextlib
import io


def zen() -> str:
    """The Zen of Python, as `python -c "import this"` prints it."""
    with contextlib.redirect_stdout(io.StringIO()):
        import this

    return codecs.decode(this.s, "rot13") + "\n"
