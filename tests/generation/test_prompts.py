"""Prompts at the edges: none, unknown words, control text, more than the model sees; what a text must begin with."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinylm
from tests.generation.hf_reference import TOKENIZERS, make_lm
from tinylm.errors import TinyLMError
from tinylm.text.tokenizer import Tokenizer

MODELS = {kind: make_lm(kind) for kind in TOKENIZERS}
CONTROL = ["<eos>", "<bos>", "<pad>", "<unk>"]


def after(lm: tinylm.LanguageModel, ids: list[int], **values: object) -> list[int]:
    """What is written after these ids."""
    batch = lm.batch()
    text = batch.add(ids, tinylm.SampleConfig(**values), seed=0)
    while batch.running:
        batch.step()
    return text.new


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_no_prompt_is_a_text_from_nothing(kind: str) -> None:
    lm = MODELS[kind]
    assert lm.complete("", seed=0, max_tokens=9).ids == after(lm, [lm.tokenizer.bos_id], max_tokens=9)


def test_a_prompt_of_unknown_words_alone_is_one_of_unk() -> None:
    lm = MODELS["word"]
    unknown = lm.tokenizer.unk_id
    completion = lm.complete("xyzzy plugh", seed=0, max_tokens=9)
    assert completion.ids == after(lm, [1, unknown, unknown], max_tokens=9)
    assert completion.prompt == "xyzzy plugh"


def test_where_there_is_no_unk_they_are_an_error() -> None:
    strict = Tokenizer.train("word", ["the cat"], unknown_token=False)
    lm = make_lm("word", vocab_size=strict.vocab_size)
    lm = tinylm.LanguageModel(lm.config, strict, weights=lm._weights)
    for ask in (lm.complete, lm.predict, lambda prompt: lm.complete([prompt])):
        with pytest.raises(TinyLMError, match=r"not in the vocabulary: 'xyzzy' \(word 2"):
            ask("the xyzzy")


@settings(derandomize=True, deadline=None, max_examples=100)
@given(prompt=st.lists(st.sampled_from([*CONTROL, "the", "cat", " ", "<", ">"]), max_size=8).map("".join),
       kind=st.sampled_from(["word", "bpe"]))
def test_t4_a_prompt_that_spells_a_control_token_is_text(prompt: str, kind: str) -> None:
    """The model is shown no control token but the `<bos>` in front (and `<unk>` for what is no word)."""
    lm = MODELS[kind]
    shown = lm.read(lm.tokenizer.encode_prompt(prompt)).ids
    assert shown[0] == lm.tokenizer.bos_id
    assert not {0, 1, 2} & set(shown[1:])
    if kind == "bpe":
        assert lm.tokenizer.decode(shown) == prompt


def test_t4_nor_does_a_text_that_is_banned_forced_or_stopped_at() -> None:
    lm = MODELS["bpe"]
    forced = lm.complete("the", prefix=("<eos>",), max_tokens=5, seed=0)
    assert forced.text == "<eos>"
    assert 2 not in forced.ids
    assert lm.complete("the", prefix=("a<eos>b",), stop=("<eos>",), max_tokens=20, seed=0).text == "a"
    with pytest.raises(TinyLMError, match="'<eos>' is 5 tokens"):
        lm.complete("the", banned_tokens=("<eos>",))


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_a_text_begins_as_it_is_told(kind: str) -> None:
    lm = MODELS[kind]
    free = lm.complete("the", prefix=("cat", "#5"), max_tokens=9, seed=0)
    ids = [*lm.tokenizer.encode_text("cat"), 5]
    assert free.ids[:len(ids)] == ids
    assert free == lm.complete(["the"], prefix=("cat", "#5"), max_tokens=9, seed=0)[0]
    assert lm.complete("the", prefix=("cat",), max_tokens=1, seed=0).ids == ids[:1]
    assert lm.complete("the", prefix=("cat", "#2", "#5"), seed=0).ids == [*ids[:-1], 2]
    with pytest.raises(TinyLMError, match="there is no token #9999"):
        lm.complete("the", prefix=("#9999",))


def test_a_prompt_longer_than_the_model_sees_is_refused_if_asked() -> None:
    lm = MODELS["char"]
    with pytest.raises(TinyLMError, match="the prompt has 51 tokens"):
        lm.complete("a" * 50, overflow="error")
    with pytest.raises(TinyLMError, match="the prompt has 51 tokens"):
        lm.complete(["a", "a" * 50], overflow="error")
    whole = lm.complete("a" * 20, overflow="error", banned_tokens=("#2",))
    assert (len(whole.ids), whole.stopped_by, whole.n_dropped) == (4, "length", 0)
    assert lm.complete("a" * 50, max_tokens=1).n_dropped > 0


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_ids_are_a_prompt_as_their_text_is(kind: str) -> None:
    """With the `<eos>` of `encode`, without `<bos>`, alone and among others."""
    lm, settings = MODELS[kind], {"max_tokens": 9, "seed": 3}
    text = "how are" if kind != "word" else "the cat"
    expected, whole = lm.generate(text, **settings), lm.tokenizer.encode(text)
    for ids in (whole, whole[:-1], whole[1:], lm.tokenizer.encode_text(text)):
        assert lm.generate(ids, **settings) == "".join(lm.stream(ids, **settings)) == expected
        assert lm.complete(ids, **settings).prompt == text
        assert lm.generate([ids, text], **settings) == [expected] * 2
        assert lm.predict(ids) == lm.predict(text)
    assert lm.generate(whole, samples=2, **settings) == lm.generate(text, samples=2, **settings)


def test_an_id_that_is_none_is_named() -> None:
    for prompt in ([1, 9999], [1, -1]):
        with pytest.raises(TinyLMError, match="there is no id"):
            MODELS["char"].generate(prompt)
