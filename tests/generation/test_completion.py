"""What came of a prompt: many at once as one by one, and how likely each token was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.generation.hf_reference import TOKENIZERS, llama_of, make_lm
from tinylm.errors import TinyLMError
from tinylm.sampling.predictions import top_ids

MODELS = {kind: make_lm(kind) for kind in TOKENIZERS}
PROMPTS = ["", "the cat", "the cat sat on the mat , the cat sat again . how are you ? " * 3, "how", "the dog is fine"]
SETTINGS = [{"greedy": True}, {"temperature": 1.3, "seed": 5}, {"top_k": 7, "repetition_penalty": 1.2, "seed": 9},
            {"stop": ("e", "a", "cat"), "seed": 3}]


@given(st.lists(st.sampled_from([-1.5, 0.0, 0.25, 7.0]), min_size=1, max_size=30), st.integers(0, 40))
def test_the_likeliest_are_the_first_of_all_in_order(values: list[float], count: int) -> None:
    in_order = sorted(range(len(values)), key=lambda id: (-values[id], id))
    assert top_ids(np.array(values, np.float32), count) == in_order[:count]


@pytest.mark.parametrize("values", SETTINGS, ids=str)
@pytest.mark.parametrize("kind", TOKENIZERS)
def test_a_list_of_prompts_is_written_as_one_by_one(kind: str, values: dict) -> None:
    """Ragged, longer than the context, with texts that end early: text, ids, reason, what was forgotten."""
    lm = MODELS[kind]
    together = lm.complete(PROMPTS, max_tokens=30, **{"seed": 0, **values})
    assert together == [lm.complete(prompt, max_tokens=30, **{"seed": 0, **values}) for prompt in PROMPTS]
    assert lm.generate(PROMPTS, max_tokens=30, **{"seed": 0, **values}) == [each.text for each in together]
    assert max(each.n_dropped for each in together) > 0


def test_samples_have_the_next_seeds_and_come_prompt_after_prompt() -> None:
    lm = MODELS["bpe"]
    written = lm.complete(["the", "how"], samples=3, seed=7, max_tokens=20)
    assert written == [lm.complete(prompt, seed=seed, max_tokens=20) for prompt in ("the", "how") for seed in (7, 8, 9)]
    assert lm.complete("the", samples=1, seed=7, max_tokens=20) == written[:1]
    assert [each.seed for each in lm.complete("", samples=2, seed=2**63 - 1, max_tokens=1)] == [2**63 - 1, 0]
    assert len({each.text for each in lm.complete("the", samples=5, max_tokens=20)}) > 1


def test_more_texts_than_are_written_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    lm = MODELS["char"]
    expected = lm.complete("the", samples=10, seed=0, max_tokens=12)
    monkeypatch.setattr("tinylm.generation.generator.MAX_TEXTS", 3)
    assert lm.complete("the", samples=10, seed=0, max_tokens=12) == expected


def test_nothing_asked_nothing_written() -> None:
    assert MODELS["char"].generate([]) == []
    with pytest.raises(TinyLMError, match="samples: there cannot be 0 of them"):
        MODELS["char"].generate("the", samples=0)
    with pytest.raises(TinyLMError, match="'!'"):
        MODELS["char"].generate(["the", "the!"])
    with pytest.raises(TinyLMError, match="every token is banned"):
        MODELS["word"].generate(["the"], ban=tuple(f"#{id}" for id in range(TOKENIZERS["word"].vocab_size)))


# ---- log-probabilities


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_log_probabilities_are_those_of_transformers(kind: str) -> None:
    """Of its logits before any processor, whatever the settings; of texts written alone and together."""
    lm = MODELS[kind]
    twin = llama_of(lm)
    values = {"seed": 4, "max_tokens": 15, "top_k": 6, "temperature": 0.7, "presence_penalty": 0.5}
    alone = lm.complete("the cat", logprobs=4, **values)
    assert lm.complete(["how", "the cat"], logprobs=4, **values)[1] == alone
    prompt = lm.tokenizer.encode_prompt("the cat")
    with torch.no_grad():
        logits = twin(torch.tensor([[*prompt, *alone.ids]])).logits[0, len(prompt) - 1:-1]
    expected = logits.double().log_softmax(-1)
    for place, (id, noted) in enumerate(zip(alone.ids, alone.logprobs, strict=True)):
        assert (noted.id, noted.token) == (id, lm.tokenizer.token(id))
        assert noted.logprob == pytest.approx(expected[place, id].item(), abs=1e-4)
        assert [other.id for other in noted.top] == expected[place].argsort(descending=True)[:4].tolist()
        assert [other.logprob for other in noted.top] == pytest.approx(
            expected[place].sort(descending=True).values[:4].tolist(), abs=1e-4)


def test_log_probabilities_agree_with_predict() -> None:
    lm = MODELS["word"]
    first = lm.complete("the", logprobs=100, max_tokens=1, temperature=5.0, seed=1).logprobs[0]
    best = lm.predict("the", top=100)
    assert [other.id for other in first.top] == [each.id for each in best]
    assert np.exp([other.logprob for other in first.top]) == pytest.approx([each.probability for each in best])
    assert sum(np.exp([other.logprob for other in first.top])) == pytest.approx(1)


def test_what_is_not_asked_for_is_not_noted() -> None:
    lm = MODELS["word"]
    assert lm.complete("the", max_tokens=2).logprobs is None
    written = lm.complete("the", max_tokens=2, logprobs=0, banned_tokens=("#2",))
    assert [noted.top for noted in written.logprobs] == [[], []]
    with pytest.raises(TinyLMError, match="logprobs: there cannot be -1 of them"):
        lm.complete("the", logprobs=-1)


# ---- S9: streamed text = unstreamed text, UTF-8 never cut


@settings(derandomize=True, deadline=None, max_examples=100)
@given(seed=st.integers(0, 2**40), prompt=st.sampled_from(PROMPTS),
       stop=st.sampled_from([(), ("e",), ("日",), ("\ufffd",)]), temperature=st.sampled_from([0.5, 1.0, 3.0]))
def test_s9_streamed_text_is_the_unstreamed_one(seed: int, prompt: str, stop: tuple[str, ...],
                                                temperature: float) -> None:
    """A random byte-level model writes mostly what is no UTF-8 at all."""
    lm = MODELS["bpe"]
    values = {"seed": seed, "stop": stop, "temperature": temperature, "max_tokens": 40}
    whole = lm.complete(prompt, **values)
    pieces = list(lm.stream(prompt, **values))
    assert "".join(pieces) == whole.text == lm.generate([prompt], **values)[0]
    assert all(piece.encode("utf-8").decode("utf-8") == piece for piece in pieces)
    if not stop:
        assert whole.text == lm.tokenizer.decode(whole.ids)
    assert not any(text in whole.text for text in stop)
