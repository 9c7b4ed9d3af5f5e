"""The workflows fit the schema of GitHub's, and what they run is there."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import make
from tinylm.cli import COMMANDS

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def jobs() -> list[dict[str, Any]]:
    return [job for path in WORKFLOWS for job in yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()]


def runs() -> list[str]:
    """The shell lines of every step."""
    return [step["run"] for job in jobs() for step in job["steps"] if "run" in step]


def test_the_workflows_fit_their_schema() -> None:
    pytest.importorskip("check_jsonschema", reason="an environment from before the extra `test` named it")
    assert len(WORKFLOWS) == 2
    program = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows"]
    done = subprocess.run([*program, *map(str, WORKFLOWS)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_targets_commands_folders_and_extras_that_they_name_are_there() -> None:
    text = "\n".join(runs())
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(re.findall(r"make\.py (\S+)", text)) <= set(make.TARGETS)
    assert set(re.findall(r"^ *tinylm ([a-z]\S*)", text, re.MULTILINE)) <= set(COMMANDS)
    assert all((ROOT / path).exists() for path in re.findall(r"\btests/\S+", text))
    named = re.findall(r"(?:\.|tinylm)\[([\w,]+)\]", text)
    assert set(",".join(named).split(",")) <= set(extras)


def test_every_python_that_is_claimed_is_tested() -> None:
    tested = set(re.findall(r'"(3\.\d+)"', WORKFLOWS[1].read_text(encoding="utf-8")))
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["classifiers"]
    assert set(re.findall(r":: (3\.\d+)", "\n".join(classifiers))) <= tested


def test_a_job_for_another_processor_names_its_instructions_too() -> None:
    """By its name alone numba would add all that the runner has."""
    masked = [job["env"] for job in jobs() if "NUMBA_CPU_NAME" in job.get("env", {})]
    assert [set(env) >= {"NUMBA_CPU_FEATURES", "ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY"} for env in masked] == [True]
