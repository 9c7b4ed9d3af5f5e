"""The small sound models that the adversarial ones are made from."""

from __future__ import annotations

from pathlib import Path

import torch

from tinylm.config.schema import DataConfig, ModelConfig, RunConfig, TrainConfig
from tinylm.lm import LanguageModel
from tinylm.model.transformer import TinyLM
from tinylm.text.reading.built_in import HELLO
from tinylm.text.tokenizer import Tokenizer

SHAPES = {"word": ("notebook", {"d_mlp": 16}), "char": ("tinylm", {"d_mlp": 16, "n_kv_heads": 1}),
          "bpe": ("gpt2", {"d_mlp": 16})}


def small_model(folder: Path, kind: str) -> Path:
    """A model with random weights on the four sentences of `hello`, whose tokenizer is of this kind."""
    tokenizer = Tokenizer.train(kind, HELLO, vocab_size=264 if kind == "bpe" else None)
    preset, sizes = SHAPES[kind]
    model = ModelConfig.preset(preset, **{"context_length": 16, "d_model": 8, "n_layers": 1, "n_heads": 2, **sizes,
                                          "vocab_size": tokenizer.vocab_size})
    config = RunConfig(model=model, data=DataConfig(source="hello", tokenizer=kind, validation=0.0, packing="padded"),
                       train=TrainConfig(steps=1))
    lm = LanguageModel(config, tokenizer, TinyLM(model))
    torch.nn.init.normal_(lm.model.out_head.weight, generator=torch.Generator().manual_seed(1))
    return lm.save(folder)
