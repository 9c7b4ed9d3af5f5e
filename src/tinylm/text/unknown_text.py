"""Sentences about unknown and replaced text: what a tokenizer did not know, and what is near to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice

from tinylm.text.near import describe_characters

MAX_LISTED = 10
"""Unknown words that an error names, and replacements that the notes name, at most."""


def listed(positions: Mapping[str, int], unit: str, more_about: Callable[[str], str]) -> list[str]:
    """Lists the first unknown units, each with its first position in the text."""
    return [f"{describe_characters(text)} ({unit} {position}{more_about(text)})"
            for text, position in islice(positions.items(), MAX_LISTED)]


def joined(told: list[str], positions: Mapping[str, int]) -> str:
    """Joins the listed units, and counts those that are not listed."""
    rest = len(positions) - len(told)
    return ", ".join(told) + (f" and {rest:,} more" if rest > 0 else "")


def near_to(others: Sequence[str]) -> str:
    """Names what is near to an unknown unit; empty where nothing is."""
    return f", near to {' or '.join(map(describe_characters, others))}" if others else ""


def replacements(replaced: Mapping[tuple[str, str], int]) -> list[str]:
    """Sentences about the first replacements, and about the number of the others."""
    told = [f"{describe_characters(typed)} was "
            + (f"read as {describe_characters(read)}" if read else "left out (it is invisible)")
            + (f", {times:,} times" if times > 1 else "") + ", as the training text has it"
            for (typed, read), times in islice(replaced.items(), MAX_LISTED)]
    rest = len(replaced) - len(told)
    return [*told, f"{rest:,} more forms were read as those of the training text"] if rest > 0 else told
