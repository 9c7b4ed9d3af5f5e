"""Who writes: the engine, without torch, for what lies in a folder; torch where the module is no longer that."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import tinylm
from tests.model_strategies import make_model
from tinylm.config.schema import ModelConfig
from tinylm.engine.engine import Engine
from tinylm.errors import TinyLMError
from tinylm.generation.backend import EngineBackend
from tinylm.generation.scoring import next_logits
from tinylm.generation.torch_backend import TorchBackend
from tinylm.model.tensors import weights_of

WITHOUT_TORCH = """
import sys
from tinylm.cli import main

code = main(sys.argv[1:])
assert "torch" not in sys.modules, "torch was imported"
sys.exit(code)
"""


@pytest.mark.parametrize("command", [["generate", "RUN", "The ", "--max-tokens", "5", "--seed", "1", "--json"],
                                     ["generate", "RUN", "The ", "--max-tokens", "1"],
                                     ["predict", "RUN", "The ", "--json"]])
def test_writing_and_predicting_import_no_torch(book_run: Path, command: list[str]) -> None:
    arguments = [str(book_run) if word == "RUN" else word for word in command]
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH, *arguments], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 0, done.stderr
    if "--seed" in command:
        expected = tinylm.load(book_run).complete("The ", max_tokens=5, seed=1)
        assert json.loads(done.stdout)["ids"] == expected.ids


def test_the_engine_and_torch_write_the_same(book_run: Path) -> None:
    lm = tinylm.load(book_run)
    other = tinylm.LanguageModel(lm.config, lm.tokenizer, tinylm.load(book_run).model)
    assert (lm.served_by, other.served_by) == ("engine", "torch")
    for settings in ({"seed": 2, "greedy": True}, {"seed": 3}, {"seed": 4, "top_k": 5, "repetition_penalty": 1.2}):
        assert lm.complete("The ", max_tokens=60, **settings) == other.complete("The ", max_tokens=60, **settings)


def test_a_module_that_was_changed_or_is_listened_to_writes_itself(book_run: Path) -> None:
    lm = tinylm.load(book_run)
    assert lm.model is lm.model
    assert lm.served_by == "engine"
    handle = lm.model.ln_f.register_forward_hook(lambda *_: None)
    assert lm.served_by == "torch"
    handle.remove()
    assert lm.served_by == "engine"
    with torch.no_grad():
        lm.model.out_head.weight.zero_()
        lm.model.out_head.weight[5] = 1
    assert lm.served_by == "torch"
    assert {round(each.probability, 6) for each in lm.predict("The ", top=3)[1:]} != {0.0}


def test_a_batch_writes_what_is_written_alone(book_run: Path) -> None:
    """By whoever serves."""
    lm = tinylm.load(book_run)
    for one in (lm, tinylm.LanguageModel(lm.config, lm.tokenizer, tinylm.load(book_run).model)):
        batch = one.batch()
        config = tinylm.SampleConfig(max_tokens=20)
        texts = [batch.add(lm.tokenizer.encode_prompt(prompt), config, seed=4) for prompt in ("The ", "x" * 50, "")]
        while batch.running:
            batch.step()
        assert [text.new for text in texts] == [lm.complete(prompt, max_tokens=20, seed=4, temperature=0.8).ids
                                                for prompt in ("The ", "x" * 50, "")]


@pytest.mark.parametrize("weight_dtype", ["bf16", "int8"])
def test_weights_of_fewer_bits_predict_and_write(book_run: Path, weight_dtype: str) -> None:
    """By the engine that keeps them so, in whatever way it is asked."""
    lm, plain = tinylm.load(book_run, weight_dtype=weight_dtype), tinylm.load(book_run)
    engine = Engine(lm.config.model, weights_of(plain.model), weight_dtype)
    ids = lm.tokenizer.encode_prompt("The ")
    assert np.array_equal(next_logits(lm.generator.model.backend(), ids), next_logits(EngineBackend(engine), ids))
    told, known = ({each.id: each.probability for each in one.predict("The ", top=5)} for one in (lm, plain))
    assert told != known
    assert told == pytest.approx(known, abs=0.01)
    one, other = lm.complete(["The ", "It"], max_tokens=40, seed=2)
    assert one == lm.complete("The ", max_tokens=40, seed=2)
    assert other == lm.complete("It", max_tokens=40, seed=2)


def test_a_weight_dtype_that_is_none_or_not_to_be_had_is_refused(book_run: Path, tmp_path: Path) -> None:
    with pytest.raises(TinyLMError, match=r"weight_dtype: there is no weight dtype 'int4'\. Did you mean 'int8'\?"):
        tinylm.load(book_run, weight_dtype="int4")
    lm = tinylm.load(book_run, weight_dtype="int8")
    with torch.no_grad():
        lm.model.out_head.weight.zero_()
    with pytest.raises(TinyLMError, match="only the compiled engine keeps weights as int8"):
        lm.predict("The ")
    tinylm.train("hello", preset="notebook", steps=1, quiet=True, out=tmp_path / "run",
                 config={"model": {"causal": False}})
    with pytest.raises(TinyLMError, match="only the compiled engine keeps weights as bf16"):
        tinylm.load(tmp_path / "run", weight_dtype="bf16")


@pytest.mark.parametrize("length", [127, 128, 300])
def test_a_first_prompt_may_be_longer_than_a_block(length: int) -> None:
    """Its first call asks for no logits at all."""
    model = make_model(ModelConfig(vocab_size=9, d_model=16, n_layers=1, n_heads=2, context_length=400))
    ids = [1, *[4] * length]
    expected = next_logits(TorchBackend(model), ids)
    found = next_logits(EngineBackend(Engine(model.config, weights_of(model))), ids)
    np.testing.assert_allclose(found, expected, atol=1e-4)
