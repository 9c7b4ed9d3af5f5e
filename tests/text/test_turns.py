"""Conversations in rows: the answers alone are targets, and none loses its question."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from tinylm.config.schema import ModelConfig
from tinylm.model.transformer import TinyLM
from tinylm.text.dataset import Part
from tinylm.text.rows import IGNORE, Rows
from tinylm.text.turns import TooLong, longest_conversation, too_long, whole_turns
from tinylm.training.backend import TrainingBackend, choose_compute


def conversations(lengths: list[list[tuple[int, int]]]) -> Part:
    """Conversations of exchanges: so many ids of a question, and of an answer. Each id of a question tells its
    exchange, and so does each of its answer."""
    ids: list[int] = []
    is_target: list[bool] = []
    offsets, number = [0], 10
    for conversation in lengths:
        for asked, answered in conversation:
            ids += [number] * (asked + answered)
            is_target += [False] * asked + [True] * answered
            number += 1
        offsets.append(len(ids))
    return Part(np.array(ids), np.array(offsets), n_bytes=sum(is_target), is_target=np.array(is_target, bool))


exchanges = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 8)), min_size=1, max_size=5)


@given(st.lists(exchanges, min_size=1, max_size=6), st.integers(4, 40), st.sampled_from(["packed", "padded"]))
def test_an_answer_stands_in_a_row_behind_its_whole_question_or_nowhere(
        lengths: list[list[tuple[int, int]]], most: int, packing: str) -> None:
    part = conversations(lengths)
    fitting = [(asked, answered) for each in lengths for asked, answered in each if asked + answered <= most]
    if not fitting:
        assert whole_turns(part, most).n_tokens == 0
        return
    rows = Rows(part, packing=packing, context_length=most)
    inputs, targets = rows.rows(0, rows.rows_per_epoch)
    counted = 0
    for row_inputs, row_targets in zip(inputs.tolist(), targets.tolist(), strict=True):
        for position, target in enumerate(row_targets):
            if target != IGNORE:
                counted += 1
                asked, _ = [size for each in lengths for size in each][target - 10]
                before = [*row_inputs[1:position + 1]]
                assert before.count(target) >= asked, "the question stands before its answer in the row"
    assert counted == sum(answered for _, answered in fitting)
    left_out = sum(len(each) for each in lengths) - len(fitting)
    assert too_long(part, most).exchanges == left_out


def test_conversations_that_fit_stay_as_they_are() -> None:
    part = conversations([[(2, 3), (1, 1)], [(4, 2)]])
    assert whole_turns(part, 7) is part
    assert longest_conversation(part, None) == 7
    assert too_long(part, 6) == TooLong(conversations=1, exchanges=0)


@pytest.mark.parametrize("fast", [False, True], ids=["reference", "compiled"])
def test_gradients_are_of_the_answers_alone(fast: bool) -> None:
    part = conversations([[(3, 2), (2, 2)], [(4, 3)]])
    config = ModelConfig(vocab_size=16, d_model=32, n_layers=1, n_heads=2, context_length=16, init="torch")
    model = TinyLM(config, seed=0)
    compute = choose_compute(config, torch.device("cpu"), precision="float32", flops=1.0)
    backend = TrainingBackend(model, replace(compute, fast=fast))
    inputs, targets = Rows(part, packing="packed", context_length=16).batch(0, 1)
    backend.backward([(inputs, targets)], n_targets=7, dropout_seed=0)
    found = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}

    model.zero_grad()
    logits = model(torch.tensor([[1, *part.ids[:8], 1, *part.ids[9:15]]]))[0]
    answers = torch.tensor([3, 4, 7, 8, 13, 14, 15])  # the positions that the lengths above give to answers
    F.cross_entropy(logits[answers], torch.tensor(part.ids)[answers]).backward()
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(found[name], parameter.grad, rtol=1e-4, atol=1e-6)
