"""The model folder: written whole or not at all, read without running any code.

    config.json         all choices (config.py), and the number of this format
    tokenizer.json      text <-> ids, in the format of Hugging Face's tokenizers
    model.safetensors   the best weights
    metrics.jsonl       what happened, an event a line
    samples.jsonl       what it wrote along the way
    README.md           the model card
    chat_template.jinja  the chat template that an imported model came with, for exports; nothing here runs it
    adapter/            the low-rank additions alone (interchange/peft.py), where these were trained
    checkpoints/        to go on from (training/checkpoint.py); without it, it is still a model

A run makes the folder at its beginning and fills it as it goes, and holds its lock until it leaves.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinylm.config.aliases import ALIASES
from tinylm.config.schema import SECTIONS, ModelConfig, RunConfig
from tinylm.config.spelling import match_name
from tinylm.errors import TinyLMError, command
from tinylm.inspection.structure import parameter_table
from tinylm.model.tensor_file import write_tensors
from tinylm.model.tensors import Weights, check_layers_fit, read_tensors
from tinylm.system.files import fsync, patiently, replaced_atomically, write_atomically, write_remedy
from tinylm.system.folders import check_writable, flush_all, move_into_place, temporary_folder
from tinylm.system.locks import exclusive
from tinylm.system.paths import given_path
from tinylm.system.untrusted import open_nonblocking, quoted, read_json
from tinylm.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from tinylm.model.transformer import TinyLM

FORMAT = 1
CONFIG, TOKENIZER, WEIGHTS, METRICS, SAMPLES, CARD, CHECKPOINTS = (
    "config.json", "tokenizer.json", "model.safetensors", "metrics.jsonl", "samples.jsonl", "README.md", "checkpoints")
CHAT_TEMPLATE = "chat_template.jinja"
ADAPTER, ADAPTER_CONFIG = "adapter", "adapter_config.json"
LOCK = "checkpoints/.lock"
MAX_EVENT_BYTES = 1 << 14
"""Bytes at the end of a run's records in which its last event is looked for."""


# ---- writing


@contextmanager
def new_folder(folder: str | Path, *, force: bool = False, keep_old: bool = False,
               held: ExitStack | None = None, option: str = "--out") -> Iterator[Path]:
    """A temporary folder that replaces `folder` when the block ends well, and is gone when it does not. No file in it
    may be open by then.

    Args:
        force: a model folder that is there may be replaced. Any other folder that holds something never is.
        keep_old: what is replaced becomes `folder`.old instead of being deleted.
        held: gets the lock of the new folder (`locked`), so that no other process comes between.
        option: takes another place, for errors.

    Raises:
        TinyLMError: the folder holds something, or cannot be written.
    """
    folder = Path(os.path.abspath(given_path(folder)))
    check_free(folder, force=force, option=option)
    with ExitStack() as made:
        try:
            temporary = made.enter_context(temporary_folder(folder))
        except OSError as error:
            raise TinyLMError(f"cannot be written ({error.strerror})", where=str(folder),
                              remedy=f"Choose another place with {option}") from None
        try:
            yield temporary
            flush_all(temporary)
            with _named(folder):
                with _training(folder):  # nobody does
                    pass
                move_into_place(temporary, folder, force=force, keep_old=keep_old, option=option)
                if held:
                    held.enter_context(_training(folder))
            fsync(folder.parent)
        except OSError as error:
            raise TinyLMError(f"could not be written ({error.strerror})", where=str(folder),
                              remedy=f"{write_remedy(error)}, or choose another place with {option}") from None


def check_free(folder: Path, *, force: bool, option: str = "--out") -> None:
    """Raises TinyLMError when a new model may not be written to this folder. The remedy names the option that takes
    another place."""
    check_writable(folder, option)
    if not folder.exists():
        return
    if not folder.is_dir():
        raise TinyLMError("is a file, and a model is a folder", where=str(folder), remedy=f"Choose another {option}")
    if not any(folder.iterdir()):
        return
    if not (folder / CONFIG).is_file():
        raise TinyLMError("this folder holds something that is not a model", where=str(folder),
                          remedy=f"Choose another {option}")
    if not force:
        resume = ", or go on with its training: --resume" if (folder / CHECKPOINTS).is_dir() else ""
        raise TinyLMError("there is a model already", where=str(folder),
                          remedy=f"Choose another {option}, or give --force to replace it{resume}")
    with locked(folder):
        pass


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Within the block no other process trains into this folder.

    Raises:
        TinyLMError: another process does, or the folder cannot be written.
    """
    with ExitStack() as held:
        with _named(folder):
            held.enter_context(_training(folder))
        yield


@contextmanager
def _named(folder: Path) -> Iterator[None]:
    """Within the block no other process gives a folder this name or takes it away, or begins to train in it. The file
    of this lock lies beside the folder: the one of `_training` must not be open while its folder is renamed."""
    place = Path(os.path.realpath(folder))
    with ExitStack() as held:
        try:
            held.enter_context(exclusive(place.parent / f".{place.name}.lock"))
        except TimeoutError:
            raise _in_use_error(folder) from None
        except OSError:  # where nothing can be written beside the folder, nobody can rename it either
            pass
        yield


@contextmanager
def _training(folder: Path) -> Iterator[None]:
    """The lock of the process that trains into this folder; to be taken within `_named`."""
    with ExitStack() as held:
        if (folder / CHECKPOINTS).is_dir():  # nobody trains where there are none
            try:
                held.enter_context(exclusive(folder / LOCK))
            except (TimeoutError, FileNotFoundError):
                raise _in_use_error(folder) from None
            except OSError as error:
                raise TinyLMError(f"cannot be written ({error.strerror})", where=str(folder)) from None
        yield


def _in_use_error(folder: Path) -> TinyLMError:
    return TinyLMError("another run is training into this folder at the moment", where=str(folder),
                       remedy="Wait until it has ended, or choose another --out")


def move(folder: Path, target: Path) -> None:
    """Gives a model folder another place on the same disk, where nothing is.

    Raises:
        TinyLMError: a run is training into it, something is there, or the folder cannot be moved.
    """
    with _named(folder), _named(target):
        with _training(folder):  # nobody does
            pass
        if os.path.lexists(target):
            raise TinyLMError("there is something already", where=str(target), remedy="Choose another name")
        try:
            patiently(os.rename, folder, target)
            fsync(target.parent)
        except OSError as error:
            raise TinyLMError(f"cannot be moved ({error.strerror})", where=str(folder),
                              remedy=write_remedy(error)) from None


def has_checkpoints(folder: Path) -> bool:
    """True if there is something to go on with the training from."""
    return any((folder / CHECKPOINTS).glob("[0-9]*"))


def is_unfinished(folder: Path) -> bool:
    """True for a run that has no weights as yet; a finished one without them has lost them."""
    return not (folder / WEIGHTS).exists() and has_checkpoints(folder) and not _has_finished(folder)


def _has_finished(folder: Path) -> bool:
    """True if the last event that the run recorded is its end."""
    try:
        with open(folder / METRICS, "rb", opener=open_nonblocking) as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - MAX_EVENT_BYTES))
            return b'"event": "finished"' in file.read(MAX_EVENT_BYTES)
    except OSError:
        return False


def unfinished_error(folder: str | Path) -> TinyLMError | None:
    """The error for a run that has no weights as yet, with the way to go on; None for any other folder."""
    folder = Path(folder)
    if not is_unfinished(folder):
        return None
    if is_training(folder):
        return TinyLMError("the run is training at this moment, and has no weights yet", where=str(folder),
                           remedy="Wait for its first validation")
    again = command("train", "--resume", "--out", folder)
    return TinyLMError("the run is not finished: it has no weights yet", where=str(folder),
                       remedy=f"Go on with: {again}")


def is_training(folder: Path) -> bool:
    """True if a process trains into the folder at this moment. Nothing is written to find out, unless a process that
    was killed has left the file of its lock."""
    if not (folder / LOCK).exists():
        return False
    try:
        with _training(folder):
            return False
    except TinyLMError as error:
        return "another run" in error.what


def write_config(folder: Path, config: RunConfig) -> None:
    written = {"format": FORMAT, **config.model_dump(mode="json")}
    write_atomically(folder / CONFIG, json.dumps(written, indent=2) + "\n")


def write_weights(folder: Path, weights: Weights) -> None:
    """Writes a model's parameters, by the names of `TinyLM.named_parameters()`."""
    with replaced_atomically(folder / WEIGHTS) as temporary:
        write_tensors(temporary, weights)


def link_weights(folder: Path, weights: Path) -> None:
    """Makes the weights of a checkpoint the model's, without a second copy of them where the disk can do that."""
    with replaced_atomically(folder / WEIGHTS) as temporary:
        try:
            os.link(weights, temporary)
        except OSError:
            shutil.copyfile(weights, temporary)


def copy_records(source: Path, target: Path) -> None:
    """Copies the records of the training, the card and the chat template, as far as they are there."""
    for name in (METRICS, SAMPLES, CARD, CHAT_TEMPLATE):
        if (source / name).is_file() and not (source / name).is_symlink():  # which might point anywhere
            shutil.copyfile(source / name, target / name)


# ---- reading


RUNS = Path("runs")
"""Where a run goes that was given no other folder."""
MAX_CONFIG_BYTES = 1 << 20
"""Bytes that config.json may have."""


BUILT_IN = Path(__file__).parent / "bases"
"""The folder of the models that come with tinylm, each in the folder of its name."""


def model_path(folder: str | Path) -> Path:
    """The model folder that a person means: a path, or the name of a built-in model, which means the same in every
    folder (a folder of such a name is `./english`).

    >>> model_path("english") == BUILT_IN / "english", str(model_path("runs/book"))
    (True, 'runs/book')
    """
    return BUILT_IN / folder if is_built_in(folder) else given_path(folder)


def is_built_in(folder: str | Path) -> bool:
    """True for the name of a built-in model."""
    return isinstance(folder, str) and folder in built_in_models()


def built_in_models() -> list[str]:
    """The names of the models that come with tinylm."""
    return sorted(path.parent.name for path in BUILT_IN.glob(f"*/{CONFIG}"))


def read_config(folder: str | Path) -> RunConfig:
    """Raises: TinyLMError: no model folder, or one that is damaged or of a newer format."""
    path = model_path(folder) / CONFIG
    if not path.is_file():
        raise _no_model_error(folder, path.parent)
    values = read_json(path, MAX_CONFIG_BYTES)
    _check_format(path, values)
    if isinstance(values.get("data"), dict):  # a folder from before the settings holds a text as it stood
        values["data"].setdefault("line_ends", "keep")
        values["data"].setdefault("formats", "keep")
    try:
        return RunConfig.from_dict(values)
    except TinyLMError as error:
        raise TinyLMError(quoted(error.what), where=f"{path}: {quoted(error.where)}",
                          remedy="Use the tinylm that made it, or restore the folder from a copy") from None
    except (ValueError, TypeError, ArithmeticError, RecursionError):
        raise _damaged_error(path) from None


def _no_model_error(given: str | Path, folder: Path) -> TinyLMError:
    """The error for a folder without a config. The model that was meant is named, where it is near."""
    if (folder / ADAPTER_CONFIG).is_file():
        return TinyLMError("is an adapter, which needs its base to be a model", where=str(given),
                           remedy=f"Merge the two: {command('merge', folder, 'OUT')}")
    what = "is not a model folder: it has no config.json" if folder.is_dir() else "there is no such model folder"
    near = [folder.parent] if folder.is_file() else [RUNS / folder.name]
    if not folder.exists() and not (near[0] / CONFIG).is_file():
        near = [path.parent for path in sorted(folder.parent.glob(f"*/{CONFIG}"))
                if path.parent.name.casefold() == folder.name.casefold()]
    built_in = [name for name in built_in_models() if name != str(given)]
    meant = next((str(each) for each in near if (each / CONFIG).is_file()), match_name(str(given), built_in))
    return TinyLMError(what, where=str(given), remedy=f"Did you mean {meant!r}?" if meant
                       else "Make a model with `tinylm train SOURCE --out FOLDER`")


def _check_format(path: Path, values: Any) -> None:
    """Takes the number of the format out of the values. What a newer tinylm wrote is named."""
    if not isinstance(values, dict) or not isinstance(number := values.pop("format", None), int) or number < 1:
        raise _damaged_error(path)
    if number > FORMAT:
        raise TinyLMError(f"has format {quoted(number)}, and this tinylm reads up to {FORMAT}",
                          where=str(path), remedy="Use a newer tinylm")
    unknown = [name for name in values if name not in SECTIONS]
    unknown += [f"{name}.{field}" for name, section in SECTIONS.items() if isinstance(values.get(name), dict)
                for field in values[name] if ALIASES.get(field, field) not in section.model_fields]
    if unknown:
        raise TinyLMError(f"has settings that this tinylm does not know: {quoted(', '.join(unknown))}",
                          where=str(path), remedy="Use the tinylm that made it, or a newer one")


def _damaged_error(path: Path) -> TinyLMError:
    return TinyLMError("is damaged: it does not hold a model's settings", where=str(path),
                       remedy="Restore the folder from a copy, or train again")


def read_model(folder: str | Path) -> tuple[RunConfig, Tokenizer, Weights]:
    """Reads a whole model: its config, its tokenizer and its parameters by name.

    Raises:
        TinyLMError: as the readers of the three; or they do not belong together.
    """
    config, tokenizer = read_config(folder), read_tokenizer(folder)
    if tokenizer.vocab_size != config.model.vocab_size:
        raise TinyLMError(f"the tokenizer has {tokenizer.vocab_size} entries and the model {config.model.vocab_size}",
                          where=str(folder), remedy="The files of this folder do not belong together")
    return config, tokenizer, read_weights(folder, config.model)


def read_tokenizer(folder: str | Path) -> Tokenizer:
    """Raises: TinyLMError: missing or damaged."""
    return Tokenizer.load(model_path(folder) / TOKENIZER)


def read_weights(folder: str | Path, config: ModelConfig) -> Weights:
    """A model's parameters by name, which are held against the config before anything of its size is made: the two need
    not belong together, and a few digits can ask for more memory than there is.

    Memory: at most twice the file.

    Raises:
        TinyLMError: the file is missing or damaged, or does not hold exactly this model's tensors in finite numbers.
    """
    if error := unfinished_error(folder):
        raise error
    path = model_path(folder) / WEIGHTS
    check_layers_fit(path, config.n_layers)
    return read_tensors(path, {tensor.name: tensor.shape for tensor in parameter_table(config)})


def read_card(folder: Path) -> str:
    """The model card (Markdown); empty where there is none."""
    return _read_text(folder / CARD)


def read_chat_template(folder: Path) -> str:
    """The chat template that an imported model came with; empty where there is none."""
    return _read_text(folder / CHAT_TEMPLATE)


def _read_text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def make_model(config: ModelConfig, weights: Weights) -> TinyLM:
    """The torch module with these weights."""
    import torch

    from tinylm.model.transformer import TinyLM

    model = TinyLM(config)
    model.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()}, strict=False)
    return model
