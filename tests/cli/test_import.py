"""tinylm import SOURCE OUT: what it prints, and what it refuses."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Command
from tests.interchange.shapes import make_model, reference
from tinylm.interchange.export import export


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model as a Hugging Face folder, and as a GGUF file."""
    folder = tmp_path_factory.mktemp("exports")
    for to in ("hf", "gguf"):
        export(make_model("default", "bpe"), to, folder / to, dtype="f32")
    return folder


@pytest.mark.parametrize("source", ["hf", "gguf/model.gguf"])
def test_what_went_out_comes_in_and_writes_the_same(tinylm: Command, exports: Path, tmp_path: Path,
                                                    source: str) -> None:
    out = tmp_path / "model"
    said = tinylm("import", exports / source, out)
    assert said.code == 0, said.err
    assert said.out.startswith(f"{out} holds a model of ")
    model = make_model("default", "bpe")
    for text in ("hello world", "the cat"):
        told = tinylm("predict", out, text, "--json").json["next"]
        ids = tinylm("tokenize", out, text, "--json").json["ids"]
        assert [id for id in ids if id > 2] == model.tokenizer.encode(text)[1:-1]
        logits = reference(model, model.tokenizer.encode(text)[:-1])[-1]
        probabilities = np.exp(logits) / np.exp(logits).sum()
        assert [each["probability"] for each in told] == pytest.approx(sorted(probabilities)[:-6:-1], rel=1e-4)
    assert tinylm("inspect", out, "--json").json["parameters"]["total"] > 0
    again = tinylm("import", exports / source, out)
    assert again.code == 2
    assert "Choose another OUT, or give --force to replace it" in again.err
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "diary.txt").write_text("mine")
    assert "Choose another OUT" in tinylm("import", exports / source, tmp_path / "notes", "--force").err
    assert tinylm("import", exports / source, out, "--force").code == 0
    resumed = tinylm("train", "--resume", "--out", out)
    assert resumed.code == 2
    assert "Traceback" not in resumed.err


@pytest.mark.parametrize(("name", "content", "said"), [
    ("nothing", None, "there is no such file or folder"), ("text.gguf", b"GGUF", "is damaged"),
    ("text.txt", b"hello", ""), ("weights.bin", b"PK\x03\x04", "")])
def test_what_is_no_model_is_refused(tinylm: Command, tmp_path: Path, name: str, content: bytes | None,
                                     said: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    found = tinylm("import", tmp_path / name, tmp_path / "out")
    assert found.code == 2
    assert said in found.err
    assert not (tmp_path / "out").exists()


def test_a_pickle_is_refused(tinylm: Command, exports: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(exports / "hf", tmp_path / "hf")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    found = tinylm("import", folder, tmp_path / "out")
    assert found.code == 2
    assert "pickle" in found.err
    assert not (tmp_path / "out").exists()


def test_json_is_one_object_and_names_are_printed_without_control_codes(tinylm: Command, exports: Path,
                                                                       tmp_path: Path) -> None:
    told = tinylm("import", exports / "gguf/model.gguf", tmp_path / "model", "--json").json
    assert told["folder"] == str(tmp_path / "model")
    assert told["parameters"] == tinylm("inspect", tmp_path / "model", "--json").json["parameters"]["total"]
    assert told["source"] == "a GGUF file of type qwen3"
    assert told["notes"] == []
    if os.name == "posix":
        said = tinylm("import", exports / "hf", tmp_path / "red\x1b[31m")
        assert said.code == 0
        assert "\x1b" not in said.out + said.err
        assert "red\\x1b[31m holds a model of" in said.out
