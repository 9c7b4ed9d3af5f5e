"""Adapters beside peft, which nobody here wrote: it reads ours, and what it writes merges to the same logits."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

import tinylm
from tests.interchange.shapes import RANK, additions_to, make_model, reference
from tests.interchange.test_import_hf import FAMILIES, write_folder
from tinylm import model_folder
from tinylm.config.schema import BaseConfig
from tinylm.errors import TinyLMError
from tinylm.interchange.hugging_face.export import write
from tinylm.interchange.peft import read_adapter, write_adapter
from tinylm.interchange.source import ExportedModel
from tinylm.model.lora import merged
from tinylm.model.tensors import fingerprint

peft = pytest.importorskip("peft")
transformers = pytest.importorskip("transformers")

TOLERANCE = 2e-5
HELD = ["default", "GQA", "tied", "llama with biases", "gpt2", "squared ReLU", "LayerNorm, rotary and GELU"]
IDS = [1, *range(4, 34), 1, 1, 1, *range(20, 8, -2)]


@pytest.fixture(autouse=True)
def _peft_warns_of_itself() -> Iterator[None]:
    with warnings.catch_warnings():
        # peft 0.21.2 asks for it
        warnings.filterwarnings("ignore", message=".is_gradient_checkpointing. is deprecated")
        yield


def opened(model: ExportedModel, folder: Path) -> torch.nn.Module:
    """The base in transformers."""
    folder.mkdir()
    write(model, folder, "f32")
    return transformers.AutoModelForCausalLM.from_pretrained(folder).eval()


def logits(module: torch.nn.Module) -> NDArray[np.float32]:
    with torch.no_grad():
        found: NDArray[np.float32] = module(torch.tensor([IDS])).logits[0].numpy()
    return found


def merged_logits(model: ExportedModel, adapter: Path) -> NDArray[np.float32]:
    """Of the base with an adapter, by tinylm."""
    additions = read_adapter(adapter).additions(model.config.model)
    whole = ExportedModel(model.name, model.config, model.tokenizer, merged(model.weights, additions))
    return reference(whole, IDS)


@pytest.mark.parametrize("shape", HELD)
def test_peft_reads_ours_and_both_compute_the_same(shape: str, tmp_path: Path) -> None:
    model = make_model(shape)
    additions = additions_to(model)
    write_adapter(tmp_path / "adapter", additions, model.config.model, BaseConfig(folder="runs/base", fingerprint="f"))
    ours = reference(ExportedModel(shape, model.config, model.tokenizer, merged(model.weights, additions)), IDS)
    theirs = peft.PeftModel.from_pretrained(opened(model, tmp_path / "hf"), tmp_path / "adapter").eval()
    assert np.abs(logits(theirs) - ours).max() <= TOLERANCE * max(1, ours.std())
    assert np.abs(ours - reference(model, IDS)).max() > 0.5, "too quiet to compare"
    assert np.abs(merged_logits(model, tmp_path / "adapter") - ours).max() <= TOLERANCE * max(1, ours.std())


def made_by_peft(base: torch.nn.Module, folder: Path, targets: Any, **settings: Any) -> NDArray[np.float32]:
    """An adapter of peft's with loud numbers. Returns the logits by peft."""
    config = peft.LoraConfig(task_type="CAUSAL_LM", target_modules=targets, init_lora_weights=True,
                             **{"r": RANK, "lora_alpha": 5, **settings})
    theirs = peft.get_peft_model(base, config).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if "lora_" in name:
                parameter.copy_(0.2 * torch.randn(parameter.shape, generator=generator))
    theirs.save_pretrained(folder)
    return logits(theirs)


@pytest.mark.parametrize(("shape", "targets", "settings"), [
    ("default", "all-linear", {}),
    ("default", ["q_proj", "v_proj"], {"use_rslora": True}),
    ("GQA", ["k_proj", "down_proj"], {"rank_pattern": {"k_proj": 2}, "alpha_pattern": {"layers.1.mlp.down_proj": 9}}),
    ("gpt2", ["c_attn", "c_proj"], {"fan_in_fan_out": True}),
    ("squared ReLU", ["up_proj"], {"layers_to_transform": [1]}),
    ("LayerNorm, rotary and GELU", ["c_fc", "o_proj"], {}),
])
def test_what_peft_writes_merges_to_the_same_logits(shape: str, targets: Any, settings: dict[str, Any],
                                                    tmp_path: Path) -> None:
    model = make_model(shape)
    expected = made_by_peft(opened(model, tmp_path / "hf"), tmp_path / "adapter", targets, **settings)
    assert np.abs(merged_logits(model, tmp_path / "adapter") - expected).max() <= TOLERANCE * max(1, expected.std())
    assert np.abs(expected - reference(model, IDS)).max() > 0.5, "too quiet to compare"
    assert read_adapter(tmp_path / "adapter").fingerprint == ""
    assert model.name not in read_adapter(tmp_path / "adapter").base


@pytest.mark.parametrize("family", FAMILIES)
def test_adapters_of_imported_models_keep_the_names_of_their_class(family: str, tmp_path: Path) -> None:
    base = write_folder(tmp_path / "hf", family)
    tinylm.import_model(tmp_path / "hf", tmp_path / "base")
    expected = made_by_peft(base.eval(), tmp_path / "adapter", "all-linear", fan_in_fan_out=family == "gpt2")
    lm = tinylm.merge(tmp_path / "adapter", tmp_path / "merged", base=tmp_path / "base")
    with torch.no_grad():
        found = lm.model(torch.tensor([IDS]))[0].numpy()
    assert np.abs(found - expected).max() <= TOLERANCE * max(1, expected.std())


# ---- what cannot be merged


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter to the model `default`, by the fingerprint of its weights. Not to be changed: copy it."""
    model, folder = make_model("default"), tmp_path_factory.mktemp("adapters") / "adapter"
    base = BaseConfig(folder="runs/base", fingerprint=fingerprint(model.weights))
    write_adapter(folder, additions_to(model), model.config.model, base)
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder of `default`."""
    model, folder = make_model("default"), tmp_path_factory.mktemp("models") / "base"
    tinylm.LanguageModel(model.config, model.tokenizer, weights=model.weights).save(folder)
    return folder


def copied(adapter: Path, folder: Path, settings: dict[str, Any] | None = None, **tensors: Any) -> Path:
    """A copy with other settings, and other tensors; None: without that one."""
    folder.mkdir()
    known = json.loads((adapter / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**known, **(settings or {})}))
    held = {**load_file(adapter / "adapter_model.safetensors"), **tensors}
    save_file({name: array for name, array in held.items() if array is not None}, folder / "adapter_model.safetensors")
    return folder


def test_the_base_is_found_by_its_name_and_known_by_its_weights(adapter: Path, base: Path, tmp_path: Path,
                                                               monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TinyLMError, match="names base as its base, which is no model folder here") as error:
        tinylm.merge(adapter, tmp_path / "merged")
    assert "--base MODEL" in error.value.remedy
    monkeypatch.chdir(base.parent)
    lm = tinylm.merge(adapter, tmp_path / "merged")
    assert lm.config.base.folder == str(base)
    assert np.array_equal(lm.model.embed.weight.detach(), make_model("default").weights["embed.weight"])
    other = make_model("default", seed=1)
    tinylm.LanguageModel(other.config, other.tokenizer, weights=other.weights).save(tmp_path / "other")
    with pytest.raises(TinyLMError, match="was made on other weights than those of"):
        tinylm.merge(adapter, tmp_path / "not", base=tmp_path / "other")
    assert not (tmp_path / "not").exists()


FOREIGN = "base_model.model.model.layers.0.mlp.experts.lora_A.weight"
FIRST = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"


@pytest.mark.parametrize(("settings", "tensors", "message"), [
    ({"peft_type": "IA3"}, {}, "of type IA3, and tinylm reads LoRA"),
    ({"use_dora": True}, {}, "has use_dora True"),
    ({"modules_to_save": ["lm_head"]}, {}, "has modules_to_save"),
    ({"bias": "all"}, {}, "has bias all"),
    ({"init_lora_weights": "pissa_niter_4"}, {}, "has init_lora_weights pissa_niter_4"),
    ({"a_setting_of_tomorrow": 3}, {}, "has a_setting_of_tomorrow 3"),
    ({"alpha_pattern": {".*q_proj": 4}}, {}, "pattern"),
    ({"alpha_pattern": [1]}, {}, "not a list of settings"),
    ({"lora_alpha": "much"}, {}, "lora_alpha is no number"),
    ({"lora_alpha": 10**400}, {}, "lora_alpha is no number"),
    ({"lora_alpha": 9e8}, {FIRST: np.full((RANK, 64), 3e38, np.float32)}, "gives numbers that are not finite"),
    ({}, {FIRST: None}, "which is not A or B of an addition"),
    ({}, {"lm_head.weight": np.ones((3, 3), np.float32)}, "which is not A or B of an addition"),
    ({}, {FOREIGN: np.ones((3, 64), np.float32), FOREIGN.replace("A.w", "B.w"): np.ones((64, 3), np.float32)},
     "the base has no matrix model.layers.0.mlp.experts"),
    ({}, {FIRST: np.ones((RANK, 32), np.float32)}, "of 64 x 32 numbers, and that of the base has 64 x 64"),
    ({}, {FIRST: np.ones(64, np.float32)}, "and that of the base has 64 x 64"),
    ({}, {FIRST: np.full((RANK, 64), np.nan, np.float32)}, "not a finite number"),
])
def test_what_is_more_or_less_than_additions_is_named(adapter: Path, base: Path, tmp_path: Path, message: str,
                                                      settings: dict[str, Any], tensors: dict[str, Any]) -> None:
    changed = copied(adapter, tmp_path / "adapter", settings, **tensors)
    with pytest.raises(TinyLMError, match=message):
        tinylm.merge(changed, tmp_path / "merged", base=base)
    assert not (tmp_path / "merged").exists()


def test_a_pickle_and_an_empty_folder_are_no_adapters(adapter: Path, base: Path, tmp_path: Path) -> None:
    changed = copied(adapter, tmp_path / "adapter")
    (changed / "adapter_model.safetensors").rename(changed / "adapter_model.bin")
    with pytest.raises(TinyLMError, match="a pickle, which could run code"):
        tinylm.merge(changed, tmp_path / "merged", base=base)
    (changed / "adapter_config.json").unlink()
    with pytest.raises(TinyLMError, match="has no adapter_config"):
        tinylm.merge(changed, tmp_path / "merged", base=base)
    for given in (base, tmp_path / "nowhere"):
        with pytest.raises(TinyLMError, match=r"whole without an adapter|no such folder"):
            tinylm.merge(given, tmp_path / "merged", base=base)


def test_an_adapter_is_no_model_and_says_the_way_to_one(adapter: Path) -> None:
    with pytest.raises(TinyLMError, match="is an adapter, which needs its base") as error:
        tinylm.load(adapter)
    assert "tinylm merge" in error.value.remedy


def test_a_model_that_is_there_is_replaced_by_force_alone(adapter: Path, base: Path, tmp_path: Path) -> None:
    tinylm.merge(adapter, tmp_path / "merged", base=base)
    with pytest.raises(TinyLMError, match="there is a model already"):
        tinylm.merge(adapter, tmp_path / "merged", base=base)
    tinylm.merge(adapter, tmp_path / "merged", base=base, force=True)
    assert model_folder.read_config(tmp_path / "merged").base.folder == str(base)
