"""The notebook with its outputs: `python -m tests.examples.notebook_outputs` runs the cells of examples/notebook.py.

It writes examples/notebook.ipynb, which Jupyter, editors and GitHub show with what each cell printed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parents[2] / "examples"
SOURCE, SHIPPED = EXAMPLES / "notebook.py", EXAMPLES / "notebook.ipynb"

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


def main() -> None:
    """Writes the notebook with its outputs."""
    with tempfile.TemporaryDirectory() as home:
        text = json.dumps(with_outputs(executed(Path(home))), indent=1, ensure_ascii=False)
    SHIPPED.write_text(text + "\n", encoding="utf-8", newline="\n")


def executed(home: Path) -> list[dict[str, Any]]:
    """The cells of the notebook after all of them ran in an empty folder. A cell that errs fails the process."""
    places = dict.fromkeys(("TINYLM_CACHE", "IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "TMPDIR"), str(home))
    done = subprocess.run([sys.executable, "-c", EXECUTE, str(SOURCE)], capture_output=True, text=True, check=False,
                          cwd=home, env={**os.environ, **places, "OMP_NUM_THREADS": "1"}, timeout=250)
    assert done.returncode == 0, done.stderr
    cells: list[dict[str, Any]] = json.loads(done.stdout)["cells"]
    return cells


def with_outputs(cells: list[dict[str, Any]]) -> dict[str, Any]:
    """The file of a notebook, with nothing in it that differs from run to run but the numbers of the outputs."""
    made: list[dict[str, Any]] = []
    for number, cell in enumerate(cells):
        kept = {"cell_type": cell["cell_type"], "id": f"cell-{number}", "metadata": {}, "source": cell["source"]}
        if cell["cell_type"] == "code":
            lines = shown(cell["outputs"]).splitlines(keepends=True)
            outputs = [{"output_type": "stream", "name": "stdout", "text": lines}] if lines else []
            kept |= {"execution_count": cell["execution_count"], "outputs": outputs}
        made.append(kept)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {"cells": made, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def shown(outputs: Iterable[dict[str, Any]]) -> str:
    """What a cell printed, then what it returned. The kernel sends a print in pieces when it happens to flush in the
    middle of it, and pieces and result in an order of their own."""
    printed = [piece for output in outputs if output["output_type"] == "stream" for piece in output["text"]]
    returned = ["".join(output["data"]["text/plain"]) for output in outputs if "data" in output]
    return "\n".join(text for text in ("".join(printed).strip(), *returned) if text)


if __name__ == "__main__":
    main()
