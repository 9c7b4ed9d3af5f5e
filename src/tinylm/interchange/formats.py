"""The formats of an export: what each can hold, which files it has, and which programs read it."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tinylm.config.schema import ModelConfig
from tinylm.interchange.source import Dtype, ExportedModel
from tinylm.interchange.verify import Reader

TABLE_OF_GELU = 30.0
"""The slack of llama.cpp with GELU, which it looks up in a table of 16 bits: 8e-4 where others are off by 2e-6."""


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        package: `write` is in its module `export`; `read_logits` and `engine_logits` are in its module `check`.
        dtypes: the number formats that it can hold; the first is the default.
        files: the names of all files that it may have.
        engine: the program that it is for, and the Python package by which that program is at hand.
        next_steps: commands that use an export, with {out} for its folder and {name} for the model.
    """

    package: str
    dtypes: tuple[Dtype, ...]
    files: frozenset[str]
    engine: tuple[str, str]
    next_steps: tuple[str, ...]

    def write(self, model: ExportedModel, folder: Path, dtype: Dtype) -> list[str]:
        """Writes a model into an empty folder. Returns notes for people, on what is not exact.

        Raises:
            TinyLMError: the format cannot hold this model; nothing is written then.
        """
        notes: list[str] = importlib.import_module(f"{self.package}.export").write(model, folder, dtype)
        return notes

    def readers(self, config: ModelConfig, folder: Path) -> Iterator[Reader]:
        """The readers of what was written: our own, and the program that the format is for, where it is at hand."""
        check = importlib.import_module(f"{self.package}.check")
        yield Reader("tinylm", check.read_logits(folder))
        program, package = self.engine
        if find_spec(package):
            slack = TABLE_OF_GELU if program == "llama.cpp" and config.mlp == "gelu" else 1.0
            yield Reader(program, check.engine_logits(folder), slack)


_HUGGING_FACE_FILES = frozenset({"config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
                                 "tokenizer_config.json", "README.md"})
FORMATS: dict[str, Format] = {
    "hf": Format("tinylm.interchange.hugging_face", ("f32", "f16"), _HUGGING_FACE_FILES,
                 ("transformers", "transformers"),
                 ("python -c 'from transformers import pipeline; "
                  "print(pipeline(\"text-generation\", \"{out}\")(\"It was\")[0])'",)),
    "gguf": Format("tinylm.interchange.gguf", ("f16", "f32", "q8_0"), frozenset({"model.gguf", "Modelfile"}),
                   ("llama.cpp", "xllamacpp"),
                   ("llama-completion -m {out}/model.gguf -p 'It was' -n 100",
                    "ollama create {name} -f {out}/Modelfile", "ollama run {name} 'It was'")),
}
"""By the value of --to: a folder for transformers; a file for llama.cpp, Ollama and LM Studio."""
