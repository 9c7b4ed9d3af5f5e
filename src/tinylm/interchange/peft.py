"""Adapters: low-rank additions (model/lora.py) in a folder that peft, Hugging Face's package for them, can read.

    adapter_config.json          rank, alpha, the names of the modules; as the revision of the base that it is for, the
                                 fingerprint of its weights
    adapter_model.safetensors    A and B of each module, by the names of the class that transformers has for the base

A base that no class of transformers holds has its modules by tinylm's own names. Source: peft 0.21.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinylm.config.schema import BaseConfig, ModelConfig
from tinylm.errors import TinyLMError
from tinylm.inspection.structure import parameter_table
from tinylm.interchange.adapter import REVISION, Adapter, fingerprint_in, is_alpha
from tinylm.interchange.architectures import find_architecture
from tinylm.interchange.names import MODULE_NAMES, Architecture, tensor_names
from tinylm.model.lora import Addition, Additions, stacked
from tinylm.model.tensor_file import open_tensors, write_tensors
from tinylm.system.files import replaced_atomically, write_atomically
from tinylm.system.untrusted import quoted, read_json

CONFIG, TENSORS = "adapter_config.json", "adapter_model.safetensors"
PREFIX, A, B = "base_model.model.", ".lora_A.weight", ".lora_B.weight"
MAX_JSON_BYTES = 1 << 20
"""Bytes of adapter_config.json, at most."""
WITHOUT_EFFECT = {
    "peft_type", "task_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision", "inference_mode",
    "r", "lora_alpha", "alpha_pattern", "rank_pattern", "use_rslora", "target_modules", "exclude_modules",
    "layers_to_transform", "layers_pattern", "lora_dropout", "fan_in_fan_out", "init_lora_weights", "megatron_core",
    "qalora_group_size", "ensure_weight_tying"}
"""Settings of peft that are read here, say which tensors there are, or matter in training alone."""
CHANGED_BASE = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""First values of A and B that peft takes out of the base's weights, which are then others."""


# ---- writing


def write_adapter(folder: Path, additions: Additions, config: ModelConfig, base: BaseConfig) -> None:
    """Writes an adapter, over one that is there.

    Args:
        folder: is made.
        additions: all of one rank and scale, to all matrices of a kind.
        config: the shape of the base.
        base: names the base.

    Raises:
        OSError: a file cannot be written.

    >>> one = Addition(np.ones((2, 8), np.float32), np.ones((8, 2), np.float32), scale=4.0)
    >>> shape = ModelConfig(vocab_size=5, d_model=8, n_heads=1)
    >>> write_adapter(Path("adapter"), {"layers.0.attn.q_proj.weight": one}, shape, BaseConfig(folder="runs/book"))
    >>> json.loads(Path("adapter/adapter_config.json").read_text())["lora_alpha"]
    8.0
    """
    architecture = _architecture(config)
    tensors: dict[str, Any] = {}
    ranks, alphas = dict[str, int](), dict[str, float]()
    for module, parts in _modules(architecture, config.n_layers).items():
        if parts[0] in additions:
            addition = stacked([additions[part] for part in parts])
            tensors[f"{PREFIX}{module}{A}"], tensors[f"{PREFIX}{module}{B}"] = addition.a, addition.b
            kind = module.rpartition(".")[2]
            ranks[kind], alphas[kind] = len(addition.a), addition.scale * len(addition.a)
    rank = min(ranks.values())
    alpha = next(alphas[kind] for kind in alphas if ranks[kind] == rank)
    larger = {kind for kind in ranks if ranks[kind] != rank}
    settings = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": Path(base.folder).name,
                "revision": f"{REVISION}{base.fingerprint}",
                "r": rank, "lora_alpha": alpha, "target_modules": sorted(ranks), "bias": "none", "lora_dropout": 0.0,
                "fan_in_fan_out": architecture is not None and bool(MODULE_NAMES[architecture].transposed),
                "rank_pattern": {kind: ranks[kind] for kind in sorted(larger)},
                "alpha_pattern": {kind: alphas[kind] for kind in sorted(larger)}, "inference_mode": True}
    folder.mkdir(exist_ok=True)
    with replaced_atomically(folder / TENSORS) as temporary:
        write_tensors(temporary, tensors)
    write_atomically(folder / CONFIG, json.dumps(settings, indent=2, sort_keys=True) + "\n")


def _architecture(config: ModelConfig) -> Architecture | None:
    """The class of transformers that holds a model; None if none does."""
    try:
        return find_architecture(config, "hf").architecture
    except TinyLMError:
        return None


def _modules(architecture: Architecture | None, n_layers: int) -> dict[str, list[str]]:
    """The name of each module of a class -> the names of our matrices whose rows it holds."""
    if architecture is None:
        ours = {name for names in MODULE_NAMES.values() for name in names.modules}
        return {name.replace(".i.", f".{i}."): [f"{name.replace('.i.', f'.{i}.')}.weight"]
                for name in ours for i in range(n_layers)}
    return {name.removesuffix(".weight"): parts for name, parts in tensor_names(architecture, n_layers).items()
            if name.endswith(".weight")}


# ---- reading


@dataclass(frozen=True)
class PeftAdapter(Adapter):
    """An adapter as its folder has it, its tensors by their names in the file without `PREFIX`.

    Attributes:
        settings: of adapter_config.json.
    """

    settings: Mapping[str, Any]

    def additions(self, base: ModelConfig) -> dict[str, Addition]:
        known: dict[str, list[str]] = _modules(None, base.n_layers)
        for architecture in MODULE_NAMES:
            known |= _modules(architecture, base.n_layers)
        shapes = {tensor.name: tensor.shape for tensor in parameter_table(base)}
        found: dict[str, Addition] = {}
        for name in self.tensors:
            module = name.removesuffix(A)
            if module == name:
                continue
            parts = known.get(module, [])
            if not parts or not all(len(shapes.get(part, ())) == 2 for part in parts):
                raise self.no_matrix(module)
            found |= self._of_module(module, {part: shapes[part] for part in parts}, base)
        return found

    def _of_module(self, module: str, shapes: Mapping[str, tuple[int, ...]], base: ModelConfig) -> dict[str, Addition]:
        """The additions to the matrices whose rows a module holds, by name."""
        a, b = self.tensors[module + A], self.tensors[module + B]
        rows, columns = sum(shape[0] for shape in shapes.values()), next(iter(shapes.values()))[1]
        self.check_shapes(module, a, b, (rows, columns))
        if module.endswith("attn.attention.q_proj"):  # GPT-Neo's queries: interchange/names.py
            b = b * np.float32(math.sqrt(base.d_head))
        ends = np.cumsum([shape[0] for shape in shapes.values()])[:-1]
        return {part: Addition(a, rows_of_part, self._scale(module, len(a)))
                for part, rows_of_part in zip(shapes, np.split(b, ends), strict=True)}

    def _scale(self, module: str, rank: int) -> float:
        alphas = self.settings.get("alpha_pattern") or {}
        alpha = next((value for key, value in alphas.items() if f".{module}".endswith(f".{key}")),
                     self.settings.get("lora_alpha"))
        if not is_alpha(alpha):
            raise _damaged(self.path / CONFIG, "its lora_alpha is no number")
        return float(alpha / (math.sqrt(rank) if self.settings.get("use_rslora") else rank))


def read_adapter(folder: Path) -> PeftAdapter:
    """Reads an adapter that peft or tinylm wrote. No code of it is run.

    Memory: at most twice the file.

    Raises:
        TinyLMError: there is none, it is damaged, or it holds more than additions to matrices, by the name of that.

    >>> one = Addition(np.ones((2, 8), np.float32), np.ones((8, 2), np.float32), scale=4.0)
    >>> shape = ModelConfig(vocab_size=5, d_model=8, n_heads=1)
    >>> write_adapter(Path("adapter"), {"layers.0.attn.q_proj.weight": one}, shape, BaseConfig(folder="runs/book"))
    >>> read_adapter(Path("adapter")).additions(shape)["layers.0.attn.q_proj.weight"].scale
    4.0
    """
    settings = _read_settings(folder)
    if not (folder / TENSORS).exists():
        pickled = (folder / "adapter_model.bin").exists()
        what = "has its weights in a pickle, which could run code" if pickled else f"has no {TENSORS}"
        raise TinyLMError(what, where=str(folder), remedy="Give a folder with safetensors")
    with open_tensors(folder / TENSORS, "Fetch the file anew") as file:
        names = {name: name.removeprefix(PREFIX) for name in file.tensors}
        _check_names(names.values(), folder / TENSORS)
        tensors = {now: file.read(name) for name, now in names.items()}
    return PeftAdapter(folder, str(settings.get("base_model_name_or_path") or ""),
                       fingerprint_in(str(settings.get("revision") or "")), tensors, settings)


def _read_settings(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    if not path.is_file():
        raise TinyLMError(f"is not an adapter: it has no {CONFIG}", where=str(folder),
                          remedy="Give a folder that peft wrote, or a model that was trained with --lora")
    settings = read_json(path, MAX_JSON_BYTES)
    if not isinstance(settings, dict) or not isinstance(settings.get("alpha_pattern") or {}, dict):
        raise _damaged(path, "it is not a list of settings")
    if settings.get("peft_type") != "LORA":
        raise TinyLMError(f"is an adapter of type {quoted(settings.get('peft_type'))}, and tinylm reads LoRA",
                          where=str(path))
    for name, value in settings.items():
        changes_base = name == "init_lora_weights" and str(value).casefold().startswith(CHANGED_BASE)
        if (value and name not in WITHOUT_EFFECT and (name, value) != ("bias", "none")) or changes_base:
            raise TinyLMError(f"has {quoted(name)} {quoted(value)}, which tinylm cannot merge", where=str(path),
                              remedy="Merge it in peft (merge_and_unload), and import the whole model: tinylm import")
    for key in settings.get("alpha_pattern") or {}:
        if not all(part.isidentifier() or part.isdigit() for part in key.split(".")):
            raise TinyLMError(f"has the pattern {quoted(key)} in alpha_pattern, and tinylm reads names of modules",
                              where=str(path))
    return settings


def _check_names(names: Iterable[str], path: Path) -> None:
    """Checks that a file holds A and B of modules, and at least one of each. Raises: TinyLMError: it does not."""
    found = set(names)
    for name in sorted(found):
        other = name.removesuffix(A) + B if name.endswith(A) else name.removesuffix(B) + A
        if other not in found:
            raise _damaged(path, f"it holds {quoted(name)}, which is not A or B of an addition to a matrix")
    if not found:
        raise _damaged(path, "it holds no additions")


def _damaged(path: Path, what: str) -> TinyLMError:
    return TinyLMError(f"cannot be merged: {what}", where=str(path), remedy="Merge it in peft (merge_and_unload), and "
                       "import the whole model: tinylm import")
