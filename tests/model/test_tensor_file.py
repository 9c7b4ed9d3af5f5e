"""A .safetensors file: as the library writes it, damaged, and within the memory that was promised."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
import transformers

from tinylm.errors import TinyLMError
from tinylm.model.tensor_file import open_tensors, write_tensors


def read(path: Path) -> dict[str, np.ndarray]:
    with open_tensors(path, "Fetch it anew") as file:
        return {name: file.read(name) for name in file.tensors}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_files_of_the_library_are_read(dtype, tmp_path):
    torch.manual_seed(0)
    tensors = {"a": torch.randn(3, 5), "b": torch.randn(7), "none": torch.zeros(0, 4), "one": torch.tensor(2.5)}
    tensors = {name: tensor.to(dtype) for name, tensor in tensors.items()}
    safetensors.torch.save_file(tensors, tmp_path / "t.safetensors", metadata={"made": "here"})
    found = read(tmp_path / "t.safetensors")
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == np.float32
        assert np.array_equal(found[name], tensor.float().numpy()), name


def test_every_bfloat16_is_widened_as_torch_does(tmp_path):
    bits = np.arange(1 << 16, dtype=np.uint16)
    bits = bits[np.isfinite((bits.astype(np.uint32) << 16).view(np.float32))]
    tensor = torch.from_numpy(bits.view(np.int16)).view(torch.bfloat16)
    safetensors.torch.save_file({"t": tensor}, tmp_path / "t.safetensors")
    assert np.array_equal(read(tmp_path / "t.safetensors")["t"].view(np.uint32), tensor.float().numpy().view(np.uint32))


def test_what_is_written_is_read_by_the_library_and_may_be_read_by_whom_other_files_may(tmp_path):
    tensors = {"a": np.arange(12, dtype=np.float32).reshape(3, 4), "turned": np.ones((2, 3), np.float32).cumsum(0).T,
               "one": np.array(2.5, np.float32), "step": np.array(7, np.int64)}
    write_tensors(tmp_path / "t.safetensors", tensors)
    (tmp_path / "other").touch()
    found = safetensors.numpy.load_file(tmp_path / "t.safetensors")
    for name, array in tensors.items():
        assert (found[name].shape, found[name].dtype) == (array.shape, array.dtype), name
        assert np.array_equal(found[name], array), name
    assert (tmp_path / "t.safetensors").stat().st_mode == (tmp_path / "other").stat().st_mode
    with pytest.raises(FileNotFoundError):
        write_tensors(tmp_path / "nowhere" / "t.safetensors", tensors)


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(("listed", "words"), [
    ({"a": {**ENTRY, "dtype": "I64"}}, "numbers of type I64"), ({"a": {**ENTRY, "shape": [3]}}, "other bytes"),
    ({"a": {**ENTRY, "shape": [-2]}}, "impossible shape"), ({"a": {**ENTRY, "shape": [1] * 99}}, "impossible shape"),
    ({"a": {**ENTRY, "data_offsets": [0, 16], "shape": [4]}}, "its tensors have 16 bytes"),
    ({"a": ENTRY, "b": ENTRY}, "behind the tensor before it"), ({"a": {}}, "dtype"), ([1], ""), ({"a": [1]}, ""),
    ({"a": {**ENTRY, "data_offsets": [8, 0]}}, "other bytes"), ({"a": {**ENTRY, "data_offsets": [True, 8]}}, "shape"),
])
def test_a_list_that_is_damaged_is_a_sentence(listed, words, tmp_path):
    data = json.dumps(listed).encode()
    (tmp_path / "t").write_bytes(len(data).to_bytes(8, "little") + data + np.ones(2, "<f4").tobytes())
    with pytest.raises(TinyLMError, match=f"is damaged.*{words}.*Fetch it anew"):
        read(tmp_path / "t")


@pytest.mark.parametrize("data", [
    b"", b"1234567", b"\xff" * 20, b"\2" + bytes(7) + b"{", b"\1" + bytes(7) + b"[",
    (1 << 20).to_bytes(8, "little") + b"[" * (1 << 20)], ids=len)
def test_a_file_that_is_none_is_a_sentence(data, tmp_path):
    (tmp_path / "t").write_bytes(data)
    with pytest.raises(TinyLMError, match="is damaged"):
        read(tmp_path / "t")


def test_a_number_that_is_not_finite_in_32_bits_is_named(tmp_path):
    for value in (np.array([1e300]), np.array([np.nan])):
        write_tensors(tmp_path / "t", {"fine": np.ones(2), "loud": value})
        with pytest.raises(TinyLMError, match="loud holds something that is not a finite number"):
            read(tmp_path / "t")


MEASURE = """
import sys
from pathlib import Path
from tinylm.interchange.hugging_face import importing
from tinylm.interchange.importing import read_model
from tinylm.system.memory import peak_memory_bytes
before = peak_memory_bytes()
model = read_model(sys.argv[1])
print(peak_memory_bytes() - before)
"""
"""The growth of the peak while a folder is read."""


def test_the_memory_of_an_import_is_at_most_twice_the_files_and_64_mb(tmp_path):
    """F2, with shards of bfloat16 whose matrices lie the other way round: their numbers in 32 bits are twice the files,
    and nothing is there twice."""
    from tests.interchange.test_import_hf import make_tokenizer

    config = transformers.AutoConfig.for_model("gpt2", vocab_size=320, eos_token_id=1, n_embd=1024, n_layer=4, n_head=8,
                                               n_positions=64)
    with torch.device("meta"):
        shapes = transformers.AutoModelForCausalLM.from_config(config).state_dict()
    names, index = [name for name in shapes if name != "lm_head.weight"], {}
    for shard in range(2):
        tensors = {name: torch.full(shapes[name].shape, 0.5, dtype=torch.bfloat16) for name in names[shard::2]}
        index |= dict.fromkeys(tensors, f"model-{shard}.safetensors")
        safetensors.torch.save_file(tensors, tmp_path / f"model-{shard}.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": index}))
    config.save_pretrained(tmp_path)
    make_tokenizer().save_pretrained(tmp_path)
    n_bytes = sum(path.stat().st_size for path in tmp_path.glob("*.safetensors"))
    assert n_bytes > 100e6
    done = subprocess.run([sys.executable, "-c", MEASURE, str(tmp_path)], capture_output=True, text=True, check=True)
    assert int(done.stdout) <= 2 * n_bytes + (64 << 20), f"{int(done.stdout):,} bytes for {n_bytes:,}"
