"""Options that say how a text, or a file of conversations, is read: shared by train, plan and evaluate."""

from __future__ import annotations

import argparse
from typing import Any

from tinylm.cli.flags import checked_flags

READING_OPTIONS = ("documents", "text_field", "skip_bad", "encoding", "format", "me")


def add_reading_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--documents", metavar="auto|text|line|jsonl|json|csv",
                        help="what one document is: a file, a line, a record, or a row of a table (default: auto)")
    parser.add_argument("--text-field", metavar="NAME",
                        help="where a record or row has its text: a name, a path as data.text, or several with commas")
    parser.add_argument("--skip-bad", action="store_true", default=None,
                        help="pass over bad records and count them, rather than stop at the first")
    parser.add_argument("--encoding", metavar="NAME",
                        help="of files without a byte order mark, e.g. windows-1252 or gb18030 (default: UTF-8)")
    parser.add_argument("--format", metavar="KIND", help="kind of a chat file, such as pairs (default: by its content)")
    parser.add_argument("--me", metavar="NAME", help="whose messages in an exported chat are the answers")


def reading_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The options that were given. Raises: TinyLMError: a value that cannot be."""
    return checked_flags("data", {name: getattr(arguments, name) for name in READING_OPTIONS})
