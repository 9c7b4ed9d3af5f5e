"""docs/NAMES.md and docs/ARCHITECTURE.md speak of what is there: taps, parameters, settings, modules, links."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import torch

from tinylm.config.presets import PRESETS
from tinylm.config.schema import ModelConfig
from tinylm.model.taps import capture
from tinylm.model.transformer import TinyLM

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "tinylm"
PAGES = ["README.md", "CHANGELOG.md", "docs/ARCHITECTURE.md", "docs/NAMES.md", "docs/SERVING.md"]
AXES = {"B": 2, "T": 5, "S": 5, "D": 24, "H": 4, "G": 2, "K": 6, "F": 40, "V": 11}


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def table(text: str, heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its two first lines."""
    section = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows[2:]]


def first_names(cells: list[list[str]]) -> list[str]:
    return [re.findall(r"`([^`]+)`", row[0])[0] for row in cells]


def test_the_taps_are_those_of_the_model_with_their_shapes_and_in_their_order():
    sizes = {"vocab_size": AXES["V"], "d_model": AXES["D"], "n_heads": AXES["H"], "n_kv_heads": AXES["G"],
             "d_mlp": AXES["F"], "n_layers": 1}
    model = TinyLM(ModelConfig.preset("tinylm", **sizes))
    with torch.no_grad(), capture(model) as heard:
        model(torch.zeros(AXES["B"], AXES["T"], dtype=torch.int64))
    told = table(page("docs/NAMES.md"), "Activations")
    assert first_names(told) == [name.replace("layers.0.", "layers.i.") for name in heard]
    for row, activation in zip(told, heard.values(), strict=True):
        assert [AXES[letter] for letter in row[1].strip("()").split(", ")] == list(activation.shape), row[0]


def test_the_modules_are_those_of_the_presets():
    names = {name for preset in PRESETS for name, module in _small(preset).named_modules()
             if next(module.parameters(), None) is not None}
    named = {name for name in names if name not in ("", "layers") and not name.startswith("layers.1")}
    assert set(first_names(table(page("docs/NAMES.md"), "Modules"))) == named


def _small(preset: str) -> TinyLM:
    return TinyLM(ModelConfig.preset(preset, vocab_size=5, d_model=8, n_heads=2, n_layers=1, d_mlp=8))


def test_the_sizes_are_settings_of_the_model():
    for name in first_names(table(page("docs/NAMES.md"), "Sizes and choices of the model")):
        assert hasattr(ModelConfig(vocab_size=5), name), name


def test_the_axis_letters_are_complete():
    assert [row[0] for row in table(page("docs/NAMES.md"), "Axis letters")] == list(AXES)


def test_every_module_is_in_the_architecture_and_no_other():
    modules = {str(path.relative_to(PACKAGE).as_posix()) for path in PACKAGE.rglob("*.py") if _holds_code(path)}
    told = set(re.findall(r"`((?:\w+/)*\w+\.py)`", page("docs/ARCHITECTURE.md")))
    assert told == modules, f"not told: {modules - told}; not there: {told - modules}"


def _holds_code(path: Path) -> bool:
    """An `__init__.py` of nothing but its docstring says no more than that the folder is a package."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return path.name != "__init__.py" or any(not isinstance(node, ast.Expr) for node in body)


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name):
    here = (ROOT / name).parent
    for target in re.findall(r"\]\(([^)#]+)", page(name)):
        assert target.startswith("https://") or (here / target).exists(), f"{name} links to {target}"
