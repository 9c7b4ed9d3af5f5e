"""Checks of an exported ONNX graph: run by the reference of the package onnx, and by ONNX Runtime where it is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinylm.errors import TinyLMError
from tinylm.interchange.onnx.config import FILES
from tinylm.interchange.onnx.nodes import onnx_package
from tinylm.system.extras import missing_extra

Arrays = dict[str, NDArray[Any]]
Run = Callable[[Mapping[str, NDArray[Any]]], Arrays]
"""Maps the inputs of a graph to its outputs, each by name."""
Logits = Callable[[Sequence[int]], NDArray[np.float32]]
"""Maps the T ids of a text to the logits (T, V)."""


def read_logits(folder: Path) -> Logits:
    """The logits of an exported folder by the reference of the package onnx, in NumPy. A text is read in two parts, the
    second on the cache that the first left, so that the cache is checked, too.

    Raises:
        TinyLMError: the package onnx is missing, or the file is no ONNX model.

    >>> from tinylm.interchange.export import read_model
    >>> from tinylm.interchange.onnx.export import write
    >>> _ = write(read_model("runs/book"), Path("runs"), "f32")
    >>> read_logits(Path("runs"))([1, 5]).shape
    (2, 39)
    """
    path = find_file(folder)
    onnx = onnx_package()
    try:
        onnx.checker.check_model(str(path))
    except onnx.checker.ValidationError as error:
        raise TinyLMError(f"is no sound ONNX model ({str(error).strip().splitlines()[0]})", where=str(path)) from None
    return Graph(path, _reference(path)).logits


def engine_logits(folder: Path) -> Logits:
    """The logits by ONNX Runtime. Raises: TinyLMError: it is not installed.

    >>> from tinylm.interchange.export import read_model
    >>> from tinylm.interchange.onnx.export import write
    >>> _ = write(read_model("runs/book"), Path("book-hf"), "f32")
    >>> engine_logits(Path("book-hf"))([1, 5]).shape
    (2, 39)
    """
    path = find_file(folder)
    return Graph(path, _runtime(path)).logits


def find_file(folder: Path) -> Path:
    """The model in an exported folder. Raises: TinyLMError: there is none.

    >>> Path("onnx").mkdir()
    >>> Path("onnx/model.onnx").touch()
    >>> find_file(Path(".")).name
    'model.onnx'
    """
    for name in FILES.values():
        if (folder / "onnx" / name).is_file():
            return folder / "onnx" / name
    raise TinyLMError("holds no ONNX model", where=str(folder / "onnx"))


class Graph:
    """A graph that runs, fed with a cache.

    Args:
        path: of its file.
        run: what computes it.

    >>> from tinylm.interchange.export import read_model
    >>> from tinylm.interchange.onnx.export import write
    >>> _ = write(read_model("runs/book"), Path("book-gguf"), "f32")
    >>> path = find_file(Path("book-gguf"))
    >>> Graph(path, _reference(path)).empty_cache(3)["past_key_values.0.key"].shape
    (3, 4, 0, 16)
    """

    def __init__(self, path: Path, run: Run) -> None:
        graph = onnx_package().load(str(path)).graph
        self._run = run
        self._has_positions = any(entry.name == "position_ids" for entry in graph.input)
        self._caches = {entry.name: [axis.dim_value for axis in entry.type.tensor_type.shape.dim]
                        for entry in graph.input if entry.name.startswith("past_key_values.")}

    def logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        """The logits (T, V) of T ids, read in two parts."""
        batch, middle = np.array([list(ids)], np.int64), (len(ids) + 1) // 2
        logits, cache = self.step(batch[:, :middle], np.ones_like(batch[:, :middle]), self.empty_cache(1))
        if middle < len(ids):
            second, _ = self.step(batch[:, middle:], np.ones_like(batch), cache)
            logits = np.concatenate([logits, second], axis=1)
        return logits[0]

    def empty_cache(self, batch: int) -> Arrays:
        """The cache before the first position."""
        return {name: np.zeros((batch, heads, 0, width), np.float32)
                for name, (_, heads, _, width) in self._caches.items()}

    def step(self, ids: NDArray[np.int64], mask: NDArray[np.int64],
             cache: Arrays) -> tuple[NDArray[np.float32], Arrays]:
        """The logits (B, T, V) of new ids, and the cache that they leave.

        Args:
            ids: (B, T).
            mask: (B, S), 1 for each id from the first on, 0 for padding.
        """
        given = {"input_ids": ids, "attention_mask": mask, **cache}
        if self._has_positions:
            positions = np.where(mask == 0, 1, mask.cumsum(axis=1) - 1)
            given["position_ids"] = positions[:, mask.shape[1] - ids.shape[1]:]
        found = self._run(given)
        return found["logits"], {name: found[name.replace("past_key_values", "present")] for name in self._caches}


def _runtime(path: Path) -> Run:
    try:
        import onnxruntime as runtime
    except ImportError:
        raise missing_extra("export", "a check by ONNX Runtime") from None
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda given: dict(zip(names, session.run(names, dict(given)), strict=True))


def _reference(path: Path) -> Run:
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(str(path))
    names = list(evaluator.output_names)
    return lambda given: dict(zip(names, evaluator.run(names, dict(given)), strict=True))
