"""The source distribution holds what a clone holds, so that its tests run. The wheel holds the package, its kernels as
machine code and nothing else, and works from another folder, with a home that cannot be written and without one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

import tinylm

ROOT = Path(__file__).parents[2]
MACHINE_CODE, LESSON = "tinylm/jit/machine_code/", "tinylm/learn/lesson/"
MADE = ("PKG-INFO", "setup.cfg", "src/tinylm.egg-info/")
"""What setuptools adds to a source distribution."""

MAX_WHEEL_BYTES = 8_000_000


class Distribution(NamedTuple):
    """Files of the clone, of the source distribution, and of the wheel that was built from that."""

    clone: set[str]
    source: set[str]
    wheel: Path


def build(kind: str, source: Path, out: Path, **environment: str) -> None:
    """Builds an sdist or a wheel as pip would, by the setuptools that is here."""
    subprocess.run([sys.executable, "-c", f"from setuptools import build_meta; build_meta.build_{kind}({str(out)!r})"],
                   cwd=source, check=True, capture_output=True, env={**os.environ, **environment})


@pytest.fixture(scope="module")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> Distribution:
    """Builds the one from a copy, for a build leaves traces, and the other from what was built."""
    clone, out = tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("dist")
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                            capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("this is no clone: what belongs to it is not known")
    names = {name for name in listed.stdout.split("\0") if name and (ROOT / name).exists()}
    for name in names:
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, clone / name)
    build("sdist", clone, out)
    with tarfile.open(*out.glob("*.tar.gz")) as packed:
        source = {each.name.partition("/")[2] for each in packed if each.isfile()}
        packed.extractall(out, filter="data")
    build("wheel", *(each for each in out.iterdir() if each.is_dir()), out)
    return Distribution(names, {name for name in source if not name.startswith(MADE)}, *out.glob("*.whl"))


def test_the_source_distribution_is_the_clone(distribution: Distribution) -> None:
    assert distribution.source == distribution.clone


def test_the_wheel_holds_the_package_alone(distribution: Distribution) -> None:
    with zipfile.ZipFile(distribution.wheel) as wheel:
        inside = {name for name in wheel.namelist() if ".dist-info/" not in name and not name.startswith(MACHINE_CODE)}
        metadata = wheel.read(next(name for name in wheel.namelist() if name.endswith("METADATA"))).decode()
    package = {name.removeprefix("src/") for name in distribution.clone if name.startswith("src/")}
    pages = {name for name in distribution.clone if name.startswith("docs/lesson/")}
    lesson = {LESSON + name.removeprefix("docs/lesson/") for name in pages}
    assert len(lesson) > 13
    assert inside == package | lesson
    assert f"\nVersion: {tinylm.__version__}\n" in metadata
    assert not re.search(r"^Requires-Dist: (starlette|uvicorn|plotly|pytest)[^;]*$", metadata, re.MULTILINE)


def test_the_wheel_is_small(distribution: Distribution) -> None:
    assert distribution.wheel.stat().st_size <= MAX_WHEEL_BYTES


KERNELS = """
import sys

from tinylm.engine.forward import forward
from tinylm.runs import precompile

for name in precompile.SHARES:
    precompile.SHARES[name]()
kernels = {kernel for bits in precompile.BITS.values()
           for kernel, _ in (*precompile.forward(bits), *precompile.backward(bits))} | {precompile.choose, forward}
print(*(sum(sum(getattr(kernel.stats, count).values()) for kernel in kernels)
        for count in ("cache_hits", "cache_misses")), "numba.np.linalg" in sys.modules)
"""


def test_the_wheel_brings_its_kernels_compiled(distribution: Distribution, tmp_path: Path) -> None:
    """For both precisions, as long as Python and numba are those of the build, and the processor is of its kind."""
    with zipfile.ZipFile(distribution.wheel) as wheel:
        wheel.extractall(tmp_path / "package")
        packed = sum(each.compress_size for each in wheel.infolist() if each.filename.startswith(MACHINE_CODE))
    done = subprocess.run([sys.executable, "-c", KERNELS], cwd=tmp_path, capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHONPATH": str(tmp_path / "package"),
                               "NUMBA_CACHE_DIR": str(tmp_path / "compiled")})
    hits, misses, *rules = done.stdout.split()
    assert (int(hits) >= 15, misses, rules) == (True, "0", ["False"]), done.stderr
    assert packed < 1_500_000


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["auto", "float32"])
def test_a_run_is_the_same_with_kernels_that_are_compiled_later(distribution: Distribution, tmp_path: Path,
                                                               precision: str) -> None:
    with zipfile.ZipFile(distribution.wheel) as wheel:
        wheel.extractall(tmp_path / "package")
    weights = []
    for name in ("brought", "compiled"):
        cache = tmp_path / f"cache-{name}"
        subprocess.run([sys.executable, "-m", "tinylm", "train", "python-reference", "--size", "0.1M", "--steps", "3",
                        "--out", name, "--set", f"train.precision={precision}"], cwd=tmp_path, check=True,
                       capture_output=True, env={**os.environ, "PYTHONPATH": str(tmp_path / "package"),
                                                 "NUMBA_CACHE_DIR": str(cache)})
        assert any(cache.rglob("attention.*.nbc")) == (name == "compiled")
        weights.append((tmp_path / name / "model.safetensors").read_bytes())
        shutil.rmtree(tmp_path / "package" / MACHINE_CODE, ignore_errors=True)
    assert weights[0] == weights[1]


def test_a_wheel_can_be_built_where_nothing_can_be_compiled(distribution: Distribution, tmp_path: Path) -> None:
    """Its kernels are compiled when they are needed, as those of an editable install are."""
    shutil.copytree(next(each for each in distribution.wheel.parent.iterdir() if each.is_dir()), tmp_path / "source")
    (tmp_path / "numba.py").write_text('raise ImportError("not here")', encoding="utf-8")
    build("wheel", tmp_path / "source", tmp_path, PYTHONPATH=str(tmp_path))
    with zipfile.ZipFile(*tmp_path.glob("*.whl")) as wheel:
        assert not [name for name in wheel.namelist() if name.startswith(MACHINE_CODE)]
        assert "tinylm/jit/compile.py" in wheel.namelist()


SHADOW = 'raise ModuleNotFoundError("this extra is not here", name=__name__)\n'


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.needs_posix
@pytest.mark.parametrize("home", ["a home that cannot be written", "no home"])
def test_the_wheel_works_from_another_folder(distribution: Distribution, tmp_path: Path, home: str) -> None:
    """The package and the home are read-only; what only extras bring cannot be imported."""
    place, shadows, own = tmp_path / "package", tmp_path / "shadows", tmp_path / "home"
    with zipfile.ZipFile(distribution.wheel) as wheel:
        wheel.extractall(place)
    shadows.mkdir()
    own.mkdir()
    for name in ("starlette", "uvicorn", "plotly", "pypdf", "striprtf"):
        (shadows / f"{name}.py").write_text(SHADOW, encoding="utf-8")
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(map(str, (place, shadows))),
                   **({"HOME": str(own)} if home != "no home" else {})}
    folders = [own, place, *(each for each in place.rglob("*") if each.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    (tmp_path / "work").mkdir()

    def run(*words: str, code: int = 0) -> str:
        done = subprocess.run([sys.executable, "-m", "tinylm", *words], cwd=tmp_path / "work", env=environment,
                              capture_output=True, text=True, timeout=400, check=False, preexec_fn=_obey_modes)
        assert done.returncode == code, f"{words}: {done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    try:
        assert "usage: tinylm COMMAND" in run("--help")
        assert "tinylm train" in run("demo")
        run("train", "hello", "--preset", "notebook", "--out", "runs/hello")
        assert run("generate", "runs/hello", "hello , how is", "--greedy").startswith("hello , how is your day ?")
        assert "tinylm[report]" in run("report", "runs/hello", code=2)
        assert "tinylm[serve]" in run("serve", "runs/hello", code=2)
        (shadows / "plotly.py").unlink()
        run("report", "runs/hello")
        assert (tmp_path / "work" / "runs" / "hello" / "report.html").stat().st_size > 1_000_000
        assert [each.name for each in (tmp_path / "work").iterdir()] == ["runs"], "nothing else is left there"
        assert not list(own.iterdir())
    finally:
        for folder in folders:
            folder.chmod(0o755)


def _obey_modes() -> None:
    """In a child of root, before its program: takes the capabilities away by which modes of folders mean nothing."""
    import ctypes

    if os.geteuid() == 0 and sys.platform == "linux":
        for capability in (1, 2, 3):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER
            ctypes.CDLL(None).prctl(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
