"""Runs on conversations: what they learn from, how they resume, what they tell of their answers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tinylm
from tinylm.errors import TinyLMError

SMALL = {"model": {"d_model": 16, "n_layers": 2, "n_heads": 2},
         "train": {"evaluate_every": 3, "batch_size": 8}}
LASTING = ("model.safetensors", "metrics.jsonl", "samples.jsonl", "config.json", "tokenizer.json", "README.md")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("chat") / "pairs.jsonl"
    animals = ("cat", "dog", "cow", "sheep", "duck", "owl", "frog", "bee", "hen", "pig", "goat", "crow")
    path.write_text("".join(json.dumps({"prompt": f"{word} {animal} ?", "completion": f"the {animal} says {word} ."})
                            + "\n" for animal in animals for word in ("who", "what", "which")), encoding="utf-8")
    return path


def small(pairs: Path, out: Path, **flags) -> tinylm.LanguageModel:
    return tinylm.train(pairs, chat=True, out=out, quiet=True, config=SMALL, **{"steps": 12, **flags})


@pytest.fixture(scope="module")
def undisturbed(pairs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "run"
    small(pairs, folder)
    return folder


def test_a_run_that_is_stopped_and_resumed_gives_the_same_folder(pairs, tmp_path, undisturbed, stop_at):
    stop_at("step", 5)
    small(pairs, tmp_path / "run")
    tinylm.train(resume=True, out=tmp_path / "run", quiet=True)
    for name in LASTING[:-1]:
        assert (tmp_path / "run" / name).read_bytes() == (undisturbed / name).read_bytes(), name


def test_conversations_are_held_out_and_answers_alone_are_judged(undisturbed):
    lm = tinylm.load(undisturbed)
    report = lm.evaluate()
    assert lm.config.data.chat_format == "turns"
    assert report.split == "validation"
    assert report.answers.questions == 4
    assert report.answers.exact + len(report.answers.wrong) == 4
    assert "zstd" not in report.baselines
    expected = [f"the {animal} says {word} ." for animal, word in
                ((wrong.question.split()[1], wrong.question.split()[0]) for wrong in report.answers.wrong)]
    assert [wrong.expected for wrong in report.answers.wrong] == expected


def test_bits_a_byte_are_of_the_answers(pairs, undisturbed):
    report = tinylm.load(undisturbed).evaluate(pairs)
    answers = [json.loads(line)["completion"] for line in pairs.read_text().splitlines()]
    assert report.bytes == sum(map(len, answers))
    assert report.tokens == report.bytes + len(answers)  # a character is a token, and each answer ends
    assert report.answers.questions == len(answers)


def test_conversations_that_do_not_fit_judge_nothing(pairs, tmp_path, undisturbed):
    """Their loss would be zero, and the weights of the first step the best."""
    long = tmp_path / "long.jsonl"
    long.write_text(json.dumps({"prompt": "who cat ? " * 200, "completion": "the cat says who ."}), encoding="utf-8")
    with pytest.raises(TinyLMError, match="no question that is held out fits with its answer") as refused:
        tinylm.plan(pairs, chat=True, validation=str(long), config={**SMALL, "model": {
            **SMALL["model"], "context_length": 64}})
    assert refused.value.where == "--validation"
    with pytest.raises(TinyLMError, match="no question fits with its answer into the"):
        tinylm.load(undisturbed).evaluate(long)


def test_the_card_tells_what_such_a_model_is_and_how_it_answers(undisturbed):
    card = (undisturbed / "README.md").read_text()
    assert "learned the form of answers" in card
    assert "of 4 (" in card.lower()
    assert "tinylm chat" in card


def test_records_tell_of_few_questions(undisturbed):
    began = json.loads((undisturbed / "metrics.jsonl").read_text().splitlines()[0])
    assert began["questions"] == 32
    assert "32 questions are few" in (undisturbed / "README.md").read_text()


def test_the_plan_shows_the_first_conversation_as_it_is_trained_on(pairs):
    plan = tinylm.plan(pairs, chat=True, config=SMALL, steps=3)
    first, = (line for line in plan["notes"] if line.startswith("first "))
    assert first.split(maxsplit=1)[1].startswith("<bos>")
    assert first.endswith("<eos>]")


@pytest.mark.parametrize(("flags", "where"), [
    ({"format": "pairs"}, "--format"), ({"me": "Ann"}, "--me"), ({"chat": True, "documents": "line"}, "--documents")])
def test_flags_that_do_not_belong_together_are_refused(pairs, tmp_path, flags, where):
    with pytest.raises(TinyLMError) as error:
        tinylm.train(pairs, out=tmp_path / "run", quiet=True, **flags)
    assert error.value.where == where
    assert not (tmp_path / "run").exists()


def test_an_evaluation_of_a_model_of_texts_takes_no_chat_options(tmp_path):
    lm = tinylm.train("hello", preset="notebook", steps=2, out=tmp_path / "run", quiet=True)
    with pytest.raises(TinyLMError, match="for conversations"):
        lm.evaluate("hello", format="pairs")


def test_a_text_is_read_beside_the_conversations(pairs, book, tmp_path, stop_at):
    stop_at("step", 5)
    lm = small(pairs, tmp_path / "run", text=book)
    assert lm.config.data.text == str(book)
    notes = tinylm.plan(pairs, chat=True, config=SMALL, steps=3, text=book)["notes"]
    assert any("read beside" in line for line in notes)
    tinylm.train(resume=True, out=tmp_path / "run", quiet=True)
    small(pairs, tmp_path / "again", text=book)
    for name in ("model.safetensors", "metrics.jsonl"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "again" / name).read_bytes(), name


def test_a_text_beside_that_has_changed_ends_the_resumption(pairs, tmp_path, stop_at):
    book = tmp_path / "book.txt"
    book.write_text("a cat and a dog .\n" * 40, encoding="utf-8")
    stop_at("step", 5)
    small(pairs, tmp_path / "run", text=book)
    book.write_text("another book, and a cow .\n" * 40, encoding="utf-8")
    with pytest.raises(TinyLMError, match="has changed"):
        tinylm.train(resume=True, out=tmp_path / "run", quiet=True)


def test_the_killed_command_goes_on_to_the_same_bytes(pairs, tmp_path):
    words = [sys.executable, "-m", "tinylm", "train", str(pairs), "--chat", "--steps", "60", "--size", "0.1M",
             "--set", "train.evaluate_every=20", "--json"]
    subprocess.run([*words, "--out", str(tmp_path / "whole")], check=True, capture_output=True)
    killed = subprocess.Popen([*words, "--out", str(tmp_path / "killed")], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not (tmp_path / "killed").is_dir() and time.monotonic() < deadline:
        time.sleep(0.01)
    killed.kill()
    killed.wait()
    subprocess.run([sys.executable, "-m", "tinylm", "train", "--resume", "--out", str(tmp_path / "killed"), "--json"],
                   check=True, capture_output=True)
    for name in ("model.safetensors", "metrics.jsonl"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
