"""Chat corpora: the order of the conversations, of which the last are held out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tinylm.chat.corpus import ChatCorpus, conversations_of, open_source
from tinylm.chat.sums import make_sums
from tinylm.config.overrides import merge_overrides
from tinylm.errors import TinyLMError
from tinylm.text.reading.sources import Options, Texts
from tinylm.text.split import split_corpus

SLACK = json.dumps([{"type": "message", "user": "ada" if number % 2 else "ben", "text": f"text {number}",
                     "ts": f"{1600000000 + 9000 * (number // 2)}"} for number in range(40)])
NAMES = "".join(f"Ben: ask {number}\nAda: answer {number}\n\n" for number in range(20))
PAIRS = "".join(json.dumps({"prompt": f"ask {number}", "completion": f"answer {number}"}) + "\n"
                for number in range(20))


@pytest.mark.parametrize(("text", "me", "is_in_order"), [
    (SLACK, "ada", True), (NAMES, "Ada", True), (PAIRS, "", False)])
def test_conversations_of_a_messenger_keep_their_order(text: str, me: str, is_in_order: bool) -> None:
    corpus = open_source(Texts.of(text), Options(chat_format="turns", me=me))
    assert isinstance(corpus, ChatCorpus)
    first = [conversation[0].content for conversation in corpus.conversations]
    assert len(first) == 20
    in_order = sorted(first, key=lambda said: int(said.split()[1]))
    assert (first == in_order) is is_in_order


@pytest.mark.parametrize(("text", "me", "said"), [
    (SLACK, "ada", "the last 2 of 20 conversations"), (PAIRS, "", "2 of 20 conversations, drawn at random")])
def test_it_is_said_which_conversations_are_held_out(text: str, me: str, said: str) -> None:
    split = split_corpus(open_source(Texts.of(text), Options(chat_format="turns", me=me)), 0.1)
    assert split.description == f"validation is {said}"


def test_windows_are_refused_for_conversations() -> None:
    with pytest.raises(TinyLMError, match="Choose packed or padded"):
        merge_overrides(chat=True, layers=({"data": {"packing": "windows"}},))


def test_what_a_chat_holds_out_is_not_trained_on_where_another_file_judges(tmp_path: Path) -> None:
    (tmp_path / "other.jsonl").write_text(PAIRS, encoding="utf-8")
    split = split_corpus(open_source("sums", Options(chat_format="turns")), str(tmp_path / "other.jsonl"))
    made = make_sums()
    trained_on = conversations_of(split.train)
    assert sorted(trained_on) == sorted(made.training)
    assert split.validation
    assert len(conversations_of(split.validation)) == 20
