"""Beam search finds what that of transformers finds, with the same scores, in every kind of early stopping."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

import tinylm
from tests.generation.hf_reference import TOKENIZERS, llama_of, make_lm
from tinylm.engine.kv_cache import SequenceCache
from tinylm.errors import TinyLMError
from tinylm.generation.torch_backend import TorchBackend
from tinylm.model.threads import torch_threads

LONG = {"context_length": 64}
MODELS = {(kind, sharpness): make_lm(kind, sharpness, **LONG)
          for kind in ("word", "char") for sharpness in (0.3, 1.0, 3.0)}
TWINS = {key: llama_of(lm) for key, lm in MODELS.items()}
PROMPTS = {"word": "the cat", "char": "how are"}


def by_transformers(key: tuple[str, float], prompt: str, count: int, **values: object) -> list[tuple[list[int], float]]:
    lm = MODELS[key]
    ids = lm.tokenizer.encode_prompt(prompt)
    with torch.no_grad(), torch_threads(1):  # two would wait for each other beside another program
        found = TWINS[key].generate(
            torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), do_sample=False, num_return_sequences=count,
            output_scores=True, return_dict_in_generate=True, **values)
    texts = []
    for row, score in zip(found.sequences.tolist(), found.sequences_scores.tolist(), strict=True):
        new = row[len(ids):]
        texts.append((new[:new.index(2) + 1] if 2 in new else new, score))
    return texts


@pytest.mark.parametrize("key", MODELS, ids=str)
@pytest.mark.parametrize("early_stopping", [True, False, "never"])
def test_texts_and_scores_are_those_of_transformers(key: tuple[str, float], early_stopping: bool | str) -> None:
    lm, prompt = MODELS[key], PROMPTS[key[0]]
    for beams, length_penalty, most in itertools.product((2, 3, 5), (0.0, 1.0, 2.0, -0.5), (1, 6, 20)):
        ours = lm.complete(prompt, samples=2, beams=beams, length_penalty=length_penalty, early_stopping=early_stopping,
                           max_tokens=most)
        expected = by_transformers(key, prompt, 2, num_beams=beams, length_penalty=length_penalty,
                                   early_stopping=early_stopping, max_new_tokens=most)
        assert [each.ids for each in ours] == [ids for ids, _ in expected], (beams, length_penalty, most)
        assert [each.score for each in ours] == pytest.approx([score for _, score in expected], abs=1e-4)


def test_some_of_those_texts_end_by_themselves_and_differ_from_the_greedy_one() -> None:
    """Else the test above would not test much."""
    ended, others = set(), 0
    for (kind, _), lm in MODELS.items():
        best = lm.complete(PROMPTS[kind], beams=5, max_tokens=20, length_penalty=0.0)
        ended.add(best.stopped_by)
        others += best.ids != lm.complete(PROMPTS[kind], greedy=True, max_tokens=20).ids
    assert ended == {"eos", "length"}
    assert others >= 3


def test_the_score_is_the_mean_of_the_log_probabilities() -> None:
    lm = MODELS["word", 1.0]
    best = lm.complete("the cat", beams=4, max_tokens=8, logprobs=0)
    assert best.score == pytest.approx(np.mean([noted.logprob for noted in best.logprobs]))
    assert best.text == lm.generate("the cat", beams=4, max_tokens=8) == "".join(
        lm.stream("the cat", beams=4, max_tokens=8))
    assert lm.complete(["the", "the cat"], beams=4, max_tokens=8, logprobs=0)[1].score == best.score


def test_with_enough_beams_the_likeliest_text_of_all_is_found() -> None:
    """Every text of three tokens is tried."""
    lm = make_lm("word", 1.0)
    size, ids = lm.tokenizer.vocab_size, lm.tokenizer.encode_prompt("the")
    texts = [[*two, one] for two in itertools.product(range(size), repeat=2) for one in range(size)]
    texts = [text[:text.index(2) + 1] if 2 in text else text for text in texts]
    firsts = torch.tensor([[*ids, *pair] for pair in itertools.product(range(size), repeat=2)])
    with torch.no_grad():
        shares = lm.model(firsts).double().log_softmax(-1)[:, len(ids) - 1:].numpy()

    def score(text: list[int]) -> float:
        row = shares[text[0] * size + (text[1] if len(text) > 1 else 0)]
        return sum(row[place, id] for place, id in enumerate(text))

    found = lm.complete("the", beams=size * size, max_tokens=3, length_penalty=0.0)
    likeliest = max(texts, key=score)
    assert found.ids == likeliest
    assert found.score == pytest.approx(score(likeliest), abs=1e-4)


@pytest.mark.parametrize("length", [10, 60, 130])
def test_the_engine_and_torch_find_the_same_past_the_end_of_the_context(length: int) -> None:
    lm = make_lm("char", 2.0)
    other = tinylm.LanguageModel(lm.config, lm.tokenizer, make_lm("char", 2.0).model)
    assert isinstance(other._backend(), TorchBackend)
    values = {"beams": 3, "max_tokens": 40, "banned_tokens": ("#2",)}
    ours, theirs = (each.complete("a" * length, **values) for each in (lm, other))
    assert ours.ids == theirs.ids
    assert ours.score == pytest.approx(theirs.score, abs=1e-4)
    assert ours.n_dropped > 0
    assert len(ours.ids) == 40


def test_bans_bias_and_forced_tokens_hold() -> None:
    lm = MODELS["word", 1.0]
    free = lm.complete("the", beams=3, max_tokens=6)
    banned = f"#{free.ids[0]}"
    assert free.ids[0] not in lm.complete("the", beams=3, max_tokens=6, banned_tokens=(banned,)).ids
    assert set(lm.complete("the", beams=3, max_tokens=6, logit_bias={"#7": 1000}).ids) == {7}
    forced = lm.complete("the", beams=3, max_tokens=6, prefix=("cat", "dog"), banned_tokens=("cat",))
    assert forced.text.startswith("cat dog ")
    assert "cat" not in forced.text[3:]
    assert lm.complete("the", beams=3, max_tokens=0).ids == []
    assert lm.complete("the", beams=3, max_tokens=9, stop=(free.text.split()[2],)).stopped_by == "stop"


@pytest.mark.parametrize(("values", "says"), [
    ({"repetition_penalty": 1.1}, "sample.repetition_penalty: a beam search has no penalties"),
    ({"banned_tokens": tuple(f"#{id}" for id in range(TOKENIZERS["word"].vocab_size))}, "every token is banned"),
    ({"samples": 3}, "a search with 2 beams finds no 3 texts"),
    ({"beams": 0}, "sample.beams"), ({"overflow": "error"}, "the prompt has"),
])
def test_what_cannot_be_searched_is_said(values: dict, says: str) -> None:
    lm = MODELS["word", 1.0]
    prompt = "the cat sat " * (30 if "overflow" in values else 1)
    with pytest.raises(TinyLMError, match=says):
        lm.complete(prompt, **{"beams": 2, **values})


def test_a_copy_of_a_stream_goes_on_by_itself() -> None:
    lm = make_lm("char", context_length=1200)
    engine, ids = lm._engine, np.random.default_rng(0).integers(3, 30, 700).tolist()
    for length in (0, 1, 16, 511, 512, 513, 700):
        stream = SequenceCache(engine.config)
        if length:
            engine.read([stream] * length, ids[:length], 0)
        twin = stream.copy()
        engine.read([twin] * 3, [5, 6, 7], 1)
        expected = engine.read([stream] * 3, [8, 9, 4], 3).copy()
        fresh = SequenceCache(engine.config)
        assert np.array_equal(engine.read([fresh] * (length + 3), [*ids[:length], 8, 9, 4], 3), expected)
        again = SequenceCache(engine.config)
        engine.read([again] * (length + 3), [*ids[:length], 5, 6, 7], 1)
        assert np.array_equal(engine.read([twin], [8], 1).copy(), engine.read([again], [8], 1))


@pytest.mark.parametrize("least", [1, 4, 12])
def test_no_text_ends_before_min_tokens(least: int) -> None:
    """Nor in transformers, with the same texts and scores."""
    key = ("char", 3.0)
    ours = MODELS[key].complete(PROMPTS["char"], samples=2, beams=3, min_tokens=least, max_tokens=14,
                                early_stopping=True)
    expected = by_transformers(key, PROMPTS["char"], 2, num_beams=3, min_new_tokens=least, max_new_tokens=14,
                               early_stopping=True)
    assert [each.ids for each in ours] == [ids for ids, _ in expected]
    assert all(len(each.ids) > least or len(each.ids) == 14 for each in ours)
