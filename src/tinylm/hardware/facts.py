"""Facts on this machine: processor, cores, memory, disk, GPU, cache folders, versions."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil
import torch

from tinylm.engine.forward import forward
from tinylm.errors import TinyLMError
from tinylm.jit.cache import is_permanent
from tinylm.jit.self_test import folder_of
from tinylm.model.device import choose_device, device_name
from tinylm.sampling.filters import choose
from tinylm.system.cores import available_cores, fast_cores
from tinylm.system.memory import available_memory_bytes, total_memory_bytes
from tinylm.text.dataset import cache_folder
from tinylm.training.cpu.attention import attend

VECTOR_UNITS = (("avx512f", "AVX-512", 16), ("avx2", "AVX2", 8), ("avx", "AVX", 8), ("sse2", "SSE2", 4),
                ("neon", "NEON", 4))
"""Names of a processor's vector units in LLVM and elsewhere, and the numbers of 32 bits of a vector; the best first."""
PACKAGES = ("torch", "numpy", "numba", "llvmlite", "tokenizers")


@dataclass(frozen=True)
class CacheFolder:
    """A folder of the cache.

    Attributes:
        path: None: there is none, and nothing is kept.
        size_bytes: of our files in it.
        permanent: true if it outlives a restart of the machine.
    """

    path: str | None
    size_bytes: int
    permanent: bool


@dataclass(frozen=True)
class Facts:
    """The parts of a machine.

    Attributes:
        present_cores, usable_cores, fast_cores: of the machine; for this process, by affinity and quota; and those
            of them that are as fast as the fastest.
        torch_threads: the threads that PyTorch has been given.
        load: processes that wanted a core in the last minute, on average.
        vector_unit: its name; empty: unknown.
        lanes: numbers of 32 bits of a vector.
        fma: true if the processor multiplies and adds in one instruction.
        disk_folder: the working folder, where runs/ is made.
        gpu: the name of a GPU that PyTorch can use; None: there is none.
        gpu_bytes: its memory; 0: unknown.
        idle_gpu: true if there is an NVIDIA card that this PyTorch is not built for.
        compiled, ids: the folders of compiled code, and of the ids of texts.
    """

    system: str
    processor: str
    target: str
    present_cores: int
    usable_cores: int
    fast_cores: int
    torch_threads: int
    load: float
    vector_unit: str
    lanes: int
    fma: bool
    memory_bytes: int
    free_memory_bytes: int
    disk_folder: str
    free_disk_bytes: int
    gpu: str | None
    gpu_bytes: int
    idle_gpu: bool
    compiled: CacheFolder
    ids: CacheFolder
    versions: dict[str, str]


def gather_facts(tinylm_version: str) -> Facts:
    """Looks at this machine. Nothing is measured and nothing is written."""
    _, target, flags = forward.targetctx.codegen().magic_tuple()  # type: ignore[attr-defined]
    features = {flag[1:] for flag in flags.split(",") if flag.startswith("+")}
    unit, lanes = vector_unit(features)
    gpu, gpu_bytes = _gpu()
    return Facts(
        system=f"{platform.system()} {platform.release()}, {platform.machine()}", processor=_processor() or target,
        target=target, present_cores=os.cpu_count() or 1, usable_cores=available_cores(), fast_cores=fast_cores(),
        torch_threads=torch.get_num_threads(), load=psutil.getloadavg()[0], vector_unit=unit, lanes=lanes,
        fma="fma" in features or "neon" in features, memory_bytes=total_memory_bytes(),
        free_memory_bytes=available_memory_bytes(), disk_folder=os.getcwd(),
        free_disk_bytes=shutil.disk_usage(os.getcwd()).free, gpu=gpu, gpu_bytes=gpu_bytes,
        idle_gpu=gpu is None and torch.version.cuda is None and _has_nvidia_card(), compiled=_compiled_code(),
        ids=_ids(), versions={"tinylm": tinylm_version, **_versions()})


def vector_unit(features: set[str]) -> tuple[str, int]:
    """The name of the widest vector unit, and how many numbers of 32 bits it takes.

    >>> vector_unit({"sse2", "avx", "avx2", "fma"}), vector_unit(set())
    (('AVX2', 8), ('', 1))
    """
    return next(((name, lanes) for feature, name, lanes in VECTOR_UNITS if feature in features), ("", 1))


def _processor() -> str:
    """The processor's name as its maker writes it; empty where the system does not tell."""
    with suppress(OSError):
        if sys.platform == "darwin":
            found = subprocess.run(["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True,
                                   check=False)
            return found.stdout.strip()
        if sys.platform == "win32":
            import winreg

            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"HARDWARE\DESCRIPTION\System\CentralProcessor\0") as key:
                return str(winreg.QueryValueEx(key, "ProcessorNameString")[0]).strip()
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return ""


def _gpu() -> tuple[str | None, int]:
    """The GPU that training takes, and its memory."""
    try:
        device = choose_device("auto")
    except TinyLMError:
        return None, 0
    if device.type == "cpu":
        return None, 0
    return device_name(device), int(torch.cuda.mem_get_info(device)[1]) if device.type == "cuda" else 0


def _has_nvidia_card() -> bool:
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def _compiled_code() -> CacheFolder:
    folders = {folder for kernel in (forward, attend, choose) if (folder := folder_of(kernel))}
    size = sum(_file_bytes(path) for folder in folders for path in Path(folder).glob("*.nb[ci]"))
    folder = folder_of(forward)
    return CacheFolder(os.path.commonpath(folders) if folders else None, size, is_permanent(folder))


def _ids() -> CacheFolder:
    folder = cache_folder()
    size = sum(_file_bytes(path) for path in folder.glob("ids/**/*")) if folder else 0
    is_temporary = folder is not None and folder.resolve().is_relative_to(Path(tempfile.gettempdir()).resolve())
    return CacheFolder(str(folder) if folder else None, size, folder is not None and not is_temporary)


def _file_bytes(path: Path) -> int:
    with suppress(OSError):
        return path.stat().st_size if path.is_file() else 0
    return 0


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}}
