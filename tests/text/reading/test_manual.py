"""The prose of a manual: sentences, each paragraph once and in one line, in an order that mixes the topics."""

from __future__ import annotations

import textwrap

import pytest

from tinylm.text.reading.manual import LONGEST_PASSAGE, passages, unwrapped

FOR = ("The loop over a sequence takes its elements one after another, and the names in its target list are assigned "
       "to in turn by the usual rules for assignments.")
IF = "Exactly one of the suites is selected, by evaluating the expressions one by one until one is found to be true."


def topic(title: str, *blocks: str) -> str:
    return "\n\n".join([f"{title}\n{'*' * len(title)}", *blocks]) + "\n"


def wrapped(paragraph: str, indent: str = "") -> str:
    return textwrap.fill(paragraph, 70, initial_indent=indent, subsequent_indent=indent)


def test_a_paragraph_that_two_topics_share_stays_in_the_shorter_one() -> None:
    compound = topic("Compound statements", "They contain other statements, in groups.", wrapped(IF), wrapped(FOR))
    found = passages({"compound": compound, "for": topic('The "for" statement', wrapped(FOR))})
    assert sorted(found) == [f"Compound statements\n\nThey contain other statements, in groups.\n\n{IF}\n",
                             f'The "for" statement\n\n{FOR}\n']


def test_a_paragraph_is_the_same_at_another_indentation() -> None:
    note = topic("Notes", "Note:", wrapped(FOR, "  "))
    assert sum(FOR in passage for passage in passages({"for": topic("For", wrapped(FOR)), "notes": note})) == 1


def test_a_section_of_which_nothing_is_left_is_gone() -> None:
    topics = {"for": topic("For", wrapped(FOR)), "again": topic("Again and again, and again", wrapped(FOR))}
    assert passages(topics) == [f"For\n\n{FOR}\n"]


@pytest.mark.parametrize("clutter", [
    '   for_stmt ::= "for" target_list "in" starred_list ":" suite.',
    "   for i in range(10):\n       print(i)\n       i = 5             # this will not affect it.",
    "   >>> print(1 / 0) and so on and so on.\n   Traceback (most recent call last):",
    "+------+----------------+\n| Name | What it means. |\n|======|================|\n| a    | one of them.   |\n"
    "+------+----------------+",
    "======  ======================\nName    Its meaning here.\n======  ======================",
    "See also:", "New in version 3.3.", "str.count(sub[, start[, end]])", "======================================",
    "Related help topics: for, while, break",
])
def test_what_is_no_sentence_is_left_out(clutter: str) -> None:
    assert passages({"if": topic("If", clutter, wrapped(IF), clutter)}) == [f"If\n\n{IF}\n"]


@pytest.mark.parametrize("text", [
    IF, "* " + IF, 'The "for" statement (see "break") is used to iterate over the elements of a sequence, one by one.',
    "A re-raised exception keeps what it had when it was caught by the first of all handlers; so do non-negative ones.",
])
def test_lines_that_were_one_are_one_again(text: str) -> None:
    assert unwrapped(textwrap.fill(text, 70)) == [text]
    assert unwrapped(textwrap.fill(text, 70, initial_indent="   ", subsequent_indent="     ")) == [text]


@pytest.mark.parametrize("block", ["one\ntwo", "a term\n  its meaning, in few words.",
                                   f"{'x' * 68}.\n* the next item", "def f(x):\n    return x"])
def test_lines_that_were_several_stay_so(block: str) -> None:
    assert unwrapped(block) == [line.strip() for line in block.splitlines()]


def test_a_long_section_is_several_passages_that_lose_nothing() -> None:
    sentences = [f"This is sentence number {n} of a long section, which goes on and on." for n in range(200)]
    found = passages({"long": topic("A long one", *sentences)})
    assert len(found) == 7
    assert max(map(len, found)) < LONGEST_PASSAGE + 200
    lines = [line for passage in found for line in passage.split("\n") if line]
    assert sorted(lines) == sorted(["A long one", *sentences])


def test_the_order_depends_on_nothing_but_the_passages() -> None:
    topics = {name: topic(name, f"This is what there is to say of {name}.") for name in "abcdefghij"}
    found = passages(topics)
    assert found == passages(dict(reversed(topics.items())))
    assert sorted(found) != found, "the names' own order would hold the last letters out"
    assert passages({}) == []
