"""F4, F5: an export is the model, lies inside its target alone, whole or not at all, and replaces nothing unasked."""

from __future__ import annotations

import errno
import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.interchange.shapes import make_model
from tinylm.errors import TinyLMError
from tinylm.interchange import export as export_module
from tinylm.interchange import formats
from tinylm.interchange.export import export, read_model
from tinylm.interchange.formats import FORMATS
from tinylm.interchange.verify import Reader, Reference

ROOT = Path(__file__).parents[2]
EXPORT = """
import sys
from tests.interchange.shapes import make_model
from tinylm.errors import TinyLMError
from tinylm.interchange.export import export
{limit}
try:
    export(make_model("default"), sys.argv[1], sys.argv[2], force=True)
except TinyLMError as error:
    sys.exit(str(error))
"""


def target(folder: Path, to: str) -> Path:
    """A place for an export: a folder, or one file."""
    return folder / ("out.html" if FORMATS[to].is_file else "out")


def digests(folder: Path) -> dict[str, bytes]:
    if folder.is_file():
        return {folder.name: folder.read_bytes()}
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("to", FORMATS)
def test_an_export_is_read_back_by_ourselves_and_by_its_program(tmp_path: Path, to: str) -> None:
    found = export(make_model("default", "bpe"), to, target(tmp_path, to), dtype="f32")
    engine = FORMATS[to].engine
    assert [check.reader for check in found.checks] == [FORMATS[to].first_reader, *([engine[0]] if engine else [])]
    for check in found.checks:
        assert check.difference < 1e-4
        assert check.same == check.greedy == 128
    assert found.files == {name: len(content) for name, content in digests(target(tmp_path, to)).items()}
    assert FORMATS[to].is_file or found.files.keys() <= FORMATS[to].files
    assert found.folder == (tmp_path if FORMATS[to].is_file else tmp_path / "out")


@pytest.mark.parametrize(("dtype", "most"), [("f16", 0.01), ("q8_0", 0.5)])
def test_fewer_bits_are_the_model_as_far_as_they_go(tmp_path: Path, dtype: str, most: float) -> None:
    for check in export(make_model("default"), "gguf", tmp_path / dtype, dtype=dtype).checks:
        assert 1e-5 < check.difference < most
        assert check.same > 0.8 * check.greedy


@pytest.mark.parametrize(("name", "change"), [
    ("layers.1.attn.q_proj.weight", lambda array: array[::-1].copy()),
    ("layers.0.norm1.weight", lambda array: np.roll(array, 1)),
    ("layers.1.mlp.down_proj.weight", lambda array: 1.01 * array),
    ("embed.weight", lambda array: np.vstack([array[1:], array[:1]]))], ids=["rows", "vector", "scale", "entries"])
def test_an_export_of_another_model_is_found_out(tmp_path: Path, name: str, change: Any) -> None:
    """Errors of an exporter: rows in another order, a vector turned round, a factor, entries moved by one."""
    model = make_model("llama")
    changed = replace(model, weights={**model.weights, name: change(model.weights[name])})
    form = FORMATS["hf"]
    form.write(changed, tmp_path, "f32")
    for reader in form.readers(model, tmp_path):
        check = Reference(model).check(reader, "f32")
        assert not check.is_right, check


def test_logits_that_are_no_numbers_are_wrong() -> None:
    model = make_model("default")
    nothing = Reader("nothing", lambda ids: np.full((len(ids), model.config.model.vocab_size), np.nan, np.float32))
    assert not Reference(model).check(nothing, "q8_0").is_right


# ---- where it is written


@pytest.mark.parametrize("to", FORMATS)
def test_an_export_that_is_there_is_replaced_by_force_alone(tmp_path: Path, to: str) -> None:
    out = target(tmp_path, to)
    export(make_model("default"), to, out)
    before = digests(out)
    with pytest.raises(TinyLMError, match=r"there is an export already.*--force"):
        export(make_model("default", seed=1), to, out)
    assert digests(out) == before
    export(make_model("default", seed=1), to, out, force=True)
    assert digests(out).keys() == before.keys()
    assert digests(out) != before
    assert os.listdir(tmp_path) == [out.name]


def test_what_is_no_export_is_never_replaced(tmp_path: Path, hello_run: Path) -> None:
    texts = tmp_path / "texts"
    texts.mkdir()
    (texts / "diary.txt").write_text("dear diary")
    copied = tmp_path / "model"
    copied.mkdir()
    for name in ("config.json", "tokenizer.json", "model.safetensors", "README.md"):
        (copied / name).write_bytes((hello_run / name).read_bytes())
    (tmp_path / "file").write_text("a file")
    with_a_friend = tmp_path / "friend"
    export(make_model("default"), "hf", with_a_friend)
    (with_a_friend / "notes.txt").write_text("mine")
    (tmp_path / "page.html").write_text("<!doctype html><title>My page</title>")
    before = digests(tmp_path)
    for place in (texts, copied, tmp_path / "file", with_a_friend, tmp_path, tmp_path / "page.html"):
        for to in FORMATS:
            with pytest.raises(TinyLMError, match="OUT"):
                export(make_model("default"), to, place, force=True)
    assert digests(tmp_path) == before


def test_an_export_that_is_a_file_wants_the_name_of_one(tmp_path: Path) -> None:
    (tmp_path / "folder.html").mkdir()
    for name, said in (("out", "for example out.html"), ("page.htm", "for example page.htm.html"),
                       ("folder.html", "is a folder, and this export is one file")):
        with pytest.raises(TinyLMError, match=re.escape(said)):
            export(make_model("default"), "html", tmp_path / name, force=True)
    assert os.listdir(tmp_path) == ["folder.html"]


def test_a_file_that_came_meanwhile_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """F5: another process writes the same name while the page is being made, with and without links."""
    written = export_module.put_in_place

    def late(temporary: Path, out: Path, form: Any, *, force: bool) -> None:
        out.write_text("mine")
        written(temporary, out, form, force=force)

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "no links here")

    monkeypatch.setattr(export_module, "put_in_place", late)
    for change in ("with links", "without"):
        if change == "without":
            monkeypatch.setattr(os, "link", refuse)
        with pytest.raises(TinyLMError, match="another process has put a file here meanwhile"):
            export(make_model("default"), "html", tmp_path / f"{change}.html")
        assert (tmp_path / f"{change}.html").read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == ["with links.html", "without.html"]
    monkeypatch.setattr(export_module, "put_in_place", written)
    export(make_model("default"), "html", tmp_path / "free.html")


NAMES = ["a b", "ü", "漢字", "-x", "--to", "x.gguf", "CON", "a'b", 'a"b', "$HOME", "%PATH%", "{0}", "{out}", "a\\b",
         "a;b", "...x", "x.", "\u202ex", "🙂", "é", "e\u0301", "a/b/c", "a/../d", "./e", "x" * 200]


@pytest.mark.parametrize("count", [100, pytest.param(500, marks=pytest.mark.slow)])
def test_an_export_lies_inside_its_target_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """F5: whatever the target is called; its neighbours stay, and no file comes beside it."""
    monkeypatch.setattr(formats, "find_spec", lambda _: None)  # as where no other program is installed
    drawn, letters = random.Random(0), "ab .-_'$%{}()[]&;!#é漢"
    names = [*NAMES, *(f"r{i}{''.join(drawn.choices(letters, k=6))}x" for i in range(count - len(NAMES)))]
    model = make_model("default")
    for number, name in enumerate(names):
        home = tmp_path / str(number)
        (home / "neighbour").mkdir(parents=True)
        (home / "neighbour" / "file").write_text("mine")
        found = export(model, "gguf", str(home / name), dtype="f32")
        assert found.folder == Path(os.path.abspath(home / name))
        there = {home / path for path in digests(home)}
        assert there == {found.folder / "model.gguf", found.folder / "Modelfile", home / "neighbour" / "file"}, name
        assert (home / "neighbour" / "file").read_text() == "mine"


@pytest.mark.needs_posix
@pytest.mark.parametrize("to", FORMATS)
def test_a_disk_that_is_full_leaves_the_export_before(tmp_path: Path, to: str) -> None:
    """No file of the process may be longer than 100,000 bytes, so the weights cannot be written whole."""
    out = target(tmp_path, to)
    export(make_model("default"), to, out)
    before = digests(tmp_path)
    limit = ("import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
             "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))")
    done = start(EXPORT.format(limit=limit), to, out)
    assert "could not be written (File too large)" in done.communicate()[1]
    assert done.returncode == 1
    assert digests(tmp_path) == before


@pytest.mark.needs_posix
@pytest.mark.parametrize("kills", [4, pytest.param(40, marks=pytest.mark.slow)])
def test_a_killed_export_leaves_the_one_before_or_the_new_one(tmp_path: Path, kills: int) -> None:
    out, model = tmp_path / "out", make_model("default")
    export(model, "hf", out)
    expected = digests(out)
    for number in range(kills):
        done = start(EXPORT.format(limit=""), "hf", out)
        time.sleep(0.2 + 3.0 * number / kills)
        done.send_signal(signal.SIGKILL)
        done.communicate()
        assert digests(out) == expected
        assert all(path.name == "out" or path.name.startswith(".out.") for path in tmp_path.iterdir())
    export(model, "hf", out, force=True)
    assert digests(out) == expected


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", program, *map(str, arguments)], cwd=ROOT, stdout=subprocess.DEVNULL,
                            stderr=subprocess.PIPE, text=True)


# ---- what cannot be


@pytest.mark.parametrize(("to", "dtype", "said"), [
    ("guff", None, "there is no format 'guff'. Did you mean 'gguf'?"), ("hf", "q8_0", "the format hf holds no q8_0"),
    ("gguf", "q4", "there is no dtype 'q4'"), ("gguf", "f61", "Did you mean 'f16'?")])
def test_a_format_or_dtype_that_there_is_not(tmp_path: Path, to: str, dtype: str | None, said: str) -> None:
    with pytest.raises(TinyLMError, match=re.escape(said)):
        export(make_model("default"), to, tmp_path / "out", dtype=dtype)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("to", FORMATS)
def test_a_shape_that_a_format_cannot_hold_is_refused_by_the_setting(tmp_path: Path, to: str) -> None:
    model = make_model("notebook")
    if to in ("onnx", "html"):  # which hold all shapes that do not see the future
        model = replace(model, config=model.config.model_copy(
            update={"model": model.config.model.model_copy(update={"causal": False})}))
    with pytest.raises(TinyLMError, match="model\\.") as refused:
        export(model, to, target(tmp_path, to))
    assert refused.value.remedy
    assert not list(tmp_path.iterdir())


def test_a_folder_is_read_with_its_card(hello_run: Path) -> None:
    model = read_model(hello_run)
    assert model.name == hello_run.name
    assert model.card.startswith("# ")
    with pytest.raises(TinyLMError, match="there is no such model folder"):
        read_model(hello_run / "nothing")
