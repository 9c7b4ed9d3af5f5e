"""Answers of a chat model to the questions of conversations."""

from __future__ import annotations

import pytest

import tinylm
from tests import chat_models
from tests.chat_models import turns
from tinylm.evaluation.answers import Answer, Question, ask, questions_of


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> tinylm.LanguageModel:
    return tinylm.load(chat_models.learned(tmp_path_factory.mktemp("answers") / "learned"))


def test_each_question_is_answered_as_a_person_would_be(lm: tinylm.LanguageModel) -> None:
    conversations = [turns(*texts) for texts in chat_models.LEARNED]
    questions = questions_of(conversations)
    assert [answer.text for answer in ask(lm, questions)] == [question.expected for question in questions]
    assert [lm.chat(question.asked, greedy=True) for question in questions] == [
        question.expected for question in questions]


def test_a_long_conversation_is_asked_with_its_last_turns(lm: tinylm.LanguageModel) -> None:
    """The context holds 32 tokens, and the conversation has 160."""
    long = turns(*["fine", "good"] * 40, "who are you ?")
    assert ask(lm, [Question(long, "a model")]) == [Answer(lm.chat(long, greedy=True), True)]


def test_a_question_that_is_too_long_by_itself_has_an_empty_answer(lm: tinylm.LanguageModel) -> None:
    questions = [Question(turns("fine " * 31), "good"), Question(turns("fine"), "good")]
    assert ask(lm, questions) == [Answer("", False), Answer("good", True)]
