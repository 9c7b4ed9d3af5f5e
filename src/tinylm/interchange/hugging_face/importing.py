"""Import of a Hugging Face folder: config, safetensors (also in shards), tokenizer, and suggestions for sampling."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinylm.errors import TinyLMError
from tinylm.inspection.structure import parameter_table
from tinylm.interchange.architectures import with_zeros
from tinylm.interchange.foreign_config import ForeignConfig, read_foreign_config
from tinylm.interchange.hugging_face.roles import read_specials
from tinylm.interchange.importing import Imported
from tinylm.interchange.names import MODULE_NAMES, from_hugging_face
from tinylm.model.tensors import Weights
from tinylm.system.untrusted import quoted, read_json, read_whole
from tinylm.text.tokenizer import MAX_FILE_BYTES, Tokenizer

MAX_JSON_BYTES = 1 << 24
"""Bytes of a config or an index, at most."""
_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
_BUFFERS = (".attn.bias", ".attn.masked_bias", ".attn.attention.bias", ".attn.attention.masked_bias",
            ".rotary_emb.inv_freq")
"""Ends of the names of tensors that are no parameters: masks and angles, which follow from the shape."""
_SAMPLE = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")


def import_folder(folder: Path) -> Imported:
    """Reads the model of a folder that transformers wrote.

    Memory: the files, and the float32 weights.

    Raises:
        TinyLMError: a file is missing, damaged or a pickle; or it holds what tinylm cannot hold exactly.
    """
    fields = read_json(folder / "config.json", MAX_JSON_BYTES)
    foreign = read_foreign_config(fields, str(folder / "config.json"))
    generation = _optional(folder / "generation_config.json")
    tokenizer_text = read_whole(folder / "tokenizer.json", MAX_FILE_BYTES).decode("utf-8", "replace")
    specials = read_specials(tokenizer_text, fields, generation, _optional(folder / "tokenizer_config.json"))
    tokenizer = Tokenizer.imported(tokenizer_text, specials, foreign.model.vocab_size)
    weights = _read_weights(folder, foreign)
    return Imported(foreign.model, weights, tokenizer, f"a Hugging Face folder of type {foreign.architecture}",
                    _sample(generation), foreign.notes)


def _optional(path: Path) -> dict[str, Any]:
    found = read_json(path, MAX_JSON_BYTES) if path.exists() else {}
    if not isinstance(found, dict):
        raise TinyLMError("is not a list of settings", where=str(path))
    return found


def _sample(generation: dict[str, Any]) -> dict[str, Any]:
    """The settings of sampling that transformers would use; those that tinylm cannot hold are left out."""
    if generation.get("do_sample") is not True:
        return {"greedy": True}
    from tinylm.config.schema import SampleConfig

    found: dict[str, Any] = {}
    for name in _SAMPLE:
        try:
            if generation.get(name) is not None:
                SampleConfig(**{name: generation[name]})
                found[name] = generation[name]
        except TinyLMError:
            continue
    return found


# ---- weights


def _read_weights(folder: Path, foreign: ForeignConfig) -> Weights:
    theirs: dict[str, NDArray[Any]] = {}
    for name in _shards(folder):
        theirs |= read_safetensors(folder / name)
    config, where = foreign.model, str(folder)
    theirs = _as_named_now(theirs, foreign)
    if config.n_layers > len(theirs):
        raise TinyLMError(f"is too short for {config.n_layers:,} layers", where=where)
    try:
        ours = from_hugging_face(theirs, foreign.architecture, config.n_layers)
    except TinyLMError as error:
        raise TinyLMError(quoted(error.what), where=where, remedy=error.remedy) from None
    except (ValueError, IndexError):
        raise TinyLMError("a tensor has another shape than the config says", where=where) from None
    expected = {tensor.name: tensor.shape for tensor in parameter_table(config)}
    if "positions.weight" in ours:
        ours["positions.weight"] = ours["positions.weight"][:config.context_length]
    for name in sorted(expected.keys() | ours.keys()):
        if name not in ours and name.endswith(".bias"):
            continue
        found = list(ours[name].shape) if name in ours else "none"
        wanted = list(expected[name]) if name in expected else "none"
        if found != wanted:
            raise TinyLMError(f"config.json asks for {quoted(name)} of shape {wanted}, and here it is {quoted(found)}",
                              where=where, remedy="The files of this folder do not belong together")
    if foreign.scales_queries:
        for name in ours:
            if ".q_proj." in name:
                ours[name] = ours[name] * np.float32(math.sqrt(config.d_head))
    return with_zeros({name: np.ascontiguousarray(array, np.float32) for name, array in ours.items()}, config)


def _as_named_now(theirs: dict[str, NDArray[Any]], foreign: ForeignConfig) -> dict[str, NDArray[Any]]:
    """The parameters by the names of the class for language models: older files lack the first part of the names, and
    hold masks. A tied head is the embedding, whatever stands beside it."""
    embed = MODULE_NAMES[foreign.architecture].modules["embed"]
    prefix = embed.partition(".")[0] + "."
    found = {name if name.startswith((prefix, "lm_head.")) else prefix + name: array for name, array in theirs.items()}
    return {name: array for name, array in found.items() if not name.endswith(_BUFFERS)
            and not (foreign.model.tied_embeddings and name == "lm_head.weight")}


def _shards(folder: Path) -> list[str]:
    """The names of the files with the weights."""
    if (folder / "model.safetensors").exists():
        return ["model.safetensors"]
    index = folder / "model.safetensors.index.json"
    if not index.exists():
        pickled = sorted(path.name for path in folder.glob("*.bin"))
        what = f"has its weights in {quoted(pickled[0])}, a pickle, which could run code" if pickled else \
            "has no model.safetensors"
        raise TinyLMError(what, where=str(folder), remedy="Give a folder with safetensors")
    found = read_json(index, MAX_JSON_BYTES)
    names = found.get("weight_map") if isinstance(found, dict) else None
    files = sorted(set(map(str, names.values()))) if isinstance(names, dict) else []
    there = {path.name for path in folder.glob("*.safetensors")}
    if not files or not there.issuperset(files):
        lacking = [name for name in files if name not in there]
        raise TinyLMError(f"names files that are not in this folder: {quoted(', '.join(lacking) or 'none')}",
                          where=str(index), remedy="Fetch the folder anew")
    return files


def read_safetensors(path: Path) -> dict[str, NDArray[Any]]:
    """Reads the tensors of a file by name: float32, or float16 and float64 as they are.

    Raises:
        TinyLMError: the file is missing or damaged, or a number is not finite.
    """
    data = memoryview(read_whole(path, path.stat().st_size if path.is_file() else 0))
    try:
        start = 8 + int.from_bytes(data[:8], "little")
        if not 8 < start <= len(data):
            raise ValueError("its list of tensors is longer than the file")
        header = json.loads(bytes(data[8:start]).decode())
        header.pop("__metadata__", None)
        return {name: _tensor(name, about, data[start:]) for name, about in header.items()}
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise TinyLMError(f"is damaged ({quoted(error)})", where=str(path), remedy="Fetch the file anew") from None


def _tensor(name: str, about: dict[str, Any], data: memoryview) -> NDArray[Any]:
    dtype, shape, (begin, end) = about["dtype"], about["shape"], about["data_offsets"]
    if dtype not in _DTYPES:
        raise ValueError(f"{name} holds numbers of type {dtype}")
    if not all(type(each) is int and each >= 0 for each in (begin, end, *shape)) or len(shape) > 8:
        raise ValueError(f"{name} has an impossible shape")
    if not begin <= end <= len(data) or math.prod(shape) * np.dtype(_DTYPES[dtype]).itemsize != end - begin:
        raise ValueError(f"{name} does not lie within the file")
    found: NDArray[Any] = np.frombuffer(data[begin:end], _DTYPES[dtype]).reshape(shape)
    if dtype == "BF16":
        found = (found.astype(np.uint32) << 16).view(np.float32)
    if not np.isfinite(found).all():
        raise ValueError(f"{name} holds something that is not a finite number")
    return found
