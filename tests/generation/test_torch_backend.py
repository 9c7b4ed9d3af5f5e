"""Cached decoding = computing everything anew; where it ends; how a long text slides."""

import pytest
import torch

from tinylm.config.schema import ModelConfig, SampleConfig
from tinylm.generation.context import generate_ids
from tinylm.generation.torch_backend import TorchDecoder
from tinylm.model.transformer import TinyLM


def make(**values):
    model = TinyLM(ModelConfig(**{"vocab_size": 20, "d_model": 16, "n_layers": 2, "n_heads": 2, "context_length": 32,
                                  "init": "torch", **values})).eval()
    with torch.no_grad():
        model.out_head.weight.mul_(4)  # decided enough that rounding never tips a choice
    return model


def ids_of(model, prompt, use_cache=True, eos_id=-1, seed=0, **values):
    config = SampleConfig(**{"max_tokens": 24, "greedy": True, **values})
    return list(generate_ids(TorchDecoder(model, prompt, use_cache=use_cache), config, eos_id=eos_id, seed=seed))


FAMILY = [{}, {"positions": "learned"}, {"positions": "none"}, {"n_heads": 4, "n_kv_heads": 2},
          {"norm_position": "post", "norm": "layernorm", "bias": True, "mlp": "relu", "qk_norm": False}]


@pytest.mark.parametrize("values", FAMILY)
def test_cached_equals_uncached(values):
    model = make(**values)
    for prompt in ([1], [1, 5, 9, 3]):
        assert ids_of(model, prompt) == ids_of(model, prompt, use_cache=False)
        assert len(ids_of(model, prompt)) == 24


def test_cached_equals_uncached_when_the_text_slides():
    model = make(positions="learned", context_length=8)
    assert ids_of(model, [1, 4], max_tokens=40) == ids_of(model, [1, 4], use_cache=False, max_tokens=40)


def test_without_the_causal_mask_the_past_is_computed_anew():
    model = make(causal=False)
    decoder = TorchDecoder(model, [1, 4])
    decoder.append(7)
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(decoder.logits), model(torch.tensor([[1, 4, 7]]))[0, -1])


def test_it_ends_at_eos_which_is_the_last_id():
    model = make()
    free = ids_of(model, [1, 5])
    eos = free[5]
    assert ids_of(model, [1, 5], eos_id=eos) == free[:free.index(eos) + 1]


def test_it_ends_at_max_tokens():
    assert ids_of(make(), [1], max_tokens=0) == []
    assert len(ids_of(make(), [1], max_tokens=3)) == 3


def test_a_long_prompt_keeps_its_first_id_and_its_end():
    model = make(context_length=8)
    decoder = TorchDecoder(model, [1, *range(2, 20)])
    assert decoder.n_dropped == 19 - 4
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(decoder.logits), model(torch.tensor([[1, 17, 18, 19]]))[0, -1])


def test_a_context_of_one_token_still_decodes():
    assert len(ids_of(make(context_length=1), [1, 2, 3], max_tokens=5)) == 5


def test_seeds_repeat_a_text():
    model = make()
    assert ids_of(model, [1], greedy=False, seed=3) == ids_of(model, [1], greedy=False, seed=3)
    assert ids_of(model, [1], greedy=False, seed=3) != ids_of(model, [1], greedy=False, seed=4)
