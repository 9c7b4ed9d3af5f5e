"""Your own small language model, from your own text, on your own machine.

`train` makes a `LanguageModel` from a text, `load` reads one from its folder. A model writes, predicts, and can be
looked into.

    >>> import tinylm
    >>> lm = tinylm.load("runs/notebook")  # or: lm = tinylm.train("book.txt", minutes=2)
    >>> lm.generate("hello , how is", greedy=True)
    'your day ?'
    >>> lm.predict("hello , how are", top=1)[0].token
    'you'
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinylm.config.schema import BaseConfig, DataConfig, ModelConfig, RunConfig, SampleConfig, TrainConfig
    from tinylm.errors import TinyLMError
    from tinylm.evaluation.report import Report
    from tinylm.generation.completion import Completion
    from tinylm.generation.generator import NearFormWarning
    from tinylm.lm import LanguageModel, load
    from tinylm.model.transformer import TinyLM
    from tinylm.runs.importing import import_model
    from tinylm.runs.merge import merge
    from tinylm.runs.prepare import plan
    from tinylm.runs.run import train
    from tinylm.sampling.predictions import Prediction
    from tinylm.text.tokenizer import Tokenizer

# torch's thread pool reads these at the first import of torch: GNU's on Linux the first, LLVM's and Intel's elsewhere
# the second. Threads that spin for long while they wait take the core from the very thread that they wait for, as soon
# as another program runs beside them: training was up to ten times slower.
os.environ.setdefault("GOMP_SPINCOUNT", "50000")
os.environ.setdefault("KMP_BLOCKTIME", "1")  # milliseconds

__version__ = "0.1.0"

_HOMES = {
    "BaseConfig": "config.schema",
    "DataConfig": "config.schema",
    "ModelConfig": "config.schema",
    "RunConfig": "config.schema",
    "SampleConfig": "config.schema",
    "TrainConfig": "config.schema",
    "TinyLMError": "errors",
    "Completion": "generation.completion",
    "LanguageModel": "lm",
    "NearFormWarning": "generation.generator",
    "Prediction": "sampling.predictions",
    "import_model": "runs.importing",
    "load": "lm",
    "merge": "runs.merge",
    "TinyLM": "model.transformer",
    "Report": "evaluation.report",
    "plan": "runs.prepare",
    "train": "runs.run",
    "Tokenizer": "text.tokenizer",
}

__all__ = [
    "BaseConfig", "Completion", "DataConfig", "LanguageModel", "ModelConfig", "NearFormWarning", "Prediction", "Report",
    "RunConfig", "SampleConfig", "TinyLM", "TinyLMError", "Tokenizer", "TrainConfig", "import_model", "load", "merge",
    "plan", "train",
]


def __getattr__(name: str) -> Any:
    """Imports a public name at its first use, so that `import tinylm` alone stays quick."""
    if name == "learn":  # the package of exercises
        return importlib.import_module("tinylm.learn")
    if name not in _HOMES:
        raise AttributeError(f"module 'tinylm' has no attribute {name!r}")
    return getattr(importlib.import_module(f"tinylm.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
