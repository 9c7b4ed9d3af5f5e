"""The pages speak of what is there: taps, parameters, settings, packages, paths, links."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path

import pytest
import torch

import tinylm
from tinylm.config.presets import PRESETS
from tinylm.config.schema import ModelConfig
from tinylm.interchange.gguf.metadata import EPSILONS, SAMPLING, SETTINGS
from tinylm.interchange.gguf.names import MODULES
from tinylm.model.taps import capture
from tinylm.model.transformer import TinyLM

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "tinylm"
PAGES = ["README.md", "CHANGELOG.md", "docs/ARCHITECTURE.md", "docs/NAMES.md", "docs/SERVING.md",
         "docs/INTERCHANGE.md", "docs/EXPLAIN.md", "docs/CHAT.md", "docs/SCALING.md"]
PATH = re.compile(r"(?<![\w./-])((?:\w[\w.-]*/)*\w+\.py|(?:src|tests|docs|benchmarks|examples)/[\w./-]*\w)")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
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


def test_the_words_of_training_and_generation_are_settings_or_arguments():
    known = {*tinylm.TrainConfig.model_fields, *tinylm.SampleConfig.model_fields, *tinylm.BaseConfig.model_fields,
             "tokens_seen", *inspect.signature(tinylm.train).parameters,
             *inspect.signature(tinylm.LanguageModel.complete).parameters, *inspect.signature(tinylm.load).parameters}
    rows = table(page("docs/NAMES.md"), "Training and generation")
    told = {name for row in rows for name in re.findall(r"`([^`]+)`", row[0])}
    assert told <= known, f"no settings: {told - known}"


def test_the_names_in_a_gguf_file_are_those_that_the_code_writes():
    def told(heading: str) -> dict[str, str]:
        return {ours.replace("`", ""): theirs.strip("`") for ours, theirs in table(page("docs/NAMES.md"), heading)}

    assert told("Tensors in a GGUF file") == MODULES
    assert told("Settings in a GGUF file") == {
        **{name: f"ARCH.{key}" for name, key in SETTINGS.items()},
        **{f"norm_eps of {norm}": f"ARCH.{key}" for norm, key in EPSILONS.items()},
        **{name: f"general.sampling.{key}" for name, key in SAMPLING.items()}}


def test_the_axis_letters_are_complete():
    assert [row[0] for row in table(page("docs/NAMES.md"), "Axis letters")] == list(AXES)


def test_the_picture_of_the_packages_is_the_import_contract():
    contracts = tomllib.loads(page("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers, = (each["layers"] for each in contracts if each["type"] == "layers")
    picture = page("docs/ARCHITECTURE.md").split("```text\n")[1].split("```")[0]
    assert re.findall(r"^.{20}(\w+) ", picture, re.MULTILINE) == [layer.removeprefix("tinylm.") for layer in layers]


def test_every_package_and_loose_module_has_its_paragraph():
    paragraphs = page("docs/ARCHITECTURE.md").split("### A paragraph a package\n")[1].split("\n## ")[0]
    packages = {f"{path.parent.relative_to(PACKAGE).as_posix()}/" for path in PACKAGE.glob("*/**/*.py")}
    loose = {path.name for path in PACKAGE.glob("*.py")}
    missing = {name for name in packages | loose if f"`{name}`" not in paragraphs}
    assert not missing, f"without a paragraph: {missing}"


@pytest.mark.parametrize("name", [*PAGES, "CONTRIBUTING.md", "SECURITY.md"])
def test_every_path_that_a_page_names_exists(name):
    named = PATH.findall(FENCED.sub("", page(name)))
    missing = [path for path in named if not any((root / path).exists() for root in (ROOT, PACKAGE))]
    assert not missing, f"{name} names what is not there: {missing}"


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name):
    here = (ROOT / name).parent
    for target in re.findall(r"\]\(([^)#]+)", page(name)):
        assert target.startswith("https://") or (here / target).exists(), f"{name} links to {target}"
