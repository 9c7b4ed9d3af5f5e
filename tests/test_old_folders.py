"""What some release wrote loads for ever and answers as it did; what a newer one wrote is refused by name (R12)."""

import importlib.util
import json
import shutil
from pathlib import Path

import pytest

import tinylm

from .conftest import refusal

FIXTURES = Path(__file__).parent / "fixtures"
FOLDERS = sorted(path.parent for path in FIXTURES.glob("models/*/*/config.json"))


@pytest.fixture(scope="module")
def maker():
    """The script that made them knows what it asked them."""
    spec = importlib.util.spec_from_file_location("make_models", FIXTURES / "make_models.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def folder(tmp_path):
    return shutil.copytree(FOLDERS[0], tmp_path / "model")


def test_this_version_has_its_folders():
    assert {path.name for path in FOLDERS if path.parent.name == tinylm.__version__} == {"word", "char", "bpe"}
    assert sum(path.stat().st_size for path in FIXTURES.glob("models/**/*")) < 100_000 * len(FOLDERS)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_an_old_folder_answers_as_it_did(maker, folder):
    expected, found = json.loads((folder / "expected.json").read_text()), maker.answers(folder)
    assert found["parameters"] == expected["parameters"]
    for then, now in zip(expected["prompts"], found["prompts"], strict=True):
        assert (now["ids"], now["greedy"]) == (then["ids"], then["greedy"])
        for before, after in zip(then["next"], now["next"], strict=True):
            assert (after["id"], after["token"]) == (before["id"], before["token"])
            assert after["probability"] == pytest.approx(before["probability"], abs=1e-5)


def test_a_newer_format_is_named(folder):
    assert "format 2, and this tinylm reads up to 1. Use a newer tinylm" in refusal(
        folder, lambda values: values.update(format=2))


@pytest.mark.parametrize(("change", "named"), [
    (lambda values: values["model"].update(n_experts=8), "model.n_experts"),
    (lambda values: values["sample"].update(grammar="x"), "sample.grammar"),
    (lambda values: values.update(adapter={"rank": 4}), "adapter"),
])
def test_settings_of_a_newer_tinylm_are_named(folder, change, named):
    message = refusal(folder, change)
    assert f"does not know: {named}." in message
    assert "or a newer one" in message


def test_a_newer_choice_is_named(folder):
    message = refusal(folder, lambda values: values["model"].update(mlp="experts"))
    assert "model.mlp" in message
    assert "'experts'" in message
    assert "Use the tinylm that made it" in message
