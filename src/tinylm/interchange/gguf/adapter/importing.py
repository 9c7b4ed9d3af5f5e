"""Import of an adapter in GGUF: one of tinylm's, or what llama.cpp's converter wrote."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import numpy as np

from tinylm.config.schema import ModelConfig
from tinylm.errors import TinyLMError
from tinylm.inspection.structure import parameter_table
from tinylm.interchange.adapter import Adapter, fingerprint_in, is_alpha
from tinylm.interchange.gguf.adapter.export import A, B
from tinylm.interchange.gguf.metadata import ADAPTER, ADAPTER_TYPE, ALPHA, BASE_NAME, BASE_VERSION, LORA
from tinylm.interchange.gguf.names import rows_from_gguf, tensor_names
from tinylm.interchange.gguf.reader import GGUFFile, read_gguf
from tinylm.interchange.gguf.shape import ARCHITECTURES
from tinylm.interchange.names import Architecture
from tinylm.model.lora import Addition
from tinylm.system.untrusted import quoted

_REMEDY = "Give a GGUF file that holds an adapter (LoRA), and nothing else"
_KIND = ("norm", "mlp", "qk_norm")
"""Settings by which the architecture of a base is known."""


@dataclass(frozen=True)
class GGUFAdapter(Adapter):
    """An adapter as its file has it.

    Attributes:
        architecture: of its base, by the name that the file gives it.
        alpha: the scale at rank 1; 0: the scale is 1.
    """

    architecture: Architecture
    alpha: float

    def additions(self, base: ModelConfig) -> dict[str, Addition]:
        fixed = ARCHITECTURES[self.architecture]
        if any(fixed[name] != getattr(base, name) for name in _KIND):
            raise TinyLMError(f"was made on a model of the architecture {self.architecture}, which the base is not",
                              where=str(self.path), remedy="Name the base that it was made on: --base MODEL")
        shapes = {tensor.name: tensor.shape for tensor in parameter_table(base)}
        known = tensor_names(base, self.architecture)
        found: dict[str, Addition] = {}
        for name in (each.removesuffix(A) for each in self.tensors if each.endswith(A)):
            parts = known.get(name, [])
            if not parts or any(len(shapes[part]) != 2 for part in parts):
                raise self.no_matrix(name)
            found |= self._of_matrix(name, {part: shapes[part] for part in parts}, base.d_head)
        return found

    def _of_matrix(self, name: str, shapes: dict[str, tuple[int, ...]], d_head: int) -> dict[str, Addition]:
        """The additions to our matrices whose rows one of the file holds, by name."""
        a, b = self.tensors[name + A], self.tensors[name + B]
        lengths, columns = [shape[0] for shape in shapes.values()], next(iter(shapes.values()))[1]
        self.check_shapes(name, a, b, (sum(lengths), columns))
        scale = self.alpha / len(a) if self.alpha else 1.0
        parts = zip(shapes, np.split(b, np.cumsum(lengths)[:-1]), strict=True)
        return {part: Addition(a, np.ascontiguousarray(rows_from_gguf(part, rows, d_head, self.architecture)), scale)
                for part, rows in parts}


def read_adapter(path: Path) -> GGUFAdapter:
    """Reads an adapter of a GGUF file. No code of it is run.

    Raises:
        TinyLMError: the file is damaged, or holds something else or more than additions to matrices, by the name of it.

    >>> found = read_adapter(Path("creed-gguf/adapter.gguf"))
    >>> found.architecture, found.base, found.alpha
    ('qwen3', 'default', 16.0)
    """
    file = read_gguf(path)
    keys = {name: file.keys.get(name) for name in ("general.type", ADAPTER_TYPE, "general.architecture", ALPHA)}
    kind, of, architecture, alpha = keys.values()
    if kind != ADAPTER or of != LORA:
        raise TinyLMError("is no adapter (LoRA)", where=file.where, remedy=_REMEDY)
    if architecture not in ARCHITECTURES or architecture not in get_args(Architecture):
        raise TinyLMError(f"is an adapter to a model of the architecture {quoted(architecture)}", where=file.where,
                          remedy=f"tinylm holds {', '.join(ARCHITECTURES)}")
    alpha = 0.0 if alpha is None else alpha
    if not is_alpha(alpha):
        raise TinyLMError(f"{ALPHA} is no number", where=file.where, remedy="Fetch the file anew")
    _refuse_others(file)
    tensors = {name: file.numbers(name) for name in file.tensors}
    base, version = (str(file.keys.get(name) or "") for name in (BASE_NAME, BASE_VERSION))
    return GGUFAdapter(path, base, fingerprint_in(version), tensors, architecture,  # type: ignore[arg-type]
                       float(alpha))


def _refuse_others(file: GGUFFile) -> None:
    """Refuses a file that holds more than A and B of matrices, or a key of adapters that is not known here."""
    for name in file.keys:
        if name.startswith("adapter.") and name not in (ADAPTER_TYPE, ALPHA):
            raise TinyLMError(f"has the key {quoted(name)}, which tinylm cannot merge", where=file.where,
                              remedy=_REMEDY)
    if not file.tensors:
        raise TinyLMError("holds no additions", where=file.where, remedy=_REMEDY)
    for name in _without_partner(file.tensors):
        raise TinyLMError(f"holds {quoted(name)}, which is not A or B of an addition to a matrix", where=file.where,
                          remedy=_REMEDY)


def _without_partner(names: Iterable[str]) -> list[str]:
    found = set(names)
    return sorted(name for name in found
                  if (name.removesuffix(A) + B if name.endswith(A) else name.removesuffix(B) + A) not in found)
