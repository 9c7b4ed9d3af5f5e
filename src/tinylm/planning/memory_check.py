"""Check that a run fits into memory. A run that does not is refused before anything is allocated, with the largest size
that does."""

from __future__ import annotations

import math

import torch

from tinylm.config.presets import SIZES, size
from tinylm.config.schema import BaseConfig, ModelConfig, TrainConfig
from tinylm.errors import TinyLMError
from tinylm.evaluation.report import EVALUATION_BATCH_TOKENS
from tinylm.planning.memory_model import training_peak
from tinylm.system.memory import available_memory_bytes
from tinylm.training.backend import choose_compute

ID_BYTES = 24
"""Of each token of a step, whatever computes it: its id, the one that follows, and their positions in the text."""

FROM_NOTHING = BaseConfig()


def available_bytes(device: torch.device) -> int:
    """Memory that is free for a run: the device's, or the machine's within the limits of control groups,
    of which Metal gives a program only a part."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    free = available_memory_bytes()
    return min(free, torch.mps.recommended_max_memory()) if device.type == "mps" else free


def needed_bytes(model: ModelConfig, train: TrainConfig, validation_tokens: int, device: torch.device,
                 rank: int = 0) -> int:
    """Memory that training takes on top of what the process holds already.

    Args:
        rank: of low-rank additions that alone are trained; 0: all weights are.
    """
    compute = choose_compute(model, device, flops=math.inf, precision=train.precision, shards=train.shards)
    ids = ID_BYTES * train.batch_size * train.gradient_accumulation * model.context_length
    validation_batch_tokens = min(validation_tokens, max(EVALUATION_BATCH_TOKENS, model.context_length))
    return ids + training_peak(model, train, validation_batch_tokens=validation_batch_tokens, compute=compute,
                               rank=rank)


def fitting_sizes(model: ModelConfig, train: TrainConfig, validation_tokens: int, available: int,
                  device: torch.device) -> list[str]:
    """The sizes, everything else being equal, that the memory holds."""
    free = model.model_dump(exclude={"d_model", "n_layers", "n_heads", "n_kv_heads", "d_head", "d_mlp"})
    return [name for name in SIZES
            if needed_bytes(ModelConfig(**free, **size(name)["model"]), train, validation_tokens, device) <= available]


def check_fits(model: ModelConfig, train: TrainConfig, validation_tokens: int, available: int,
               device: torch.device, *, base: BaseConfig = FROM_NOTHING) -> None:
    """Checks that a run fits into memory.

    Args:
        base: where a run begins from one, the shape is that of the base and cannot be another.

    Raises:
        TinyLMError: the run needs more than is available; with the largest that will fit.
    """
    needed = needed_bytes(model, train, validation_tokens, device, base.lora)
    if needed <= available:
        return
    remedy = f"Give it a smaller {'base' if base.folder else 'model'}, a shorter context, or a smaller batch"
    sizes = [] if base.folder else fitting_sizes(model, train, validation_tokens, available, device)
    if sizes:
        remedy = f"The largest size that fits is --size {sizes[-1]}"

    def fits(rows: int) -> bool:
        smaller = train.model_copy(update={"batch_size": rows})
        return needed_bytes(model, smaller, validation_tokens, device, base.lora) <= available

    rows = train.batch_size // 2
    while rows and not fits(rows):
        rows //= 2
    if rows:
        more = train.gradient_accumulation * train.batch_size // rows
        remedy += (f"{'. Or keep it' if sizes else '. It fits'} with --set train.batch_size={rows} "
                   f"--set train.gradient_accumulation={more}")
    raise TinyLMError(f"training this model needs {_gigabytes(needed)} of memory, and {_gigabytes(available)} are free",
                      where=f"d_model {model.d_model}, {model.n_layers} layers, batches of {train.batch_size} rows",
                      remedy=remedy)


def _gigabytes(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:,.1f} GB"
