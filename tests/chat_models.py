"""Chat models for tests: one that has learned a few answers, and others of random weights that know every text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

import tinylm
from tests.model_strategies import make_model, randomise
from tinylm.chat.chat_format import chat_format
from tinylm.chat.conversation import Conversation, Message
from tinylm.chat.encode import encode_conversation
from tinylm.config.schema import DataConfig, ModelConfig, RunConfig, TrainConfig
from tinylm.model.transformer import TinyLM
from tinylm.text.tokenizer import Tokenizer

LEARNED: list[tuple[str, ...]] = [
    ("how are you ?", "fine , and you ?", "fine", "good"), ("fine", "good"),
    ("who are you ?", "a model", "how are you ?", "fine , and you ?"),
    ("what is 1 + 1 ?", "2", "who are you ?", "a model"), ("what is 1 + 2 ?", "3", "fine", "good"),
]
"""Conversations, each the texts of user and assistant in turns."""


def turns(*texts: str, system: str = "") -> Conversation:
    """Texts of user and assistant in turns as a conversation."""
    said = [Message("assistant" if number % 2 else "user", text) for number, text in enumerate(texts)]
    return [Message("system", system), *said] if system else said


def learned(folder: Path, steps: int = 120) -> Path:
    """Trained on `LEARNED` until it answers so, which takes half a second."""
    tokenizer = Tokenizer.train("word", [" ".join(texts) for texts in LEARNED])
    config = ModelConfig(vocab_size=tokenizer.vocab_size, d_model=32, n_layers=2, n_heads=2, d_mlp=64,
                         context_length=32)
    model = make_model(config)
    randomise(model, 1)
    encoded = [encode_conversation(turns(*texts), chat_format("turns"), tokenizer) for texts in LEARNED]
    length = max(len(each.ids) for each in encoded)
    ids = torch.tensor([each.ids + [0] * (length - len(each.ids)) for each in encoded])
    counted = torch.tensor([each.is_answer + [False] * (length - len(each.is_answer)) for each in encoded])[:, 1:]
    _train(model, lambda: torch.nn.functional.cross_entropy(model(ids[:, :-1])[counted], ids[:, 1:][counted]), steps)
    return _save(folder, config, tokenizer, model.eval())


def _train(model: TinyLM, loss: Callable[[], torch.Tensor], steps: int) -> None:
    """Adam in a few lines, on one thread: importing torch's takes longer than the training."""
    parameters, threads = list(model.parameters()), torch.get_num_threads()
    means, squares = ([torch.zeros_like(each) for each in parameters] for _ in range(2))
    torch.set_num_threads(1)
    for step in range(1, steps + 1):
        gradients = torch.autograd.grad(loss(), parameters)
        with torch.no_grad():
            for parameter, gradient, mean, square in zip(parameters, gradients, means, squares, strict=True):
                mean.lerp_(gradient, 0.1)
                square.lerp_(gradient ** 2, 0.01)
                parameter -= 0.01 * mean / (1 - 0.9 ** step) / ((square / (1 - 0.99 ** step)).sqrt() + 1e-8)
    torch.set_num_threads(threads)


BYTES = Tokenizer.train("bpe", [""], vocab_size=259)
"""Knows every text, byte by byte."""


def random(folder: Path, tokenizer: Tokenizer = BYTES, context_length: int = 64) -> Path:
    """Random weights: it seldom ends an answer of itself."""
    config = ModelConfig(vocab_size=tokenizer.vocab_size, d_model=32, n_layers=2, n_heads=4, n_kv_heads=2, d_mlp=48,
                         context_length=context_length)
    model = make_model(config)
    randomise(model, 1)
    return _save(folder, config, tokenizer, model)


def _save(folder: Path, config: ModelConfig, tokenizer: Tokenizer, model: TinyLM) -> Path:
    data = DataConfig(tokenizer=tokenizer.kind, chat_format="turns")
    run = RunConfig(model=config, data=data, train=TrainConfig(steps=1))
    return tinylm.LanguageModel(run, tokenizer, model).save(folder)
