"""A number that is not finite is put into one part of a model; that part is named, and not one it has spread to."""

import math

import pytest
import torch

from tinylm.config.schema import ModelConfig, TrainConfig
from tinylm.model.taps import capture, hooked
from tinylm.model.transformer import TinyLM
from tinylm.training.diagnostics.nonfinite import all_finite, locate_nonfinite
from tinylm.training.optimizer import make_optimizers
from tinylm.training.step import train_step

PRESETS = ("tinylm", "notebook", "gpt2", "llama", "qwen3")
PARTS = (
    "embed.weight", "layers.0.attn.q_proj.weight", "layers.1.attn.k_norm.weight", "layers.1.attn.o_proj.weight",
    "layers.0.norm2.weight", "layers.0.mlp.up_proj.weight", "layers.1.mlp.gate_proj.weight",
    "layers.1.mlp.down_proj.weight", "ln_f.weight", "out_head.weight",
)


class Small:
    """A model after one step, with what belongs to a step."""

    def __init__(self, preset="tinylm", optimizer="muon", **values):
        shape = {"vocab_size": 11, "d_model": 16, "n_layers": 2, "n_heads": 2, "context_length": 8, "d_mlp": 24}
        self.model = TinyLM(ModelConfig.preset(preset, **{**shape, **values}))
        self.optimizers = make_optimizers(self.model, TrainConfig(steps=10, optimizer=optimizer))
        ids = torch.randint(3, 11, (4, 9), generator=torch.Generator().manual_seed(0)).numpy()
        self.batches = [(ids[:2, :-1], ids[:2, 1:]), (ids[2:, :-1], ids[2:, 1:])]
        assert self.step().applied

    def step(self):
        return train_step(self.model, self.optimizers, self.batches)

    def parameter(self, name):
        return dict(self.model.named_parameters())[name]

    def where(self):
        """What a step that fails is put down to."""
        result = self.step()
        assert not result.applied
        return locate_nonfinite(self.model, self.optimizers, self.batches, result.gradient_norms)


def put(tensor, value=math.nan):
    with torch.no_grad():
        tensor[(-1,) * tensor.ndim] = value


@pytest.mark.parametrize("name", PARTS)
def test_weights(name):
    small = Small()
    put(small.parameter(name))
    assert small.where() == f"the weights {name}"


@pytest.mark.parametrize("name", PARTS)
def test_gradients(name):
    small = Small()
    small.parameter(name).register_hook(lambda gradient: gradient * math.inf)
    assert small.where() == f"the gradient of {name}"


@pytest.mark.parametrize(("optimizer", "moment", "name"), [
    ("adamw", "exp_avg", "layers.1.attn.v_proj.weight"),
    ("adamw", "exp_avg_sq", "ln_f.weight"),
    ("muon", "momentum", "layers.0.mlp.down_proj.weight"),
    ("muon", "exp_avg", "embed.weight"),
    ("adam", "exp_avg_sq", "out_head.weight"),
])
def test_moments(optimizer, moment, name):
    small = Small(optimizer=optimizer)
    owner = next(each for each in small.optimizers if small.parameter(name) in each.state)
    put(owner.state[small.parameter(name)][moment], math.inf)
    where = locate_nonfinite(small.model, small.optimizers, small.batches, [])
    assert where == f"the optimiser's {moment} of {name}"


@pytest.mark.parametrize("preset", PRESETS)
def test_activations_of_every_preset(preset):
    """Each named activation in turn, the last value of which is then infinite for ever."""
    small = Small(preset)
    with torch.no_grad(), capture(small.model) as heard:
        small.model(torch.from_numpy(small.batches[0][0]))
    for name in heard:
        with hooked(small.model, spoil(name)):
            assert locate_nonfinite(small.model, small.optimizers, small.batches, []) == f"the activations {name}"


def spoil(broken):
    """A hook that breaks one activation before any other hook sees it."""
    def hook(name, activation):
        if name == broken:
            activation = activation.clone()
            put(activation, math.inf)
        return activation

    return hook


def test_the_mask_is_not_a_mistake():
    small = Small()
    assert locate_nonfinite(small.model, small.optimizers, small.batches, []) == "the loss"


def test_scores_that_overflow():
    small = Small(qk_norm=False)
    for name in ("q_proj", "k_proj"):
        with torch.no_grad():
            small.parameter(f"layers.1.attn.{name}.weight").fill_(1e25)
    assert small.where() == "the activations layers.1.attn.scores"


def test_a_loss_that_overflows():
    small = Small()
    with torch.no_grad():
        weight = small.parameter("out_head.weight")
        weight.zero_()
        weight[::2, 0], weight[1::2, 0] = 3e38, -3e38  # each logit is finite, their differences are not
        small.parameter("ln_f.weight").fill_(0.5)
    assert small.where() == "the loss"


def test_gradients_whose_squares_overflow():
    small = Small()
    small.parameter("layers.0.mlp.up_proj.weight").register_hook(lambda gradient: torch.full_like(gradient, 1e18))
    small.parameter("layers.1.mlp.up_proj.weight").register_hook(lambda gradient: torch.full_like(gradient, 1e19))
    norms = [1e30 if "layers.1.mlp.up" in name else 1.0 for name, _ in small.model.named_parameters()]
    where = locate_nonfinite(small.model, small.optimizers, small.batches, norms)
    assert where == "the gradient of layers.1.mlp.up_proj.weight"


@pytest.mark.parametrize(("preset", "begins", "name"), [
    ("tinylm", "mlp.down_proj", "layers.1.mlp.down_proj.weight"),
    ("tinylm", "attn.o_proj", "layers.1.attn.o_proj.weight"),
    ("notebook", "norm2", "layers.1.norm2.bias"),
    ("gpt2", "mlp.down_proj", "layers.1.mlp.down_proj.bias"),
])
def test_a_backward_pass_that_breaks_on_its_way_is_named_by_where_it_began(preset, begins, name):
    """From there on every gradient towards the input is NaN; the nearest to the output is the one."""
    small = Small(preset)
    part = small.model.layers[1].get_submodule(begins)
    part.register_full_backward_pre_hook(lambda _, gradients: (gradients[0] * math.nan,))
    assert small.where() == f"the gradient of {name}"


def test_a_matrix_that_is_embedding_and_head_is_used_last_as_the_head():
    small = Small("gpt2")
    small.model.out_head.register_full_backward_pre_hook(lambda _, gradients: (gradients[0] * math.nan,))
    assert small.where() == "the gradient of embed.weight"


def test_a_matrix_that_is_embedding_and_head_does_not_hide_what_broke_between():
    small = Small("gpt2")
    small.model.layers[0].attn.o_proj.register_full_backward_pre_hook(lambda _, gradients: (gradients[0] * math.nan,))
    assert small.where() == "the gradient of layers.0.attn.o_proj.bias"


def test_the_model_stays_as_it_was():
    small = Small("notebook")
    small.model.train()
    before = {name: value.clone() for name, value in small.model.state_dict().items()}
    locate_nonfinite(small.model, small.optimizers, small.batches, [])
    assert small.model.training
    assert all(module.training for module in small.model.modules())
    assert not small.model.taps.hooks
    assert all(torch.equal(value, before[name]) for name, value in small.model.state_dict().items())


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_all_finite(value):
    good = [torch.zeros(3), torch.full((2, 2), 3e38), torch.tensor([7]), torch.zeros(0), torch.tensor(-1.0)]
    assert all_finite(good)
    assert all_finite([])
    for dtype in (torch.float32, torch.bfloat16, torch.float64):
        assert not all_finite([*good, torch.tensor([0.0, value, 1.0], dtype=dtype)])
