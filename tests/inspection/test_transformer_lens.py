"""The inspection of a model of GPT-2's shape beside TransformerLens with the same weights."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import tests.model_strategies as family
from tinylm.config.schema import ModelConfig, TrainConfig
from tinylm.inspection.explanation import Explanation
from tinylm.inspection.places import heads_and_mlps
from tinylm.inspection.trace import logit_lens
from tinylm.text.tokenizer import Tokenizer

pytestmark = pytest.mark.slow
PACKAGES = [
    "transformer_lens==3.9.0", "accelerate", "beartype", "better-abc", "datasets", "dill", "einops", "fancy-einsum",
    "fsspec", "jaxtyping", "multiprocess", "pandas", "pyarrow", "python-dateutil", "sentencepiece", "six", "tqdm",
    "transformers-stream-generator", "typeguard<5", "wandb", "wadler-lindig", "xxhash"]
"""TransformerLens, the last with a HookedTransformer, and what it imports that the tests have not: too much to stand
among them."""
SCRIPT = Path(__file__).with_name("peer_transformer_lens.py")


@pytest.fixture(scope="module")
def lens(tmp_path_factory) -> Path:
    """A folder with the packages, to stand on the path behind the others."""
    folder = tmp_path_factory.mktemp("transformer_lens")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), *PACKAGES]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no registry of packages to install {PACKAGES[0]} from: {done.stderr.strip()[-200:]}")
    return folder


def test_scores_patterns_lens_contributions_and_ablations_are_those_of_transformer_lens(lens, tmp_path):
    config = ModelConfig.preset("gpt2", vocab_size=29, d_model=48, n_heads=4, n_layers=3, context_length=24)
    model, ids = family.make_model(config), family.make_ids(config, 1, 20)[0].tolist()
    tokenizer = Tokenizer.train("char", ["abcdefghijklmnopqrstuvwxyz"])
    text, (token, against) = Explanation(model, tokenizer, ids, TrainConfig(steps=1)), (3, 17)
    np.savez(tmp_path / "weights.npz", **{name: each.detach().numpy() for name, each in model.named_parameters()})
    (tmp_path / "shape.json").write_text(json.dumps({**config.model_dump(mode="json"), "ids": ids, "token": token,
                                                     "against": against}))
    path = os.pathsep.join([*filter(None, [os.environ.get("PYTHONPATH")]), str(lens)])
    done = subprocess.run([sys.executable, str(SCRIPT), str(tmp_path)], capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": path, "WANDB_MODE": "disabled", "HF_HUB_OFFLINE": "1"})
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(tmp_path / "found.npz") as file:
        found = dict(file)

    def same(ours, theirs):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=2e-4)

    same(text.activations["logits"][0], found["logits"])
    causal = np.tril(np.ones((20, 20), bool))
    for layer in range(3):
        same(text.activations[f"layers.{layer}.attn.scores"][0].numpy()[:, causal], found["scores"][layer][:, causal])
        for head in range(4):
            same(text.attention(layer, head).pattern, found["pattern"][layer, head])
    for ours, theirs in zip(logit_lens(model, text.activations).values(), found["lens"], strict=True):
        same(ours[0], theirs)
    assert len(found["lens"]) == 4
    for place in heads_and_mlps(config):
        same(text.without(place.name).activations["logits"][0], found[f"without {place.name}"])

    parts = {part.part: part.value for part in text.contributions(token, against).parts}
    theirs = {"embed": "embed", "positions": "pos_embed", **{f"{i}.mlp": f"{i}_mlp_out" for i in range(3)},
              **{f"{i}.{head}": f"L{i}H{head}" for i in range(3) for head in range(4)}}
    for ours, name in theirs.items():
        assert parts[ours] == pytest.approx(float(found[f"part {name}"]), abs=2e-4), ours
