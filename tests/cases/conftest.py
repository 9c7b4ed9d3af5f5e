"""Commands run in this very process, for the situations of `shared/cases.md` and their kin."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest

from tests.cli.conftest import Said, tinylm
from tinylm.cli import main

__all__ = ["speaking", "tinylm"]

Speaking = Callable[..., Said]


@pytest.fixture
def speaking() -> Speaking:
    """Runs a command whose standard streams have an encoding and refuse all that it lacks, as those of a terminal or a
    redirected output do: `speaking("cp1252", "inspect", folder)`. `stdin`: the bytes of its standard input."""
    def run(encoding: str, *arguments: object, stdin: bytes = b"") -> Said:
        out, err = io.BytesIO(), io.BytesIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding))
            for name, stream in (("stdout", out), ("stderr", err)):
                patch.setattr(sys, name, io.TextIOWrapper(stream, encoding, errors="strict", write_through=True))
            try:
                code = main([str(argument) for argument in arguments])
            except SystemExit as end:  # argparse's --help
                code = int(end.code or 0)
            said = [stream.getvalue().decode(encoding) for stream in (out, err)]
        return Said(code, *said)

    return run
