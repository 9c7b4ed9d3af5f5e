"""An adapter: low-rank additions (model/lora.py) without their base, as another program keeps them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from tinylm.config.schema import ModelConfig
from tinylm.errors import TinyLMError
from tinylm.model.tensors import Weights
from tinylm.system.untrusted import quoted

if TYPE_CHECKING:  # torch is not needed to write a GGUF file
    from tinylm.model.lora import Addition

REVISION = "sha256:"
"""What stands before the fingerprint of a base as its revision. The revisions of others are commits and branches."""
MAX_ALPHA = 1e9
"""The largest alpha, far beyond any that was trained with."""
_REMEDY = "Name the base that it was made on: --base MODEL"


@dataclass(frozen=True)
class Adapter(ABC):
    """An adapter as it was read, before its base is known.

    Attributes:
        path: of the folder or the file that holds it.
        base: the name of its base; empty where it names none.
        fingerprint: of its base's weights; empty where tinylm did not write it.
        tensors: A (R, I) and B (O, R) of each matrix, by their names in the file.
    """

    path: Path
    base: str
    fingerprint: str
    tensors: Weights

    @abstractmethod
    def additions(self, base: ModelConfig) -> dict[str, Addition]:
        """The additions to the matrices of a base.

        Raises:
            TinyLMError: the base lacks a matrix, or has it in another shape.
        """

    def no_matrix(self, name: str) -> TinyLMError:
        """The error for a matrix that the base has not."""
        return TinyLMError(f"the base has no matrix {quoted(name)}, to which this adapter adds", where=str(self.path),
                           remedy=_REMEDY)

    def check_shapes(self, name: str, a: Any, b: Any, shape: tuple[int, int]) -> None:
        """Raises TinyLMError where A and B of a matrix do not make up an addition to one of this shape (O, I)."""
        rows, columns = shape
        if a.shape[1:] != (columns,) or b.shape != (rows, len(a)) or not len(a):
            raise TinyLMError(f"adds to a matrix {quoted(name)} of {len(b)} x {a.shape[-1]} numbers, and that of the "
                              f"base has {rows} x {columns}", where=str(self.path), remedy=_REMEDY)


def read_adapter(path: Path) -> Adapter:
    """Reads an adapter: a folder of peft's, or a GGUF file. No code of it is run.

    Raises:
        TinyLMError: there is none, it is damaged, or it holds more than additions to matrices, by the name of that.

    >>> read_adapter(Path("creed-gguf/adapter.gguf")).tensors["blk.0.attn_q.weight.lora_a"].shape
    (3, 64)
    """
    if path.is_file():
        from tinylm.interchange.gguf.adapter.importing import read_adapter as read_file

        return read_file(path)
    from tinylm.interchange.peft import read_adapter as read_folder

    return read_folder(path)


def fingerprint_in(revision: str) -> str:
    """The fingerprint of a base that its revision holds; empty where it holds none.

    >>> fingerprint_in("sha256:f00d"), fingerprint_in("main")
    ('f00d', '')
    """
    return revision.removeprefix(REVISION) if revision.startswith(REVISION) else ""


def is_alpha(value: object) -> TypeGuard[int | float]:
    """True for a number that an alpha may be.

    >>> is_alpha(16), is_alpha(float("nan")), is_alpha(True)
    (True, False, False)
    """
    return not isinstance(value, bool) and isinstance(value, int | float) and abs(value) <= MAX_ALPHA
