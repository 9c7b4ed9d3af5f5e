"""Tests that need what Windows lacks say so, in each file that uses it."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
POSIX_ONLY = re.compile(r"os\.(?:mkfifo|kill|fork|wait4|geteuid|chown|symlink)\b|\.symlink_to\(|AF_UNIX|preexec_fn="
                        r"|\.send_signal\(|^import (?:resource|fcntl|pty|pwd|termios)\b|\"(?:sh|bash)\", \"-c\"",
                        re.MULTILINE)
GUARDS = re.compile(r"mark\.needs_posix|\bneeds_(?:fork|users|mount)\b|importorskip|os\.name|sys\.platform|hasattr\(os")
FORKING = ("faults/prefork.py", "serving/prefork.py", "adversarial/imports.py")
"""Programs that are started only where there is `os.fork`; and a list of calls that are forbidden."""


def test_a_file_that_uses_what_windows_lacks_guards_it() -> None:
    used = {}
    for path in sorted(TESTS.rglob("*.py")):
        text, name = path.read_text(encoding="utf-8"), path.relative_to(TESTS).as_posix()
        found = set(POSIX_ONLY.findall(text))
        if found and not GUARDS.search(text) and name not in (*FORKING, "packaging/test_portable.py"):
            used[name] = sorted(found)
    assert not used, f"mark these tests with needs_posix: {used}"
