"""tinylm learn: the pages, the questions, the verdicts and the hints, for people and as JSON."""

from __future__ import annotations

from pathlib import Path

import pytest

from tinylm.learn.exercises import EXERCISES
from tinylm.learn.pages import PAGES

from .conftest import Command

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _own_progress(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINYLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "80")


def test_it_opens_the_pages_and_says_what_is_next(tinylm: Command, hello_run: Path, tmp_path: Path,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda address: not opened.append(address))
    assert all((ROOT / page.path).is_file() for page in PAGES)
    tinylm("learn", "check", "0.3", "0.0336")
    lesson = tmp_path / "lesson"
    said = tinylm("learn", hello_run, "how is", "--out", lesson)
    assert opened == [(lesson / "index.html").as_uri()]
    assert f"{lesson / 'index.html'}  (open it in a browser)" in said.out
    assert "solved: 1 of 39." in said.out
    assert "tinylm learn check 0.1" in said.out
    assert "lesson.json, which may be deleted" in said.out
    written = {path.name: path.read_text(encoding="utf-8") for path in lesson.iterdir()}
    assert set(written) == {"index.html", "glossary.html", *(f"{page.number:02}-{page.name}.html" for page in PAGES)}
    assert "your model hello, with the sentence “how is”" in written["index.html"]
    assert all(page.question in written["index.html"] for page in PAGES)
    assert not any("not of your model" in page for page in written.values())


def test_what_is_no_lesson_is_not_replaced(tinylm: Command, hello_run: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "index.html").write_text("my page", encoding="utf-8")
    said = tinylm("learn", hello_run, "how", "--out", tmp_path / "mine", "--no-browser")
    assert said.code == 2
    assert "no earlier lesson" in said.err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["index.html"]
    lesson = tmp_path / "lesson"
    lesson.mkdir()
    (lesson / "index.html").write_text('<meta name="generator" content="tinylm learn">', encoding="utf-8")
    (lesson / "runs").mkdir()
    said = tinylm("learn", hello_run, "how", "--out", lesson, "--no-browser")
    assert said.code == 2
    assert str(lesson / "runs") in said.err
    assert (lesson / "runs").is_dir()
    said = tinylm("learn", hello_run, "strange words", "--out", tmp_path / "new", "--no-browser")
    assert said.code == 2
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("number", EXERCISES)
def test_a_question_is_asked_with_the_way_to_answer_it(tinylm: Command, number: str) -> None:
    said = tinylm("learn", "check", number)
    assert said.code == 0
    question, _, command = said.out.rstrip().rpartition("\n  ")
    assert " ".join(question.split()) == " ".join(EXERCISES[number].question.split())
    assert command.startswith((f"tinylm learn check {number} ", "tinylm.learn.check("))
    assert tinylm("learn", "check", number, "--json").json["question"] == EXERCISES[number].question


@pytest.mark.parametrize(("answer", "right", "said"), [
    ("0.2133", True, "Right: 0.2133."), ("0.1733", False, "6 of them are <pad>"), ("5", False, "tinylm learn hint 2.3"),
])
def test_an_answer_gets_a_verdict(tinylm: Command, answer: str, right: bool, said: str) -> None:
    assert said in tinylm("learn", "check", "2.3", answer).out
    verdict = tinylm("learn", "check", "2.3", answer, "--json").json
    assert (verdict["exercise"], verdict["right"]) == ("2.3", right)
    assert said in verdict["message"]


def test_negative_numbers_need_no_dashes_before_them(tinylm: Command) -> None:
    assert tinylm("learn", "check", "3.1", "-0.9167,0.0833").out == "Right: -0.9167, 0.08333.\n"
    assert tinylm("learn", "check", "6.3", "-0.4161,-0.4161").out.startswith("Right")


def test_hints_come_one_at_a_time(tinylm: Command) -> None:
    assert tinylm("learn", "hint", "5.2").out.startswith("Hint 1 of 2: Softmax")
    assert "Hint 2 of 2: " in tinylm("learn", "hint", "5.2", "--json").json["hint"]
    assert tinylm("learn", "hint", "5.2", "--solution").out == "0.01798, 0.2447\n"


def test_all_hints_are_given_where_nothing_can_remember_them(tinylm: Command, tmp_path: Path,
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("TINYLM_CACHE", str(tmp_path / "file"))
    for _ in range(2):
        said = tinylm("learn", "hint", "5.2").out.splitlines()
        assert [line.split(":")[0] for line in said] == ["Hint 1 of 2", "Hint 2 of 2", "The answer"]


@pytest.mark.parametrize(("words", "said"), [
    (["chek"], "Did you mean 'check'?"), (["check"], "tinylm learn check 2.3"), (["hint"], "tinylm learn hint 2.3"),
    (["check", "2.4", "1"], "there is no exercise"), (["check", "2.1", "much"], "tinylm learn check 2.1 LOSS"),
    (["check", "2.1", "1", "--solution"], "tinylm learn hint 2.3 --solution"), (["check", "0.1", "nowhere"], "nowhere"),
    (["hello", "how", "is"], "'is': is one word too many"),
    (["hint", "2.3", "1"], "one word too many"),
    (["check", "attention", "1"], "tinylm.learn.check('attention', my_function)"),
])
def test_a_mistake_is_a_sentence(tinylm: Command, words: list[str], said: str) -> None:
    told = tinylm("learn", *words)
    assert (told.code, told.out) == (2, "")
    assert said in told.err
    assert "Traceback" not in told.err
