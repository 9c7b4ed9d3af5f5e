"""The engine computes what the reading file computes, for the whole family; and the same digits however it is asked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.generation.step_decoder import StepDecoder
from tests.model_strategies import make_ids, make_model
from tinylm.config.presets import PRESETS
from tinylm.config.schema import ModelConfig
from tinylm.engine.engine import Engine
from tinylm.engine.kv_cache import SequenceCache
from tinylm.engine.thread_tuner import ThreadTuner
from tinylm.engine.weights import quantised
from tinylm.errors import TinyLMError
from tinylm.generation.backend import EngineBackend
from tinylm.model.tensors import weights_of
from tinylm.model.transformer import TinyLM

STEPS = 256
Rounding = Callable[[torch.Tensor], torch.Tensor]
SHAPES = [{}, {"d_model": 60, "n_heads": 5, "n_kv_heads": 1, "d_mlp": 77, "positions": "learned", "bias": True},
          {"norm_position": "post", "norm": "layernorm", "mlp": "gelu", "head_bias": True, "positions": "none"},
          {"mlp": "squared_relu", "tied_embeddings": True, "d_model": 96, "n_heads": 2, "qk_norm": False},
          {"d_head": 24, "n_kv_heads": 2}, {"d_head": 6, "bias": True, "mlp": "relu"}, {"n_layers": 0}]
any_config = st.from_type(ModelConfig).map(lambda config: config.model_copy(update={"causal": True}))


def shape(**values: object) -> ModelConfig:
    return ModelConfig(**{"vocab_size": 101, "d_model": 64, "n_layers": 2, "n_heads": 4, "context_length": 300,
                          **values})


def engine(model: TinyLM, **choices: object) -> Engine:
    return Engine(model.config, weights_of(model), **choices)


def at_once(engine: Engine, ids: list[int]) -> np.ndarray:
    """The logits (T, V) of a text read in one call."""
    return engine.read([SequenceCache(engine.config)] * len(ids), ids, len(ids)).copy()


def by_torch(model: TinyLM, ids: list[int]) -> np.ndarray:
    with torch.no_grad():
        return model(torch.tensor([ids]))[0].numpy()


@settings(derandomize=True, deadline=None, max_examples=80)
@given(config=any_config)
def test_every_config_computes_what_the_module_computes(config: ModelConfig) -> None:
    model, ids = make_model(config), make_ids(config, 1, config.context_length)[0].tolist()
    np.testing.assert_allclose(at_once(engine(model), ids), by_torch(model, ids), atol=1e-4, rtol=1e-5)


@pytest.mark.parametrize("values", SHAPES, ids=str)
def test_so_do_larger_ones_over_a_whole_context(values: dict[str, object]) -> None:
    config = shape(**values)
    model, ids = TinyLM(config.model_copy(update={"init": "torch"})).eval(), make_ids(config, 1, 300)[0].tolist()
    assert np.abs(at_once(engine(model), ids) - by_torch(model, ids)).max() < 1e-4


@pytest.mark.parametrize("preset", PRESETS)
def test_greedy_ids_of_every_preset_are_the_modules(preset: str) -> None:
    """Over 256 steps, past the end of the context, each from the logits of the one before."""
    config = ModelConfig.preset(preset, vocab_size=101, d_model=64, n_layers=2, n_heads=4, context_length=100)
    model = make_model(config)
    decoder, reference = StepDecoder(EngineBackend(engine(model)), [1, 5]), None
    for _ in range(STEPS):
        reference = by_torch(model, decoder.visible)[-1]
        assert np.abs(decoder.logits - reference).max() < 1e-4
        assert decoder.logits.argmax() == reference.argmax()
        decoder.append(int(decoder.logits.argmax()))
    assert decoder.n_dropped > 0


@pytest.fixture
def on_all_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    """However little there is to do, where an engine may have several."""
    monkeypatch.setattr(ThreadTuner, "cores", lambda tuner, *_: tuner._most)


@pytest.mark.usefixtures("on_all_cores")
@pytest.mark.parametrize("cores", [1, 2, 3])
@pytest.mark.parametrize("weight_dtype", ["fp32", "bf16", "int8"])
@pytest.mark.parametrize("values", SHAPES, ids=str)
def test_a_digit_does_not_depend_on_what_is_computed_together(values: dict[str, object], weight_dtype: str,
                                                              cores: int) -> None:
    """One by one, in blocks, beside other texts, on one core, two or three: the same bytes."""
    config = shape(**values)
    model, ids = make_model(config), make_ids(config, 3, 40).tolist()
    one, several = (engine(model, weight_dtype=weight_dtype, cores=number) for number in (1, cores))
    expected = [at_once(one, row) for row in ids]
    streams = [SequenceCache(config) for _ in ids]
    several.read([streams[0]] * 7, ids[0][:7], 1)
    several.read([streams[1]] * 3, ids[1][:3], 1)
    for step in range(25):
        lengths = [stream.length for stream in streams]
        logits = several.read(streams, [row[length] for row, length in zip(ids, lengths, strict=True)], 3)
        for row, length in enumerate(lengths):
            assert np.array_equal(logits[row], expected[row][length]), (step, row)


@pytest.mark.usefixtures("on_all_cores")
@pytest.mark.parametrize("weight_dtype", ["fp32", "bf16", "int8"])
def test_nor_does_it_for_any_config_depend_on_the_cores(weight_dtype: str) -> None:
    @settings(derandomize=True, deadline=None, max_examples=40)
    @given(config=any_config, cores=st.integers(2, 4))
    def check(config: ModelConfig, cores: int) -> None:
        model, ids = make_model(config), make_ids(config, 1, config.context_length)[0].tolist()
        one, several = (engine(model, weight_dtype=weight_dtype, cores=number) for number in (1, cores))
        assert np.array_equal(at_once(one, ids), at_once(several, ids), equal_nan=True)

    check()


def of_8_bits(matrix: torch.Tensor) -> torch.Tensor:
    numbers, scales = quantised(matrix.numpy())
    return torch.from_numpy(numbers * scales[:, None])


@pytest.mark.parametrize("values", [{}, {"d_head": 24, "n_kv_heads": 2}], ids=str)
@pytest.mark.parametrize(("weight_dtype", "rounding"), [("bf16", lambda each: each.bfloat16().float()),
                                                   ("int8", of_8_bits)])
def test_16_and_8_bits_compute_what_the_module_does_with_such_weights(weight_dtype: str, rounding: Rounding,
                                                                      values: dict[str, object]) -> None:
    config = shape(**values)
    model, ids = make_model(config), make_ids(config, 1, 50)[0].tolist()
    rounded = TinyLM(config).eval()
    rounded.load_state_dict({name: rounding(each) if each.dim() == 2 and name != "embed.weight" else each
                             for name, each in model.state_dict().items()})
    assert np.abs(at_once(engine(model, weight_dtype=weight_dtype), ids) - by_torch(rounded, ids)).max() < 1e-4


def test_8_bits_are_half_a_step_off_at_most() -> None:
    matrix = make_model(shape()).out_head.weight.detach().numpy().copy()
    matrix[3] = 0
    numbers, scales = quantised(matrix)
    assert (np.abs(numbers * scales[:, None] - matrix) <= scales[:, None] * 0.5001).all()
    assert (np.abs(np.delete(numbers, 3, 0)).max(axis=1) == 127).all()


@pytest.mark.parametrize("weight_dtype", ["fp32", "bf16", "int8"])
@pytest.mark.parametrize("number", ["inf", "nan"])
def test_what_is_not_finite_is_an_error(weight_dtype: str, number: str) -> None:
    model = make_model(shape())
    with torch.no_grad():
        model.out_head.weight[3, 5] = float(number)
    with pytest.raises(TinyLMError, match="computes a number that is not finite"):
        StepDecoder(EngineBackend(engine(model, weight_dtype=weight_dtype)), [1, 2])
    with torch.no_grad():
        model.out_head.weight[3, 5] = 1.0
        model.layers[0].mlp.down_proj.weight[2, 1] = 3e38
        model.layers[0].mlp.down_proj.weight[2, 2] = 3e38
        model.layers[0].mlp.up_proj.weight.fill_(100.0)
    with pytest.raises(TinyLMError, match="computes a number that is not finite"):
        StepDecoder(EngineBackend(engine(model)), [1, 2])
