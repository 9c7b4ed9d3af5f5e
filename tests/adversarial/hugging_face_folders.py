"""Small folders as transformers writes them, and damage to their files."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tokenizers
import torch
from mutations import damage as damage_bytes
from safetensors.torch import save_file
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

from tinylm.inspection.structure import parameter_table
from tinylm.interchange.foreign_config import read_foreign_config
from tinylm.interchange.names import tensor_names

TEXT = ["hello world, the cat sat on the mat and there it sat; 12 o'clock"]
IDS = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 1}
LLAMA = {"hidden_size": 8, "intermediate_size": 16, "num_attention_heads": 2, "num_hidden_layers": 2,
         "num_key_value_heads": 1, "head_dim": 4, "max_position_embeddings": 16, "rms_norm_eps": 1e-6,
         "hidden_act": "silu", "initializer_range": 0.02, "use_cache": True, **IDS}
CONFIGS: dict[str, dict[str, Any]] = {
    "llama": {"architectures": ["LlamaForCausalLM"], "attention_bias": False, "mlp_bias": False, "rope_scaling": None,
              "rope_theta": 10_000.0, "tie_word_embeddings": False, "torch_dtype": "float32", **LLAMA},
    "qwen2": {"architectures": ["Qwen2ForCausalLM"], "layer_types": ["full_attention"] * 2, "sliding_window": None,
              "use_sliding_window": False, "rope_parameters": {"rope_type": "default", "rope_theta": 1e6},
              "tie_word_embeddings": True, "dtype": "bfloat16", **LLAMA},
    "gpt2": {"architectures": ["GPT2LMHeadModel"], "activation_function": "gelu_new", "n_embd": 8, "n_head": 2,
             "n_inner": None, "n_layer": 2, "n_positions": 16, "layer_norm_epsilon": 1e-5, "dtype": "float16",
             "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}}, **IDS},
}
"""One of 32 bits in one file; one of bfloat16, tied, in shards; one of float16."""
SHARDED = "qwen2"


def make(folder: Path) -> list[Path]:
    """A folder for each of `CONFIGS`."""
    return [_write(folder / kind, kind) for kind in CONFIGS]


def _write(folder: Path, kind: str) -> Path:
    folder.mkdir()
    tokenizer = _make_tokenizer(kind)
    config = {"model_type": kind, "vocab_size": tokenizer.get_vocab_size(), "transformers_version": "5.0.0",
              **CONFIGS[kind]}
    tokenizer.save(str(folder / "tokenizer.json"))
    for name, values in (
            ("config.json", config),
            ("generation_config.json", {"do_sample": True, "temperature": 0.7, "top_k": 20, "top_p": 0.9,
                                        "eos_token_id": [1, 2], "transformers_version": "5.0.0"}),
            ("tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": "<s>",
                                       "eos_token": {"content": "</s>", "special": True}, "model_max_length": 16,
                                       "chat_template": "{% for message in messages %}{{ message }}{% endfor %}"})):
        (folder / name).write_text(json.dumps(values, indent=2))
    tensors = _make_tensors(config)
    if kind == SHARDED:
        _write_shards(tensors, folder)
    else:
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    return folder


def _make_tokenizer(kind: str) -> tokenizers.Tokenizer:
    """Byte-level BPE; for "llama" Unigram with blanks as letters, and with a post-processor."""
    special = ["<s>", "</s>", "<|im_end|>"]
    if kind == "llama":
        made = tokenizers.Tokenizer(models.Unigram())
        made.pre_tokenizer, made.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
        made.train_from_iterator(TEXT, trainers.UnigramTrainer(
            vocab_size=80, special_tokens=[*special, "<unk>"], unk_token="<unk>", show_progress=False))
        made.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A $B",
                                                            special_tokens=[("<s>", 0)])
        return made
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    made.train_from_iterator(TEXT, trainers.BpeTrainer(
        vocab_size=270, special_tokens=special, show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    return made


def _make_tensors(config: dict[str, Any]) -> dict[str, torch.Tensor]:
    foreign = read_foreign_config(config)
    shapes = {tensor.name: tensor.shape for tensor in parameter_table(foreign.model)}
    dtype = getattr(torch, config.get("dtype", "float32"))
    found = {}
    for theirs, parts in tensor_names(foreign.architecture, foreign.model.n_layers).items():
        if parts[0] not in shapes:
            continue
        joined = torch.cat([torch.randn(shapes[part], generator=torch.Generator().manual_seed(0)) for part in parts])
        is_turned = config["model_type"] == "gpt2" and theirs.startswith("transformer.h.") and joined.ndim == 2
        found[theirs] = (joined.T if is_turned else joined).contiguous().to(dtype)
    return found


def _write_shards(tensors: dict[str, torch.Tensor], folder: Path) -> None:
    names, half = list(tensors), len(tensors) // 2
    weight_map = {}
    for number, part in enumerate((names[:half], names[half:]), 1):
        shard = f"model-{number:05}-of-00002.safetensors"
        save_file({name: tensors[name] for name in part}, folder / shard, {"format": "pt"})
        weight_map |= dict.fromkeys(part, shard)
    (folder / "model.safetensors.index.json").write_text(json.dumps(
        {"metadata": {"total_size": sum(tensor.nbytes for tensor in tensors.values())}, "weight_map": weight_map}))


def damage(folder: Path, draw: random.Random) -> tuple[str, int, Callable[[], object]]:
    """Damages a file of a folder. Returns what was done, the bytes of the folder, and how it is undone."""
    path = draw.choice(sorted(folder.iterdir()))
    sound = path.read_bytes()
    data = bytearray(sound)
    how = damage_bytes(path.name, data, draw)
    path.write_bytes(data)
    return f"{path.name}, {how}", sum(each.stat().st_size for each in folder.iterdir()), lambda: path.write_bytes(sound)
