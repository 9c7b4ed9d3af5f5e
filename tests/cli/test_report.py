"""tinylm report RUN: the page of runs that tinylm has made."""

from __future__ import annotations

import shutil
from pathlib import Path

from .conftest import Command


def test_where_the_page_is(tinylm: Command, hello: Path, tmp_path: Path) -> None:
    folder = tmp_path / "hello"
    shutil.copytree(hello, folder)
    assert tinylm("report", folder).out == f"{folder / 'report.html'}  (open it in a browser)\n"
    assert "No text was held out" in (folder / "report.html").read_text(encoding="utf-8")
    assert tinylm("predict", folder, "how").code == 0


def test_elsewhere(tinylm: Command, book_run: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert tinylm("report", book_run, "--out", page, "--json").json == {"page": str(page)}
    told = page.read_text(encoding="utf-8")
    for fact in ("book.txt", "bits a byte", "30 steps", "layers.0"):
        assert fact in told
    assert not (book_run / "report.html").exists()


def test_a_folder_without_a_model(tinylm: Command, tmp_path: Path) -> None:
    said = tinylm("report", tmp_path)
    assert (said.code, said.out) == (2, "")
    assert "model folder" in said.err
