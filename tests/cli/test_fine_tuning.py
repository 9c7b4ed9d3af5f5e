"""Fine-tuning as a person types it: what the commands print of the base, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Command
from .test_mistakes import assert_one_message


@pytest.fixture(scope="module")
def greetings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve lines in the words of the notebook's four."""
    path = tmp_path_factory.mktemp("texts") / "greetings.txt"
    path.write_text("hello , how is your day ?\nhow are you ?\nhow is your day , you ?\n" * 4, encoding="utf-8")
    return path


OPTIONS = ("--documents", "line", "--epochs", 12, "--set", "train.batch_size=4")


def test_the_base_stands_in_every_answer(tinylm: Command, hello: Path, greetings: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    said = tinylm("train", greetings, "--from", hello, "--out", run, *OPTIONS)
    assert said.code == 0, said.err
    assert f"\nbase       {hello}\n" in said.out
    assert "tokenizer  word, the base's: 12 entries" in said.out
    assert "the base as it is:" in said.out
    assert "from nothing:" in said.out
    assert "\n  the base                 validation " in said.out
    assert "nan" not in said.out
    told = tinylm("evaluate", run)
    assert "\n  the base " in told.out
    report = tinylm("evaluate", run, "--json").json
    assert report["bits_per_byte"] <= report["baselines"]["base"]
    assert f"fine-tuned from {hello}, whose weights have sha256 " in tinylm("inspect", run).out
    assert tinylm("inspect", run, "--json").json["base"]["folder"] == str(hello)
    assert tinylm("report", run).code == 0
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "<td>the base</td>" in page
    assert str(hello) in page


def test_the_result_of_training_has_the_base_in_its_json(tinylm: Command, hello: Path, greetings: Path,
                                                         tmp_path: Path) -> None:
    done = tinylm("train", greetings, "--from", hello, "--out", tmp_path / "run", *OPTIONS, "--json").json
    assert done["report"]["baselines"]["base"] >= done["report"]["bits_per_byte"]
    planned = tinylm("plan", greetings, "--from", hello, *OPTIONS, "--json").json
    assert planned["forecast"]["base_bits_per_byte"] > 0
    assert planned["config"]["base"]["folder"] == str(hello)


@pytest.mark.parametrize(("options", "facts"), [
    (("--size", "0.3M"), ("--size", "the shape of the base", "--from none")),
    (("--preset", "notebook"), ("--preset", "the shape of the base", "--from none")),
    (("--tokenizer", "bpe"), ("data.tokenizer", "the tokenizer of the base", "--from none")),
    (("--set", "model.n_layers=3"), ("model.n_layers", "the shape of the base")),
    (("--from", "nowhere"), ("the base nowhere", "no such model folder")),
    (("--replay", "1.5"), ("--replay", "must be")),
    (("--lora", "4096"), ("--lora", "is not low", "--lora 8")),
    (("--lora", "0.5"), ("--lora", "must be")),
])
def test_what_contradicts_the_base_is_one_message(tinylm: Command, hello: Path, greetings: Path, tmp_path: Path,
                                                  options: tuple[str, ...], facts: tuple[str, ...]) -> None:
    assert_one_message(tinylm("train", greetings, "--from", hello, "--out", tmp_path / "run", *options), *facts)
    assert not (tmp_path / "run").exists()


def test_a_text_of_other_words_is_told_what_the_base_lacks(tinylm: Command, hello: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("hello , how is your cat ?\n" * 9, encoding="utf-8")
    assert_one_message(tinylm("train", text, "--from", hello, "--out", tmp_path / "run", *OPTIONS),
                       "8 of 56 words (14%) of the training text", "'cat'", "--from none")


def test_additions_alone_are_trained_and_merged_from_their_adapter(tinylm: Command, hello: Path, greetings: Path,
                                                                   tmp_path: Path) -> None:
    run, adapter, merged = tmp_path / "run", tmp_path / "kept", tmp_path / "merged"
    said = tinylm("train", greetings, "--from", hello, "--lora", 2, "--out", run, *OPTIONS)
    assert said.code == 0, said.err
    assert "numbers are trained: additions of rank 2 to the matrices in the layers" in said.out
    assert "by additions of rank 2 (LoRA)" in tinylm("inspect", run).out
    (run / "adapter").rename(adapter)
    told = tinylm("merge", adapter, merged, "--base", hello)
    assert told.code == 0, told.err
    assert f"{merged} holds {hello} with an adapter of " in told.out
    assert told.err == ""
    assert (merged / "model.safetensors").read_bytes() == (run / "model.safetensors").read_bytes()
    for command in (("generate", merged, "hello", "--greedy"), ("inspect", merged), ("predict", merged, "hello")):
        assert tinylm(*command).code == 0
    again = tinylm("merge", adapter, merged, "--base", hello, "--force", "--json").json
    assert (again["base"], again["is_checked"]) == (str(hello), True)


def test_mistakes_with_adapters_are_one_message(tinylm: Command, hello: Path, greetings: Path, tmp_path: Path) -> None:
    run, out = tmp_path / "run", tmp_path / "out"
    tinylm("train", greetings, "--from", hello, "--lora", 2, "--out", run, *OPTIONS)
    assert_one_message(tinylm("merge", run, out, "--base", run), "other weights than those of", "--base MODEL")
    assert_one_message(tinylm("merge", hello, out), "whole without an adapter", "--lora")
    assert_one_message(tinylm("merge", run, hello), "there is a model already", "--force")
    assert_one_message(tinylm("merge", tmp_path / "nowhere", out), "no such folder")
    assert_one_message(tinylm("generate", run / "adapter", "hello"), "is an adapter", "tinylm merge")
    assert_one_message(tinylm("train", greetings, "--lora", 2, "--out", out), "--lora", "begins from nothing", "--from")
    assert not out.exists()


def test_an_adapter_goes_to_llama_cpp_and_comes_back(tinylm: Command, greetings: Path, tmp_path: Path) -> None:
    base, run, kept, out = (tmp_path / name for name in ("base", "run", "kept", "out"))
    assert tinylm("train", greetings, "--size", "0.1M", "--steps", 2, "--out", base).code == 0
    assert tinylm("train", greetings, "--from", base, "--lora", 2, "--out", run, *OPTIONS).code == 0
    (run / "adapter").rename(kept)
    assert_one_message(tinylm("export", kept, "--to", "gguf", out), "no model folder here", "--base MODEL")
    said = tinylm("export", kept, "--to", "gguf", out, "--base", base)
    assert said.code == 0, said.err
    assert "read back by llama.cpp: logits within" in said.out
    assert f"--lora {out}/adapter.gguf" in said.out
    assert [path.name for path in out.iterdir()] == ["adapter.gguf"]
    merged, no = tmp_path / "merged", tmp_path / "no"
    assert tinylm("merge", out / "adapter.gguf", merged, "--base", base).code == 0
    assert (merged / "model.safetensors").read_bytes() == (run / "model.safetensors").read_bytes()
    assert_one_message(tinylm("export", run, "--to", "gguf", no, "--base", base), "--base", "no adapter")
    assert_one_message(tinylm("export", kept, "--to", "hf", no, "--base", base), "holds whole models", "tinylm merge")
    assert_one_message(tinylm("import", out / "adapter.gguf", no), "is an adapter", "tinylm merge")
    assert not no.exists()
