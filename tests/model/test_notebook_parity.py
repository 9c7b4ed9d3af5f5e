"""The notebook preset is the notebook's own class, which is built on torch.nn.TransformerEncoderLayer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinylm.config.schema import ModelConfig
from tinylm.model.taps import capture
from tinylm.model.transformer import TinyLM

TOLERANCE = 1e-6
EXACT = 1e-13
"""In 64 bits, where the path that is written out is compared: it rounds in another order than torch's fused kernels, so
in 32 bits the last digits tell of the processor and not of the mathematics."""
LENGTH = 7


class NotebookLM(nn.Module):
    """The class of the teaching notebook, with its causal mask as a choice and its dropout as a number."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.causal = config.causal
        self.embed = nn.Embedding(config.vocab_size, config.d_model)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(d_model=config.d_model, nhead=2, dim_feedforward=64, batch_first=True,
                                       dropout=config.dropout)
            for _ in range(config.n_layers)
        )
        self.ln_f = nn.LayerNorm(config.d_model)
        self.out_head = nn.Linear(config.d_model, config.vocab_size)

    def forward(self, ids: Tensor) -> Tensor:
        length = ids.shape[1]
        mask = torch.triu(torch.ones(length, length) * float("-inf"), diagonal=1) if self.causal else None
        x = self.embed(ids)
        mask = mask if mask is None else mask.to(x.dtype)
        for layer in self.layers:
            x = layer(x, src_mask=mask)
        return self.out_head(self.ln_f(x))


RENAMED = {"norm1": "norm1", "norm2": "norm2", "linear1": "mlp.up_proj", "linear2": "mlp.down_proj",
           "self_attn.out_proj": "attn.o_proj"}


def to_our_names(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The notebook's parameters, or their gradients, under our names; in_proj is q, k and v stacked."""
    ours = {}
    for name, tensor in tensors.items():
        for old, new in RENAMED.items():
            name = name.replace(f".{old}.", f".{new}.")
        if ".self_attn.in_proj_" in name:
            layer, kind = name.split(".self_attn.in_proj_")
            for part, third in zip("qkv", tensor.chunk(3), strict=True):
                ours[f"{layer}.attn.{part}_proj.{kind}"] = third
        else:
            ours[name] = tensor
    return ours


@pytest.fixture(params=[True, False], ids=["causal", "not causal"])
def config(request: pytest.FixtureRequest) -> ModelConfig:
    return ModelConfig.preset("notebook", vocab_size=12, causal=request.param)


def pair(config: ModelConfig, randomise: Callable[..., None]) -> tuple[NotebookLM, TinyLM]:
    """The two with the same weights."""
    theirs, ours = NotebookLM(config), TinyLM(config)
    randomise(theirs)
    ours.load_state_dict(to_our_names(theirs.state_dict()))
    return theirs, ours


def gradients(model: nn.Module, logits: Tensor, ids: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).backward()
    return {name: parameter.grad for name, parameter in model.named_parameters()}


def assert_same(theirs: dict[str, Tensor], ours: dict[str, Tensor], tolerance: float = TOLERANCE) -> None:
    assert set(theirs) == set(ours)
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor, rtol=0, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}")
        assert tensor.abs().max() > 100 * TOLERANCE or name.endswith("k_proj.bias"), f"{name} is too small to compare"


def test_outputs_and_gradients_are_the_notebooks(config, randomise, make_ids):
    theirs, ours = (model.eval() for model in pair(config, randomise))
    ids = make_ids(config, 4, LENGTH)
    their_logits, our_logits = theirs(ids), ours(ids)
    assert (their_logits - our_logits).abs().max() <= TOLERANCE
    assert_same(to_our_names(gradients(theirs, their_logits, ids)), gradients(ours, our_logits, ids))


def test_so_they_are_on_the_path_that_is_written_out(config, randomise, make_ids):
    theirs, ours = (model.double().eval() for model in pair(config, randomise))
    ids = make_ids(config, 4, LENGTH)
    with capture(ours):
        our_logits = ours(ids)
        our_gradients = gradients(ours, our_logits, ids)
    their_logits = theirs(ids)
    assert (their_logits - our_logits).abs().max() <= EXACT
    assert_same(to_our_names(gradients(theirs, their_logits, ids)), our_gradients, EXACT)


@pytest.mark.parametrize("hooked_up", [False, True], ids=["fused", "written out"])
def test_dropout_sits_in_the_same_four_places(config, randomise, make_ids, hooked_up):
    """Both models draw the same numbers in the same order from one random state, so they drop the same activations.

    A batch of one, because torch's layer drops attention's output in (T, B, D) order."""
    config = ModelConfig(**{**config.model_dump(), "dropout": 0.3})
    theirs, ours = (model.train() for model in pair(config, randomise))
    ids = make_ids(config, 1, LENGTH)
    torch.manual_seed(0)
    their_logits = theirs(ids)
    torch.manual_seed(0)
    with capture(ours) if hooked_up else nullcontext():
        our_logits = ours(ids)
    torch.testing.assert_close(our_logits, their_logits, rtol=0, atol=TOLERANCE)
    assert (ours.eval()(ids) - our_logits).abs().max() > 0.1
    assert_same(to_our_names(gradients(theirs, their_logits, ids)), gradients(ours, our_logits, ids))


def test_it_has_as_many_parameters(config):
    assert sum(p.numel() for p in TinyLM(config).parameters()) == 17_932
    assert sum(p.numel() for p in NotebookLM(config).parameters()) == 17_932


def test_names_in_the_state_dict():
    inside = [f"{part}.{kind}" for part in (
        "norm1", "attn.q_proj", "attn.k_proj", "attn.v_proj", "attn.o_proj", "norm2", "mlp.up_proj", "mlp.down_proj",
    ) for kind in ("weight", "bias")]
    layers = [f"layers.{i}.{name}" for i in (0, 1) for name in inside]
    names = list(TinyLM(ModelConfig.preset("notebook", vocab_size=12)).state_dict())
    assert names == ["embed.weight", *layers, "ln_f.weight", "ln_f.bias", "out_head.weight", "out_head.bias"]


def test_names_that_only_other_members_of_the_family_have():
    learned = TinyLM(ModelConfig(vocab_size=3, n_layers=1, positions="learned")).state_dict()
    assert set(learned) >= {"positions.weight", "layers.0.mlp.gate_proj.weight", "layers.0.attn.q_norm.weight",
                            "layers.0.attn.k_norm.weight"}
