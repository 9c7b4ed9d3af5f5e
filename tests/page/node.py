"""Modules of pages run by node, where it is installed."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tinylm.page.modules import ROOT

HERE = Path(__file__).parent


def make_folder(folder: Path) -> Path:
    """A folder with the modules and the scripts of the tests, in which node takes `.js` for ES modules. Skips where
    there is no node."""
    if shutil.which("node") is None:
        pytest.skip("node is not installed")
    folder.mkdir(exist_ok=True)
    for path in ROOT.rglob("*.js"):
        (folder / path.relative_to(ROOT).parent).mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / path.relative_to(ROOT))
    for path in HERE.glob("*.mjs"):
        shutil.copy(path, folder)
    (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    return folder


def run(folder: Path, script: str, question: Any) -> Any:
    """The JSON that a script of the tests prints, given JSON as its input."""
    ran = subprocess.run(["node", script], cwd=folder, input=json.dumps(question), capture_output=True,
                         encoding="utf-8", timeout=250, check=False)
    assert ran.returncode == 0, ran.stderr[-3000:]
    return json.loads(ran.stdout)
