"""Adapters in GGUF: real llama.cpp adds them to a file of their base, and computes what the merged model computes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from numpy.typing import NDArray

import tinylm
from tests.interchange.gguf.test_export import HELD, MORE, REFUSED, llama_cpp, sequences, tolerance
from tests.interchange.shapes import RANK, SHAPES, adapter_to, additions_to, greedy, make_model, reference
from tinylm.errors import TinyLMError
from tinylm.interchange.export import export
from tinylm.interchange.formats import FORMATS
from tinylm.interchange.gguf.adapter.export import ADAPTER, write
from tinylm.interchange.gguf.adapter.importing import read_adapter
from tinylm.interchange.gguf.export import MODEL
from tinylm.interchange.gguf.export import write as write_model
from tinylm.interchange.gguf.llama_cpp import ask
from tinylm.interchange.importing import read_model
from tinylm.interchange.source import ExportedAdapter
from tinylm.model.lora import Addition, merged
from tinylm.model.tensors import fingerprint


def by_llama_cpp(adapter: ExportedAdapter, folder: Path, prompts: list[list[int]]) -> list[NDArray[np.float32]]:
    """The logits of prompts by llama.cpp, of a base in 32 bits with an adapter."""
    write_model(adapter.base, folder, "f32")
    write(adapter, folder, "f32")
    return ask(folder / MODEL, adapter=folder / ADAPTER, sequences=prompts).logits


@llama_cpp
@pytest.mark.parametrize("shape", [*HELD, *MORE])
def test_llama_cpp_computes_what_the_merged_model_computes(shape: str, tmp_path: Path,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SHAPES, shape, {**SHAPES, **MORE}[shape])
    adapter = adapter_to(make_model(shape))
    prompts = sequences(adapter, 2)
    for ids, logits in zip(prompts, by_llama_cpp(adapter, tmp_path, prompts), strict=True):
        ours = reference(adapter, ids)
        assert np.abs(logits - ours).max() < 2 * tolerance(shape)  # additions make GELU's errors louder, too
        assert np.abs(ours - reference(adapter.base, ids)).max() > 0.5, "too quiet to compare"


@llama_cpp
@pytest.mark.parametrize("shape", ["llama", "gpt2"])
def test_some_matrices_alone_with_scales_and_ranks_of_their_own(shape: str, tmp_path: Path) -> None:
    base = make_model(shape)
    chosen = {name: addition._replace(scale=addition.scale * (1 + i))
              for i, (name, addition) in enumerate(additions_to(base).items())
              if name.endswith(("k_proj.weight", "down_proj.weight"))}
    name, narrow = next(iter(chosen.items()))
    chosen[name] = Addition(narrow.a[:1], narrow.b[:, :1], -2.0)
    adapter = adapter_to(base, chosen)
    prompts = sequences(adapter, 2)
    for ids, logits in zip(prompts, by_llama_cpp(adapter, tmp_path, prompts), strict=True):
        assert np.abs(logits - reference(adapter, ids)).max() < 2 * tolerance(shape)
    back = merged(base.weights, read_adapter(tmp_path / ADAPTER).additions(base.config.model))
    assert all(np.allclose(back[each], adapter.weights[each], atol=1e-6) for each in back)


@pytest.mark.parametrize("shape", HELD)
def test_it_comes_back_as_it_went(shape: str, tmp_path: Path) -> None:
    base = make_model(shape)
    adapter = adapter_to(base)
    write(adapter, tmp_path, "f32")
    found = read_adapter(tmp_path / ADAPTER)
    assert (found.base, found.fingerprint, found.architecture) == (shape, fingerprint(base.weights), HELD[shape])
    back = found.additions(base.config.model)
    assert back.keys() == adapter.additions.keys()
    for name, (a, b, scale) in adapter.additions.items():
        assert np.allclose(back[name].scale * back[name].b @ back[name].a, scale * b @ a, atol=1e-6)


def test_the_package_gguf_reads_the_same(tmp_path: Path) -> None:
    adapter = adapter_to(make_model("GQA"))
    write(adapter, tmp_path, "f32")
    reader = gguf.GGUFReader(tmp_path / ADAPTER)
    keys = {name: field.contents() for name, field in reader.fields.items()}
    assert (keys["general.type"], keys["adapter.type"], keys["general.architecture"]) == ("adapter", "lora", "qwen3")
    assert keys["adapter.lora.alpha"] == 16
    assert keys["general.base_model.0.name"] == "GQA"
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    assert len(tensors) == 2 * len(adapter.additions)
    a, b, _ = adapter.additions["layers.1.mlp.down_proj.weight"]
    assert np.array_equal(tensors["blk.1.ffn_down.weight.lora_a"].data, a)
    assert np.array_equal(tensors["blk.1.ffn_down.weight.lora_b"].data, b)


@llama_cpp
def test_the_server_of_llama_cpp_writes_the_greedy_text(tmp_path: Path) -> None:
    adapter = adapter_to(make_model("llama"))
    write_model(adapter.base, tmp_path, "f32")
    write(adapter, tmp_path, "f32")
    question = json.dumps([("completion", {"prompt": "the cat ", "max_tokens": 20, "temperature": 0})])
    done = subprocess.run([sys.executable, str(Path(__file__).with_name("llama_server.py")), str(tmp_path / MODEL),
                           str(tmp_path / ADAPTER)], input=question.encode(), capture_output=True, timeout=300,
                          check=True)
    text = json.loads(done.stdout)[0]["choices"][0]["text"]
    expected, of_the_base = (model.tokenizer.decode(greedy(model, model.tokenizer.encode_prompt("the cat "), 20, 2))
                             for model in (adapter, adapter.base))
    assert text == expected != of_the_base


# ---- the export


@pytest.mark.parametrize("dtype", ["f32", "f16", "q8_0"])
def test_an_export_is_read_back_with_its_base(dtype: str, tmp_path: Path) -> None:
    found = export(adapter_to(make_model("llama", "bpe")), "gguf", tmp_path / "out", dtype=dtype)
    assert list(found.files) == [ADAPTER]
    assert [check.reader for check in found.checks] == ["tinylm", "llama.cpp"]
    assert all(check.is_right for check in found.checks)
    assert f"llama-completion -m llama-gguf/model.gguf --lora {tmp_path}/out/adapter.gguf -p" in found.next_steps[1]
    assert "give it an export of llama" in found.notes[0]


def test_an_adapter_that_was_written_wrong_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows of queries and keys in the order of halves, where llama.cpp turns neighbours."""
    monkeypatch.setattr("tinylm.interchange.gguf.adapter.export.rows_to_gguf", lambda *given: given[1])
    with pytest.raises(TinyLMError, match="Nothing was kept"):
        export(adapter_to(make_model("llama")), "gguf", tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("to", [to for to in FORMATS if to != "gguf"])
def test_other_formats_hold_whole_models(to: str, tmp_path: Path) -> None:
    with pytest.raises(TinyLMError, match="holds whole models, and this is an adapter") as error:
        export(adapter_to(make_model("default")), to, tmp_path / "out.html")
    assert "tinylm merge" in error.value.remedy


@pytest.mark.parametrize("shape", REFUSED)
def test_a_base_that_llama_cpp_lacks_is_refused_by_its_setting(shape: str, tmp_path: Path) -> None:
    with pytest.raises(TinyLMError) as error:
        write(adapter_to(make_model(shape)), tmp_path, "f32")
    assert REFUSED[shape] in error.value.where
    assert "tinylm merge" in error.value.remedy
    assert not list(tmp_path.iterdir())


# ---- what cannot be merged


def written(path: Path, keys: dict[str, Any], tensors: dict[str, NDArray[np.float32]]) -> Path:
    """An adapter to `default` by the package's own writer, with some keys and tensors changed; None: without that."""
    known = {"general.type": "adapter", "adapter.type": "lora", "adapter.lora.alpha": 6.0}
    writer = gguf.GGUFWriter(path, keys.pop("general.architecture", "qwen3"))
    for name, value in {**known, **keys}.items():
        add: Any = {str: writer.add_string, float: writer.add_float32, int: writer.add_uint32, list: writer.add_array,
                    bool: writer.add_bool}
        if value is not None:
            add[type(value)](name, value)
    held = {Q + ".lora_a": np.ones((RANK, 64), np.float32), Q + ".lora_b": np.ones((64, RANK), np.float32), **tensors}
    for name, array in held.items():
        if array is not None:
            writer.add_tensor(name, array)
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        step()
    return path


Q = "blk.0.attn_q.weight"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model folder of `default`."""
    model, folder = make_model("default"), tmp_path_factory.mktemp("models") / "base"
    tinylm.LanguageModel(model.config, model.tokenizer, weights=model.weights).save(folder)
    return folder


@pytest.mark.parametrize(("alpha", "added"), [(6.0, 2 * RANK), (0.0, RANK), (None, RANK)])
def test_what_another_program_wrote_is_merged(alpha: float | None, added: float, base: Path, tmp_path: Path) -> None:
    path = written(tmp_path / "their.gguf", {"adapter.lora.alpha": alpha}, {})
    lm = tinylm.merge(path, tmp_path / "merged", base=base)
    expected = make_model("default").weights["layers.0.attn.q_proj.weight"] + added
    assert np.allclose(lm.model.layers[0].attn.q_proj.weight.detach(), expected, atol=1e-5)
    assert "the adapter their.gguf, which" in (tmp_path / "merged" / "README.md").read_text()


@pytest.mark.parametrize(("keys", "tensors", "message"), [
    ({"general.type": "model"}, {}, "is no adapter"), ({"adapter.type": "control_vector"}, {}, "is no adapter"),
    ({"general.type": 3}, {}, "is no adapter"),
    ({"general.architecture": "gemma"}, {}, "adapter to a model of the architecture gemma"),
    ({"general.architecture": "llama"}, {}, "was made on a model of the architecture llama, which the base is not"),
    ({"adapter.lora.alpha": "much"}, {}, "alpha is no number"),
    ({"adapter.lora.alpha": float("nan")}, {}, "alpha is no number"),
    ({"adapter.alora.invocation_tokens": [1, 2]}, {}, "has the key adapter.alora.invocation_tokens"),
    ({}, {Q + ".lora_a": None}, "which is not A or B of an addition"),
    ({}, {"blk.0.attn_norm.weight": np.ones(64, np.float32)}, "which is not A or B of an addition"),
    ({}, {Q + ".lora_a": None, Q + ".lora_b": None}, "holds no additions"),
    ({}, {Q + ".lora_a": np.ones((RANK, 32), np.float32)}, "of 64 x 32 numbers, and that of the base has 64 x 64"),
    ({}, {Q + ".lora_b": np.ones(64, np.float32)}, "and that of the base has 64 x 64"),
    ({}, {"blk.9.ffn_up.weight.lora_a": np.ones((1, 64), np.float32),
          "blk.9.ffn_up.weight.lora_b": np.ones((1, 1), np.float32)}, "the base has no matrix blk.9.ffn_up.weight"),
    ({"adapter.lora.alpha": 9e8}, {Q + ".lora_a": np.full((RANK, 64), 3e38, np.float32)}, "are not finite"),
])
def test_what_is_more_or_less_than_additions_is_named(keys: dict[str, Any], tensors: dict[str, Any], message: str,
                                                      base: Path, tmp_path: Path) -> None:
    path = written(tmp_path / "a.gguf", dict(keys), tensors)
    with pytest.raises(TinyLMError, match=message):
        tinylm.merge(path, tmp_path / "merged", base=base)
    assert not (tmp_path / "merged").exists()


def test_an_adapter_is_no_model_and_says_the_way_to_one(tmp_path: Path) -> None:
    write(adapter_to(make_model("default")), tmp_path, "f32")
    with pytest.raises(TinyLMError, match="is an adapter, which needs its base") as error:
        read_model(tmp_path / ADAPTER)
    assert f"tinylm merge {tmp_path / ADAPTER} OUT --base MODEL" in error.value.remedy
