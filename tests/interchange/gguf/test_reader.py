"""The reader of GGUF files against files that the package gguf writes, and against damaged ones."""

from __future__ import annotations

import struct
import tracemalloc
from pathlib import Path

import gguf
import numpy as np
import pytest

from tinylm.errors import TinyLMError
from tinylm.interchange.gguf.blocks import TensorType
from tinylm.interchange.gguf.reader import parse_gguf, read_gguf

KINDS = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64")


def write(path: Path, alignment: int | None = None) -> dict[str, np.ndarray]:
    """A file of the package's own writer with a value of each type and a tensor of each format. Returns the numbers."""
    writer, numbers = gguf.GGUFWriter(path, "llama"), {}
    if alignment:
        writer.add_custom_alignment(alignment)
    for kind in KINDS:
        getattr(writer, f"add_{kind}")(f"a.{kind}", 7)
    writer.add_bool("a.bool", True)
    writer.add_string("a.string", "héllo")
    writer.add_array("a.strings", ["a", "", "漢字"])
    writer.add_array("a.numbers", [1, -2, 3])
    writer.add_array("a.floats", [0.5, -2.25])
    draw = np.random.default_rng(0)
    for kind in TensorType:
        theirs = gguf.GGMLQuantizationType(kind)
        stored = gguf.quants.quantize(draw.standard_normal((3, 64)).astype(np.float32), theirs)
        writer.add_tensor(f"t.{kind.name}", stored, raw_dtype=theirs)
        numbers[f"t.{kind.name}"] = gguf.quants.dequantize(stored, theirs)
    writer.add_tensor("t.vector", np.arange(5, dtype=np.float32))
    numbers["t.vector"] = np.arange(5, dtype=np.float32)
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        step()
    return numbers


@pytest.mark.parametrize("alignment", [None, 64, 8])
def test_files_of_the_package_are_read(alignment: int | None, tmp_path: Path) -> None:
    numbers = write(tmp_path / "a.gguf", alignment)
    file = read_gguf(tmp_path / "a.gguf")
    assert all(file.keys[f"a.{kind}"] == 7 for kind in KINDS)
    assert file.keys["a.bool"] is True
    assert file.keys["a.string"] == "héllo"
    assert file.keys["a.strings"] == ["a", "", "漢字"]
    assert file.keys["a.numbers"].tolist() == [1, -2, 3]  # type: ignore[union-attr]
    assert file.keys["a.floats"].tolist() == [0.5, -2.25]  # type: ignore[union-attr]
    assert file.tensors.keys() == numbers.keys()
    assert all(np.array_equal(file.numbers(name), numbers[name]) for name in numbers)


def test_versions_and_other_files_are_told_apart(tmp_path: Path) -> None:
    rest = bytes(16)
    assert parse_gguf(b"GGUF" + struct.pack("<I", 2) + rest).tensors == {}
    for head, words in ((b"GGUF" + struct.pack("<I", 1), "version 1"), (b"GGUF" + struct.pack(">I", 3), "big-endian"),
                        (b"PK\3\4" + bytes(4), "not a GGUF file"), (b"", "not a GGUF file")):
        with pytest.raises(TinyLMError, match=words):
            parse_gguf(head + rest)
    with pytest.raises(TinyLMError, match="missing"):
        read_gguf(tmp_path / "none.gguf")


def head(n_tensors: int = 0, n_keys: int = 0) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, n_tensors, n_keys)


def name(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(("data", "words"), [
    (head(n_tensors=1 << 40), "its number of tensors"),
    (head(n_keys=1 << 63), "its number of keys"),
    (head(n_keys=1) + struct.pack("<Q", 1 << 62) + b"abc", "the name of a key"),
    (head(n_keys=1) + name(b"k") + struct.pack("<I", 13), "unknown type 13"),
    (head(n_keys=1) + name(b"k") + struct.pack("<IQ", 8, 1 << 50), "the length of the key"),
    (head(n_keys=1) + name(b"k") + struct.pack("<IIQ", 9, 8, 1 << 50), "the length of the key"),
    (head(n_keys=1) + name(b"k") + struct.pack("<IIQ", 9, 10, 1 << 61), "the length of the key"),
    (head(n_keys=1) + name(b"k") + struct.pack("<IIQ", 9, 9, 1), "an array of arrays"),
    (head(n_keys=1) + name(b"\xff") + struct.pack("<IB", 0, 1), "not UTF-8"),
    (head(n_keys=2) + (name(b"k") + struct.pack("<IB", 0, 1)) * 2, "twice"),
    (head(n_keys=1) + name(b"general.alignment") + struct.pack("<II", 4, 3), "no power of two"),
    (head(n_tensors=1) + name(b"t") + struct.pack("<IQIQ", 1, 1 << 60, 0, 0), "an axis of the tensor"),
    (head(n_tensors=1) + name(b"t") + struct.pack("<I4QIQ", 4, 90, 90, 90, 90, 0, 0), "behind the end"),
    (head(n_tensors=1) + name(b"t") + struct.pack("<IQIQ", 1, 33, 2, 0), "rows of 33"),
    (head(n_tensors=1) + name(b"t") + struct.pack("<IQIQ", 1, 32, 12, 0), "Q4_K"),
    (head(n_tensors=1) + name(b"t") + struct.pack("<IQIQ", 1, 32, 99, 0), "number 99"),
    (head(n_tensors=1) + name(b"t") + struct.pack("<II", 5, 1), "5 axes"),
    (head(n_tensors=2) + (name(b"t") + struct.pack("<IQIQ", 1, 1, 0, 0)) + name(b"u")
     + struct.pack("<IQIQ", 1, 1, 0, 0) + bytes(99), "begins at 0"),
    (head(n_tensors=1) + name(b"t" * 64) + struct.pack("<IQIQ", 1, 1, 0, 0), "the name of a tensor"),
])
def test_damage_is_named(data: bytes, words: str) -> None:
    with pytest.raises(TinyLMError, match=words):
        parse_gguf(data, where="f.gguf")


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.gguf")
    data = bytearray((tmp_path / "a.gguf").read_bytes())
    data[-32:-28] = struct.pack("<f", float("nan"))
    with pytest.raises(TinyLMError, match="finite"):
        parse_gguf(bytes(data))


def test_damage_of_the_last_tensor_costs_less_memory_than_the_decoded_tensors_before_it() -> None:
    n_blocks = 1 << 18
    listed = b"".join(name(each) + struct.pack("<IQIQ", 1, 32 * blocks, TensorType.Q4_0, at)
                      for each, blocks, at in ((b"t", n_blocks, 0), (b"u", 1, 18 * n_blocks)))
    listed = head(n_tensors=2) + listed
    data = listed + bytes(-len(listed) % 32) + bytes(18 * n_blocks) + struct.pack("<e", float("inf")) + bytes(30)
    tracemalloc.start()
    with pytest.raises(TinyLMError, match="the tensor u holds something that is not a finite number"):
        parse_gguf(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < len(data)
