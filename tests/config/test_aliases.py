"""Old names of settings stay accepted wherever a setting is given; what is written has the standard names."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import tinylm
from tinylm import model_folder
from tinylm.config.aliases import ALIASES
from tinylm.config.overrides import check_overrides, merge_overrides, parse_setting, read_toml
from tinylm.config.schema import SECTIONS, DataConfig, RunConfig, SampleConfig, TrainConfig
from tinylm.errors import TinyLMError

MODEL = Path(__file__).parents[1] / "fixtures" / "models" / "0.1.0" / "word"
OLD = {"train": {"most_epochs": 2.5, "until": 1.25, "accumulation": 3}, "data": {"rows": "padded"},
       "sample": {"force": ("how",), "ban": ("you",)}}
NEW = {section: {ALIASES[name]: value for name, value in values.items()} for section, values in OLD.items()}
BOTH = r"until is an old name of target_loss, and both are given\. Leave out until"


def test_every_old_name_is_tried_here() -> None:
    assert {name for values in OLD.values() for name in values} | {"storage"} == set(ALIASES)
    for section, kind in SECTIONS.items():
        assert NEW.get(section, {}).keys() <= kind.model_fields.keys()
        assert not kind.model_fields.keys() & ALIASES


# ---- doors: Python, TOML, --set, a flag, config.json


def test_python() -> None:
    assert TrainConfig(steps=1, **OLD["train"]) == TrainConfig(steps=1, **NEW["train"])
    assert DataConfig(**OLD["data"]) == DataConfig(**NEW["data"])
    assert SampleConfig(**OLD["sample"]) == SampleConfig(**NEW["sample"])
    assert check_overrides(OLD) == NEW
    lm = tinylm.load(MODEL)
    assert lm.sample_config(**OLD["sample"]) == lm.sample_config(**NEW["sample"])
    assert lm.generate("hello", max_tokens=1, force="day") == "day"


def test_a_flag_of_its_own() -> None:
    assert merge_overrides(until=2.0)["train"] == {"target_loss": 2.0}


def test_toml(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text('[train]\nmost_epochs = 2.5\nuntil = 1.25\naccumulation = 3\n[data]\nrows = "padded"\n'
                    '[sample]\nforce = "how"\nban = "you"\n')
    assert read_toml(file) == NEW


@pytest.mark.parametrize("section", OLD)
def test_set(section: str) -> None:
    for name, value in OLD[section].items():
        text = ",".join(value) if isinstance(value, tuple) else value
        assert parse_setting(f"{section}.{name}={text}") == {section: {ALIASES[name]: value}}


def test_config_json(tmp_path: Path) -> None:
    shutil.copytree(MODEL, tmp_path / "model")
    path = tmp_path / "model" / "config.json"
    values = json.loads(path.read_text())
    values["train"] |= {"until": 1.25, "accumulation": 3, "most_epochs": None}
    values["sample"]["ban"] = ["you"]
    path.write_text(json.dumps(values))
    config = model_folder.read_config(tmp_path / "model")
    assert (config.train.target_loss, config.train.gradient_accumulation, config.train.max_epochs) == (1.25, 3, None)
    assert config.sample.banned_tokens == ("you",)
    written = json.loads(config.to_json())
    assert not any(name in ALIASES for values in written.values() for name in values)
    assert RunConfig.from_dict(written) == config
    values["train"]["target_loss"] = 1.25
    path.write_text(json.dumps(values))
    with pytest.raises(TinyLMError, match=r"config\.json: train\.target_loss: until is an old name of target_loss"):
        model_folder.read_config(tmp_path / "model")


def test_the_dtype_of_loaded_weights() -> None:
    assert tinylm.load(MODEL, storage="int8").weight_dtype == "int8"
    with pytest.raises(TinyLMError, match="storage is an old name of weight_dtype"):
        tinylm.load(MODEL, storage="int8", weight_dtype="int8")


# ---- what is wrong


def test_both_names_are_an_error_in_every_door(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text("[train]\nuntil = 1\ntarget_loss = 1\n")
    for give in (lambda: TrainConfig(steps=1, until=1, target_loss=1), lambda: merge_overrides(until=1, target_loss=1),
                 lambda: check_overrides({"train": {"target_loss": 1, "until": 1}}), lambda: read_toml(file)):
        with pytest.raises(TinyLMError, match=BOTH):
            give()


def test_a_later_layer_replaces_an_earlier_one_by_either_name() -> None:
    assert merge_overrides(layers=({"train": {"until": 1}}, {"train": {"target_loss": 2}}))["train"]["target_loss"] == 2
    assert merge_overrides(layers=({"train": {"target_loss": 1}},), until=2)["train"]["target_loss"] == 2


def test_errors_name_the_standard_name() -> None:
    with pytest.raises(TinyLMError, match=r"train\.gradient_accumulation: must be a whole number .* but it is 'many'"):
        TrainConfig(steps=1, accumulation="many")
    with pytest.raises(TinyLMError, match=r"data\.until: there is no such setting\. It is train\.target_loss"):
        check_overrides({"data": {"until": 1}})
