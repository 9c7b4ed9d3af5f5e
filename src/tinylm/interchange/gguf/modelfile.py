"""The Modelfile, by which Ollama takes up a GGUF file with its settings.

Source: docs/modelfile.mdx of the repository ollama.
"""

from __future__ import annotations

from typing import Final

from tinylm.config.schema import RunConfig

MAX_NEW_TOKENS: Final = 200
"""Tokens of an answer, at most. Without a limit Ollama goes on for ever, and a model of characters hardly ends by
itself."""


def modelfile(config: RunConfig, model: str) -> str:
    """The text of a Modelfile.

    Args:
        config: of the run: its context length and sampling settings.
        model: the name of the GGUF file beside it.

    >>> from tinylm.config.schema import DataConfig, ModelConfig, SampleConfig, TrainConfig
    >>> run = RunConfig(model=ModelConfig(vocab_size=5), data=DataConfig(), train=TrainConfig(steps=1),
    ...                 sample=SampleConfig(top_p=0.9))
    >>> print(modelfile(run, "model.gguf"))
    FROM ./model.gguf
    TEMPLATE "{{ .Prompt }}"
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
    sample = config.sample
    parameters = [
        ("num_ctx", config.model.context_length), ("num_predict", MAX_NEW_TOKENS),
        ("temperature", 0.0 if sample.is_greedy else sample.temperature),
        ("top_k", sample.top_k), ("top_p", sample.top_p), ("min_p", sample.min_p),
        ("repeat_penalty", sample.repetition_penalty), ("repeat_last_n", -1),
        ("frequency_penalty", sample.frequency_penalty), ("presence_penalty", sample.presence_penalty),
        *([] if sample.seed is None else [("seed", sample.seed)]),
        *(("stop", f'"""{text}"""') for text in sample.stop if '"' not in text),
    ]
    lines = [f"FROM ./{model}", 'TEMPLATE "{{ .Prompt }}"']
    return "\n".join([*lines, *(f"PARAMETER {name} {value}" for name, value in parameters)]) + "\n"
