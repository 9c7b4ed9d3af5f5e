"""The model folder: written whole or not at all, read without running any code.

    config.json         all choices (config.py), and the number of this format
    tokenizer.json      text <-> ids, in the format of Hugging Face's tokenizers
    model.safetensors   the best weights
    metrics.jsonl       what happened, an event a line
    samples.jsonl       what it wrote along the way
    README.md           the model card
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tinylm.config import RunConfig
from tinylm.errors import TinyLMError
from tinylm.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from torch import Tensor

    from tinylm.model.transformer import TinyLM

FORMAT = 1
CONFIG, TOKENIZER, WEIGHTS, METRICS, SAMPLES, CARD = (
    "config.json", "tokenizer.json", "model.safetensors", "metrics.jsonl", "samples.jsonl", "README.md")


# ---- writing


@contextmanager
def new_folder(folder: str | Path, *, force: bool = False) -> Iterator[Path]:
    """A temporary folder that takes the place of `folder` when the block ends well, and is gone when it does not.

    Args:
        force: a model folder that is there may be replaced. Any other folder that holds something never is.

    Raises:
        TinyLMError: the place is taken, or cannot be written.
    """
    folder = Path(os.path.abspath(folder))
    check_free(folder, force=force)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as error:
        raise TinyLMError(f"cannot be written ({error.strerror})", where=str(folder),
                          remedy="Choose another place with --out") from None
    try:
        yield temporary
        temporary.chmod(0o755)
        _flush(temporary)
        _take_place(temporary, folder)
    except OSError as error:
        raise TinyLMError(f"could not be written ({error.strerror})", where=str(folder),
                          remedy="Make room there, or choose another place with --out") from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_free(folder: Path, *, force: bool) -> None:
    """Raises TinyLMError when a new model may not take this place."""
    above = next(parent for parent in Path(os.path.abspath(folder)).parents if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise TinyLMError("nothing can be written here", where=str(above), remedy="Choose another --out")
    if not folder.exists():
        return
    if not folder.is_dir():
        raise TinyLMError("is a file, and a model is a folder", where=str(folder), remedy="Choose another --out")
    if not any(folder.iterdir()):
        return
    if not (folder / CONFIG).is_file():
        raise TinyLMError("this folder holds something that is not a model", where=str(folder),
                          remedy="Choose another --out")
    if not force:
        raise TinyLMError("there is a model already", where=str(folder),
                          remedy="Choose another --out, or give --force to replace it")


def _flush(folder: Path) -> None:
    """On the disk, not only on its way there."""
    for path in (*folder.iterdir(), folder):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _take_place(temporary: Path, folder: Path) -> None:
    old = temporary.with_name(temporary.name + ".old")
    if folder.exists():
        folder.rename(old)
    temporary.rename(folder)
    shutil.rmtree(old, ignore_errors=True)


def write_config(folder: Path, config: RunConfig) -> None:
    written = {"format": FORMAT, **json.loads(config.to_json())}
    (folder / CONFIG).write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")


def write_weights(folder: Path, model: TinyLM) -> None:
    """Every parameter once: a tied output head is the embedding."""
    from safetensors.torch import save_file

    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.named_parameters()}
    save_file(weights, folder / WEIGHTS, metadata={"format": "pt"})
    (folder / WEIGHTS).chmod((folder / CONFIG).stat().st_mode)  # the library makes it readable to its owner alone


def copy_records(source: Path, target: Path) -> None:
    """What tells of the training, where there is any."""
    for name in (METRICS, SAMPLES, CARD):
        if (source / name).is_file():
            shutil.copyfile(source / name, target / name)


# ---- reading


def read_config(folder: str | Path) -> RunConfig:
    """Raises: TinyLMError: no model folder, or one that is damaged or of a newer format."""
    path = Path(folder) / CONFIG
    if not path.is_file():
        raise TinyLMError("is not a model folder: it has no config.json" if Path(folder).is_dir()
                          else "there is no such model folder", where=str(folder),
                          remedy="Make a model with `tinylm train SOURCE --out FOLDER`")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        number = values.pop("format")
        if number > FORMAT:
            raise TinyLMError(f"has format {number}, and this tinylm reads up to {FORMAT}", where=str(path),
                              remedy="Use a newer tinylm")
        return RunConfig.from_dict(values)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, TinyLMError):
            raise
        raise TinyLMError("is damaged: it does not hold a model's settings", where=str(path),
                          remedy="Restore the folder from a copy, or train again") from None


def read_tokenizer(folder: str | Path) -> Tokenizer:
    """Raises: TinyLMError: missing or damaged."""
    return Tokenizer.load(Path(folder) / TOKENIZER)


def read_weights(folder: str | Path, model: TinyLM) -> None:
    """Fills the model in place.

    Raises:
        TinyLMError: the file is missing or damaged, or does not hold exactly this model's tensors.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    path = Path(folder) / WEIGHTS
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        missing = isinstance(error, FileNotFoundError)
        raise TinyLMError("is missing" if missing else "is damaged", where=str(path),
                          remedy="Restore the folder from a copy, or train again") from None
    _check_tensors(path, dict(model.named_parameters()), weights)
    model.load_state_dict(weights, strict=False)


def _check_tensors(path: Path, expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    for name in sorted(expected.keys() | found.keys()):
        shapes = [list(tensors[name].shape) if name in tensors else "none" for tensors in (expected, found)]
        if shapes[0] != shapes[1]:
            raise TinyLMError(f"config.json asks for {name} of shape {shapes[0]}, and here it is {shapes[1]}",
                              where=str(path), remedy="The files of this folder do not belong together")
