"""The formats of an export: what each can hold, which files it has, and which programs read it."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tinylm.errors import shell
from tinylm.interchange.source import Dtype, ExportedAdapter, ExportedModel
from tinylm.interchange.verify import Reader
from tinylm.system.paths import given_path

TABLE_OF_GELU = 3.0
"""The slack of llama.cpp with GELU, which it looks up in a table of 16 bits: 2.5e-3 where others are off by 2e-6."""


@dataclass(frozen=True)
class Format:
    """Format of an export.

    Attributes:
        about: what the export is, a sentence for people.
        package: of tinylm.interchange. `write` is in its module `export`; `read_logits` and `engine_logits` are in its
            module `check`.
        dtypes: the number formats that it can hold; the first is the default.
        files: the names of all files that it may have.
        first_reader: the reader that needs no other program.
        engine: the program that it is for, and the Python package by which that program is at hand; None: no package
            has it.
        commands: commands that use an export, in words, with {out} for its path, {uri} for the same as a URI, {name}
            for the model, {base} for the base of an adapter and {prompt} for the beginning of a text.
        is_file: an export is the one file in `files`, under the name that it is given; else a folder.
        mark: of one file, what its beginning holds, by which an earlier export is known.
        q8_0_from: parameters from which on 8 bits are the default; 0: never.
    """

    about: str
    package: str
    dtypes: tuple[Dtype, ...]
    files: frozenset[str]
    first_reader: str
    engine: tuple[str, str] | None
    commands: tuple[tuple[str, ...], ...]
    is_file: bool = False
    mark: str = ""
    q8_0_from: int = 0

    def default_dtype(self, n_parameters: int) -> Dtype:
        """The number format of a model of so many parameters, where nobody chose one."""
        return "q8_0" if 0 < self.q8_0_from <= n_parameters else self.dtypes[0]

    def write(self, model: ExportedModel, folder: Path, dtype: Dtype) -> list[str]:
        """Writes a model into an empty folder. Returns notes for people, on what is not exact.

        Raises:
            TinyLMError: the format cannot hold this model; nothing is written then.

        >>> from tinylm.interchange.export import read_model
        >>> FORMATS["hf"].write(read_model("runs/book"), Path("runs"), "f32")[0]
        'Past 96 tokens transformers goes on without forgetting, into positions that the model was not trained on; ...'
        """
        exporter = importlib.import_module(f"tinylm.interchange.{self.package}.export")
        notes: list[str] = exporter.write(model, folder, dtype)
        return notes

    def readers(self, model: ExportedModel, folder: Path) -> Iterator[Reader]:
        """The readers of what was written: the first, and the program that the format is for, where it is at hand. An
        adapter is read with its base.

        >>> from tinylm.interchange.export import read_model
        >>> [reader.name for reader in FORMATS["hf"].readers(read_model("runs/book"), Path("book-hf"))]
        ['tinylm', 'transformers']
        """
        check = importlib.import_module(f"tinylm.interchange.{self.package}.check")
        written = (folder, model.base) if isinstance(model, ExportedAdapter) else (folder,)
        yield Reader(self.first_reader, check.read_logits(*written))
        program, package = self.engine or ("", "")
        if package and find_spec(package):
            slack = TABLE_OF_GELU if program == "llama.cpp" and model.config.model.mlp == "gelu" else 1.0
            yield Reader(program, check.engine_logits(*written), slack)

    def next_steps(self, out: str, model: ExportedModel, prompt: str) -> list[str]:
        """Commands that use an export, for the shell of this system.

        Args:
            out: its path, as it was given.
            model: that was exported.
            prompt: the beginning of a text that the model knows.

        >>> from tinylm.interchange.export import read_model
        >>> FORMATS["gguf"].next_steps("book-gguf", read_model("runs/book"), "It was")[1]
        'ollama create book -f book-gguf/Modelfile'
        """
        uri = given_path(out).absolute().as_uri()
        base = model.base.name if isinstance(model, ExportedAdapter) else ""
        return [shell(word.format(out=out, uri=uri, name=model.name, prompt=prompt, base=base) for word in words)
                for words in self.commands]


_SETTINGS = frozenset({"config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "README.md"})
FORMATS: dict[str, Format] = {
    "hf": Format("A folder for Python programs with transformers, and for the Hugging Face hub",
                 "hugging_face", ("f32", "f16"), _SETTINGS | {"model.safetensors"}, "tinylm",
                 ("transformers", "transformers"),
                 (("python", "-c", "from transformers import pipeline; write = pipeline('text-generation', {out!r}); "
                   "print(write({prompt!r})[0]['generated_text'])"),)),
    "gguf": Format("A file for llama.cpp, Ollama and LM Studio, which run it on any computer",
                   "gguf", ("f16", "f32", "q8_0"), frozenset({"model.gguf", "Modelfile"}), "tinylm",
                   ("llama.cpp", "xllamacpp"),
                   (("llama-completion", "-m", "{out}/model.gguf", "-p", "{prompt}", "-n", "100"),
                    ("ollama", "create", "{name}", "-f", "{out}/Modelfile"), ("ollama", "run", "{name}", "{prompt}"))),
    "onnx": Format("A graph for ONNX Runtime, and for transformers.js in web pages", "onnx", ("f32", "f16", "q8_0"),
                   _SETTINGS | {"onnx/model.onnx", "onnx/model_fp16.onnx", "onnx/model_quantized.onnx"},
                   "the reference of onnx", ("ONNX Runtime", "onnxruntime"),
                   (("node", "--input-type=module", "-e", 'import {{ env, pipeline }} from '
                     '"@huggingface/transformers"; env.allowRemoteModels = false; env.localModelPath = "./"; '
                     'const write = await pipeline("text-generation", "{out}"); '
                     'console.log((await write("{prompt}"))[0].generated_text)'),)),
    "html": Format("One page that holds the model and runs it in any browser, offline",
                   "html", ("f16", "q8_0", "f32"), frozenset({"model.html"}), "tinylm", None,
                   (("python", "-m", "webbrowser", "{uri}"),), is_file=True,
                   mark='<meta name="generator" content="tinylm export', q8_0_from=1_000_000),
}
"""By the value of --to: a folder for transformers; a file for llama.cpp, Ollama and LM Studio; a graph for ONNX Runtime
and transformers.js; a page that runs the model in a browser."""
ADAPTER_FORMATS: dict[str, Format] = {
    "gguf": Format("Additions for llama.cpp, which adds them to an export of their base", "gguf.adapter",
                   ("f32", "f16", "q8_0"), frozenset({"adapter.gguf"}), "tinylm", ("llama.cpp", "xllamacpp"),
                   (("tinylm", "export", "{base}", "--to", "gguf", "{base}-gguf"),
                    ("llama-completion", "-m", "{base}-gguf/model.gguf", "--lora", "{out}/adapter.gguf", "-p",
                     "{prompt}", "-n", "100"))),
}
"""The formats that hold an adapter alone. In that of peft, for transformers, it stands in its folder already."""
