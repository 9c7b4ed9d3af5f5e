"""tinylm on an emulated ARM processor: `make test-arm`, or `python tests/platforms/arm.py`.

The parts whose code is compiled for the processor at hand, and what a person does with them: parity of the engine with
the reading file, parity of the training path with autograd, the barrier, `tinylm demo`, a run that is killed and goes
on, and texts. An old processor has them all; a new one, with vectors of another kind, the parity.

The first run fetches some 250 MB into the folder of `--folder` and compiles by an emulated compiler; later runs find
both there. Emulation takes 10 to 50 times as long as the processor would. Memory is as strongly ordered as that of the
emulating processor, so missing barriers would not be seen: a test looks for the instructions instead.

Exit code 0: all passed; 1: something failed; 2: the emulated machine cannot be made here.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from aarch64 import CannotBeMade, emulated_python

ROOT = Path(__file__).parents[2]
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tinylm-aarch64"
SAME_FILES = ("model.safetensors", "metrics.jsonl", "samples.jsonl")
"""The files of a run that must not depend on its history."""
STEPS = 120
RUN = ["--tokenizer", "char", "--steps", str(STEPS), *(part for setting in (
    "model.d_model=16", "model.n_layers=1", "model.n_heads=2", "model.context_length=16", "model.dropout=0.1",
    "train.batch_size=4", "train.evaluate_every=40") for part in ("--set", setting))]
TEXT = "".join(f"{n} green bottles hanging on the wall, and {n * n} more in the yard.\n" for n in range(50))


class Processor(NamedTuple):
    """A processor as qemu emulates it (`QEMU_CPU`), and the one that LLVM compiles for (`NUMBA_CPU_NAME`).

    LLVM would take the name from /proc/cpuinfo, which is that of the emulating machine, and then compile for "generic".
    """

    qemu: str
    llvm: str


OLD = Processor("cortex-a72", "cortex-a72")
"""Of a Raspberry Pi 4: the first kind of 64-bit ARM, with vectors of 4 numbers."""
NEW = Processor("max,sve-default-vector-length=32,pauth-impdef=on", "neoverse-v1")
"""Of a Graviton 3: scalable vectors (SVE), here of 8 numbers, and products of bfloat16."""


class Failed(Exception):
    """A check that did not pass, with the end of what its process printed."""


class Machine:
    """The emulated machine at work.

    Args:
        python: its Python.
        folder: for compiled code, which is kept, and for the runs of this call.
        deadline: the time by `time.monotonic` at which its processes are ended.
    """

    def __init__(self, python: Path, folder: Path, deadline: float) -> None:
        self.python, self.runs, self._deadline = python, folder / "runs", deadline
        self._compiled = folder / "compiled"
        shutil.rmtree(self.runs, ignore_errors=True)
        for name in ("tmp", "cache"):
            (self.runs / name).mkdir(parents=True)

    def start(self, *arguments: str, processor: Processor = OLD) -> subprocess.Popen[str]:
        """Starts Python with these arguments, in the repository and with its source."""
        environment = {"PATH": os.defpath, "LC_ALL": "C.UTF-8", "HOME": str(self.runs),
                       "TMPDIR": str(self.runs / "tmp"), "TINYLM_CACHE": str(self.runs / "cache"),
                       "NUMBA_CACHE_DIR": str(self._compiled),
                       "PYTHONPATH": os.pathsep.join(map(str, (ROOT / "src", ROOT))), "OMP_NUM_THREADS": "2",
                       "QEMU_CPU": processor.qemu, "NUMBA_CPU_NAME": processor.llvm}
        return subprocess.Popen([str(self.python), *arguments], cwd=ROOT, env=environment, text=True,
                                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                start_new_session=True)

    def run(self, *arguments: str, processor: Processor = OLD) -> str:
        """Runs Python and returns what it printed. Raises: Failed: the exit code is not 0, or time is up."""
        process = self.start(*arguments, processor=processor)
        try:
            printed, _ = process.communicate(timeout=max(1.0, self._deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            raise Failed(f"time is up\n{tail(process.communicate()[0])}") from None
        if process.returncode:
            raise Failed(f"exit code {process.returncode}\n{tail(printed)}")
        return printed

    def tinylm(self, *arguments: str) -> str:
        """Runs a command of tinylm and returns what it printed."""
        return self.run("-m", "tinylm", *arguments)

    def pytest(self, *arguments: str, processor: Processor = OLD) -> str:
        """The closing line of tests that passed."""
        printed = self.run("-m", "pytest", "-p", "no:cacheprovider", "--timeout", "1500", *arguments,
                           processor=processor)
        return printed.strip().splitlines()[-1]


def tail(printed: str) -> str:
    """The last 30 lines."""
    return "\n".join(printed.strip().splitlines()[-30:])


# ---- the checks, in the order in which they run


def processor_seen(machine: Machine) -> str:
    """The machine, and the compiler's target, as Python sees them."""
    code = ("import platform, numba, torch; from numba.core.registry import cpu_target; "
            "print(platform.machine(), cpu_target.target_context.codegen()._get_host_cpu_name(), "
            "'torch', torch.__version__, 'numba', numba.__version__)")
    seen = [machine.run("-c", code, processor=processor).strip() for processor in (OLD, NEW)]
    if not all(line.startswith("aarch64 ") for line in seen):
        raise Failed(str(seen))
    return "; ".join(seen)


def barrier(machine: Machine) -> str:
    """Many meetings of up to four threads, and the instructions that order memory."""
    return machine.pytest("tests/engine/test_barrier.py", "-m", "not slow")


def engine(machine: Machine) -> str:
    """The engine computes what the reading file computes, in 32, 16 and 8 bits, on one core or several."""
    return machine.pytest("tests/engine/test_parity.py", "-k", "larger or (together and (3 or 2)) or with_such_weights")


def training(machine: Machine) -> str:
    """Gradients are autograd's; the losses of 20 steps are those of the golden curve, in 32 and 16 bits."""
    return machine.pytest("tests/training/cpu/test_gradients.py", "tests/training/test_loop.py",
                          "-k", "(are_autograds and not every_shape) or golden_curve")


def demo(machine: Machine) -> str:
    """The notebook's lesson, from its first line to its last."""
    return f"{len(machine.tinylm('demo').splitlines())} lines"


def train(machine: Machine) -> str:
    """A short run, left alone."""
    (machine.runs / "text.txt").write_text(TEXT, encoding="utf-8")
    machine.tinylm("train", str(machine.runs / "text.txt"), "--out", str(machine.runs / "alone"), *RUN)
    return f"{STEPS} steps"


def resume(machine: Machine) -> str:
    """The same run, killed after its first checkpoint: it goes on, and ends in the same bytes."""
    out, alone = machine.runs / "killed", machine.runs / "alone"
    process = machine.start("-m", "tinylm", "train", str(machine.runs / "text.txt"), "--out", str(out), *RUN)
    while process.poll() is None and not list(out.glob("checkpoints/[0-9]*")):
        time.sleep(0.02)
    process.kill()
    printed, _ = process.communicate()
    if process.returncode != -signal.SIGKILL:
        raise Failed(f"it ended before it could be killed, with exit code {process.returncode}\n{tail(printed)}")
    step = max(int(found.group()) for path in out.glob("checkpoints/[0-9]*") if (found := re.match(r"\d+", path.name)))
    machine.tinylm("train", "--resume", "--out", str(out))
    for name in SAME_FILES:
        if (out / name).read_bytes() != (alone / name).read_bytes():
            raise Failed(f"{name} is not that of the run that was left alone")
    return f"killed after the checkpoint of step {step}; {', '.join(SAME_FILES)}: the same bytes"


def texts(machine: Machine) -> str:
    """Texts of that model: seeds repeat, and this machine reads the folder and writes the same."""
    arguments = ["generate", str(machine.runs / "alone"), "7 green", "--max-tokens", "40", "--json"]
    drawn = [json.loads(machine.tinylm(*arguments, "--seed", "1").splitlines()[-1])["ids"] for _ in range(2)]
    here = subprocess.run([sys.executable, "-m", "tinylm", *arguments, "--seed", "1"], cwd=ROOT, check=True, text=True,
                          env={**os.environ, "PYTHONPATH": str(ROOT / "src")}, stdout=subprocess.PIPE).stdout
    if not drawn[0] == drawn[1] == json.loads(here)["ids"]:
        raise Failed(f"{drawn[0]}, {drawn[1]}, and here {json.loads(here)['ids']}")
    return f"{len(drawn[0])} ids, twice and on {platform.machine()}"


def newer(machine: Machine) -> str:
    """Parity of engine and training path where LLVM makes code for scalable vectors."""
    return machine.pytest("tests/engine/test_barrier.py", "tests/engine/test_parity.py",
                          "tests/training/cpu/test_gradients.py", "-m", "not slow",
                          "-k", "barrier or memory or larger or (are_autograds and not every_shape)", processor=NEW)


CHECKS: tuple[Callable[[Machine], str], ...] = (
    processor_seen, barrier, training, engine, demo, train, resume, texts, newer)


def main() -> int:
    """Makes the machine, runs the checks, prints a line for each, and the count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=CACHE, help="of the emulated machine (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=90, help="after which what still runs has failed")
    parser.add_argument("--only", nargs="+", metavar="CHECK", choices=[check.__name__ for check in CHECKS],
                        default=[check.__name__ for check in CHECKS], help=", ".join(each.__name__ for each in CHECKS))
    chosen = parser.parse_args()
    if platform.machine() in ("aarch64", "arm64"):
        print("This machine has an ARM processor: `make test` runs all tests on it, and nothing is emulated.")
        return 0
    print(f"the emulated machine is in {chosen.folder}", flush=True)
    try:
        python = emulated_python(chosen.folder.absolute())
    except CannotBeMade as error:
        print(f"The emulated ARM machine cannot be made here. {error}", file=sys.stderr)
        return 2
    machine = Machine(python, chosen.folder.absolute(), time.monotonic() + 60 * chosen.minutes)
    outcomes = [passes(check, machine) for check in CHECKS if check.__name__ in chosen.only]
    print(f"{outcomes.count(True)} passed, {outcomes.count(False)} failed")
    return 0 if all(outcomes) else 1


def passes(check: Callable[[Machine], str], machine: Machine) -> bool:
    """Runs a check and prints how it ended."""
    began = time.monotonic()
    try:
        outcome, passed = check(machine), True
    except Failed as error:
        outcome, passed = str(error), False
    print(f"{'passed' if passed else 'FAILED'}  {check.__name__:<15} {time.monotonic() - began:6.0f} s  {outcome}",
          flush=True)
    return passed


if __name__ == "__main__":
    sys.exit(main())
