"""The memory of training, from the config alone, against what PyTorch keeps."""

import pytest
import torch

from tinylm.config.schema import ModelConfig, TrainConfig
from tinylm.jit.thread_pool import ThreadPool
from tinylm.model.transformer import TinyLM
from tinylm.planning import memory_model
from tinylm.training.backend import Compute
from tinylm.training.loss import total_loss

ROWS, LENGTH = 2, 64
SHAPE = {"vocab_size": 1000, "context_length": LENGTH, "d_model": 48, "n_layers": 2, "n_heads": 4, "d_mlp": 200}


def kept(config, dtype, rows=ROWS):
    """Bytes that the forward pass keeps for the backward pass, weights not counted."""
    model = TinyLM(config)
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    sizes = {}

    def see(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    ids = torch.zeros((rows, LENGTH), dtype=torch.int64)
    short = torch.autocast("cpu", dtype, enabled=dtype != torch.float32)
    with short, torch.autograd.graph.saved_tensors_hooks(see, lambda tensor: tensor):
        total_loss(model(ids), ids)
    return sum(sizes.values())


@pytest.mark.parametrize("changed", [
    {}, {"dropout": 0.1}, {"n_kv_heads": 1}, {"n_kv_heads": 1, "dropout": 0.1}, {"qk_norm": False}, {"d_head": 24},
    {"norm": "layernorm", "bias": True, "positions": "learned"}, {"norm": "layernorm", "norm_position": "post"},
    *({"mlp": mlp, "dropout": dropout} for mlp in ("gelu", "relu", "squared_relu") for dropout in (0.0, 0.1)),
], ids=str)
def test_what_is_kept_for_the_backward_pass_is_counted_exactly(changed):
    config = ModelConfig(**SHAPE, mlp=changed.get("mlp", "swiglu"), **{k: v for k, v in changed.items() if k != "mlp"})
    counted = ROWS * LENGTH * memory_model.saved_bytes_per_token(config, LENGTH)
    assert counted == pytest.approx(kept(config, torch.float32), rel=0.015)


@pytest.mark.parametrize("changed", [
    {}, {"n_kv_heads": 1}, {"qk_norm": False}, {"norm": "layernorm", "bias": True, "positions": "learned"},
    {"mlp": "gelu"}, {"mlp": "relu"}, {"dropout": 0.1},
], ids=str)
def test_in_16_bits_it_is_counted_too(changed):
    """Of each token: the matrices, which are kept once more, do not grow with the batch. Dropout's pattern is partly of
    32 bits on a CPU."""
    config = ModelConfig(**SHAPE, **changed)
    compute = Compute(torch.device("cpu"), torch.bfloat16, ThreadPool(), fast=False)
    short, exact = memory_model.saved_bytes_per_token(config, LENGTH, compute), kept(config, torch.bfloat16, 2 * ROWS)
    exact -= kept(config, torch.bfloat16)
    assert ROWS * LENGTH * short == pytest.approx(exact, rel=0.3 if config.dropout else 0.02)
    assert short < 0.9 * memory_model.saved_bytes_per_token(config, LENGTH)


def test_a_gpu_with_fused_dropout_keeps_no_pattern():
    config = ModelConfig(**SHAPE, dropout=0.1)
    of = {kind: memory_model.saved_bytes_per_token(config, LENGTH, Compute(
        torch.device(kind), torch.bfloat16, ThreadPool(), fast=False)) for kind in ("cpu", "cuda")}
    assert of["cpu"] - of["cuda"] == pytest.approx(config.n_layers * 2 * 3 * config.n_heads * LENGTH, rel=0.1)


def test_weights_are_counted_by_their_kind():
    config = ModelConfig(**SHAPE)
    weights = memory_model.count_weights(config)
    model = TinyLM(config)
    assert weights.total == sum(p.numel() for p in model.parameters())
    assert weights.matrices == sum(p.numel() for name, p in model.named_parameters()
                                   if name.startswith("layers.") and p.ndim == 2)
    assert weights.largest_group == 2 * 2 * 48 * 200  # up and gate of two layers


@pytest.mark.parametrize("more", [{"batch_size": 64}, {"gradient_accumulation": 2}])
def test_more_work_needs_more_memory(more):
    config = ModelConfig(**SHAPE)
    few = memory_model.training_peak(config, TrainConfig(steps=1), validation_batch_tokens=8192)
    assert memory_model.training_peak(config, TrainConfig(steps=1, **more), validation_batch_tokens=8192) > few
    assert memory_model.training_peak(config, TrainConfig(steps=1), validation_batch_tokens=0) < few
