"""The lesson: the teaching notebook as a demo, pages on each part of a transformer, and exercises that are checked.

    >>> from tinylm import learn
    >>> print(learn.check("2.1", 2.4849))
    Right: 2.485.
    >>> print(learn.hint("2.1"))
    Hint ... of 2: ...
"""

from __future__ import annotations

from tinylm.learn.checking import check, hint
from tinylm.learn.exercise import Verdict

__all__ = ["Verdict", "check", "hint"]
