"""Datasets: the ids of a text, on disk.

    corpus -> split (split.py) -> tokenizer -> ids, memory-mapped and kept for the next time

The cache is keyed by the fingerprints of the text and of the tokenizer, so a changed text is never trained from old
ids; and every byte is checked before it is used.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import sys
import tempfile
import threading
import weakref
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from tinylm.errors import TinyLMError
from tinylm.system.files import patiently, remove_stale, sha256
from tinylm.system.memory import trim_heap
from tinylm.text.corpus import Corpus, Fingerprint, Piece
from tinylm.text.encoders import Ids
from tinylm.text.special_tokens import SpecialTokens, special_token_id
from tinylm.text.split import Slice, Split
from tinylm.text.tokenizer import UnknownText

Thing = TypeVar("Thing")
Result = TypeVar("Result")

MAX_THREADS = 8
"""Threads that encode a text; more of them would wait for the one that reads it."""
CHARACTERS_FOR_A_THREAD = 1 << 18
"""Characters that a thread is given at once, at least."""
FORMAT = 1
"""The version of the files, a part of the cache's key: to be raised when their meaning changes."""
TEMPORARY, TEMPORARY_ELSEWHERE = ".new-", "tinylm-ids-"
"""How the name of a folder begins whose ids are being written: in the cache, and where there is none. Windows removes
no file that is mapped, so that the second kind may outlive its process."""


class Part(NamedTuple):
    """The ids of the training or validation text, memory-mapped. Each whole document ends with `<eos>`."""

    ids: NDArray[Any]
    """(n_tokens,) uint16 or uint32."""
    offsets: NDArray[np.int64]
    """(n_documents + 1,): document d is ids[offsets[d]:offsets[d + 1]]."""
    n_bytes: int
    """Length of the text in UTF-8."""
    specials: SpecialTokens = SpecialTokens()
    """The special tokens of the vocabulary that made the ids; by default those of tinylm's own vocabularies."""
    is_target: NDArray[np.bool_] | None = None
    """(n_tokens,): of conversations, whether an id is to be predicted: one of an answer, or of the token that ends it.
    `n_bytes` is then the length of the answers alone. None: every id is."""

    @property
    def n_tokens(self) -> int:
        return len(self.ids)

    @property
    def n_targets(self) -> int:
        """Tokens that are to be predicted."""
        return self.n_tokens if self.is_target is None else int(np.count_nonzero(self.is_target))

    @property
    def n_bytes_read(self) -> int:
        """Length of all that is read, about, targets or not."""
        return self.n_bytes if self.is_target is None else round(self.n_bytes * self.n_tokens / max(1, self.n_targets))

    @property
    def targets(self) -> NDArray[Any]:
        """The ids that are to be predicted."""
        return self.ids if self.is_target is None else self.ids[self.is_target]

    def head(self, most: int) -> Part:
        """The first `most` tokens, for counting: `offsets` and `n_bytes` stay those of the whole."""
        return self._replace(ids=self.ids[:most], is_target=None if self.is_target is None else self.is_target[:most])

    @property
    def n_documents(self) -> int:
        return len(self.offsets) - 1


@dataclass(frozen=True)
class Dataset:
    """The ids of the training and of the validation text."""

    train: Part
    validation: Part | None
    folder: Path
    """The folder of their files."""
    note: str = ""
    """The reason why they are not kept for the next time; empty if they are."""

    @property
    def parts(self) -> tuple[Part, Part | None]:
        """The training part and the validation part."""
        return self.train, self.validation


class Encoding(Protocol):
    """A tokenizer as far as a dataset needs it: a `Tokenizer`, or a `LossyTokenizer` for a text with unknown parts."""

    specials: SpecialTokens

    @property
    def vocab_size(self) -> int: ...

    @property
    def fingerprint(self) -> str: ...

    def encoder(self, n_bytes: int) -> Callable[[str], Ids]: ...

    def entry_id(self, entry: str) -> int | None: ...

    def encode_parts(self, parts: Sequence[str | int]) -> tuple[list[int], list[int]]: ...


def build_dataset(split: Split, tokenizer: Encoding, *, least: int = 2,
                  cache_dir: str | Path | None = None) -> Dataset:
    """The ids of both texts: from the cache if the very same text was encoded before, else encoded now.

    Args:
        split: the training and the validation text.
        tokenizer: makes the ids.
        least: the number of tokens that the training text must have; default: 2.
        cache_dir: default: $TINYLM_CACHE, else tinylm in the user's folder of caches (`user_caches`). If it cannot be
            written, or there is no home folder, the ids go to a temporary folder, and the dataset's `note` says so.

    Raises:
        TinyLMError: unknown words or characters, a full disk, or fewer than `least` tokens to train on.
    """
    cache = cache_folder(cache_dir)
    folder = cache / "ids" / _key(split, tokenizer) if cache else None
    dataset = (folder and open_ids(folder, tokenizer.specials)) or _encode_into(folder, split, tokenizer)
    if dataset.train.n_tokens < least:
        raise TinyLMError(f"there is too little text: {dataset.train.n_tokens} tokens to train on, and 2 are needed",
                          where=split.train.corpus.name, remedy="Give a longer text, or --validation 0")
    return dataset


def cache_folder(chosen: str | Path | None = None) -> Path | None:
    """The cache's folder; None without a home folder, since `~/.cache` would then be below the working folder."""
    if chosen or os.environ.get("TINYLM_CACHE"):
        return Path(chosen or os.environ["TINYLM_CACHE"])
    caches = user_caches()
    return Path(caches) / "tinylm" if os.path.isabs(caches) else None


def user_caches(system: str = sys.platform) -> str:
    """The user's folder of caches: $XDG_CACHE_HOME, else %LOCALAPPDATA% on Windows, ~/Library/Caches on macOS, ~/.cache
    elsewhere. Relative if there is no home folder."""
    variables = ("XDG_CACHE_HOME", "LOCALAPPDATA") if system == "win32" else ("XDG_CACHE_HOME",)
    below = {"win32": ("AppData", "Local"), "darwin": ("Library", "Caches")}.get(system, (".cache",))
    return next(filter(None, map(os.environ.get, variables)), "") or os.path.join(os.path.expanduser("~"), *below)


def _key(split: Split, tokenizer: Encoding) -> str:
    slices = [(part.corpus.stats().fingerprint, part.unit, part.start, part.stop)
              for part in (split.train, split.validation) if part]
    return hashlib.sha256(json.dumps([FORMAT, tokenizer.fingerprint, slices]).encode()).hexdigest()


def _encode_into(folder: Path | None, split: Split, tokenizer: Encoding) -> Dataset:
    """Encodes both texts into a folder beside `folder`, which is then renamed, so that a folder of this name is always
    whole. If `folder` is None or cannot be written, the ids stay in a temporary folder, which is removed with the
    dataset."""
    temporary, target = _writable_beside(folder), None
    try:
        meta = _write_parts(temporary, split, tokenizer)
        trim_heap()
        (temporary / "meta.json").write_text(json.dumps(meta, indent=2), encoding="utf-8", newline="\n")
        target = _move(temporary, folder, tokenizer.specials)
    except OSError as error:
        raise TinyLMError(f"the ids cannot be written ({error.strerror})", where=str(temporary),
                          remedy="Make room there, or set TINYLM_CACHE to another folder") from None
    finally:
        if target != temporary:
            shutil.rmtree(temporary, ignore_errors=True)
    dataset = open_ids(target, tokenizer.specials)
    assert dataset is not None, target
    if target == temporary:
        where = f"{folder.parent} cannot be written" if folder else "there is no home"
        dataset = replace(dataset, note=f"the ids are not kept for the next time, since {where}; set TINYLM_CACHE to a "
                                        "folder of yours to keep them")
        weakref.finalize(dataset, shutil.rmtree, target, ignore_errors=True)
    return dataset


def _writable_beside(folder: Path | None) -> Path:
    if folder is not None:
        with suppress(OSError):
            folder.parent.mkdir(parents=True, exist_ok=True)
            remove_stale(folder.parent, f"{TEMPORARY}*")
            return Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=folder.parent))
    try:
        remove_stale(Path(tempfile.gettempdir()), f"{TEMPORARY_ELSEWHERE}*")
        return Path(tempfile.mkdtemp(prefix=TEMPORARY_ELSEWHERE))
    except OSError as error:
        raise TinyLMError(f"there is no folder for the ids of a text ({error.strerror})", where="TINYLM_CACHE",
                          remedy="Set it to a folder of yours") from None


def _move(temporary: Path, folder: Path | None, specials: SpecialTokens) -> Path:
    """Renames a finished folder to `folder`. If another run has made a folder of that name meanwhile, it stays, unless
    it is damaged. The lock keeps two runs from removing or making it at once.

    Returns: `folder`; or `temporary`, if one that is damaged is in use, or nothing can be kept.
    """
    from filelock import FileLock

    if folder is None or temporary.parent != folder.parent:
        return temporary
    damaged = folder.with_name(f"{TEMPORARY}{secrets.token_hex(4)}")
    with FileLock(folder.parent.with_suffix(".lock")):
        if not open_ids(folder, specials):
            try:
                with suppress(FileNotFoundError):
                    patiently(folder.rename, damaged)
                patiently(temporary.rename, folder)
            except PermissionError:
                return temporary
    shutil.rmtree(damaged, ignore_errors=True)
    return folder


def _write_parts(folder: Path, split: Split, tokenizer: Encoding) -> dict[str, Any]:
    """Writes the ids of both texts; returns the content of meta.json. The text that is read must be the one whose
    fingerprint is in the cache's key."""
    parts = {"train": split.train, "validation": split.validation}
    read: dict[Corpus, Fingerprint] = {}
    meta = {}
    for name, part in parts.items():
        if part:
            meta[name] = _write_part(folder / name, part, tokenizer, read.setdefault(part.corpus, Fingerprint()))
    for corpus, fingerprint in read.items():
        if fingerprint.hexdigest() != corpus.stats().fingerprint:
            raise TinyLMError("the text changed while it was being read", where=corpus.name, remedy="Try again")
    return meta


def _write_part(path: Path, part: Slice, tokenizer: Encoding, fingerprint: Fingerprint) -> dict[str, Any]:
    """Streams a text's ids to `path`.ids and .offsets, and of conversations to `path`.targets which of them are
    targets; returns their entry of meta.json."""
    dtype = np.dtype(np.uint16 if tokenizer.vocab_size <= 1 << 16 else np.uint32)
    offsets, n_tokens, n_bytes, is_target = array("q", [0]), 0, 0, bytearray()
    with open(f"{path}.ids", "wb") as file:
        for piece, ids in _encoded(part, tokenizer, dtype):
            n_bytes += fingerprint.add(piece) * piece.is_target
            if piece.special and n_tokens == offsets[-1] and ids.tolist() == [tokenizer.specials.start]:
                continue  # every row begins with it
            if piece.ends_document and not piece.special:
                ids = np.append(ids, np.array([tokenizer.specials.eos], dtype))
            file.write(ids.tobytes())
            n_tokens += len(ids)
            if part.corpus.has_turns:
                is_target += bytes([piece.is_target]) * len(ids)
            if piece.ends_document:
                offsets.append(n_tokens)
    if offsets[-1] != n_tokens:  # the text was cut within a document
        offsets.append(n_tokens)
    np.array(offsets, np.int64).tofile(f"{path}.offsets")
    if part.corpus.has_turns:
        Path(f"{path}.targets").write_bytes(is_target)
    suffixes = ["ids", "offsets", *(["targets"] if part.corpus.has_turns else [])]
    return {"dtype": dtype.name, "n_bytes": n_bytes,
            "sha256": {suffix: sha256(Path(f"{path}.{suffix}")) for suffix in suffixes}}


def _encoded(part: Slice, tokenizer: Encoding, dtype: np.dtype[Any]) -> Iterator[tuple[Piece, NDArray[Any]]]:
    """Yields pieces and their ids in order, while threads encode the pieces ahead."""
    if part.corpus.has_turns:
        yield from _encoded_turns(part, tokenizer, dtype)
        return
    n_bytes, own = part.corpus.stats().bytes, threading.local()

    def encode(pieces: list[Piece]) -> list[NDArray[Any] | TinyLMError]:
        if not hasattr(own, "encode"):
            own.encode = tokenizer.encoder(n_bytes)
        found: list[NDArray[Any] | TinyLMError] = []
        for piece in pieces:
            try:
                found.append(own.encode(piece.text).astype(dtype))
            except TinyLMError as error:
                return [*found, error]
        return found

    cores, position = min(MAX_THREADS, os.cpu_count() or 1), 0
    with ThreadPoolExecutor(cores) as pool:
        for pieces, found in _begun_ahead(pool, encode, _together(part.pieces()), cores + 1):
            for piece, ids in zip(pieces, found.result(), strict=False):
                if isinstance(ids, TinyLMError):
                    where = f"{part.corpus.name}, after its character {position:,}" if position else part.corpus.name
                    remedy = ids.of_training if isinstance(ids, UnknownText) else ids.remedy
                    raise TinyLMError(ids.what, where=where, remedy=remedy)
                yield piece, ids
                position += len(piece.text)


def _encoded_turns(part: Slice, tokenizer: Encoding, dtype: np.dtype[Any]) -> Iterator[tuple[Piece, NDArray[Any]]]:
    """Yields the pieces of conversations and their ids, each conversation encoded as a whole, as a prompt is."""
    conversation: list[Piece] = []
    for piece in part.pieces():
        conversation.append(piece)
        if piece.ends_document:
            try:
                ids, numbers = tokenizer.encode_parts([special_token_id(each.special, tokenizer) if each.special else
                                                       each.text for each in conversation])
            except UnknownText as error:
                raise TinyLMError(error.what, where=f"{part.corpus.name}, line {piece.line}",
                                  remedy=error.of_training) from None
            of_piece = np.array(numbers)
            for number, each in enumerate(conversation):
                yield each, np.array(ids, dtype)[of_piece == number]
            conversation = []


def _together(pieces: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Yields short pieces in lists, so that handing one to a thread costs little beside the work on it."""
    held, size = list[Piece](), 0
    for piece in pieces:
        held.append(piece)
        size += len(piece.text)
        if size >= CHARACTERS_FOR_A_THREAD:
            yield held
            held, size = [], 0
    if held:
        yield held


def _begun_ahead(pool: Executor, work: Callable[[Thing], Result], things: Iterable[Thing],
                 most: int) -> Iterator[tuple[Thing, Future[Result]]]:
    """Yields each thing with its future result, while the work on `most` more is under way or queued."""
    begun = deque[tuple[Thing, Future[Result]]]()
    for thing in things:
        begun.append((thing, pool.submit(work, thing)))
        if len(begun) > most:
            yield begun.popleft()
    yield from begun


def open_ids(folder: Path, specials: SpecialTokens) -> Dataset | None:
    """The dataset in a folder of the cache; None if there is none, or if a byte of it has changed."""
    try:
        meta = json.loads((folder / "meta.json").read_bytes())
        parts = {name: _open_part(folder, name, about, specials) for name, about in meta.items()}
        return Dataset(parts["train"], parts.get("validation"), folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _open_part(folder: Path, name: str, about: dict[str, Any], specials: SpecialTokens) -> Part:
    for suffix, digest in about["sha256"].items():
        if sha256(folder / f"{name}.{suffix}") != digest:
            raise ValueError(f"{name}.{suffix} is damaged")
    ids = _map(folder / f"{name}.ids", about["dtype"])
    is_target = _map(folder / f"{name}.targets", "bool") if "targets" in about["sha256"] else None
    return Part(ids, _map(folder / f"{name}.offsets", "int64"), int(about["n_bytes"]), specials, is_target)


def _map(path: Path, dtype: str) -> NDArray[Any]:
    if path.stat().st_size == 0:  # an empty file cannot be mapped
        return np.zeros(0, dtype)
    return np.memmap(path, dtype=dtype, mode="r")
