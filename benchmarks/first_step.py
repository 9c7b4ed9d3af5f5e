"""Seconds from the start of `tinylm train` to the end of its first step, after a fresh install: nothing of an earlier
run is there, neither encoded texts nor compiled code but what came with the package. The peer is a plain PyTorch GPT of
that size, which has no kernels to compile.

The package is a wheel that was just built, unpacked as pip unpacks it. With --editable it is this checkout, whose
kernels a first run compiles.
"""

from __future__ import annotations

import argparse
import compileall
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.first_token import first_character
from benchmarks.harness import ROOT, Run, add_compiled, add_pairs, add_precision, fresh, in_pairs, outcome, tell

SIZE = "0.8M"
BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("text", type=Path, help="tiny Shakespeare")
    add_pairs(parser)
    add_precision(parser)
    add_compiled(parser)
    parser.add_argument("--editable", action="store_true", help="run this checkout instead of a wheel")


def run(arguments: argparse.Namespace) -> int:
    text = arguments.text.resolve()
    with package(editable=arguments.editable) as path:
        def ours(_: int = 0) -> Run:
            with fresh(compiled=arguments.compiled) as (folder, caches):
                return first_character("benchmarks.first_step", "train", text, "--json", "--size", SIZE, "--steps", 30,
                                       "--set", f"train.precision={arguments.precision}", "--out", folder / "run",
                                       environment={"PYTHONPATH": str(path), **caches})

        if arguments.compiled:
            ours()
        pairs = in_pairs(arguments.pairs, lambda _: peer(text), ours)
    return tell(outcome("first-step", pairs, unit="s", size=SIZE, precision=arguments.precision,
                        peer="a plain PyTorch GPT"))


@contextmanager
def package(*, editable: bool) -> Iterator[Path]:
    """The folder from which tinylm is imported."""
    if editable:
        yield ROOT / "src"
        return
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-c", BUILD, folder], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        with zipfile.ZipFile(*Path(folder).glob("*.whl")) as wheel:
            wheel.extractall(folder)
        compileall.compile_dir(folder, quiet=2)
        yield Path(folder)


def peer(text: Path) -> Run:
    return first_character("benchmarks.peers.gpt", text, "--steps", 1, "--time-only")


# ---- the process that is timed: tinylm, which prints a line on stdout at the end of its first step


def main() -> None:
    from tinylm.cli import main as tinylm

    threading.Thread(target=print_at_first_step, daemon=True).start()
    sys.exit(tinylm(sys.argv[1:]))


def print_at_first_step() -> None:
    """Waits until tinylm has imported its loop, seconds before the loop's first step: an import from here would come
    before those that tinylm begins with."""
    while not hasattr(loop := sys.modules.get("tinylm.training.loop"), "layer_of"):  # the last name in it
        time.sleep(0.01)
    step = loop.train_step

    def first(*arguments: Any, **more: Any) -> Any:
        result = step(*arguments, **more)
        print(flush=True)
        loop.train_step = step
        return result

    loop.train_step = first


if __name__ == "__main__":
    main()
