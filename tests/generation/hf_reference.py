"""Small models that can be asked, with a tokenizer, served by the engine; and the same once more in transformers."""

from __future__ import annotations

import torch
from transformers import LlamaConfig, LlamaForCausalLM

import tinylm
from tests.model_strategies import make_model
from tinylm.config.schema import DataConfig, ModelConfig, RunConfig, TrainConfig
from tinylm.interchange.names import to_hugging_face
from tinylm.model.tensors import weights_of
from tinylm.text.tokenizer import Tokenizer

TEXT = "the cat sat on the mat , naïve café , 日本語 🙂 the cat sat again . how are you ? the dog is fine"
TOKENIZERS = {"word": Tokenizer.train("word", [TEXT]), "char": Tokenizer.train("char", [TEXT]),
              "bpe": Tokenizer.train("bpe", [TEXT], vocab_size=290)}


def make_lm(kind: str, sharpness: float = 1.0, **values: object) -> tinylm.LanguageModel:
    """Random weights, and a text of its own for every seed. The shape is a Llama's."""
    tokenizer = TOKENIZERS[kind]
    config = ModelConfig(**{"vocab_size": tokenizer.vocab_size, "d_model": 32, "n_layers": 2, "n_heads": 4,
                            "n_kv_heads": 2, "context_length": 24, "qk_norm": False, **values})
    model = make_model(config)
    with torch.no_grad():
        model.out_head.weight.mul_(sharpness)
    run = RunConfig(model=config, data=DataConfig(), train=TrainConfig(steps=1))
    return tinylm.LanguageModel(run, tokenizer, weights=weights_of(model))


def llama_of(lm: tinylm.LanguageModel) -> LlamaForCausalLM:
    """The same weights in transformers."""
    config = lm.config.model
    twin = LlamaForCausalLM(LlamaConfig(
        vocab_size=config.vocab_size, hidden_size=config.d_model, intermediate_size=config.d_mlp,
        num_hidden_layers=config.n_layers, num_attention_heads=config.n_heads, head_dim=config.d_head,
        num_key_value_heads=config.n_kv_heads, max_position_embeddings=config.context_length,
        rms_norm_eps=config.norm_eps, rope_parameters={"rope_type": "default", "rope_theta": config.rope_theta},
        bos_token_id=1, eos_token_id=2, pad_token_id=0)).eval()
    ours = {name: tensor.numpy() for name, tensor in lm.model.state_dict().items()}
    theirs = to_hugging_face(ours, "llama", config.n_layers)
    twin.load_state_dict({name: torch.from_numpy(array) for name, array in theirs.items()})
    return twin
