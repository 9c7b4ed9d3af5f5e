"""A program: damages small GGUF files of every tensor format and imports them under an audit hook.

    python gguf_files.py FIRST LAST FOLDER

Case n is always the same damage. Prints one JSON object: the cases, how many could still be used, and what was wrong:
an error that is not tinylm's, one that took more than a second or 64 MB and twice the file, or a process, a socket or a
file opened for writing.
"""

from __future__ import annotations

import faulthandler
import json
import random
import struct
import sys
import time
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from mutations import delete, flip_bits, insert, overwrite, repeat, swap, truncate

from tests.interchange.gguf.test_import import foreign_keys, sizes, tensors
from tinylm.errors import TinyLMError
from tinylm.interchange.gguf.blocks import TensorType
from tinylm.interchange.gguf.importing import import_gguf
from tinylm.system.memory import peak_memory_bytes

MOST_SECONDS, MOST_MEMORY, HANGING = 1.0, 64 << 20, 60
FORBIDDEN = ("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.remove", "os.rename", "os.mkdir",
             "compile", "exec", "pickle.", "ctypes.dlopen")
_COUNTS = (0, 1, 2, 7, 31, 33, 255, 1 << 15, 1 << 20, 1 << 31, 1 << 32, 1 << 40, 1 << 63, (1 << 64) - 1)


def write(path: Path, kind: TensorType) -> bytes:
    """A small model whose matrices have one format, by the package's own writer."""
    keys = foreign_keys("gpt-2")
    n_entries = len(keys["tokenizer.ggml.tokens"])
    keys = {**sizes(n_entries), **keys}
    writer = gguf.GGUFWriter(path, keys.pop("general.architecture"))
    for name, value in keys.items():
        add = {str: writer.add_string, int: writer.add_uint32, float: writer.add_float32, list: writer.add_array}
        add[type(value)](name, value)
    for name, tensor in tensors(n_entries).items():
        theirs = gguf.GGMLQuantizationType(kind if tensor.numbers.ndim == 2 else 0)
        writer.add_tensor(name, gguf.quants.quantize(tensor.numbers, theirs), raw_dtype=theirs)
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        step()
    return path.read_bytes()


def change_number(data: bytearray, draw: random.Random) -> None:
    """Another count, type or offset in the first bytes, or somewhere in the list of tensors."""
    listed = data.find(b"token_embd.weight")
    low, high = draw.choice(((4, 200), (max(0, listed - 8), listed + 700), (0, listed + 700)))
    at = draw.randrange(low, min(high, len(data) - 8))
    size, code = draw.choice(((4, "<I"), (8, "<Q")))
    data[at:at + size] = struct.pack(code, draw.choice(_COUNTS) & ((1 << 8 * size) - 1))


def change_name(data: bytearray, draw: random.Random) -> None:
    """Another byte in a name or a word of the keys."""
    words = (b"llama", b"general", b"tokenizer", b"attn_q", b"blk.0", b"ggml", b"gpt-2", b"head_count", b"block_count")
    at = data.find(draw.choice(words), draw.choice((0, 0, 300)))
    if at >= 0:
        data[at + draw.randrange(4)] = draw.randrange(256)


DAMAGE = (flip_bits, truncate, insert, delete, swap, overwrite, repeat, *[change_number] * 5, *[change_name] * 2)


def watch(failures: list[str]) -> Any:
    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
        if watching and (writes or event.startswith(FORBIDDEN)):
            failures.append(f"audit: {event} {str(arguments)[:200]}")

    watching: list[bool] = []
    sys.addaudithook(hook)
    return watching


def run(first: int, last: int, folder: Path) -> dict[str, Any]:
    bases = {kind: write(folder / f"{kind.name}.gguf", kind) for kind in TensorType}
    for kind in TensorType:
        import_gguf(folder / f"{kind.name}.gguf")
    failures: list[str] = []
    watching, used, refused, slowest, path = watch(failures), 0, 0, 0.0, folder / "case.gguf"
    start = peak = peak_memory_bytes()
    for case in range(first, last):
        draw = random.Random(f"gguf {case}")
        kind = list(TensorType)[case % len(TensorType)]
        data = bytearray(bases[kind])
        how = draw.choice(DAMAGE)
        how(data, draw)  # type: ignore[operator]
        path.write_bytes(data)
        label = f"case {case}: {kind.name}, {how.__name__}"
        faulthandler.dump_traceback_later(HANGING, exit=True)
        began = time.process_time()
        watching.append(True)
        try:
            model = import_gguf(path)
            assert all(np.isfinite(each).all() for each in model.weights.values())
            used += 1
        except TinyLMError as error:
            refused += 1
            if len(str(error)) > 2000 or not str(error).isprintable():
                failures.append(f"{label}: {str(error)[:300]!r}")
        except BaseException as error:
            failures.append(f"{label}: {type(error).__name__}: {str(error)[:300]}")
        watching.clear()
        seconds = time.process_time() - began
        faulthandler.cancel_dump_traceback_later()
        slowest = max(slowest, seconds)
        if seconds > MOST_SECONDS:
            failures.append(f"{label}: took {seconds:.2f} s")
        if peak_memory_bytes() > max(peak, start + MOST_MEMORY + 2 * len(data)):
            failures.append(f"{label}: the memory grew by {(peak_memory_bytes() - start) >> 20} MB")
        peak = max(peak, peak_memory_bytes())
    return {"cases": last - first, "used": used, "refused": refused, "slowest": slowest, "memory_growth": peak - start,
            "failures": failures}


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))))
