"""Your own small language model, from your own text, on your own machine.

    lm = tinylm.train("book.txt", minutes=2)
    lm.generate("once upon", max_tokens=50)
    lm = tinylm.load("runs/book")
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinylm.config.schema import DataConfig, ModelConfig, RunConfig, SampleConfig, TrainConfig
    from tinylm.errors import TinyLMError
    from tinylm.evaluation.report import Report
    from tinylm.generation.completion import Completion
    from tinylm.generation.generator import NearFormWarning, Prediction
    from tinylm.lm import LanguageModel, load
    from tinylm.model.transformer import TinyLM
    from tinylm.runs.prepare import plan
    from tinylm.runs.run import train
    from tinylm.text.tokenizer import Tokenizer

# Read by the thread pool when torch is first imported. Threads that wait by spinning for long take the core from the
# very thread they wait for as soon as another program runs beside them: training was up to ten times slower.
os.environ.setdefault("GOMP_SPINCOUNT", "50000")

__version__ = "0.1.0"

_HOMES = {
    "DataConfig": "config.schema",
    "ModelConfig": "config.schema",
    "RunConfig": "config.schema",
    "SampleConfig": "config.schema",
    "TrainConfig": "config.schema",
    "TinyLMError": "errors",
    "Completion": "generation.completion",
    "LanguageModel": "lm",
    "NearFormWarning": "generation.generator",
    "Prediction": "generation.generator",
    "load": "lm",
    "TinyLM": "model.transformer",
    "Report": "evaluation.report",
    "plan": "runs.prepare",
    "train": "runs.run",
    "Tokenizer": "text.tokenizer",
}

__all__ = [
    "Completion", "DataConfig", "LanguageModel", "ModelConfig", "NearFormWarning", "Prediction", "Report", "RunConfig",
    "SampleConfig", "TinyLM", "TinyLMError", "Tokenizer", "TrainConfig", "load", "plan", "train",
]


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first asked for: `import tinylm` alone stays quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'tinylm' has no attribute {name!r}")
    return getattr(importlib.import_module(f"tinylm.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
