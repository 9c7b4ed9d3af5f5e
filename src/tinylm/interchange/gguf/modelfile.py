"""The Modelfile, by which Ollama takes up a GGUF file with its settings.

Source: docs/modelfile.mdx of the repository ollama.
"""

from __future__ import annotations

from typing import Final

from tinylm.chat.chat_format import Special
from tinylm.chat.encode import special_id
from tinylm.chat.templates import go_template
from tinylm.interchange.gguf.tokenizer import special_text
from tinylm.interchange.source import ExportedModel

MAX_NEW_TOKENS: Final = 200
"""Tokens of an answer, at most. Without a limit Ollama goes on for ever, and a model of characters hardly ends by
itself."""


def modelfile(model: ExportedModel, file: str) -> str:
    """The text of a Modelfile.

    Args:
        file: the name of the GGUF file beside it.

    >>> from tinylm.config.schema import DataConfig, ModelConfig, RunConfig, SampleConfig, TrainConfig
    >>> from tinylm.text.tokenizer import Tokenizer
    >>> run = RunConfig(model=ModelConfig(vocab_size=6), data=DataConfig(chat_format="turns"),
    ...                 train=TrainConfig(steps=1), sample=SampleConfig(top_p=0.9))
    >>> print(modelfile(ExportedModel("m", run, Tokenizer.train("char", ["abc"]), {}), "model.gguf"))
    FROM ./model.gguf
    TEMPLATE \"\"\"{{ if .System }}{{ .System }}
    <BLANKLINE>
    {{ end }}{{ .Prompt }}<|tinylm:eos|>{{ .Response }}<|tinylm:eos|>\"\"\"
    PARAMETER stop \"\"\"<|tinylm:eos|>\"\"\"
    PARAMETER num_ctx 256
    PARAMETER num_predict 200
    PARAMETER temperature 0.8
    PARAMETER top_k 0
    PARAMETER top_p 0.9
    PARAMETER min_p 0.0
    PARAMETER repeat_penalty 1.0
    PARAMETER repeat_last_n -1
    PARAMETER frequency_penalty 0.0
    PARAMETER presence_penalty 0.0
    <BLANKLINE>
    """
    sample = model.config.sample
    parameters = [
        ("num_ctx", model.config.model.context_length), ("num_predict", MAX_NEW_TOKENS),
        ("temperature", 0.0 if sample.is_greedy else sample.temperature),
        ("top_k", sample.top_k), ("top_p", sample.top_p), ("min_p", sample.min_p),
        ("repeat_penalty", sample.repetition_penalty), ("repeat_last_n", -1),
        ("frequency_penalty", sample.frequency_penalty), ("presence_penalty", sample.presence_penalty),
        *([] if sample.seed is None else [("seed", sample.seed)]),
        *(("stop", f'"""{text}"""') for text in sample.stop if '"' not in text),
    ]
    lines = [f"FROM ./{file}", *_conversation(model)]
    return "\n".join([*lines, *(f"PARAMETER {name} {value}" for name, value in parameters)]) + "\n"


def _conversation(model: ExportedModel) -> list[str]:
    """The lines on conversations: their template, the system text of those that have none, and the end of an answer."""
    form = model.chat_format
    if form is None:
        return ['TEMPLATE "{{ .Prompt }}"']

    def spelled(special: Special) -> str:
        return special_text(model.tokenizer, special_id(special, model.tokenizer))

    system = [f'SYSTEM """{form.default_system}"""'] if form.default_system else []
    return [f'TEMPLATE """{go_template(form, spelled)}"""', *system, f'PARAMETER stop """{spelled(form.end)}"""']
