"""transformers.js in node, offline: the same ids and the same greedy text as tinylm."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.interchange.shapes import greedy, make_model
from tests.interchange.strings import digest, strings_of_scalars
from tinylm.interchange.onnx.export import write
from tinylm.interchange.source import ExportedModel

pytest.importorskip("onnx")
HERE = Path(__file__).parent
CASES = {"char": ("default", "char", "f32"), "char16": ("default", "char", "f16"), "char8": ("default", "char", "q8_0"),
         "bpe": ("default", "bpe", "f32"), "word": ("default", "word", "f32"), "gpt2": ("gpt2", "bpe", "f32"),
         "notebook": ("notebook", "word", "f32"), "gqa": ("GQA", "char", "f32"),
         "arcee": ("squared ReLU", "char", "f32"), "starcoder2": ("LayerNorm, rotary and GELU", "char", "f32"),
         "biases": ("QK-norm with biases", "char", "f32")}
"""A folder's name -> its shape, tokenizer and number format."""
N_PROMPTS, N_TOKENS = 20, 64
BLANKS = " \t\n\u00a0\u1680\u2003\u2028\u3000\u0085\u001c"


@pytest.fixture(scope="module")
def node_folder(tmp_path_factory):
    """A folder with node's packages in it."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node or npm is not installed")
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "transformers_js.mjs"):
        shutil.copy(HERE / name, folder / name)
    found = subprocess.run([npm, "install", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder,
                           capture_output=True, text=True, timeout=600, check=False)
    if found.returncode:
        pytest.skip(f"npm cannot install transformers.js: {found.stderr[-300:]}")
    return folder


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", CASES)
def test_ids_and_greedy_texts_are_the_same(name, node_folder, tmp_path):
    shape, kind, dtype = CASES[name]
    model = make_model(shape, kind)
    strings = make_strings(model, 10_000 if name == kind else 500)
    scalars = strings_of_scalars() if name == "bpe" else []
    write(model, tmp_path, dtype)
    (tmp_path / "plan.json").write_text(json.dumps({
        "strings": strings, "prompts": strings[:N_PROMPTS], "tokens": N_TOKENS, "scalars": scalars}), encoding="utf-8")
    ran = subprocess.run(["node", "transformers_js.mjs", str(tmp_path)], cwd=node_folder, capture_output=True,
                         encoding="utf-8", timeout=800, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    found = json.loads(ran.stdout.splitlines()[-1])
    for string, ids in zip(strings, found["ids"], strict=True):
        assert ids == model.tokenizer.encode_prompt(string), string
    assert found["scalars"] == digest([model.tokenizer.encode_prompt(text) for text in scalars])
    if dtype == "f32":
        assert found["texts"] == [greedy_text(model, prompt) for prompt in strings[:N_PROMPTS]]


def make_strings(model: ExportedModel, count: int) -> list[str]:
    """Strings of the tokenizer's own entries; of words, with every kind of white space and unknown ones."""
    random, tokenizer = np.random.default_rng(5), model.tokenizer
    if tokenizer.kind == "word":
        words = [tokenizer.token(id) for id in range(4, tokenizer.vocab_size)] + ["zebra"]
        return ["how are", *("".join(str(random.choice(words)) + str(random.choice(list(BLANKS)))
                                     for _ in range(int(random.integers(1, 12)))) for _ in range(count - 1))]
    characters = [tokenizer.token(id) for id in range(3, tokenizer.vocab_size)]
    texts = ["hello", "the", " cat", *"é»ß漢字🙂\n\t 019'"] if tokenizer.kind == "bpe" else characters
    return ["".join(random.choice(texts, size=int(random.integers(1, 20)))) for _ in range(count)]


def greedy_text(model: ExportedModel, prompt: str) -> str:
    """The prompt and its likeliest continuation."""
    ids = model.tokenizer.encode_prompt(prompt)
    return model.tokenizer.decode([*ids, *greedy(model, ids, N_TOKENS, model.tokenizer.eos_id)])
