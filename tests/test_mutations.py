"""A damaged file in a model folder gives one of our sentences, within a second and little memory (promise F2)."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tinylm
from tinylm import model_folder
from tinylm.cli import main
from tinylm.errors import TinyLMError
from tinylm.model.transformer import TinyLM
from tinylm.system.untrusted import quoted, read_whole

PROGRAMS = Path(__file__).parent / "adversarial"


def run(program: str, *arguments: object, log: Path) -> dict:
    """In a process of its own: a crash must not be ours, and its log knows in which case it came."""
    command = [sys.executable, "-W", "error", str(PROGRAMS / program), *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False,
                            env={**os.environ, "OMP_NUM_THREADS": "1"})
    last = log.read_text().splitlines()[-1:] if log.exists() else []
    assert result.returncode == 0, f"exit {result.returncode} after {last}: {result.stderr[-3000:]}"
    return json.loads(result.stdout)


def check(first: int, last: int, folder: Path) -> None:
    report = run("mutations.py", first, last, folder, log=folder / f"{first}.log")
    assert report["cases"] == last - first
    assert report["outcomes"]["used"] > 0 < report["outcomes"]["refused"]
    assert not report["failures"], "\n".join(report["failures"])


@pytest.mark.parametrize("first", [0, 1000])
def test_damage_is_a_sentence(first, tmp_path):
    check(first, first + 1000, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("first", range(2000, 50_000, 3000))
def test_much_damage_is_a_sentence(first, tmp_path):
    check(first, first + 3000, tmp_path)


def test_files_that_change_while_they_are_read(tmp_path):
    report = run("changes.py", 60, tmp_path, log=tmp_path / "none")
    assert report["loads"] == 60
    assert not report["failures"], "\n".join(report["failures"])


@pytest.fixture
def folder(hello_run, tmp_path):
    return shutil.copytree(hello_run, tmp_path / "model")


def read_model(folder: Path) -> TinyLM:
    config = model_folder.read_config(folder).model
    return model_folder.make_model(config, model_folder.read_weights(folder, config))


def changed(folder: Path, **model: object) -> Path:
    values = json.loads((folder / "config.json").read_text())
    values["model"].update(model)
    (folder / "config.json").write_text(json.dumps(values))
    return folder


@pytest.mark.parametrize("model", [
    {"d_model": 10**9}, {"n_layers": 1000}, {"d_mlp": 2**31 - 1}, {"vocab_size": 10**9}, {"d_model": 10**30},
    {"n_heads": 10**9, "d_model": 10**9}, {"positions": "learned", "context_length": 2**31 - 1},
])
def test_a_config_that_asks_for_an_enormous_model_is_refused_before_anything_is_made(folder, model, monkeypatch):
    monkeypatch.setattr("tinylm.model.transformer.TinyLM.__init__", lambda *_: pytest.fail("a model was made"))
    with pytest.raises(TinyLMError):
        read_model(changed(folder, **model))


@pytest.mark.parametrize("model", [{"n_layers": 10**9}, {"n_layers": 1000}, {"d_model": 10**9, "n_heads": 1}])
def test_an_enormous_structure_is_shown_or_refused(folder, model, capsys):
    assert main(["inspect", str(changed(folder, **model)), "--json"]) in (0, 2)
    capsys.readouterr()


def test_a_context_far_longer_than_the_text_costs_nothing(folder):
    lm = tinylm.load(changed(folder, context_length=2**31 - 1))
    assert lm.predict("how are")[0].token == "you"
    assert lm.evaluate().loss == pytest.approx(tinylm.load(changed(folder, context_length=64)).evaluate().loss)


def test_numbers_that_are_not_finite_are_refused(folder):
    path = folder / "model.safetensors"
    data = bytearray(path.read_bytes())
    data[-4:] = b"\x00\x00\xc0\x7f"
    path.write_bytes(data)
    with pytest.raises(TinyLMError, match="not a finite number"):
        tinylm.load(folder)


def test_a_model_that_leaves_the_finite_numbers_says_so(folder):
    lm = tinylm.load(folder)
    for parameter in lm.model.parameters():
        parameter.data.fill_(3e38)
    for ask in (lambda: lm.predict("how are"), lambda: lm.generate("how are"), lm.evaluate):
        with pytest.raises(TinyLMError, match="finite"):
            ask()


def test_a_file_is_read_whole_or_refused(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert read_whole(path, 5) == b"12345"
    for most, place in ((4, path), (5, tmp_path), (5, tmp_path / "none")):
        with pytest.raises(TinyLMError):
            read_whole(place, most)


def test_what_is_quoted_is_short_and_drives_no_terminal():
    assert quoted("naïve \x1b[2J\ud800\n") == r"naïve \x1b[2J\ud800\n"
    assert len(quoted("x" * 10_000)) < 400
