"""Configs are frozen, say what does not fit and what was meant, and survive JSON and TOML."""

from __future__ import annotations

import json
import tomllib

import pytest
from pydantic import ValidationError

from tinylm.config.overrides import merge, parse_setting, read_toml
from tinylm.config.presets import PRESETS, SIZES, preset, size
from tinylm.config.schema import (
    SECTIONS,
    DataConfig,
    ModelConfig,
    RunConfig,
    SampleConfig,
    TrainConfig,
    default_d_mlp,
)
from tinylm.errors import TinyLMError
from tinylm.inspection.structure import total_parameters

RUN = RunConfig(
    model=ModelConfig(vocab_size=12, norm_eps=1e-5, tied_embeddings=True),
    data=DataConfig(tokenizer="char", validation="held-out.txt"),
    train=TrainConfig(minutes=1.5, target_loss=0.1 + 0.2, learning_rate=1 / 3),
    sample=SampleConfig(greedy=True, stop=("\n", "é")),
)


@pytest.mark.parametrize(("section", "values", "message"), [
    (ModelConfig, {"vocab_size": 5, "n_head": 2}, "model.n_head: there is no such setting. Did you mean 'n_heads'?"),
    (TrainConfig, {"steps": 1, "lr": 2, "learning_rat": 1}, "train.lr: there is no such setting. Choose one of: steps"),
    (SampleConfig, {"temprature": 1}, "sample.temprature: there is no such setting. Did you mean 'temperature'?"),
    (DataConfig, {"tokeniser": "bpe"}, "data.tokeniser: there is no such setting. Did you mean 'tokenizer'?"),
    (ModelConfig, {}, "model.vocab_size: this setting is required."),
    (ModelConfig, {"vocab_size": 0}, "model.vocab_size: "),
    (ModelConfig, {"vocab_size": 5, "mlp": "tanh"}, "but it is 'tanh'"),
    (ModelConfig, {"vocab_size": 5, "dropout": 1.0}, "model.dropout: "),
    (TrainConfig, {"steps": 1, "learning_rate": float("nan")}, "train.learning_rate: "),
    (SampleConfig, {"temperature": -1}, "sample.temperature: "),
])
def test_a_setting_that_is_wrong_is_named(section, values, message):
    with pytest.raises(TinyLMError) as caught:
        section(**values)
    assert message in str(caught.value)


@pytest.mark.parametrize(("values", "named"), [
    ({"d_model": 10, "n_heads": 4}, ("d_model (10)", "n_heads (4)")),
    ({"n_heads": 4, "n_kv_heads": 3}, ("n_heads (4)", "n_kv_heads (3)")),
    ({"d_model": 12, "n_heads": 4}, ("d_head (3)", "even")),
    ({"d_model": 12, "n_heads": 4, "d_head": 5}, ("d_head (5)", "even", "d_head 6")),
    ({"tied_embeddings": True, "head_bias": True}, ("tied_embeddings", "head_bias")),
])
def test_sizes_that_do_not_fit_together(values, named):
    with pytest.raises(TinyLMError) as caught:
        ModelConfig(vocab_size=5, **values)
    assert str(caught.value).startswith("model: ")
    assert all(name in str(caught.value) for name in named)


def test_an_odd_head_is_fine_where_nothing_turns():
    assert ModelConfig(vocab_size=5, d_model=12, n_heads=4, positions="none").d_head == 3


def test_a_head_may_be_wider_or_narrower_than_its_share():
    wide = ModelConfig(vocab_size=5, d_model=10, n_heads=4, d_head=16)
    assert (wide.d_head, wide.n_kv_heads) == (16, 4)
    assert ModelConfig(vocab_size=5, d_model=96, n_heads=6, d_head=4).d_head == 4
    assert ModelConfig(**wide.model_dump()) == wide


def test_what_can_be_derived_is():
    config = ModelConfig(vocab_size=5, d_model=96, n_heads=6)
    assert (config.d_head, config.n_kv_heads, config.d_mlp) == (16, 6, 256)
    assert ModelConfig(vocab_size=5, d_model=96, n_heads=6, mlp="gelu").d_mlp == 384
    assert ModelConfig(vocab_size=5, n_heads=4, n_kv_heads=2, d_mlp=7).d_mlp == 7


def test_a_gated_mlp_costs_about_what_a_wide_one_does():
    for d_model in (64, 128, 384, 768):
        gated, wide = 3 * default_d_mlp("swiglu", d_model), 2 * default_d_mlp("gelu", d_model)
        assert default_d_mlp("swiglu", d_model) % 32 == 0
        assert wide <= gated < wide + 3 * 32


@pytest.mark.parametrize("given", [{}, {"steps": 1, "epochs": 1}, {"steps": 1, "epochs": 1, "minutes": 1}])
def test_exactly_one_horizon(given):
    with pytest.raises(TinyLMError, match="exactly one of steps, epochs, minutes"):
        TrainConfig(**given)


@pytest.mark.parametrize("share", [1.0, -0.1, 2])
def test_a_share_of_validation_is_a_share(share):
    with pytest.raises(TinyLMError, match="share of 0"):
        DataConfig(validation=share)
    assert DataConfig(validation=0).validation == 0
    assert DataConfig(validation="other.txt").validation == "other.txt"


@pytest.mark.parametrize("section", [RUN, RUN.model, RUN.data, RUN.train, RUN.sample])
def test_nothing_changes_afterwards(section):
    for field in type(section).model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(section, field, getattr(section, field))


def test_json_and_toml_bring_it_back():
    assert RunConfig.from_dict(json.loads(RUN.to_json())) == RUN
    toml = "".join(f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in section.items())
                   for name, section in RUN.model_dump(mode="json", exclude_none=True).items())
    assert RunConfig.from_dict(tomllib.loads(toml)) == RUN
    changed = RunConfig.from_dict({**json.loads(RUN.to_json()), "train": {"steps": 7}})
    assert changed != RUN


def test_a_toml_file_holds_some_settings(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text('[model]\nn_layers = 2\n[train]\nlearning_rate = 1e-4\n', encoding="utf-8")
    assert read_toml(file) == {"model": {"n_layers": 2}, "train": {"learning_rate": 1e-4}}


@pytest.mark.parametrize(("text", "message"), [
    ("[modle]\nn_layers = 2", "modle: there is no such section. Did you mean 'model'?"),
    ("[model]\nn_layer = 2", "model.n_layer: there is no such setting. Did you mean 'n_layers'?"),
    ("model = 3", "model must be a [section]"),
    ("[model", "is not valid TOML"),
])
def test_a_toml_file_that_cannot_be(tmp_path, text, message):
    file = tmp_path / "run.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(TinyLMError) as caught:
        read_toml(file)
    assert message in str(caught.value)


def test_a_toml_file_that_is_not_there_or_not_text(tmp_path):
    with pytest.raises(TinyLMError, match=r"absent\.toml: cannot be read \(No such file or directory\)"):
        read_toml(tmp_path / "absent.toml")
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(TinyLMError, match="is not valid TOML"):
        read_toml(binary)


@pytest.mark.parametrize(("setting", "parsed"), [
    ("train.learning_rate=1e-3", {"train": {"learning_rate": 0.001}}),
    ("model.bias=true", {"model": {"bias": True}}),
    ("train.target_loss=null", {"train": {"target_loss": None}}),
    ("data.tokenizer=char", {"data": {"tokenizer": "char"}}),
    (" data.text_field =a=b", {"data": {"text_field": "a=b"}}),
    ('sample.stop=["."]', {"sample": {"stop": (".",)}}),
])
def test_one_setting_on_the_command_line(setting, parsed):
    assert parse_setting(setting) == parsed


@pytest.mark.parametrize(("setting", "message"), [
    ("train.steps", "is not of the form section.key=value"),
    ("steps=3", "is not of the form section.key=value"),
    ("tarin.steps=3", "tarin: there is no such section. Did you mean 'train'?"),
    ("train.step=3", "train.step: there is no such setting. Did you mean 'steps'?"),
])
def test_a_setting_that_cannot_be(setting, message):
    with pytest.raises(TinyLMError) as caught:
        parse_setting(setting)
    assert message in str(caught.value)


def test_later_choices_win_field_by_field():
    first, second = {"train": {"steps": 1, "seed": 2}}, {"train": {"seed": 3}, "data": {"tokenizer": "char"}}
    merged = merge(first, second)
    assert merged == {"model": {}, "data": {"tokenizer": "char"}, "train": {"steps": 1, "seed": 3}, "sample": {},
                      "base": {}}
    assert first == {"train": {"steps": 1, "seed": 2}}
    with pytest.raises(TinyLMError, match="Did you mean 'data'"):
        merge({"date": {}})


def test_each_preset_names_real_settings_and_makes_a_model():
    for name in PRESETS:
        for section, values in preset(name).items():
            assert set(values) <= set(SECTIONS[section].model_fields), name
        chosen = {"vocab_size": 12, **preset(name).get("model", {})}
        assert ModelConfig.preset(name, vocab_size=12) == ModelConfig(**chosen)
        assert ModelConfig.preset(name, vocab_size=12, n_layers=9).n_layers == 9


def test_the_presets_are_what_their_names_promise():
    notebook, gpt2, llama, qwen3, default = (
        ModelConfig.preset(name, vocab_size=12) for name in ("notebook", "gpt2", "llama", "qwen3", "tinylm"))
    assert (notebook.d_model, notebook.n_layers, notebook.n_heads, notebook.d_mlp) == (32, 2, 2, 64)
    assert (notebook.norm_position, notebook.mlp, notebook.positions, notebook.dropout) == ("post", "relu", "none", 0.1)
    assert (gpt2.norm, gpt2.mlp, gpt2.positions, gpt2.tied_embeddings) == ("layernorm", "gelu", "learned", True)
    for config in (llama, qwen3, default):
        assert (config.norm, config.mlp, config.positions, config.bias) == ("rmsnorm", "swiglu", "rotary", False)
    assert (llama.qk_norm, qwen3.qk_norm, default.qk_norm) == (False, True, True)
    assert default == ModelConfig(vocab_size=12)


@pytest.mark.parametrize(("look_up", "name", "meant"), [(preset, "gpt3", "gpt2"), (size, "3M", "0.3M"),
                                                         (ModelConfig.preset, "lama", "llama")])
def test_an_unknown_name_names_the_nearest(look_up, name, meant):
    with pytest.raises(TinyLMError, match=f"{name!r}.*Did you mean {meant!r}"):
        look_up(name)


def test_each_size_is_larger_than_the_one_before():
    configs = [ModelConfig(vocab_size=256, **size(name)["model"]) for name in SIZES]
    totals = [total_parameters(config) for config in configs]
    assert totals == sorted(set(totals))
    assert totals[0] < 200_000
    assert totals[-1] > 100_000_000
    named = [float(name.removesuffix("M")) for name in SIZES]
    assert named == sorted(named)
