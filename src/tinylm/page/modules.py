"""ES modules of this package, joined into one script in the order of their imports.

Modules of pages share one scope there, so a name at the top of a module is used once in the whole package
(tests/page/test_modules.py).
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).parent
_IMPORT = re.compile(r'^import \{[^}]*\} from "(\.[^"]*)";\n', re.MULTILINE)
_TYPES = re.compile(r"""^\ *\/\*\*\ @(?:type\ |typedef\ \{import\()[^\n]*?\ \*/\n  # a type, or its import
                        |/\*\*\ @type\ [^\n]*?\ \*/\   # the type of an expression
                        |import\("[^"]*"\)\.              # the module of a type""", re.MULTILINE | re.VERBOSE)
"""What a checker of types reads of a module, and nobody else."""
_EXPORT = re.compile(r"^export (?=(?:async )?function|const|class)", re.MULTILINE)


def module_order(first: str) -> list[str]:
    """The modules that a module needs, each after those that it imports, and itself last.

    Args:
        first: its path in the package, such as "views/main.js".

    >>> module_order("sampling/sampler.js")
    ['sampling/filters.js', 'sampling/sampler.js']
    """
    found: dict[str, None] = {}

    def visit(path: str) -> None:
        if path not in found:
            for imported in _IMPORT.findall(read_module(path)):
                visit(posixpath.normpath(posixpath.join(posixpath.dirname(path), imported)))
            found[path] = None

    visit(first)
    return list(found)


def join_modules(first: str) -> str:
    """A module and all that it needs as one script without imports, exports and types of expressions."""
    parts = (f"// ---- {path}\n\n{_script_of(read_module(path)).strip()}\n" for path in module_order(first))
    return "\n".join(['"use strict";\n', *parts])


def _script_of(text: str) -> str:
    for pattern in (_IMPORT, _EXPORT, _TYPES):
        text = pattern.sub("", text)
    return text


def read_module(path: str) -> str:
    """The text of a module, or of another file of the package."""
    return (ROOT / path).read_text(encoding="utf-8")
