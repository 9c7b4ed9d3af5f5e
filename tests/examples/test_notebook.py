"""The example notebook runs from its first cell to its last, and says what it should."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[2] / "examples" / "notebook.py"

EXECUTE = """
import sys
import jupytext, nbformat
from jupyter_client import AsyncKernelManager
from nbclient import NotebookClient

notebook, kernel = jupytext.read(sys.argv[1]), AsyncKernelManager()
kernel.kernel_spec.argv[:] = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
NotebookClient(notebook, km=kernel, timeout=200).execute()
print(nbformat.writes(notebook))
"""
"""In a process of its own: the sockets that the client leaves open are not ours to close, and end with it."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> str:
    """All that the cells printed and returned. A cell that errs fails the process."""
    home = tmp_path_factory.mktemp("notebook")
    places = dict.fromkeys(("TINYLM_CACHE", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "TMPDIR"), str(home))
    done = subprocess.run([sys.executable, "-c", EXECUTE, str(NOTEBOOK)], capture_output=True, text=True, check=False,
                          cwd=home, env={**os.environ, **places, "OMP_NUM_THREADS": "1"}, timeout=250)
    assert done.returncode == 0, done.stderr
    return "\n".join(shown(cell.get("outputs", ())) for cell in json.loads(done.stdout)["cells"])


def shown(outputs: Iterable[dict[str, Any]]) -> str:
    """What a cell printed, then what it returned. The kernel sends a print in pieces when it happens to flush in the
    middle of it, and pieces and result in an order of their own."""
    printed = [piece for output in outputs if output["output_type"] == "stream" for piece in output["text"]]
    returned = ["".join(output["data"]["text/plain"]) for output in outputs if "data" in output]
    return "\n".join(text for text in ("".join(printed).strip(), *returned) if text)


# The slow part is the fixture: one worker is to run it once.
pytestmark = pytest.mark.xdist_group("notebook")


@pytest.mark.parametrize("fact", [
    "<LanguageModel: 17,932 parameters, 12 tokens (word)>",
    "([1, 5, 9, 10, 11, 8, 2],\n ['<bos>', 'how', 'is', 'your', 'day', '?', '<eos>'],\n 'how is your day ?')",
    "'Hi' (word 1",
    "torch.Size([1, 7, 12])",
    "12*32 + 2*(4*33*32 + 33*64 + 65*32 + 2*32 + 2*32) + 2*32 + 33*12 = 17932\n17932",
    "[('you', 0.9",
    "hello , how are → you ?",
    "hello , how is → your day ?",
    "how is → your day ?",
    "'your day ?'",
])
def test_the_notebook_shows(told: str, fact: str) -> None:
    assert fact in told


def test_only_without_the_mask_does_a_later_word_reach_back(told: str) -> None:
    changes = ast.literal_eval(next(line for line in told.splitlines() if line.startswith("{'with the mask'")))
    assert changes["with the mask"] < 1e-6 < 1e-2 < changes["without"]
