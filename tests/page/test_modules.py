"""Modules of pages: small, typed, joined in order, and without anything that could make text into markup or code."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tinylm.page.modules import ROOT, join_modules, module_order, read_module

MODULES = sorted(path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*.js"))
TYPESCRIPT, WABT = "typescript@7", "wabt@1"
DANGERS = re.compile(r"innerHTML|outerHTML|insertAdjacent|document\.write|\beval\b|\bFunction\(|DOMParser|srcdoc|"
                     r"setHTML|createContextualFragment|XMLHttpRequest|WebSocket|\bimport\(|localStorage")
FETCH, SPEAKS_WITH_A_SERVER = re.compile(r"\bfetch\("), "studio/api.js"
FIRST = ("single_file.js", "explanation_file.js", "studio.js", "lesson.js")
_COMMENT = re.compile(r"/\*[\s\S]*?\*/|//.*")
_TOP = re.compile(r"^(?:export )?(?:async )?(?:const|let|function|class) (\w+)", re.MULTILINE)
_IMPORTED = re.compile(r"import \{([^}]*)\}")


def test_all_modules_are_in_a_page() -> None:
    assert sorted({path for first in FIRST for path in module_order(first)}) == MODULES


@pytest.mark.parametrize("first", FIRST)
def test_a_module_comes_after_those_that_it_imports(first: str) -> None:
    order = module_order(first)
    for path in order:
        for imported in re.findall(r'^import .* from "([^"]+)"', read_module(path), re.MULTILINE):
            found = (ROOT / path).parent.joinpath(imported).resolve().relative_to(ROOT).as_posix()
            assert order.index(found) < order.index(path)


def test_a_name_is_used_once() -> None:
    counts = Counter(name for path in MODULES for name in _TOP.findall(read_module(path)))
    assert [name for name, count in counts.items() if count > 1] == []


@pytest.mark.parametrize("first", FIRST)
def test_the_joined_script_has_no_imports_and_cannot_end_its_element(first: str) -> None:
    script = join_modules(first)
    assert not re.search(r"^(import|export)\b", script, re.MULTILINE)
    assert "</script" not in script.lower()
    assert "<!--" not in script
    assert len(script.encode()) + len(read_module("style.css")) + len(read_module("studio.css")) < 200_000


@pytest.mark.parametrize("path", MODULES)
def test_a_module_is_small_and_harmless(path: str) -> None:
    text = read_module(path)
    lines = text.splitlines()
    assert len(lines) <= 400
    assert max(map(len, lines)) <= 120
    assert not DANGERS.search(_COMMENT.sub("", text))
    assert bool(FETCH.search(text)) == (path == SPEAKS_WITH_A_SERVER)
    assert text.startswith("/**\n")
    for names in _IMPORTED.findall(text):
        for name in (each.strip() for each in names.split(",")):
            assert len(re.findall(rf"\b{name}\b", text)) > 1, f"{name} is imported and not used"


def npm(folder: Path, *packages: str) -> None:
    """Installs packages of node. Skips where that cannot be done."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("node or npm is not installed")
    found = subprocess.run(["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", *packages], cwd=folder,
                           capture_output=True, text=True, timeout=300, check=False)
    if found.returncode:
        pytest.skip(f"npm cannot install {packages}: {found.stderr[-300:]}")


@pytest.mark.slow
def test_the_types_are_right(tmp_path: Path) -> None:
    """tsc --checkJs, strict, on the modules as they are."""
    npm(tmp_path, TYPESCRIPT)
    options = {"allowJs": True, "checkJs": True, "strict": True, "noEmit": True, "target": "es2022", "module": "es2022",
               "moduleResolution": "bundler", "lib": ["es2022", "dom", "dom.iterable"], "noUnusedLocals": True,
               "noUnusedParameters": True, "types": []}
    (tmp_path / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "include": [f"{ROOT}/**/*.js"]}))
    ran = subprocess.run(["npx", "--no-install", "tsc", "-p", "."], cwd=tmp_path, capture_output=True, text=True,
                         timeout=200, check=False)
    assert ran.returncode == 0, ran.stdout


@pytest.mark.slow
def test_another_assembler_makes_the_same_bytes(tmp_path: Path) -> None:
    """wabt, WebAssembly's own toolkit, reads the text of the product, too."""
    npm(tmp_path, WABT)
    for name in ("assembler.js", "product.js"):
        shutil.copy(ROOT / "model" / name, tmp_path / name)
    package = json.loads((tmp_path / "package.json").read_text())
    (tmp_path / "package.json").write_text(json.dumps({**package, "type": "module"}))
    (tmp_path / "compare.js").write_text("""
import makeWabt from "wabt";
import { assemble } from "./assembler.js";
import { PRODUCT } from "./product.js";
const module = (await makeWabt()).parseWat("product.wat", PRODUCT, { simd: true });
module.validate();
const theirs = Buffer.from(module.toBinary({}).buffer).toString("hex");
console.log(JSON.stringify([Buffer.from(assemble(PRODUCT)).toString("hex"), theirs]));
""")
    ran = subprocess.run(["node", "compare.js"], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    ours, theirs = json.loads(ran.stdout)
    assert ours == theirs
