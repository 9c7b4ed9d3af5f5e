"""Export to GGUF: `model.gguf` for llama.cpp and LM Studio, and beside it a `Modelfile` for Ollama."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tinylm.config.schema import ModelConfig
from tinylm.interchange.architectures import find_architecture, with_zeros
from tinylm.interchange.chat import CONTINUATION
from tinylm.interchange.gguf.blocks import TensorType, block_length
from tinylm.interchange.gguf.metadata import general_keys, model_keys, sampling_keys
from tinylm.interchange.gguf.modelfile import modelfile
from tinylm.interchange.gguf.names import to_gguf
from tinylm.interchange.gguf.tokenizer import tokenizer_keys
from tinylm.interchange.gguf.writer import StoredTensor, Value, write_file
from tinylm.interchange.notes import LLAMA_CPP, export_notes
from tinylm.interchange.source import Dtype, ExportedModel
from tinylm.system.files import write_atomically

MODEL: Final = "model.gguf"
MODELFILE: Final = "Modelfile"

_TYPES: dict[Dtype, TensorType] = {"f32": TensorType.F32, "f16": TensorType.F16, "q8_0": TensorType.Q8_0}


def write(model: ExportedModel, folder: Path, dtype: Dtype) -> list[str]:
    """Writes a model as GGUF into an empty folder.

    Args:
        dtype: of the matrices. Vectors and learned positions are always f32; under q8_0, rows that are no multiple of
            32 are f16.

    Returns:
        Sentences for people: where llama.cpp and Ollama do not do the same as tinylm.

    Raises:
        TinyLMError: before anything is written: no architecture or tokenizer of llama.cpp is this model's, or a weight
            is too large for the number format.
        OSError: the folder cannot be written.

    >>> from tinylm.interchange.export import read_model
    >>> write(read_model("runs/book"), Path("runs"), "f32")[0]
    'llama.cpp ends a text at 96 tokens; tinylm forgets its front.'
    """
    held = find_architecture(model.config.model, "gguf")
    tensors = to_gguf(with_zeros(model.weights, held.config), held.config, held.architecture)
    keys: dict[str, Value] = {
        **general_keys(model.name, held.architecture, dtype), **sampling_keys(model.config.sample),
        **model_keys(held.config, held.architecture), **tokenizer_keys(model.tokenizer, held.config.vocab_size),
        "tokenizer.chat_template": model.chat_template or CONTINUATION}
    write_file(folder / MODEL, keys, {
        name: StoredTensor(numbers, tensor_type(name, numbers.shape, dtype)) for name, numbers in tensors.items()})
    write_atomically(folder / MODELFILE, modelfile(model, MODEL))
    return _notes(model, held.config, dtype)


def tensor_type(name: str, shape: tuple[int, ...], dtype: Dtype) -> TensorType:
    """The number format of a tensor, as llama.cpp's own converter and quantiser choose it.

    >>> tensor_type("blk.0.attn_q.weight", (64, 40), "q8_0").name, tensor_type("output_norm.weight", (40,), "f16").name
    ('F16', 'F32')
    """
    if len(shape) == 1 or name == "position_embd.weight":
        return TensorType.F32
    kind = _TYPES[dtype]
    return kind if shape[-1] % block_length(kind) == 0 else TensorType.F16


def _notes(model: ExportedModel, config: ModelConfig, dtype: Dtype) -> list[str]:
    notes = {
        "llama.cpp computes GELU from a table of 16 bits: its logits are off by some thousandths.":
            config.mlp == "gelu",
        "A prompt of known words gives the same ids in llama.cpp; an unknown word may become another number of <unk> "
        "there, and its known beginning a word.": model.tokenizer.kind == "word",
        "Texts that llama.cpp writes begin with a blank.": model.tokenizer.kind == "word",
        "The Modelfile leaves out a stop text that holds a quotation mark.":
            any('"' in text for text in model.config.sample.stop)}
    return [*export_notes(model, config, dtype, LLAMA_CPP), *(note for note, holds in notes.items() if holds)]
