"""lm.chat: answers to messages, which end where the model ends them, whatever is asked of the sampler."""

from __future__ import annotations

from pathlib import Path

import pytest

import tinylm
from tests import chat_models
from tests.chat_models import LEARNED, turns
from tinylm.chat.chat_format import TURNS
from tinylm.chat.encode import encode_conversation
from tinylm.cli.conversation import Answering
from tinylm.errors import TinyLMError


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> tinylm.LanguageModel:
    return tinylm.load(chat_models.learned(tmp_path_factory.mktemp("chat") / "learned"))


@pytest.mark.parametrize("texts", LEARNED)
def test_it_answers_each_question_after_all_that_was_said(lm: tinylm.LanguageModel, texts: tuple[str, ...]) -> None:
    for count in range(1, len(texts), 2):
        found = lm.chat.complete(turns(*texts[:count]), greedy=True)
        assert (found.text, found.stopped_by, found.n_dropped_turns) == (texts[count], "eos", 0)
        assert found.ids[-1] == lm.tokenizer.eos_id


def test_a_text_is_a_question(lm: tinylm.LanguageModel) -> None:
    as_messages = [{"role": "user", "content": "how are you ?"}]
    assert lm.chat("how are you ?", greedy=True) == lm.chat(as_messages, greedy=True) == "fine , and you ?"
    assert "".join(lm.chat.stream("how are you ?", greedy=True)) == "fine , and you ?"


def test_settings_are_those_of_generate(lm: tinylm.LanguageModel) -> None:
    seeds = [lm.chat("how are you ?", temperature=3, seed=seed, max_tokens=20) for seed in (1, 1, 2)]
    assert seeds[0] == seeds[1] != seeds[2]
    assert lm.chat("how are you ?", greedy=True, stop=[" , and"]) == "fine"
    assert lm.chat.complete("how are you ?", greedy=True, max_tokens=2).stopped_by == "length"
    assert len(lm.chat.complete("fine", greedy=True, logprobs=3).logprobs[0].top) == 3
    assert lm.chat("who are you ?", greedy=True, prefix=["a"]) == "a model"
    with pytest.raises(tinylm.TinyLMError, match="temprature"):
        lm.chat("fine", temprature=1)
    with pytest.raises(tinylm.TinyLMError, match="overflow"):
        lm.chat("fine", overflow="slide")


def test_what_is_no_conversation_is_refused(lm: tinylm.LanguageModel) -> None:
    with pytest.raises(TinyLMError, match="a conversation is a list of messages, and this is NoneType"):
        lm.chat(None)  # type: ignore[arg-type]
    with pytest.raises(TinyLMError, match="samples: a conversation goes on from one answer"):
        lm.chat("fine", samples=2)


def test_an_answer_ends_where_the_context_does(lm: tinylm.LanguageModel) -> None:
    found = lm.chat.complete("how are you ?", max_tokens=1000, banned_tokens=["#2"], greedy=True)
    assert len(found.ids) + len(encode_conversation(turns("how are you ?"), TURNS, lm.tokenizer).ids) == 33
    assert (found.stopped_by, found.n_dropped) == ("length", 0)


def test_old_turns_are_left_out_and_counted(lm: tinylm.LanguageModel) -> None:
    found = lm.chat.complete(turns(*["fine", "good"] * 20, "who are you ?"), greedy=True)
    assert found.text == "a model"
    assert found.n_dropped_turns > 10


def test_what_is_said_is_read_as_the_tokenizer_knows_it(tmp_path: Path) -> None:
    lm = tinylm.load(chat_models.random(tmp_path / "characters", tinylm.Tokenizer.train("char", ["ab'"])))
    with pytest.raises(tinylm.TinyLMError, match=r"messages\[2\].content: .*☃"):
        lm.chat(turns("a", "b", "☃"))
    with pytest.warns(tinylm.NearFormWarning, match="’"):
        lm.chat("a’b", max_tokens=1)
    with pytest.raises(tinylm.TinyLMError, match=r"messages\[0\]: what parts .*Leave the system text out"):
        lm.chat(turns("a", system="b"))
    with pytest.raises(tinylm.TinyLMError, match="what parts a system text"):
        Answering(lm, {}, system="b")


def test_a_model_without_a_format_says_what_to_do(hello_run: Path) -> None:
    with pytest.raises(tinylm.TinyLMError) as caught:
        tinylm.load(hello_run).chat("how are you ?")
    assert "no chat format" in str(caught.value)
    assert "tinylm train FILE --chat --from RUN" in str(caught.value)
