"""A griffe extension: the examples of a docstring (`>>>`, after a blank line) become a section of their own, so that
the site shows them as code."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

FIRST = re.compile(r"\n\n(?=>>> )")


class ExampleSections(Extension):
    """Puts the heading "Examples:" before the first example, and indents what belongs to it."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Changes the docstring of one module, class, function or attribute."""
        if obj.docstring is None or (first := FIRST.search(obj.docstring.value)) is None:
            return
        before, after = obj.docstring.value[:first.start()], obj.docstring.value[first.end():]
        indented = "\n".join(f"    {line}" if line else "" for line in after.splitlines())
        obj.docstring.value = f"{before}\n\nExamples:\n{indented}"
