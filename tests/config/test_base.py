"""The settings of fine-tuning: what a base fixes, what contradicts it, and a config that has none."""

from __future__ import annotations

import json

import pytest

from tinylm.config.overrides import merge_overrides
from tinylm.config.schema import BaseConfig, DataConfig, ModelConfig, RunConfig, TrainConfig
from tinylm.errors import TinyLMError

FROM_NOTHING = RunConfig(model=ModelConfig(vocab_size=12), data=DataConfig(), train=TrainConfig(epochs=2))
FINE_TUNING = FROM_NOTHING.model_copy(update={
    "model": ModelConfig(vocab_size=12, d_model=64, dropout=0.2), "data": DataConfig(tokenizer="bpe", vocab_size=12),
    "base": BaseConfig(folder="/models/novel", fingerprint="f00d", replay=0.25)})


@pytest.mark.parametrize(("choice", "where"), [
    ({"size_name": "0.3M"}, "--size"),
    ({"preset_name": "qwen3"}, "--preset"),
    ({"preset_name": "notebook"}, "--preset"),
    ({"tokenizer": "char"}, "data.tokenizer"),
    ({"vocab_size": 99}, "data.vocab_size"),
    ({"layers": ({"model": {"d_model": 64}},)}, "model.d_model"),
    ({"layers": ({"data": {"unknown_token": False}},)}, "data.unknown_token"),
])
def test_a_choice_that_contradicts_the_base_is_named_with_the_way_out(choice, where):
    with pytest.raises(TinyLMError, match="the base") as error:
        merge_overrides(base="novel", **choice)
    assert error.value.where == where
    assert "--from none" in error.value.remedy
    assert merge_overrides(base="none", **choice)["base"] == {"folder": ""}


def test_what_does_not_contradict_the_base_is_taken():
    merged = merge_overrides(base="novel", preset_name="TinyLM", tokenizer="auto", replay="20%",
                             layers=({"model": {"dropout": 0.1, "context_length": 64}},))
    assert merged["base"] == {"folder": "novel", "replay": 0.2}
    assert merged["model"] == {"dropout": 0.1, "context_length": 64}


def test_a_file_of_settings_names_a_base_and_the_command_another(tmp_path):
    file = tmp_path / "settings.toml"
    file.write_text('[base]\nfolder = "novel"\n')
    assert merge_overrides(layers=(file,))["base"]["folder"] == "novel"
    assert merge_overrides(layers=(file,), base="poems")["base"]["folder"] == "poems"
    assert merge_overrides(layers=(file,), base="None", size_name="0.3M")["base"]["folder"] == ""


@pytest.mark.parametrize("base", ["", 3, object()])
def test_a_base_that_is_no_path_is_refused(base):
    with pytest.raises(TinyLMError, match="path of a model folder"):
        merge_overrides(base=base)


def test_the_fingerprint_is_nobodys_choice():
    with pytest.raises(TinyLMError, match="--from"):
        merge_overrides(layers=({"base": {"fingerprint": "f00d"}},))


def test_a_config_without_a_base_has_no_section_for_one():
    assert "base" not in json.loads(FROM_NOTHING.to_json())
    assert "base" not in FROM_NOTHING.model_dump(mode="json")


def test_a_base_is_kept_by_json():
    assert RunConfig.from_dict(json.loads(FINE_TUNING.to_json())) == FINE_TUNING


def test_the_command_that_repeats_a_run_names_the_base_and_nothing_that_it_fixes():
    assert FINE_TUNING.command() == ("tinylm train SOURCE --from /models/novel --replay 0.25 --epochs 2 "
                                     "--set model.dropout=0.2")
    assert "--from" not in FROM_NOTHING.command()
