"""Examples in the docstrings of the package run and print what they say.

An example finds `tinylm`, the names of its module, and `lm`, a small model whose folder is runs/notebook. Another model
is runs/book, and as transformers and llama.cpp have it, book-hf and book-gguf; creed and creed-gguf are an adapter to
it, as peft and llama.cpp have it.
"""

from __future__ import annotations

import ast
import doctest
import importlib
import inspect
import shutil
from pathlib import Path

import pytest

import tinylm
from tests import chat_models
from tests.interchange.shapes import adapter_to, make_model
from tinylm.config.schema import BaseConfig
from tinylm.interchange.formats import ADAPTER_FORMATS, FORMATS
from tinylm.interchange.peft import write_adapter

PACKAGE = Path(tinylm.__file__).parent
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
MODULES = sorted(".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
                 for path in PACKAGE.rglob("*.py") if ">>> " in path.read_text(encoding="utf-8"))
"""The modules with an example in them; the others need not be imported."""


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """A small model, its exports to transformers and llama.cpp, and an adapter to it for peft and llama.cpp."""
    folder, model = tmp_path_factory.mktemp("book"), make_model("default")
    tinylm.LanguageModel(model.config, model.tokenizer, weights=model.weights).save(folder / "runs" / "book")
    for to in ("hf", "gguf"):
        (folder / f"book-{to}").mkdir()
        FORMATS[to].write(model, folder / f"book-{to}", "f32")
    adapter = adapter_to(model)
    write_adapter(folder / "creed", adapter.additions, model.config.model, BaseConfig(folder="runs/book"))
    (folder / "creed-gguf").mkdir()
    ADAPTER_FORMATS["gguf"].write(adapter, folder / "creed-gguf", "f32")
    return folder


@pytest.fixture(scope="module")
def chat_run(tmp_path_factory):
    return chat_models.learned(tmp_path_factory.mktemp("chat") / "learned")


@pytest.fixture
def _place(tmp_path, monkeypatch, hello_run, chat_run, book):
    """A folder of its own with models in it, so that an example may load and write."""
    shutil.copytree(hello_run, tmp_path / "runs" / "notebook")
    shutil.copytree(chat_run, tmp_path / "runs" / "chat")
    shutil.copytree(book, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.usefixtures("_place")
def test_the_examples_of_a_module_print_what_they_say(name):
    module, told = importlib.import_module(name), []
    given = {**vars(module), "tinylm": tinylm, "lm": tinylm.load("runs/notebook")}
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    for example in doctest.DocTestFinder().find(module, name, globs=given):
        runner.run(example, out=told.append)
    assert runner.tries > 0, f"an example of {name} is in a docstring that is not reached"
    assert runner.failures == 0, "".join(told)


def test_every_public_name_has_a_docstring():
    assert not [name for name in tinylm.__all__ if not inspect.getdoc(getattr(tinylm, name))]


def test_every_public_function_of_interchange_has_an_example():
    missing = []
    for path in sorted((PACKAGE / "interchange").rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            public = isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
            if public and ">>> " not in (ast.get_docstring(node) or ""):
                missing.append(f"{path.relative_to(PACKAGE)}: {node.name}")
    assert not missing
