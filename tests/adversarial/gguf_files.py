"""Small GGUF files of every tensor format, and damage to them."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path

import gguf
from mutations import delete, flip_bits, insert, overwrite, repeat, swap, truncate

from tests.interchange.gguf.test_import import foreign_keys, sizes, tensors
from tinylm.interchange.gguf.blocks import TensorType

_COUNTS = (0, 1, 2, 7, 31, 33, 255, 1 << 15, 1 << 20, 1 << 31, 1 << 32, 1 << 40, 1 << 63, (1 << 64) - 1)


def make(folder: Path) -> list[Path]:
    """A file for each tensor format."""
    return [_write(folder / f"{kind.name}.gguf", kind) for kind in TensorType]


def _write(path: Path, kind: TensorType) -> Path:
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
    return path


def change_number(data: bytearray, draw: random.Random) -> None:
    """Another count, type or offset in the first bytes, or somewhere in the list of tensors."""
    listed = data.find(b"token_embd.weight")
    low, high = draw.choice(((4, 200), (max(0, listed - 8), listed + 700), (0, listed + 700)))
    at = draw.randrange(low, min(high, len(data) - 8))
    size, code = draw.choice(((4, "<I"), (8, "<Q")))
    data[at:at + size] = struct.pack(code, draw.choice(_COUNTS) & ((1 << 8 * size) - 1))


def change_name(data: bytearray, draw: random.Random) -> None:
    """Another byte in a name or a word of the keys."""
    words = (b"llama", b"general", b"tokenizer", b"attn_q", b"blk.0", b"ggml", b"gpt-2", b"head_count", b"block_count",
             b"adapter", b"lora")
    at = data.find(draw.choice(words), draw.choice((0, 0, 300)))
    if at >= 0:
        data[at + draw.randrange(4)] = draw.randrange(256)


DAMAGE = (flip_bits, truncate, insert, delete, swap, overwrite, repeat, *[change_number] * 5, *[change_name] * 2)


def damage(path: Path, draw: random.Random) -> tuple[str, int, Callable[[], object]]:
    """Damages a file. Returns what was done, the bytes of the file, and how it is undone."""
    sound = path.read_bytes()
    data, how = bytearray(sound), draw.choice(DAMAGE)
    how(data, draw)  # type: ignore[operator]
    path.write_bytes(data)
    return how.__name__, len(data), lambda: path.write_bytes(sound)
