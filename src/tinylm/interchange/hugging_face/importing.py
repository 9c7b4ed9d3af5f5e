"""Import of a Hugging Face folder: config, safetensors (also in shards), tokenizer, and suggestions for sampling."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from tinylm.errors import TinyLMError
from tinylm.inspection.structure import parameter_table
from tinylm.interchange.architectures import with_zeros
from tinylm.interchange.foreign_config import ForeignConfig, read_foreign_config
from tinylm.interchange.hugging_face.roles import read_specials
from tinylm.interchange.importing import Imported
from tinylm.interchange.names import MODULE_NAMES, from_hugging_face
from tinylm.model.tensor_file import open_tensors
from tinylm.model.tensors import Weights, check_shapes
from tinylm.system.untrusted import quoted, read_json, read_whole
from tinylm.text.tokenizer import MAX_FILE_BYTES, Tokenizer

MAX_JSON_BYTES = 1 << 24
"""Bytes of a config or an index, at most."""
_BUFFERS = (".attn.bias", ".attn.masked_bias", ".attn.attention.bias", ".attn.attention.masked_bias",
            ".rotary_emb.inv_freq")
"""Ends of the names of tensors that are no parameters: masks and angles, which follow from the shape."""
_SAMPLE = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty")


def import_folder(folder: Path) -> Imported:
    """Reads the model of a folder that transformers wrote.

    Memory: the files, and the float32 weights.

    Raises:
        TinyLMError: a file is missing, damaged or a pickle; or it holds what tinylm cannot hold exactly.

    >>> import_folder(Path("book-hf")).config.n_layers
    2
    """
    fields = read_json(folder / "config.json", MAX_JSON_BYTES)
    foreign = read_foreign_config(fields, str(folder / "config.json"))
    generation = _optional(folder / "generation_config.json")
    tokenizer_text = read_whole(folder / "tokenizer.json", MAX_FILE_BYTES).decode("utf-8", "replace")
    tokenizer_config = _optional(folder / "tokenizer_config.json")
    specials = read_specials(tokenizer_text, fields, generation, tokenizer_config)
    tokenizer = Tokenizer.imported(tokenizer_text, specials, foreign.model.vocab_size)
    weights = _read_weights(folder, foreign)
    return Imported(foreign.model, weights, tokenizer, f"a Hugging Face folder of type {foreign.architecture}",
                    _sample(generation), list(foreign.notes), _chat_template(folder, tokenizer_config))


def _chat_template(folder: Path, tokenizer_config: dict[str, Any]) -> str:
    """The chat template: of a file beside the settings, where transformers 5 writes it, or of the settings; of several,
    the one with the name "default". Empty: there is none."""
    path = folder / "chat_template.jinja"
    if path.exists():
        return read_whole(path, MAX_JSON_BYTES).decode("utf-8", "replace")
    found = _optional(folder / "chat_template.json").get("chat_template", tokenizer_config.get("chat_template"))
    if isinstance(found, list):
        found = next((each.get("template") for each in found
                      if isinstance(each, dict) and each.get("name") == "default"), None)
    return found if isinstance(found, str) else ""


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
    theirs: Weights = {}
    for name in _shards(folder):
        theirs |= _read_shard(folder / name, foreign)
    config, where = foreign.model, str(folder)
    if config.n_layers > len(theirs):
        raise TinyLMError(f"is too short for {config.n_layers:,} layers", where=where)
    try:
        ours = from_hugging_face(theirs, foreign.architecture, config.n_layers)
    except TinyLMError as error:
        raise TinyLMError(quoted(error.what), where=where, remedy=error.remedy) from None
    except (ValueError, IndexError):
        raise TinyLMError("a tensor has another shape than the config says", where=where) from None
    expected = {tensor.name: tensor.shape for tensor in parameter_table(config)
                if tensor.name in ours or not tensor.name.endswith(".bias")}
    if "positions.weight" in ours:
        ours["positions.weight"] = ours["positions.weight"][:config.context_length]
    check_shapes({name: array.shape for name, array in ours.items()}, expected, where)
    del theirs
    for name in list(ours):  # one by one: where tinylm holds the transpose, each goes as it is copied
        array = ours.pop(name)
        scale = math.sqrt(config.d_head) if foreign.scales_queries and ".q_proj." in name else 1.0
        ours[name] = array * np.float32(scale) if scale != 1.0 else np.ascontiguousarray(array)
    return with_zeros(ours, config)


def _read_shard(path: Path, foreign: ForeignConfig) -> Weights:
    """The parameters of a file by the names of the class for language models: older files lack the first part of the
    names, and hold masks. A tied head is the embedding, whatever stands beside it."""
    prefix = MODULE_NAMES[foreign.architecture].modules["embed"].partition(".")[0] + "."
    with open_tensors(path, "Fetch the file anew") as file:
        names = {name: name if name.startswith((prefix, "lm_head.")) else prefix + name for name in file.tensors
                 if not name.endswith(_BUFFERS)}
        return {now: file.read(name) for name, now in names.items()
                if not (foreign.model.tied_embeddings and now == "lm_head.weight")}


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
