"""Where no compiled code, and no ids, can be kept beside the program or at home."""

from __future__ import annotations

import ctypes
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cases.recipes import book
from tinylm.jit import cache
from tinylm.text.corpus import open_corpus
from tinylm.text.dataset import build_dataset
from tinylm.text.split import split_corpus, train_tokenizer

KERNEL = """
import sys
from tinylm.jit.compile import kernel
from tinylm.jit.cache import announce

@kernel
def half(x):
    return x * 0.5

announce(half, "a half for this processor")
print(half(5.0), sum(half.stats.cache_hits.values()), half._cache.cache_path)
"""
Program = Callable[..., tuple[list[str], str]]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user can enter: pytest's own are for its user alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for part, mode in (("program", 0o555), ("home", 0o555), ("tmp", 0o1777)):
            (folder / part).mkdir()
            if part == "program":
                (folder / part / "half.py").write_text(KERNEL)
            (folder / part).chmod(mode)
        yield folder
        (folder / "program").chmod(0o755)
        (folder / "home").chmod(0o755)


def _obey_modes() -> None:
    """In a child of root, before its program: takes the capabilities away by which modes of folders mean nothing."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None)
        for capability in (1, 2, 3):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER
            libc.prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP


@pytest.fixture
def program(place: Path) -> Program:
    """Runs the program where it can write only what the environment names: what it printed, and what it said."""
    def run(**environment: str) -> tuple[list[str], str]:
        paths = [str(Path(cache.__file__).parents[2]), *filter(None, sys.path)]
        env = {"PATH": os.environ["PATH"], "HOME": str(place / "home"), "TMPDIR": str(place / "tmp"),
               "PYTHONPATH": os.pathsep.join(paths), "PYTHONDONTWRITEBYTECODE": "1", **environment}
        done = subprocess.run([sys.executable, "half.py"], cwd=place / "program", env=env, capture_output=True,
                              text=True, timeout=200, check=False, preexec_fn=_obey_modes)
        assert done.returncode == 0, done.stderr
        return done.stdout.split(), done.stderr

    return run


needs_users = pytest.mark.skipif(os.name == "nt", reason="modes of folders are POSIX's")


@needs_users
def test_case_56_a_temporary_folder_stands_in_and_is_said(program: Program, place: Path) -> None:
    (half, hits, where), said = program()
    assert (half, hits) == ("2.5", "0")
    assert Path(where).is_relative_to(place / "tmp")
    assert stat.S_IMODE(Path(where).parent.stat().st_mode) == 0o700
    note, compiling = said.splitlines()
    assert "is kept in" in note
    assert "Set NUMBA_CACHE_DIR to a folder of yours" in note
    assert compiling == "compiling  a half for this processor"
    assert program() == (["2.5", "1", where], "")


@needs_users
def test_a_cache_that_was_named_but_cannot_be_written_is_said_each_time(program: Program, place: Path) -> None:
    (place / "cache").mkdir(mode=0o555)
    for hits in ("0", "1"):
        out, said = program(NUMBA_CACHE_DIR=str(place / "cache"))
        assert out[:2] == ["2.5", hits]
        assert f"NUMBA_CACHE_DIR, {place / 'cache'}, cannot be written: compiled code is kept in" in said


@needs_users
@pytest.mark.parametrize("prepare", ["a foreign folder", "an open folder", "a link"])
def test_code_that_others_may_have_written_is_never_loaded(program: Program, place: Path, prepare: str) -> None:
    folder = place / "tmp" / f"tinylm-compiled-{os.geteuid()}"
    if prepare == "a link":
        (place / "theirs").mkdir(mode=0o777)
        folder.symlink_to(place / "theirs")
    else:
        folder.mkdir()
        if prepare == "a foreign folder" and os.geteuid() == 0:
            os.chown(folder, 65534, 65534)
        folder.chmod(0o777)
    (half, hits, where), said = program()
    assert (half, hits, where) == ("2.5", "0", "None")
    assert "compiled code can be written: it is not kept. Set NUMBA_CACHE_DIR" in said
    assert "compiling  a half for this processor, each time anew" in said
    assert "once" not in said


def test_without_a_folder_for_temporary_files_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> str:
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    cache.private_folder.cache_clear()
    assert cache.private_folder() is None
    assert "it is not kept. Set NUMBA_CACHE_DIR" in cache.folder_note(None)
    cache.private_folder.cache_clear()


@needs_users
def test_a_folder_of_ones_own_keeps_it(program: Program, place: Path) -> None:
    (place / "cache").mkdir()
    (place / "cache").chmod(0o777)
    (_, hits, where), said = program(NUMBA_CACHE_DIR=str(place / "cache"))
    assert (hits, said) == ("0", "compiling  a half for this processor, once\n")
    assert Path(where).is_relative_to(place / "cache")
    index, = Path(where).glob("*.nbi")
    index.write_bytes(index.read_bytes()[:7])  # cut short, as by a full disk
    assert program(NUMBA_CACHE_DIR=str(place / "cache"))[0][:2] == ["2.5", "0"]
    assert program(NUMBA_CACHE_DIR=str(place / "cache"))[0][:2] == ["2.5", "1"]


@pytest.mark.parametrize("asked", ["cache", "./a/../cache", "."])
def test_a_relative_folder_that_was_named_is_not_said_to_be_unwritable(asked: str,
                                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_CACHE_DIR", asked)
    assert cache.folder_note(os.path.join(asked, "engine_0")) == ""


def test_a_disk_that_is_full_is_said_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(cache, "_PRINTED", set())
    for _ in range(2):
        cache.warn_not_kept("/full", OSError(28, "No space left on device"))
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "/full (No space left on device)" in said


# ---- the ids of a text


@pytest.mark.parametrize(("environment", "said"), [
    ({"TINYLM_CACHE": "{file}/cache"}, "cannot be written"), ({"XDG_CACHE_HOME": "{file}"}, "cannot be written"),
    ({"HOME": "{file}"}, "cannot be written"), ({"HOME": "~"}, "there is no home"),
    ({"XDG_CACHE_HOME": "here"}, "there is no home"), ({"TINYLM_CACHE": "{folder}"}, ""),
])
def test_ids_that_cannot_be_kept_are_made_all_the_same_and_that_is_said(
        environment: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "book.txt").write_text(book(3000))
    for name in ("TINYLM_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value.format(file=tmp_path / "book.txt", folder=tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    split = split_corpus(open_corpus(tmp_path / "book.txt"))
    dataset = build_dataset(split, train_tokenizer(split, "char"))
    assert dataset.train.n_tokens > 2000
    assert said in dataset.note
    assert bool(dataset.note) == bool(said)
    assert ("TINYLM_CACHE" in dataset.note) == bool(said)
    assert not (tmp_path / "~").exists()
