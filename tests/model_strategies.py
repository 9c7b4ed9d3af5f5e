"""Members of the whole family of models, for tests that hold for all of them: random configs, and random weights that
hide nothing."""

from __future__ import annotations

import torch
from hypothesis import strategies as st
from torch import nn

from tinylm.config.schema import ModelConfig
from tinylm.model.transformer import TinyLM


def randomise(model: nn.Module, seed: int = 1) -> None:
    """Every number away from 0 and 1, norms and biases too: a swapped, skipped or doubled weight then shows."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            is_scale = parameter.dim() == 1 and name.endswith("weight")
            parameter.normal_(1.0 if is_scale else 0.0, 0.2, generator=generator)


def make_model(config: ModelConfig) -> TinyLM:
    """A model of random weights, in eval mode."""
    model = TinyLM(config).eval()
    randomise(model)
    return model


def make_ids(config: ModelConfig, batch: int, length: int, seed: int = 2) -> torch.Tensor:
    """Ids (batch, length), the same for the same seed."""
    return torch.randint(config.vocab_size, (batch, length), generator=torch.Generator().manual_seed(seed))


@st.composite
def _configs(draw: st.DrawFn) -> ModelConfig:
    """Any member of the family, small."""
    n_kv_heads = draw(st.integers(1, 2))
    n_heads = n_kv_heads * draw(st.integers(1, 2))
    tied = draw(st.booleans())
    choices = {
        "mlp": ("relu", "gelu", "squared_relu", "swiglu"),
        "norm": ("layernorm", "rmsnorm"),
        "norm_position": ("pre", "post"),
        "positions": ("none", "learned", "rotary"),
        "qk_norm": (False, True),
        "bias": (False, True),
        "causal": (False, True),
        "dropout": (0.0, 0.1),
        "init": ("torch", "scaled"),
    }
    chosen = {field: draw(st.sampled_from(values)) for field, values in choices.items()}
    return ModelConfig(
        vocab_size=draw(st.integers(2, 9)), context_length=draw(st.integers(4, 9)),
        n_kv_heads=n_kv_heads, n_heads=n_heads, d_model=n_heads * draw(st.sampled_from((4, 8))),
        n_layers=draw(st.sampled_from((2, 1, 0))), d_mlp=draw(st.integers(1, 12)),
        rope_theta=draw(st.sampled_from((100.0, 1e6))), tied_embeddings=tied,
        head_bias=not tied and draw(st.booleans()), **draw(st.sampled_from(({}, {}, {"d_head": 2}, {"d_head": 6}))),
        **chosen,
    )


st.register_type_strategy(ModelConfig, _configs())
