"""tinylm export RUN --to FORMAT OUT: what it prints."""

from __future__ import annotations

from pathlib import Path

import pytest

import tinylm as package
from tests.cli.conftest import Command


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported") / "words"
    package.train("hello", size="0.1M", steps=5, out=folder, quiet=True)
    return folder


def test_it_says_what_was_written_read_back_and_how_to_use_it(tinylm: Command, run: Path, tmp_path: Path) -> None:
    out = tmp_path / "my model"
    said = tinylm("export", run, "--to", "gguf", out)
    assert said.code == 0
    lines = said.out.splitlines()
    assert lines[0] == str(out)
    assert any(line.startswith("read back by tinylm: logits within ") for line in lines)
    assert any(line.startswith("read back by llama.cpp: logits within ") for line in lines)
    assert f"  ollama create words -f '{out}/Modelfile'" in lines
    assert "note: " in said.err


def test_as_json(tinylm: Command, run: Path, tmp_path: Path) -> None:
    told = tinylm("export", run, tmp_path / "out", "--to", "hf", "--json").json
    assert told["folder"] == str(tmp_path / "out")
    assert told["dtype"] == "f32"
    assert told["files"]["model.safetensors"] == (tmp_path / "out" / "model.safetensors").stat().st_size
    assert [check["reader"] for check in told["checks"]] == ["tinylm", "transformers"]


@pytest.mark.parametrize(("arguments", "said"), [
    ([], "required: --to"), (["--to", "pdf"], "there is no format 'pdf'. Choose one of: hf, gguf, onnx"),
    (["--to", "hf", "--dtype", "q8_0"], "It holds f32 and f16")])
def test_mistakes(tinylm: Command, run: Path, tmp_path: Path, arguments: list[str], said: str) -> None:
    found = tinylm("export", run, tmp_path / "out", *arguments)
    assert found.code == 2
    assert said in found.err
    assert not list(tmp_path.iterdir())
