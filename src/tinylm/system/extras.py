"""Optional packages: the error for a part of the program whose extra is not installed, and the command that installs
it."""

from __future__ import annotations

import os
import shutil
import sys
from importlib.util import find_spec

from tinylm.errors import TinyLMError, shell


def missing_extra(extra: str, what: str) -> TinyLMError:
    """The error for a part of the program whose packages are not installed.

    Args:
        extra: the name of the extra, as in pyproject.toml.
        what: the part, as the beginning of a sentence.

    >>> print(missing_extra("report", "the page of a run").what)
    the page of a run needs packages that are not installed
    """
    return TinyLMError(f"{what} needs packages that are not installed", remedy=f"{install_command(extra)} brings them")


def install_command(extra: str) -> str:
    """The command that installs an extra for the Python that runs: pip's short one where `pip` on the PATH is that
    Python's own, else one that names the Python; by uv where that Python has no pip."""
    package = f"tinylm[{extra}]"
    if _is_beside_python(shutil.which("pip")):
        return f'pip install "{package}"'
    if find_spec("pip") is None:
        return shell(["uv", "pip", "install", "--python", sys.executable, package])
    return shell([sys.executable, "-m", "pip", "install", package])


def _is_beside_python(program: str | None) -> bool:
    return program is not None and os.path.dirname(os.path.abspath(program)) == os.path.dirname(sys.executable)
