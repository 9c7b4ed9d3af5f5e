"""Real llama.cpp, of the package xllamacpp: the ids that it makes of texts, its logits, its greedy tokens.

The package exports llama.cpp's C API. llama.cpp ends the whole process when something in a file displeases it, so it
runs in a process of its own: `python -m tinylm.interchange.gguf.llama_cpp FILE` reads questions as JSON from standard
input and writes the answers as tensors (.safetensors) to standard output. The structures of parameters change from
version to version; known defaults are looked for in them before they are used.

Source: include/llama.h of llama.cpp, October 2026.
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain, pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from tinylm.errors import TinyLMError
from tinylm.system.extras import missing_extra

TIMEOUT_SECONDS: Final = 600
"""Seconds that llama.cpp may take for all its answers."""


@dataclass(frozen=True)
class Answers:
    """Answers of llama.cpp, in the order of the questions.

    Attributes:
        ids: of each text, without what begins a prompt.
        logits: of each sequence, (T, V).
        greedy: the ids that follow each sequence.
    """

    ids: list[list[int]]
    logits: list[NDArray[np.float32]]
    greedy: list[list[int]]


def is_installed() -> bool:
    """True if the package xllamacpp is there.

    >>> is_installed()
    True
    """
    return find_spec("xllamacpp") is not None


def ask(path: Path, *, adapter: Path | None = None, texts: Sequence[str] = (),
        sequences: Sequence[Sequence[int]] = (), n_greedy: int = 0, parse_special: bool = True) -> Answers:
    """Asks llama.cpp about a GGUF file, in a process of its own.

    Args:
        adapter: a GGUF file of additions to the model.
        texts: to be made ids.
        sequences: ids whose logits are wanted.
        n_greedy: likeliest ids that are to follow each sequence, one after the other.
        parse_special: the texts of control tokens become these tokens, as in llama-server.

    Raises:
        TinyLMError: xllamacpp is not installed or of a version that is not known here, or llama.cpp does not read the
            file.

    >>> answers = ask(Path("book-gguf/model.gguf"), texts=["cat"], sequences=[[1, 5]], n_greedy=3)
    >>> answers.ids, answers.logits[0].shape, len(answers.greedy[0])
    ([[19, 18, 29]], (2, 39), 3)
    """
    if not is_installed():
        raise missing_extra("export", "a check by llama.cpp")
    question = {"adapter": str(adapter or ""), "texts": list(texts), "n_greedy": n_greedy,
                "sequences": [list(map(int, ids)) for ids in sequences], "parse_special": parse_special}
    done = _run(path, json.dumps(question).encode())
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise TinyLMError(f"llama.cpp could not be asked ({last or f'it ended with {done.returncode}'})",
                          where=str(path))
    arrays = load(done.stdout)
    ids, starts = arrays["ids"].tolist(), [0, *np.cumsum(arrays["n_ids"]).tolist()]
    return Answers([ids[start:stop] for start, stop in pairwise(starts)],
                   [arrays[f"logits{i}"] for i in range(len(sequences))],
                   [arrays[f"greedy{i}"].tolist() for i in range(len(sequences))])


def _run(path: Path, question: bytes) -> subprocess.CompletedProcess[bytes]:
    """The process that answers. Modules are not looked for in the folder that it is started in (-P)."""
    try:
        return subprocess.run([sys.executable, "-P", "-m", __name__, str(path)], input=question, capture_output=True,
                              timeout=TIMEOUT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise TinyLMError(f"llama.cpp gave no answer within {TIMEOUT_SECONDS} seconds", where=str(path)) from None


# ---- llama.h


_ROOM: Final = 256
"""Bytes behind each structure, into which a longer one of another version may grow."""
_F32: Final = 0


class _ModelParams(ctypes.Structure):
    _fields_ = (
        ("devices", ctypes.c_void_p), ("tensor_buft_overrides", ctypes.c_void_p), ("n_gpu_layers", ctypes.c_int32),
        ("split_mode", ctypes.c_int), ("load_mode", ctypes.c_int), ("lazy_mode", ctypes.c_int),
        ("main_gpu", ctypes.c_int32), ("rest", ctypes.c_byte * _ROOM))


class _ContextParams(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_uint32) for name in ("n_ctx", "n_batch", "n_ubatch", "n_seq_max", "n_rs_seq",
                                               "n_outputs_max", "n_outputs_max_per_seq")),
        *((name, ctypes.c_int32) for name in ("n_threads", "n_threads_batch", "ctx_type", "rope_scaling_type",
                                              "pooling_type", "attention_type", "flash_attn_type")),
        *((name, ctypes.c_float) for name in ("rope_freq_base", "rope_freq_scale", "yarn_ext_factor",
                                              "yarn_attn_factor", "yarn_beta_fast", "yarn_beta_slow")),
        ("yarn_orig_ctx", ctypes.c_uint32), ("defrag_thold", ctypes.c_float), ("cb_eval", ctypes.c_void_p),
        ("cb_eval_user_data", ctypes.c_void_p), ("type_k", ctypes.c_int), ("type_v", ctypes.c_int),
        ("rest", ctypes.c_byte * _ROOM))


class _Batch(ctypes.Structure):
    _fields_ = (("n_tokens", ctypes.c_int32), ("token", ctypes.c_void_p), ("embd", ctypes.c_void_p),
                ("pos", ctypes.c_void_p), ("n_seq_id", ctypes.c_void_p), ("seq_id", ctypes.c_void_p),
                ("logits", ctypes.c_void_p))


_DEFAULTS: Final = {"n_batch": 2048, "n_ubatch": 512, "n_seq_max": 1, "rope_scaling_type": -1, "pooling_type": -1,
                    "attention_type": -1, "flash_attn_type": -1, "yarn_ext_factor": -1.0, "type_k": 1, "type_v": 1}
"""Defaults by which the structure of a context is known: were a field added or taken away, they would not be there."""
_POINTER: Final = ctypes.c_void_p
_FUNCTIONS: dict[str, tuple[Any, tuple[Any, ...]]] = {
    "llama_log_set": (None, (_POINTER, _POINTER)),
    "llama_backend_init": (None, ()),
    "llama_model_default_params": (_ModelParams, ()),
    "llama_context_default_params": (_ContextParams, ()),
    "llama_model_load_from_file": (_POINTER, (ctypes.c_char_p, _ModelParams)),
    "llama_init_from_model": (_POINTER, (_POINTER, _ContextParams)),
    "llama_adapter_lora_init": (_POINTER, (_POINTER, ctypes.c_char_p)),
    "llama_set_adapters_lora": (ctypes.c_int32, (_POINTER, _POINTER, ctypes.c_size_t, _POINTER)),
    "llama_model_get_vocab": (_POINTER, (_POINTER,)),
    "llama_vocab_n_tokens": (ctypes.c_int32, (_POINTER,)),
    "llama_get_memory": (_POINTER, (_POINTER,)),
    "llama_memory_clear": (None, (_POINTER, ctypes.c_bool)),
    "llama_batch_init": (_Batch, (ctypes.c_int32, ctypes.c_int32, ctypes.c_int32)),
    "llama_batch_free": (None, (_Batch,)),
    "llama_decode": (ctypes.c_int32, (_POINTER, _Batch)),
    "llama_get_logits_ith": (ctypes.POINTER(ctypes.c_float), (_POINTER, ctypes.c_int32)),
    "llama_tokenize": (ctypes.c_int32, (_POINTER, ctypes.c_char_p, ctypes.c_int32, _POINTER, ctypes.c_int32,
                                        ctypes.c_bool, ctypes.c_bool)),
}


def _library() -> Any:
    package = find_spec("xllamacpp")
    assert package is not None
    assert package.origin is not None
    folder = Path(package.origin).parent
    library = ctypes.CDLL(str(next(path for path in folder.iterdir() if path.suffix in (".so", ".pyd"))))
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class _LlamaCpp:
    """A model in llama.cpp, with a cache of 32-bit numbers and without flash attention."""

    def __init__(self, path: str, adapter: str = "") -> None:
        self._library = lib = _library()
        self._silent = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, _POINTER)(lambda *_: None)
        lib.llama_log_set(self._silent, None)
        lib.llama_backend_init()
        params = lib.llama_context_default_params()
        found = {name: getattr(params, name) for name in _DEFAULTS}
        if found != _DEFAULTS:
            raise SystemExit(f"this version of xllamacpp is not known here: its defaults are {found}")
        model = lib.llama_model_load_from_file(path.encode(), lib.llama_model_default_params())
        if not model:
            raise SystemExit("llama.cpp does not read the file")
        params.n_ctx, params.type_k, params.type_v, params.flash_attn_type = 0, _F32, _F32, 0
        params.n_threads = params.n_threads_batch = min(4, os.cpu_count() or 1)
        self._context = lib.llama_init_from_model(model, params)
        if not self._context:
            raise SystemExit("llama.cpp makes no context for the model")
        if adapter:
            self._add(model, adapter)
        self._vocab = lib.llama_model_get_vocab(model)
        self._n_vocab = lib.llama_vocab_n_tokens(self._vocab)

    def _add(self, model: int, path: str) -> None:
        """Adds an adapter to the model, in full."""
        adapter = self._library.llama_adapter_lora_init(model, path.encode())
        if not adapter:
            raise SystemExit("llama.cpp does not read the adapter, or not for this model")
        adapters, scales = (_POINTER * 1)(adapter), (ctypes.c_float * 1)(1.0)
        if self._library.llama_set_adapters_lora(self._context, adapters, 1, scales):
            raise SystemExit("llama.cpp does not add the adapter")

    def ids(self, text: str, parse_special: bool) -> list[int]:
        data = text.encode()
        room = (ctypes.c_int32 * (len(data) + 8))()
        n = self._library.llama_tokenize(self._vocab, data, len(data), room, len(room), False, parse_special)
        return room[:n]

    def logits(self, ids: Sequence[int], past: int = 0) -> NDArray[np.float32]:
        """The logits of ids that follow `past` others; those of 0 are a new text."""
        lib = self._library
        if not past:
            lib.llama_memory_clear(lib.llama_get_memory(self._context), True)
        with self._batch(ids, past) as batch:
            if lib.llama_decode(self._context, batch):
                raise SystemExit(f"llama.cpp does not decode {len(ids)} tokens after {past}")
        return np.stack([np.ctypeslib.as_array(lib.llama_get_logits_ith(self._context, i), (self._n_vocab,)).copy()
                         for i in range(len(ids))])

    def greedy(self, ids: Sequence[int], n: int) -> list[int]:
        """The likeliest n ids after these, one after the other."""
        written: list[int] = []
        logits = self.logits(ids)[-1] if n else np.zeros(1, np.float32)
        while len(written) < n:
            written.append(int(logits.argmax()))
            if len(written) < n:
                logits = self.logits(written[-1:], len(ids) + len(written) - 1)[-1]
        return written

    @contextmanager
    def _batch(self, ids: Sequence[int], past: int) -> Iterator[_Batch]:
        """A batch of one text, all of whose logits are asked for."""
        batch = self._library.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        at = ctypes.cast(batch.seq_id, ctypes.POINTER(ctypes.POINTER(ctypes.c_int32)))
        fields = {name: ctypes.cast(getattr(batch, name), ctypes.POINTER(kind)) for name, kind in (
            ("token", ctypes.c_int32), ("pos", ctypes.c_int32), ("n_seq_id", ctypes.c_int32),
            ("logits", ctypes.c_int8))}
        for i, id in enumerate(ids):
            fields["token"][i], fields["pos"][i], fields["n_seq_id"][i], fields["logits"][i] = id, past + i, 1, 1
            at[i][0] = 0
        try:
            yield batch
        finally:
            self._library.llama_batch_free(batch)


def _main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever the library prints is no answer
    question = json.load(sys.stdin)
    model = _LlamaCpp(sys.argv[1], question["adapter"])
    ids = [model.ids(text, question["parse_special"]) for text in question["texts"]]
    arrays: dict[str, Any] = {"n_ids": np.array([len(each) for each in ids], np.int64),
                              "ids": np.array(list(chain.from_iterable(ids)), np.int32)}
    for i, ids in enumerate(question["sequences"]):
        arrays[f"logits{i}"] = model.logits(ids)
        arrays[f"greedy{i}"] = np.array(model.greedy(ids, question["n_greedy"]), np.int32)
    answers.write(save(arrays))
    answers.close()


if __name__ == "__main__":
    _main()
