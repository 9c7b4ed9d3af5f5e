"""Programs that outlive the one that started them: they are found by number and start, and end when asked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil

from tinylm.system.processes import Process, is_alive, start_apart, terminate, tinylm_command, wait_for_end

SLEEP = "import time; print('here', flush=True); time.sleep(60)"
STARTER = """
import sys
from pathlib import Path
from tinylm.system.processes import start_apart
print(*start_apart([sys.executable, "-c", sys.argv[1]], Path(sys.argv[2])))
"""


def test_a_program_outlives_its_starter_and_is_found_by_another(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    done = subprocess.run([sys.executable, "-c", STARTER, SLEEP, str(log)], capture_output=True, text=True, check=True)
    pid, started = done.stdout.split()
    process = Process(int(pid), float(started))
    try:
        assert is_alive(process)
        assert not is_alive(process._replace(started=process.started - 100)), "an earlier process of that number"
        assert psutil.Process(process.pid).ppid() != psutil.Process().pid
    finally:
        terminate(process)
    assert wait_for_end(process, 10)
    assert not is_alive(process)
    terminate(process)  # it has ended: nothing happens


def test_its_output_is_in_the_log_and_replaces_an_earlier_one(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    for word in ("é", "z"):
        process = start_apart([sys.executable, "-c", f"import sys; print({word!r}); print(1, file=sys.stderr)"], log)
        assert wait_for_end(process, 20)
        assert sorted(log.read_text(encoding="utf-8").split()) == sorted([word, "1"])


def test_the_command_is_this_tinylm_from_any_folder(tmp_path: Path) -> None:
    (tmp_path / "tinylm.py").write_text("raise SystemExit('the one in the working folder')")
    done = subprocess.run(tinylm_command("--version"), capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.startswith("tinylm ")
