"""The explainer of a trained model: the text that it measures on, tokens by name, and a model left as it was."""

from __future__ import annotations

import numpy as np
import pytest

import tinylm
from tinylm.errors import TinyLMError
from tinylm.inspection.heads import loss_of
from tinylm.training.loss import count_targets


@pytest.fixture(scope="module")
def lm(book_run):
    return tinylm.load(book_run)


def test_the_whole_validation_text_has_the_loss_that_evaluate_tells(lm):
    report = lm.evaluate()
    split, batches = lm.evaluator.own_batches(10**9)
    assert (split, count_targets(batches)) == (report.split, report.tokens)
    assert loss_of(lm.model, batches) == pytest.approx(report.loss, abs=1e-4)


def test_some_of_the_text_is_taken_evenly_from_the_whole(lm):
    _, everything = lm.evaluator.own_batches(10**9)
    _, some = lm.evaluator.own_batches(2048)
    assert 1500 < count_targets(some) < 2600
    found = [next(n for n, (inputs, _) in enumerate(everything) if np.array_equal(inputs, chosen))
             for chosen, _ in some]
    gaps = np.diff(found)
    assert found[0] == 0
    assert gaps.min() >= gaps.max() - 1 > 0
    assert found[-1] + gaps.max() >= len(everything) - 1


def test_parts_together_are_not_the_sum_of_parts_alone(lm):
    together = lm.explainer.effect("attn", n_tokens=1024)
    assert (together.split, together.parts[0].part) == ("validation", "attn")
    alone = lm.explainer.effects(n_tokens=1024)
    assert alone.loss == together.loss
    heads = [part.difference for part in alone.parts if not part.part.endswith("mlp")]
    assert together.parts[0].difference != pytest.approx(sum(heads), abs=1e-3)


def test_ids_are_explained_like_the_text(lm):
    ids = lm.tokenizer.encode_prompt("The ")
    assert lm.explain(ids).tokens() == lm.explain("The ").tokens()
    assert lm.explain(ids).ids == tuple(ids)


def test_tokens_are_named_by_text_or_number(lm):
    id = lm.tokenizer.encode_text("e")[0]
    assert lm.explainer.neighbours("e") == lm.explainer.neighbours(f"#{id}") == lm.explainer.neighbours(id)
    assert len(lm.explainer.embedding_map().points) == lm.tokenizer.vocab_size
    for token in ("ab", "#100000", 100000, -1):
        with pytest.raises(TinyLMError, match=r"tokens, and has to be one|there is no"):
            lm.explainer.neighbours(token)


def test_an_explanation_leaves_the_model_as_it_was(lm):
    before = lm.predict("The ", top=3)
    text = lm.explain("The ")
    text.without("attn").tokens()
    text.training_step()
    text.patch_map(lm.explain("She "))
    assert not lm.model.taps.hooks
    assert lm.predict("The ", top=3) == before
    assert lm.served_by == "engine"
