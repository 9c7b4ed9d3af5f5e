"""Exercises: the right answer passes, each known wrong one gives its hint, and all else is told without a traceback."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

import tinylm
from tinylm.errors import TinyLMError
from tinylm.learn.code_exercise import CodeExercise
from tinylm.learn.exercise import RunExercise, ValueExercise
from tinylm.learn.exercises import EXERCISES
from tinylm.learn.exercises.writing import LOGITS, TEMPERATURES, TOP_P, kept
from tinylm.learn.facts import merges
from tinylm.learn.pages import PAGES
from tinylm.text.reading.built_in import HELLO

VALUES = [each for each in EXERCISES.values() if isinstance(each, ValueExercise)]
CODE = [each for each in EXERCISES.values() if isinstance(each, CodeExercise)]
RUNS = [each for each in EXERCISES.values() if isinstance(each, RunExercise)]
KNOWN = {"0.3": "0.0336", "1.2": "ho,how,ou,you", "1.3": "2,3", "2.1": "2.4849", "2.2": "0.118,1.271", "2.3": "0.2133",
         "3.1": "-0.9167,0.0833", "3.2": "0.001,0.001", "4.1": "0,2,9,10,11", "5.1": "0.716,0.860",
         "5.2": "0.018,0.245", "6.1": "21", "6.3": "-0.4161,-0.4161", "7.1": "-1.342,1.342,0.365,1.461",
         "7.3": "4192,4224", "9.1": "0.867,0.665,0.506", "9.2": "1,2,2", "9.3": "210,21", "10.1": "0.3662"}
"""Answers that were found by hand, before any of this was written."""


def test_each_page_has_three_exercises_in_order() -> None:
    assert list(EXERCISES) == [f"{page.number}.{place}" for page in PAGES for place in (1, 2, 3)]
    assert all(exercise.hints and exercise.form for exercise in EXERCISES.values())


@pytest.mark.parametrize("number", KNOWN)
def test_answers_found_by_hand_are_right(number: str) -> None:
    assert tinylm.learn.check(number, KNOWN[number])


@pytest.mark.parametrize("exercise", VALUES, ids=lambda each: each.number)
def test_the_solution_is_right_and_each_mistake_gives_its_hint(exercise: ValueExercise) -> None:
    assert exercise.check(list(exercise.answer()))
    assert exercise.check(exercise.solution())
    for mistake in exercise.mistakes:
        verdict = exercise.check(list(mistake.answer()))
        assert not verdict, f"{mistake.answer()} is called right"
        assert verdict.message == f"Not yet. {mistake.hint}"
    unknown = exercise.check([1234.5 if isinstance(value, float) else "?" for value in exercise.answer()])
    assert unknown.message == f"Not yet. A hint: tinylm learn hint {exercise.number}"


@pytest.mark.parametrize("exercise", CODE, ids=lambda each: each.name)
def test_the_right_function_passes_and_each_wrong_one_gives_its_hint(exercise: CodeExercise) -> None:
    body = "".join(f"    {line}\n" for line in exercise.source.splitlines())
    written: dict[str, object] = {"torch": torch, "math": math}
    exec(f"def {exercise.form}:\n{body}", written)
    assert tinylm.learn.check(exercise.name, written[exercise.name])
    assert tinylm.learn.check(exercise.number, exercise.function)
    for mistake in exercise.mistakes:
        verdict = exercise.check(mistake.function)
        assert not verdict
        assert verdict.message.endswith(f" {mistake.hint}"), mistake.hint


def test_a_function_that_breaks_the_gradient_is_found() -> None:
    right = EXERCISES["5.3"].function
    assert "gradients are not" in str(tinylm.learn.check("attention", lambda q, k, v: right(q.detach(), k, v)))
    assert "gradients are not" in str(tinylm.learn.check("attention", lambda q, k, v: right(q, k, v).detach()))


def test_a_function_that_fails_is_told_in_a_sentence() -> None:
    assert "raised RuntimeError" in str(tinylm.learn.check("attention", lambda q, k, v: q @ k @ v))
    assert "raised TypeError" in str(tinylm.learn.check("attention", lambda q: q))
    assert "should have (2, 3, 4, 8)" in str(tinylm.learn.check("attention", lambda q, k, v: (q @ k.mT) + v.sum()))
    assert "100% of the numbers differ" in str(tinylm.learn.check("attention", lambda q, *_: q * float("nan")))


@pytest.mark.parametrize(("number", "answer", "said"), [
    ("2.9", 1, "there is no exercise"), ("2.1", "two", "is not made of numbers"), ("2.2", 1, "has 1 parts"),
    ("2.1", None, "is not made of numbers"), ("2.1", 10**400, "is not made of numbers"),
    ("attention", 3, "is answered by a function"), ("6.2", "no/such/folder", "no/such/folder"),
])
def test_an_answer_of_another_form_is_a_sentence(number: str, answer: object, said: str) -> None:
    with pytest.raises(TinyLMError, match=said):
        tinylm.learn.check(number, answer)


def test_numbers_of_a_tensor_and_of_an_array_are_an_answer() -> None:
    found = torch.tensor([0.867, 0.665, 0.506])
    assert tinylm.learn.check("9.1", found)
    assert tinylm.learn.check("9.1", found.numpy())
    assert tinylm.learn.check("2.1", torch.tensor(12.0).log())


def test_some_right_parts_are_named() -> None:
    assert "Of 3 parts these are right: 1, 3." in str(tinylm.learn.check("9.1", "0.867, 0.5, 0.506"))


# ---- what the answers rest on


def test_merges_are_those_of_the_library_of_tokenizers() -> None:
    words = " ".join(HELLO).split()
    library = Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    library.train_from_iterator(words, trainers.BpeTrainer(vocab_size=100, min_frequency=4, show_progress=False))
    theirs = {token for token in library.get_vocab() if len(token) > 1}
    ours = {"".join(pair) for pair in merges(words, len(theirs))}
    assert ours == theirs


def test_top_p_keeps_what_the_filter_keeps() -> None:
    import numpy as np

    from tinylm.sampling.filters import apply_temperature, keep_top_p

    for temperature in TEMPERATURES:
        left = keep_top_p(apply_temperature(np.array(LOGITS, np.float32), temperature), TOP_P)
        assert kept(temperature) == np.isfinite(left).sum()


# ---- progress


def test_progress_is_remembered_and_may_be_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYLM_CACHE", str(tmp_path))
    given = [tinylm.learn.hint("5.2") for _ in range(3)]
    assert [text.partition(":")[0] for text in given] == ["Hint 1 of 2", "Hint 2 of 2", "Hint 2 of 2"]
    assert given[1].endswith("The answer: tinylm learn hint 5.2 --solution")
    tinylm.learn.check("2.1", 2.4849)
    tinylm.learn.check("2.1", 3)
    assert [path.name for path in tmp_path.iterdir()] == ["lesson.json"]
    for damaged in ("", "[]", '{"solved": 3}'):
        (tmp_path / "lesson.json").write_text(damaged)
        assert tinylm.learn.hint("5.2").startswith("Hint 1 of 2")
    (tmp_path / "lesson.json").unlink()
    assert tinylm.learn.hint("5.2").startswith("Hint 1 of 2")
