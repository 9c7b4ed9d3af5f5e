"""The worked examples of CONTRIBUTING.md fit the code as it is; a copy that follows one passes the tests it names."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
EXAMPLES = dict(re.findall(r"^## (Where a new .+?)\n(.*?)(?=^## )", PAGE, re.MULTILINE | re.DOTALL))
COPIED = ("src", "tests", "docs", "pyproject.toml", "README.md")


class Hunk(NamedTuple):
    """Lines of a file, and the lines to write in their place; a hunk without old lines makes a new file."""

    path: str
    old: str
    new: str


def hunks(example: str) -> Iterator[Hunk]:
    """The hunks of the diff blocks of an example: `--- PATH`, then `@@` before each hunk."""
    for block in re.findall(r"^```diff\n(.*?)^```$", example, re.MULTILINE | re.DOTALL):
        for path, body in re.findall(r"^--- (\S+)\n(.*?)(?=^--- |\Z)", block, re.MULTILINE | re.DOTALL):
            for hunk in body.split("@@\n")[1:]:
                lines = hunk.splitlines()
                yield Hunk(path, *("".join(f"{line[1:]}\n" for line in lines if line[:1] != other) for other in "+-"))


def apply(hunk: Hunk, root: Path) -> None:
    """Writes the hunk into a file below a root; where its old lines are not there exactly once, the test fails."""
    file = root / hunk.path
    if not hunk.old:
        assert not file.exists(), f"{hunk.path} is there already"
        file.parent.mkdir(exist_ok=True)
        file.write_text(hunk.new, encoding="utf-8")
        return
    text = file.read_text(encoding="utf-8")
    assert f"\n{text}".count(f"\n{hunk.old}") == 1, f"{hunk.path} does not hold these lines once:\n{hunk.old}"
    file.write_text(f"\n{text}".replace(f"\n{hunk.old}", f"\n{hunk.new}")[1:], encoding="utf-8")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the source, the tests, and the pages that they read."""
    for name in COPIED:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    return tmp_path


def test_there_are_three_examples():
    assert [title.split()[3] for title in EXAMPLES] == ["activation", "filter", "export"]


@pytest.mark.parametrize("title", EXAMPLES)
def test_an_example_fits_the_code(title, copy):
    told = list(hunks(EXAMPLES[title]))
    assert told
    for hunk in told:
        apply(hunk, copy)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("title", EXAMPLES)
@pytest.mark.needs_posix
def test_a_copy_that_follows_an_example_passes_what_it_names(title, copy):
    for hunk in hunks(EXAMPLES[title]):
        apply(hunk, copy)
    environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "TINYLM_CACHE": str(copy / "cache"),
                   "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])}
    for command in re.findall(r"^\$ (.+)$", EXAMPLES[title], re.MULTILINE):
        done = subprocess.run(["sh", "-c", command], cwd=copy, env=environment, capture_output=True, text=True,
                              timeout=800, check=False)
        assert done.returncode == 0, f"$ {command}\n{done.stdout}\n{done.stderr}"
