"""An error is a sentence for the person: where, what, and what to try."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from tinylm.errors import TinyLMError, command, did_you_mean, nearest, shell


@pytest.mark.parametrize(("parts", "message"), [
    (("it is empty", "", ""), "it is empty."),
    (("it is empty", "book.txt", ""), "book.txt: it is empty."),
    (("it is empty", "book.txt", "Give it words"), "book.txt: it is empty. Give it words."),
    (("it is empty", "", "Is it the right file?"), "it is empty. Is it the right file?"),
    (("Stop!", "", ""), "Stop!"),
])
def test_the_parts_become_sentences(parts, message):
    what, where, remedy = parts
    error = TinyLMError(what, where=where, remedy=remedy)
    assert str(error) == message
    assert (error.what, error.where, error.remedy) == parts


def test_it_is_a_value_error():
    with pytest.raises(ValueError, match="wrong"):
        raise TinyLMError("wrong")


def test_where_and_remedy_are_named():
    with pytest.raises(TypeError):
        TinyLMError("it is empty", "book.txt")


def test_the_nearest_words_best_first():
    known = ["hello", "hallo", "help", "day"]
    assert nearest("hellp", known) == ["help"]
    assert nearest("hellp", known, most=3) == ["help", "hello", "hallo"]
    assert nearest("zzz", known) == []


def test_did_you_mean_or_the_whole_list():
    known = iter(["train", "plan", "generate"])
    assert did_you_mean("trian", known) == "Did you mean 'train'?"
    assert did_you_mean("xyz", ["train", "plan"]) == "Choose one of: train, plan"


@pytest.mark.parametrize(("text", "end"), [
    ("It was", ["It was"]), ("-The", ["--", "-The"]), ("it's \"$HOME\"", ["it's \"$HOME\""]),
])
@pytest.mark.needs_posix
def test_a_command_can_be_typed_as_it_is_printed(text, end):
    words = shlex.split(command("generate", Path("-my [old] 'book'"), "--seed", 1, text=text))
    assert words == ["tinylm", "generate", "./-my [old] 'book'", "--seed", "1", *end]


@pytest.mark.parametrize(("word", "quoted"), [
    ("runs\\book", "runs\\book"), ("C:\\texts\\my book.txt", '"C:\\texts\\my book.txt"'), ("a&b.txt", '"a&b.txt"'),
    ("tinylm[serve]", '"tinylm[serve]"'), ("", '""'), ('say "so"', '"say \\"so\\""'), ("my runs\\", '"my runs\\\\"'),
    ("кни'га", "\"кни'га\""), ("--steps=5", "--steps=5"),
])
def test_a_word_is_quoted_for_the_shells_of_windows(word, quoted):
    """A program of Windows splits its command line again: `"` after a backslash is a character, two backslashes before
    a quote are one."""
    assert shell(["type", word], windows=True) == f"type {quoted}"
