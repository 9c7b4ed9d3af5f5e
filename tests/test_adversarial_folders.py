"""Reading a model folder runs no code, opens no connection and writes nothing (promise F1).

The source is searched for what could run code; adversarial/folders.py attacks the reader of model folders, and
adversarial/foreign.py the import of other programs' models, while Python reports each action.
"""

import ast
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tinylm

HERE = Path(__file__).parent
SOURCES = sorted(Path(tinylm.__file__).parent.rglob("*.py"))
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve", "yaml", "jinja2", "mako", "code",
           "codeop", "runpy", "ctypes", "xmlrpc", "xml"}
"""Nothing in src imports these: they run what they read, or are needed only by what does."""
EXPAT = "xml.parsers"
"""Allowed of `xml`: expat itself opens no file and no socket, and the reader refuses every document that declares an
entity (tests/text/formats/test_documents.py)."""
CALLS = {"eval", "exec", "compile", "__import__", "torch.load", "torch.save", "torch.jit.load", "torch.hub.load",
         "torch.package.PackageImporter", "os.system", "os.popen", "np.load", "numpy.load", "string.Template"}


def attack(program: str, every: int, folder: Path) -> dict:
    command = [sys.executable, "-W", "error", str(HERE / "adversarial" / program), str(every), str(folder)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False,
                            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(HERE.parent)})
    assert result.returncode == 0, result.stderr[-3000:]
    return json.loads(result.stdout)


PROGRAMS = ["folders.py", "foreign.py"]


@pytest.mark.parametrize("program", PROGRAMS)
def test_adversarial_folders_do_nothing(program, tmp_path):
    report = attack(program, 6, tmp_path)
    assert report["folders"] >= 60
    assert not report["failures"], "\n".join(report["failures"])


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
def test_all_adversarial_folders_do_nothing(program, tmp_path):
    report = attack(program, 1, tmp_path)
    assert report["folders"] >= 300
    assert not report["failures"], "\n".join(report["failures"])


def test_code_beside_a_model_is_not_imported_by_the_command(hello_run, tmp_path):
    """Started in the folder itself, as somebody would who has just unpacked it."""
    folder = shutil.copytree(hello_run, tmp_path / "model")
    for name in ("torch.py", "sitecustomize.py", "json.py", "tokenizers.py", "numpy.py", "safetensors.py"):
        (folder / name).write_text("raise SystemExit('foreign code')")
    command = [str(Path(sys.executable).with_name("tinylm")), "predict", ".", "how are"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert "you" in result.stdout


# ---- the syntax tree


EXEMPT = {"gguf/llama_cpp.py": ": ctypes"}
"""The door to a llama.cpp that is installed, whose library is called by ctypes, in a process of its own."""


def dangers(tree: ast.AST) -> list[str]:
    """What a tree has that could run what it reads, with its line."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node, name.name) for name in node.names if name.name.partition(".")[0] in MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in MODULES:
            found += [(node, node.module)] if node.module != EXPAT else []
        elif isinstance(node, ast.Call):
            found += [(node, name) for name in _dangerous(node)]
    return [f"line {node.lineno}: {name}" for node, name in found]


def _dangerous(call: ast.Call) -> list[str]:
    name = ast.unparse(call.func)
    found = [name] if name in CALLS else []
    settings = {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}
    if settings.get("shell", "False") != "False" or settings.get("allow_pickle", "False") != "False":
        found.append(ast.unparse(call))
    if name.endswith("import_module") and not ast.unparse(call.args[0]).startswith(("f'tinylm.", "'tinylm.")):
        found.append(ast.unparse(call))
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: "/".join(path.parts[-2:]))
def test_the_source_holds_nothing_that_runs_what_it_reads(path):
    found = dangers(ast.parse(path.read_text(encoding="utf-8")))
    assert [each for each in found if not each.endswith(EXEMPT.get("/".join(path.parts[-2:]), "nothing"))] == []


@pytest.mark.parametrize("line", [
    "import pickle", "from pickle import loads", "import yaml", "import marshal as m", "from jinja2 import Template",
    "torch.load(path)", "eval(x)", "exec(x)", "__import__(x)", "importlib.import_module(name)",
    "subprocess.run(x, shell=True)", "os.system(x)", "np.load(x)", "read(x, allow_pickle=True)",
    "compile(x, 'x', 'exec')", "from xml.etree import ElementTree", "import xml.sax",
])
def test_the_search_finds_what_it_looks_for(line):
    assert dangers(ast.parse(line))


@pytest.mark.parametrize("line", ["re.compile(x)", "model.eval()", "torch.compile(model)", "json.load(file)",
                                  "importlib.import_module(f'tinylm.{name}')", "subprocess.run(x, shell=False)"])
def test_the_search_leaves_the_rest_alone(line):
    assert not dangers(ast.parse(line))
