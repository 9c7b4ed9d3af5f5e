"""Output of commands: one JSON object for programs, or plain lines for people."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def print_json(value: Any) -> None:
    """Prints JSON: as it stands where the output is Unicode, which can write every character; else with \\u escapes."""
    from tinylm.system.standard_streams import is_encodable

    text = json.dumps(value, ensure_ascii=False)
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    is_unicode = encoding.lower().replace("_", "-").startswith("utf") and is_encodable(text, encoding)
    print(text if is_unicode else json.dumps(value))


def print_page(path: Path, *, as_json: bool) -> None:
    """Prints where a page was written."""
    from tinylm.system.untrusted import escape_control_codes

    if as_json:
        print_json({"page": str(path)})
    else:
        print(f"{escape_control_codes(path)}  (open it in a browser)")


def open_browser(address: str) -> None:
    """Opens a page in the person's browser, or says that none could be opened."""
    import webbrowser

    if not webbrowser.open(address):
        print_note("note: no browser could be opened; open the address by hand")


def print_note(text: str) -> None:
    """Prints a remark on standard error: it is no part of the output."""
    from tinylm.system.untrusted import escape_control_codes

    print(escape_control_codes(text), file=sys.stderr)


def print_unfinished(run: str) -> None:
    """Prints how to go on with a run that has no weights yet, in commands that need no weights."""
    from tinylm.model_folder import unfinished_error

    if error := unfinished_error(run):
        print_note(f"note: {error}")
