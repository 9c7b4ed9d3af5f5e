"""Properties of every member of the family: the shape of the logits, causality, and that the cache changes nothing."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tinylm.config.presets import PRESETS
from tinylm.config.schema import ModelConfig
from tinylm.errors import TinyLMError
from tinylm.model import kv_cache
from tinylm.model.kv_cache import KVCache
from tinylm.model.taps import hooked
from tinylm.model.transformer import TinyLM

LENGTH = 12
SMALL = {"vocab_size": 11, "d_model": 32, "n_layers": 2, "n_heads": 4, "d_mlp": 48, "context_length": LENGTH}

any_config = st.from_type(ModelConfig)
family = settings(derandomize=True, deadline=None, max_examples=60)


def logits_with_a_changed_token(model, ids, position):
    """The logits before and after the id at `position` becomes another one."""
    changed = ids.clone()
    changed[:, position] = (changed[:, position] + 1) % model.config.vocab_size
    with torch.no_grad():
        return model(ids), model(changed)


@family
@given(config=any_config, batch=st.integers(1, 3), data=st.data())
def test_logits_are_batch_time_vocabulary(make_ids, config, batch, data):
    length = data.draw(st.integers(1, config.context_length))
    logits = TinyLM(config)(make_ids(config, batch, length))
    assert logits.shape == (batch, length, config.vocab_size)
    assert logits.isfinite().all()


@family
@given(config=any_config, data=st.data())
def test_a_changed_token_leaves_the_past_untouched(make_model, make_ids, config, data):
    config = config.model_copy(update={"causal": True})
    model, ids = make_model(config), make_ids(config, 2, config.context_length)
    position = data.draw(st.integers(0, config.context_length - 1))
    before, after = logits_with_a_changed_token(model, ids, position)
    assert torch.equal(before[:, :position], after[:, :position])
    assert not torch.equal(before[:, position:], after[:, position:])


@pytest.mark.parametrize("hooked_up", [False, True], ids=["fused", "written out"])
@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_causal_bit_for_bit(make_model, make_ids, preset, hooked_up):
    config = ModelConfig.preset(preset, **SMALL)
    model, ids = make_model(config), make_ids(config, 2, LENGTH)
    model.taps.hooks += [lambda _, activation: activation] * hooked_up
    for position in range(LENGTH):
        before, after = logits_with_a_changed_token(model, ids, position)
        assert torch.equal(before[:, :position], after[:, :position])
        assert (before[:, position] - after[:, position]).abs().max() > 1e-3


@pytest.mark.parametrize("preset", PRESETS)
def test_without_the_mask_the_future_reaches_the_past(make_model, make_ids, preset):
    config = ModelConfig.preset(preset, **SMALL, causal=False)
    model, ids = make_model(config), make_ids(config, 2, LENGTH)
    before, after = logits_with_a_changed_token(model, ids, LENGTH - 1)
    assert (before[:, :-1] - after[:, :-1]).abs().amax(dim=(0, 2)).min() > 1e-5


@pytest.mark.parametrize("preset", ["gpt2", "llama", "qwen3", "tinylm"])
def test_position_matters_except_in_the_notebook(make_model, make_ids, preset):
    """Two earlier tokens that change places make another sentence, but not another set."""
    for name, differs in ((preset, True), ("notebook", False)):
        config = ModelConfig.preset(name, **{**SMALL, "n_layers": 1})
        model, ids = make_model(config), make_ids(config, 1, 5)
        swapped = ids[:, [1, 0, 2, 3, 4]]
        assert not torch.equal(ids, swapped)
        with torch.no_grad():
            difference = (model(ids)[:, -1] - model(swapped)[:, -1]).abs().max()
        assert (difference > 1e-4) == differs


@family
@given(config=any_config, data=st.data())
def test_the_cache_changes_nothing(make_model, make_ids, config, data):
    """Prefilled in pieces of any sizes, or one token at a time, the logits are those of one pass."""
    config = config.model_copy(update={"causal": True})
    model, length = make_model(config), config.context_length
    ids, cache = make_ids(config, 2, length), KVCache(config, 2, length)
    pieces, start = [], 0
    with torch.no_grad():
        while start < length:
            end = min(start + data.draw(st.integers(1, 3)), length)
            pieces.append(model(ids[:, start:end], cache))
            start = end
        assert (torch.cat(pieces, dim=1) - model(ids)).abs().max() <= 1e-5
    assert cache.length == length


@pytest.mark.parametrize("preset", PRESETS)
def test_one_token_at_a_time(make_model, make_ids, preset):
    config = ModelConfig.preset(preset, **SMALL)
    model, ids, cache = make_model(config), make_ids(config, 2, LENGTH), KVCache(config, 2, LENGTH)
    with torch.no_grad():
        steps = torch.cat([model(ids[:, i : i + 1], cache) for i in range(LENGTH)], dim=1)
        assert (steps - model(ids)).abs().max() <= 1e-5
    assert cache.length == cache.capacity == LENGTH


def test_learned_positions_end_and_say_so(make_model, make_ids):
    config = ModelConfig.preset("gpt2", **SMALL)
    model, cache = make_model(config), KVCache(config, 1, LENGTH + 1)
    with pytest.raises(TinyLMError, match=f"{LENGTH + 1} positions.*{LENGTH}"):
        model(make_ids(config, 1, LENGTH + 1))
    model(make_ids(config, 1, LENGTH), cache)
    with pytest.raises(TinyLMError, match="context_length"):
        model(make_ids(config, 1, 1), cache)


@pytest.mark.parametrize("preset", ["notebook", "llama", "qwen3", "tinylm"])
def test_other_positions_go_on(make_model, make_ids, preset):
    config = ModelConfig.preset(preset, **SMALL)
    assert make_model(config)(make_ids(config, 1, 2 * LENGTH)).shape == (1, 2 * LENGTH, config.vocab_size)


def test_dropout_only_while_training(make_model, make_ids):
    config = ModelConfig.preset("tinylm", **SMALL, dropout=0.5)
    model, ids = make_model(config), make_ids(config, 1, LENGTH)
    assert torch.equal(model(ids), model(ids))
    model.train()
    assert not torch.equal(model(ids), model(ids))
    with hooked(model, lambda _, activation: activation):
        assert not torch.equal(model(ids), model(ids))


# ---- rows of a batch at positions of their own

PLACED = ["notebook", "gpt2", "qwen3"]
"""Without positions, with learned ones, with rotary ones."""


@pytest.mark.parametrize("hooked_up", [False, True], ids=["fused", "written out"])
@pytest.mark.parametrize("preset", PLACED)
def test_a_row_that_stands_elsewhere_has_the_logits_it_has_alone(make_model, make_ids, preset, hooked_up):
    config = ModelConfig.preset(preset, **SMALL)
    model, ids = make_model(config), make_ids(config, 2, 4)
    model.taps.hooks += [lambda _, activation: activation] * hooked_up
    positions = torch.tensor([[0, 1, 2, 3], [5, 6, 7, 8]])
    with torch.no_grad():
        together = model(ids, position_ids=positions)
        for row in range(2):
            alone = model(ids[row:row + 1], position_ids=positions[row:row + 1])
            assert (together[row] - alone[0]).abs().max() <= 1e-5
        assert (together[0] - model(ids)[0]).abs().max() <= 1e-5
        moved = (together[1] - model(ids)[1]).abs().max()
    assert (moved > 1e-3) == (preset == "gpt2")  # the others know distances, or nothing, of where a row stands


@pytest.mark.parametrize("hooked_up", [False, True], ids=["fused", "written out"])
@pytest.mark.parametrize("preset", PLACED)
def test_rows_of_different_lengths_go_on_together_with_a_cache(make_model, make_ids, preset, hooked_up):
    """Prompts of 7 and 4 ids, the shorter one filled up at its end, go on one id at a time, and then two."""
    config, lengths = ModelConfig.preset(preset, **SMALL), torch.tensor([7, 4])
    model, ids, cache = make_model(config), make_ids(config, 2, LENGTH), KVCache(config, 2, LENGTH)
    model.taps.hooks += [lambda _, activation: activation] * hooked_up
    prompts = ids[:, :7].clone()
    prompts[1, 4:] = 0
    with torch.no_grad():
        alone = [model(ids[row:row + 1])[0] for row in range(2)]
        found = model(prompts, cache)
        for row, length in enumerate(lengths):
            assert (found[row, :length] - alone[row][:length]).abs().max() <= 1e-5
        for n_new in (1, 1, 2):
            positions = lengths[:, None] + torch.arange(n_new)
            found = model(ids.gather(1, positions), cache, positions)
            for row in range(2):
                assert (found[row] - alone[row][positions[row]]).abs().max() <= 1e-5
            lengths = lengths + n_new
    assert cache.length == lengths.max()


def test_a_cache_grows_under_rows_of_different_lengths(make_model, make_ids, monkeypatch):
    monkeypatch.setattr(kv_cache, "INITIAL_CAPACITY", 2)
    config = ModelConfig.preset("tinylm", **SMALL)
    model, ids, cache = make_model(config), make_ids(config, 2, LENGTH), KVCache(config, 2, LENGTH)
    with torch.no_grad():
        alone = model(ids)
        model(ids[:, :2], cache)
        for step in range(2, LENGTH):
            positions = torch.tensor([[step], [(step + 2) // 2]])
            found = model(ids.gather(1, positions), cache, positions)
            for row, position in enumerate(positions[:, 0]):
                assert (found[row, 0] - alone[row, position]).abs().max() <= 1e-5
    assert cache.layers[0].keys.shape[2] == LENGTH


def test_learned_positions_end_for_rows_of_their_own_too(make_model, make_ids):
    config = ModelConfig.preset("gpt2", **SMALL)
    with pytest.raises(TinyLMError, match=f"{LENGTH + 1} positions.*{LENGTH}"):
        make_model(config)(make_ids(config, 1, 1), position_ids=torch.tensor([[LENGTH]]))


# ---- heads that are not a share of the width


@pytest.mark.parametrize("preset", PRESETS)
def test_heads_may_be_wider_or_narrower_than_their_share(make_model, make_ids, preset):
    for d_head in (4, 12):
        config = ModelConfig.preset(preset, **SMALL, d_head=d_head)
        model, ids, cache = make_model(config), make_ids(config, 2, LENGTH), KVCache(config, 2, LENGTH)
        assert model.layers[0].attn.q_proj.weight.shape == (4 * d_head, 32)
        assert model.layers[0].attn.o_proj.weight.shape == (32, 4 * d_head)
        with torch.no_grad():
            steps = torch.cat([model(ids[:, i:i + 1], cache) for i in range(LENGTH)], dim=1)
            assert (steps - model(ids)).abs().max() <= 1e-5
