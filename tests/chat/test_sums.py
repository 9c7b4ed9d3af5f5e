"""The built-in chat: right answers, always the same, and held out by value."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from tinylm.chat.conversation import Conversation
from tinylm.chat.files import counted, read_chat_file
from tinylm.chat.little_facts import FACTS, in_words
from tinylm.chat.sums import MAX_TURNS, make_sums

MADE = make_sums()


def _pairs(conversations: Iterable[Conversation]) -> list[tuple[str, str]]:
    return [(each[number].content, each[number + 1].content) for each in conversations
            for number in range(0, len(each), 2)]


TRAINING, HELD_OUT = _pairs(MADE.training), _pairs(MADE.held_out)


def _numbers(question: str) -> list[int]:
    return list(map(int, re.findall(r"\d+", question)))


def _operation(question: str) -> str:
    for sign, pattern in (("+", r"\+|plus|Add"), ("-", r"\d ?- ?\d|minus|Subtract"), ("x", r"\d ?[x*] ?\d|times")):
        if re.search(pattern, question):
            return sign
    return ""


def _family(question: str) -> frozenset[int] | None:
    """The two numbers of the sum to which a calculation belongs."""
    if _operation(question) == "+":
        return frozenset(_numbers(question))
    if _operation(question) == "-":
        low, high = sorted(_numbers(question))
        return frozenset((low, high - low))
    return None


def test_every_result_is_right() -> None:
    counts = dict.fromkeys("+-x", 0)
    for question, answer in [*TRAINING, *HELD_OUT]:
        operation = _operation(question)
        if operation:
            first, second, result = _numbers(answer)
            assert sorted(_numbers(question)) == sorted((first, second))
            assert answer == f"{first} {operation} {second} = {result}"
            assert result == {"+": first + second, "-": first - second, "x": first * second}[operation]
            counts[operation] += 1
    asked = {answer for _, answer in [*TRAINING, *HELD_OUT] if re.fullmatch(r"\d+ \+ \d+ = \d+", answer)}
    assert len(asked) == 100 * 100
    assert counts["-"] > 4000


def test_no_held_out_number_is_reckoned_with_in_training() -> None:
    trained = {family for question, _ in TRAINING if (family := _family(question))}
    held_out = {family for question, _ in HELD_OUT if (family := _family(question))}
    assert not trained & held_out
    assert 350 < len(held_out) < 470
    assert all(min(family) >= 10 for family in held_out)
    assert sum(_operation(question) == "+" for question, _ in HELD_OUT) > 700


def test_no_held_out_question_is_trained_on_but_its_fact_is() -> None:
    trained = set(TRAINING)
    others = [(question, answer) for question, answer in HELD_OUT if not _operation(question)]
    assert not trained & set(HELD_OUT)
    for question, answer in others:
        if not re.search("words|figures", question):
            fact = next(fact for fact in FACTS if question in fact.wordings)
            assert answer == fact.answer
            assert any((wording, answer) in trained for wording in fact.wordings)
    assert len(others) > 40


def test_the_conversations_are_always_the_same() -> None:
    assert make_sums() == MADE
    said = "\n".join(message.content for each in [*MADE.training, *MADE.held_out] for message in each)
    assert hashlib.sha256(said.encode()).hexdigest()[:16] == "d5f88aad6b712748"
    assert {len(each) // 2 for each in MADE.training} == set(range(1, MAX_TURNS + 1))
    assert {len(each) // 2 for each in MADE.held_out} == {1}


def test_facts_are_asked_unambiguously() -> None:
    answers: dict[str, str] = {}
    for question, answer in [*TRAINING, *HELD_OUT]:
        assert answers.setdefault(question, answer) == answer
    assert all(len(fact.wordings) == len(set(fact.wordings)) >= 3 for fact in FACTS)
    assert [in_words(number) for number in (0, 13, 20, 99)] == ["zero", "thirteen", "twenty", "ninety-nine"]


def test_the_file_of_that_name() -> None:
    found = read_chat_file("sums")
    assert (found.kind, found.conversations, found.validation) == ("sums", MADE.training, MADE.held_out)
    assert counted(found.conversations).startswith(f"{len(MADE.training):,} conversations with ")
