"""Names of Hugging Face's classes: there and back again, and errors for what has no name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tinylm.config.schema import ModelConfig
from tinylm.errors import TinyLMError
from tinylm.inspection.structure import parameter_table
from tinylm.interchange.names import MODULE_NAMES, from_hugging_face, tensor_names, to_hugging_face

PAGE = Path(__file__).parents[2] / "docs" / "NAMES.md"


_LEARNED = {"norm": "layernorm", "positions": "learned", "qk_norm": False, "bias": True}
SHAPES = {  # of our models by the architecture that holds them
    "llama": {"qk_norm": False}, "mistral": {"qk_norm": False}, "qwen3": {}, "qwen2": {"qk_norm": False, "bias": True},
    "arcee": {"qk_norm": False, "mlp": "squared_relu"},
    "starcoder2": {"norm": "layernorm", "qk_norm": False, "mlp": "gelu", "bias": True},
    "gpt2": {**_LEARNED, "mlp": "gelu"}, "gpt_neo": {**_LEARNED, "mlp": "gelu"}, "opt": {**_LEARNED, "mlp": "relu"},
}
SIZES = {"vocab_size": 7, "num_hidden_layers": 3, "hidden_size": 8, "num_attention_heads": 2, "intermediate_size": 12,
         "bos_token_id": 1, "eos_token_id": 2}
CONFIGS = {  # of transformers' classes, with every tensor that they may have
    "llama": {"attention_bias": True, "mlp_bias": True}, "mistral": {"num_key_value_heads": 1, "head_dim": 6},
    "qwen3": {"attention_bias": True}, "qwen2": {"num_key_value_heads": 1},
    "arcee": {"attention_bias": True, "mlp_bias": True}, "starcoder2": {"num_key_value_heads": 1},
    "gpt2": {"n_inner": 12}, "gpt_neo": {"num_layers": 3, "num_heads": 2, "attention_types": [[["global"], 3]]},
    "opt": {"ffn_dim": 12, "word_embed_proj_dim": 8, "pad_token_id": 0},
}


def tensors(architecture, **chosen):
    sizes = {"vocab_size": 7, "d_model": 8, "n_heads": 2, "n_layers": 3, "d_mlp": 12, **SHAPES[architecture]}
    config = ModelConfig(**{**sizes, **chosen})
    generator = np.random.default_rng(0)
    return {tensor.name: generator.standard_normal(tensor.shape) for tensor in parameter_table(config)}


@pytest.mark.parametrize("architecture", MODULE_NAMES)
@pytest.mark.parametrize("tied", [True, False])
def test_there_and_back_again(architecture, tied):
    ours = tensors(architecture, tied_embeddings=tied)
    theirs = to_hugging_face(ours, architecture, 3)
    back = from_hugging_face(theirs, architecture, 3)
    assert back.keys() == ours.keys()
    assert all(np.array_equal(back[name], ours[name]) for name in ours)
    extra = 2 * 8 if architecture == "opt" else 0  # rows of positions that no text reaches
    assert sum(array.size for array in theirs.values()) == sum(array.size for array in ours.values()) + extra
    assert ("lm_head.weight" in theirs) != tied


@pytest.mark.parametrize("architecture", MODULE_NAMES)
def test_every_tensor_of_the_class_has_a_name_here(architecture):
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(architecture, **SIZES | CONFIGS[architecture], tie_word_embeddings=False)
    theirs = {name: tensor.numpy() for name, tensor in AutoModelForCausalLM.from_config(config).state_dict().items()}
    back = to_hugging_face(from_hugging_face(theirs, architecture, 3), architecture, 3)
    assert back.keys() == theirs.keys()
    rows = 2 if architecture == "opt" else 0
    for name, array in theirs.items():
        first = rows if name.endswith("embed_positions.weight") else 0
        assert back[name].shape == array.shape
        assert np.array_equal(back[name][first:], array[first:])


def test_opts_positions_begin_after_two_rows():
    ours = tensors("opt", context_length=5)
    theirs = to_hugging_face(ours, "opt", 3)["model.decoder.embed_positions.weight"]
    assert theirs.shape == (7, 8)
    assert not theirs[:2].any()
    assert np.array_equal(theirs[2:], ours["positions.weight"])


def test_gpt2s_matrices_are_turned_and_joined():
    ours = tensors("gpt2")
    theirs = to_hugging_face(ours, "gpt2", 3)
    assert theirs["transformer.h.2.attn.c_attn.weight"].shape == (8, 24)
    assert np.array_equal(theirs["transformer.h.2.attn.c_attn.weight"][:, 8:16], ours["layers.2.attn.k_proj.weight"].T)
    assert np.array_equal(theirs["transformer.h.0.attn.c_attn.bias"][16:], ours["layers.0.attn.v_proj.bias"])
    assert np.array_equal(theirs["transformer.wpe.weight"], ours["positions.weight"])


@pytest.mark.parametrize("architecture", MODULE_NAMES)
def test_names_do_not_collide(architecture):
    parts = [part for names in tensor_names(architecture, 2).values() for part in names]
    assert len(parts) == len(set(parts))


@pytest.mark.parametrize("name", ["layers.3.norm1.weight", "layers.0.attn.q_norm.weight", "other"])
def test_what_has_no_name_there(name):
    with pytest.raises(TinyLMError, match=f"gpt2.*{name}"):
        to_hugging_face({**tensors("gpt2"), name: np.ones(8)}, "gpt2", 3)


def test_what_has_no_name_here():
    with pytest.raises(TinyLMError, match="inv_freq"):
        from_hugging_face({"model.rotary_emb.inv_freq": np.ones(4)}, "llama", 3)


@pytest.mark.parametrize(("column", "architecture", "layer"), [
    (2, "gpt2", "transformer.h.i."), (3, "llama", "model.layers.i.")])
def test_the_table_of_the_docs_has_these_names(column, architecture, layer):
    """Column of the table of modules: the name less its prefix; of a stacked matrix the first part tells the name."""
    section = PAGE.read_text(encoding="utf-8").split("## Modules\n")[1].split("\n## ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("| `")]
    cells = {row[0].strip("`").replace("layers.0", "layers.i"): row[column] for row in rows}
    modules = MODULE_NAMES[architecture].modules
    assert modules.keys() <= cells.keys()
    for name in cells.keys() - {"layers.i", "layers.i.attn", "layers.i.mlp"}:
        theirs = modules.get(name)
        if theirs is None:
            assert cells[name].startswith("–"), name
        elif "third" in cells[name]:
            assert theirs.endswith("c_attn"), name
        else:
            assert f"`{theirs.removeprefix(layer).removeprefix('transformer.').removeprefix('model.')}`" in cells[name]
