"""TransformerLens on the weights of a tinylm model of GPT-2's shape: run with that package on the path.

    python peer_transformer_lens.py FOLDER

FOLDER holds weights.npz (by our names), shape.json (sizes, ids, two tokens); found.npz is written into it: scores and
patterns of each layer, the logit lens, the logits, the contributions of each part to the difference of two logits, and
the logits with each head and MLP at zero.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformer_lens import HookedTransformer, HookedTransformerConfig


def state_of(weights: dict[str, torch.Tensor], shape: dict[str, Any]) -> dict[str, torch.Tensor]:
    """Our weights by TransformerLens's names: one matrix a head, (in, out)."""
    heads, width = shape["n_heads"], shape["d_model"] // shape["n_heads"]
    state = {"embed.W_E": weights["embed.weight"], "pos_embed.W_pos": weights["positions.weight"],
             "ln_final.w": weights["ln_f.weight"], "ln_final.b": weights["ln_f.bias"],
             "unembed.W_U": weights["embed.weight"].T, "unembed.b_U": torch.zeros(shape["vocab_size"])}
    for i in range(shape["n_layers"]):
        ours, theirs = f"layers.{i}.", f"blocks.{i}."
        for norm, ln in (("norm1", "ln1"), ("norm2", "ln2")):
            state[f"{theirs}{ln}.w"], state[f"{theirs}{ln}.b"] = (weights[f"{ours}{norm}.{kind}"]
                                                                for kind in ("weight", "bias"))
        for letter in "qkv":
            matrix, bias = (weights[f"{ours}attn.{letter}_proj.{kind}"] for kind in ("weight", "bias"))
            state[f"{theirs}attn.W_{letter.upper()}"] = matrix.view(heads, width, -1).transpose(1, 2)
            state[f"{theirs}attn.b_{letter.upper()}"] = bias.view(heads, width)
        state[f"{theirs}attn.W_O"] = weights[f"{ours}attn.o_proj.weight"].T.reshape(heads, width, -1)
        state[f"{theirs}attn.b_O"] = weights[f"{ours}attn.o_proj.bias"]
        for name, ends in (("up_proj", "in"), ("down_proj", "out")):
            state[f"{theirs}mlp.W_{ends}"] = weights[f"{ours}mlp.{name}.weight"].T
            state[f"{theirs}mlp.b_{ends}"] = weights[f"{ours}mlp.{name}.bias"]
    return state


def main(folder: Path) -> None:
    shape = json.loads((folder / "shape.json").read_text())
    with np.load(folder / "weights.npz") as file:
        weights = {name: torch.from_numpy(array) for name, array in file.items()}
    config = HookedTransformerConfig(
        n_layers=shape["n_layers"], d_model=shape["d_model"], n_ctx=shape["context_length"], eps=shape["norm_eps"],
        d_head=shape["d_model"] // shape["n_heads"], n_heads=shape["n_heads"], d_mlp=shape["d_mlp"],
        d_vocab=shape["vocab_size"], act_fn="gelu_new", normalization_type="LN", device="cpu")
    model, folded = HookedTransformer(config), HookedTransformer(config)
    state = state_of(weights, shape)
    model.load_and_process_state_dict(dict(state), fold_ln=False, center_writing_weights=False, center_unembed=False,
                                      fold_value_biases=False)
    folded.load_and_process_state_dict(dict(state), fold_ln=True, center_writing_weights=False, center_unembed=False,
                                       fold_value_biases=False)
    ids = torch.tensor([shape["ids"]])
    with torch.no_grad():
        logits, cache = model.run_with_cache(ids)
        streams = [cache["resid_pre", 0], *(cache["resid_post", i] for i in range(shape["n_layers"]))]
        found = {"logits": logits[0],
                 "scores": torch.stack([cache["attn_scores", i][0] for i in range(shape["n_layers"])]),
                 "pattern": torch.stack([cache["pattern", i][0] for i in range(shape["n_layers"])]),
                 "lens": torch.stack([model.unembed(model.ln_final(stream))[0] for stream in streams])}
        found |= {f"without {place}": model.run_with_hooks(ids, fwd_hooks=[hook])[0]
                  for place, hook in ablations(shape).items()}
        _, cache = folded.run_with_cache(ids)
        heads, names = cache.stack_head_results(pos_slice=-1, return_labels=True)
        rest, others = cache.decompose_resid(pos_slice=-1, return_labels=True, mode="mlp")
        values = cache.logit_attrs(torch.cat([heads, rest]), tokens=shape["token"], incorrect_tokens=shape["against"],
                                   pos_slice=-1, has_batch_dim=True)
        found |= {f"part {name}": value for name, value in zip(names + others, values.flatten(), strict=True)}
    np.savez(folder / "found.npz", **{name: tensor.numpy() for name, tensor in found.items()})


def ablations(shape: dict[str, Any]) -> dict[str, tuple[str, Any]]:
    """Hooks that set a part to zero, by our notation."""
    def zero_head(head: int) -> Any:
        def hook(z: torch.Tensor, hook: object) -> torch.Tensor:  # noqa: ARG001
            z[:, :, head] = 0  # (B, T, H, K)
            return z
        return hook

    found = {}
    for i in range(shape["n_layers"]):
        found |= {f"{i}.{head}": (f"blocks.{i}.attn.hook_z", zero_head(head)) for head in range(shape["n_heads"])}
        found[f"{i}.mlp"] = (f"blocks.{i}.hook_mlp_out", lambda out, hook: 0 * out)  # noqa: ARG005
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
