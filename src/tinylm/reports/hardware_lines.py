"""A machine in lines for people: what it has, how each path did in the self-test, what will be used, and hints."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence

from tinylm.errors import shell
from tinylm.hardware.facts import CacheFolder, Facts
from tinylm.hardware.paths import PathResult
from tinylm.jit.cache import ADVICE
from tinylm.reports.table import columns

FEW_DISK_BYTES, FEW_MEMORY_BYTES = 5e9, 1e9
"""Bytes below which a hint tells how to get more."""
BUSY_LOAD = 1.5
"""Processes for each core, from which on speeds are lower than they would be on a quiet machine."""


def facts_lines(facts: Facts) -> list[str]:
    """Lines on what the machine has."""
    cores = f"{facts.usable_cores} usable of {facts.present_cores}"
    cores += f", of which {facts.fast_cores} are fast" if facts.fast_cores < facts.usable_cores else ""
    vectors = f"{facts.vector_unit}: {facts.lanes} numbers of 32 bits at once" if facts.vector_unit else "none known"
    gpu = "none that this PyTorch can use" if facts.gpu is None else facts.gpu
    gpu += f", {gigabytes(facts.gpu_bytes)}" if facts.gpu_bytes else ""
    names = ("tinylm", "python", "torch", "numba")
    return [f"machine    {facts.processor} ({facts.target}); {facts.system}",
            f"cores      {cores}",
            f"vectors    {vectors}",
            f"memory     {gigabytes(facts.free_memory_bytes)} free of {gigabytes(facts.memory_bytes)}",
            f"disk       {gigabytes(facts.free_disk_bytes)} free at {facts.disk_folder}",
            f"GPU        {gpu}",
            f"code       compiled, {_describe_folder(facts.compiled)}",
            f"ids        of texts, {_describe_folder(facts.ids)}",
            f"versions   {', '.join(f'{name} {facts.versions[name]}' for name in names)}"]


def result_lines(results: Sequence[PathResult]) -> list[str]:
    """The self-test as a table, and below it what is wrong."""
    rows = [("path", "result", "error", "limit", "speed", "of PyTorch's")]
    for result in results:
        verdict = result.verdict
        if verdict.is_right:
            rows.append((result.name, "right", _percent(verdict.error), _percent(verdict.limit),
                         f"{result.speed:,.0f} {result.unit}", f"{result.factor:.1f} x"))
        else:
            rows.append((result.name, "WRONG", "", "", "", ""))
    wrong = [f"{result.name} is wrong: {result.verdict}" for result in results if not result.verdict.is_right]
    return [*columns(rows, right=[2, 3, 4, 5]), *wrong]


def hints(facts: Facts, results: Sequence[PathResult]) -> Iterator[str]:
    """Sentences on what a person can do about what is missing; commands work when typed."""
    if any(not result.verdict.is_right for result in results):
        yield ("a wrong path is not used from now on. Please report the lines above; to test again: tinylm machine")
    if facts.idle_gpu:
        yield _gpu_hint(facts)
    if facts.load > BUSY_LOAD * facts.usable_cores:
        yield (f"other programs keep the cores busy (load {facts.load:.0f}): all speeds are lower than they could be, "
               "and PyTorch's the most")
    if facts.torch_threads < facts.fast_cores:
        given = " (OMP_NUM_THREADS)" if "OMP_NUM_THREADS" in os.environ else ""
        yield f"training takes {facts.torch_threads} of {facts.fast_cores} cores, as PyTorch was told{given}"
    if facts.free_memory_bytes < FEW_MEMORY_BYTES:
        yield "little memory is free; whether a run fits is told by: tinylm plan SOURCE"
    if facts.free_disk_bytes < FEW_DISK_BYTES and facts.ids.path and facts.ids.size_bytes:
        remove = ["rmdir", "/s", "/q"] if os.name == "nt" else ["rm", "-r"]
        size = gigabytes(facts.ids.size_bytes)
        yield (f"little of the disk is free; to free {size}, which are made anew when needed: "
               f"{shell([*remove, os.path.join(facts.ids.path, 'ids')])}")
    if not facts.compiled.permanent:
        yield f"compiled code is lost when this machine restarts, or sooner. {ADVICE}"
    if not facts.ids.permanent:
        yield "the ids of a text are made anew for each run. Set TINYLM_CACHE to a folder of yours, and they are kept"


def gigabytes(n_bytes: float) -> str:
    """
    >>> gigabytes(21_700_000), gigabytes(25_276_502_016)
    ('0.02 GB', '25.3 GB')
    """
    return f"{n_bytes / 1e9:.2f} GB" if n_bytes < 1e9 else f"{n_bytes / 1e9:,.1f} GB"


def _gpu_hint(facts: Facts) -> str:
    there = "an NVIDIA card is there, and this PyTorch is built for the CPU alone"
    if os.name == "nt":
        return f"{there}; the command for one that uses it is at https://pytorch.org/get-started/locally/"
    torch = f"torch=={facts.versions['torch'].partition('+')[0]}"
    return f"{there}; to use it: {shell([sys.executable, '-m', 'pip', 'install', '--force-reinstall', torch])}"


def _describe_folder(folder: CacheFolder) -> str:
    if folder.path is None:
        return "not kept: no folder can be written"
    return f"kept at {folder.path}{'' if folder.permanent else ' for now'} ({gigabytes(folder.size_bytes)})"


def _percent(share: float) -> str:
    """
    >>> _percent(0.0232), _percent(8e-7), _percent(1e-4)
    ('2.3%', '0.00008%', '0.01%')
    """
    return f"{100 * share:.2g}%" if share >= 1e-5 else f"{100 * share:.5f}%"
