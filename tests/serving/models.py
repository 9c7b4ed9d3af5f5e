"""Small models to serve, made in no time: of characters, of bytes, and one that writes whole characters only."""

from __future__ import annotations

import string
from itertools import pairwise
from pathlib import Path

import torch

import tinylm
from tests.model_strategies import make_model, randomise
from tinylm.config.schema import DataConfig, ModelConfig, RunConfig, TrainConfig
from tinylm.model.transformer import TinyLM
from tinylm.text.tokenizer import Tokenizer

ALPHABET = string.printable + "äé日本🙂"
LETTERS = "aé日本語🙂🚀"
"""What `whole_characters` writes: characters of one to four bytes."""
SHAPE = {"d_model": 32, "n_layers": 2, "n_heads": 4, "n_kv_heads": 2, "d_mlp": 48, "context_length": 64}


def characters(folder: Path, seed: int = 1) -> Path:
    """Random weights over single characters. It seldom ends of itself."""
    return _random(folder, Tokenizer.train("char", [ALPHABET]), seed)


def random_bytes(folder: Path, seed: int = 1) -> Path:
    """Random weights over the 256 bytes: most of what it writes is no valid UTF-8, and some of it is."""
    return _random(folder, Tokenizer.train("bpe", [""], vocab_size=259), seed)


def whole_characters(folder: Path) -> Path:
    """Writes `LETTERS`, byte by byte, in an order that chance decides: no half character but at the end.

    The next byte depends on the last alone: one row of the embedding for each, through which a layer of zeros passes,
    and a head that allows what follows it in a character, or the beginning of another.
    """
    tokenizer = Tokenizer.train("bpe", [""], vocab_size=259)
    config = ModelConfig(vocab_size=259, d_model=260, n_layers=1, n_heads=2, d_mlp=4, context_length=64)
    model = TinyLM(config).eval()
    id_of = {tokenizer.token_bytes(id): id for id in range(3, 259)}
    bytes_of = [[id_of[bytes([byte])] for byte in letter.encode()] for letter in LETTERS]
    with torch.no_grad():
        for parameter in model.layers.parameters():
            parameter.zero_()
        model.embed.weight.copy_(torch.eye(259, 260))
        head = model.out_head.weight.fill_(-9.0)
        for letter in bytes_of:
            for before, after in pairwise(letter):
                head[after, before] = 9.0
        for end in [1, *range(3, 259)]:
            if end not in {byte for letter in bytes_of for byte in letter[:-1]}:
                head[[letter[0] for letter in bytes_of], end] = 9.0
    return _save(folder, config, tokenizer, model)


def _random(folder: Path, tokenizer: Tokenizer, seed: int) -> Path:
    config = ModelConfig(vocab_size=tokenizer.vocab_size, **SHAPE)
    model = make_model(config)
    randomise(model, seed)
    return _save(folder, config, tokenizer, model)


def _save(folder: Path, config: ModelConfig, tokenizer: Tokenizer, model: TinyLM) -> Path:
    run = RunConfig(model=config, data=DataConfig(tokenizer=tokenizer.kind), train=TrainConfig(steps=1))
    return tinylm.LanguageModel(run, tokenizer, model).save(folder)
