"""The fit of a base: how well it reads a text before any training on it, beside what counting makes of the same text.

Both are measured on the training text alone: what is held out judges, and decides nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from tinylm import model_folder
from tinylm.evaluation import baselines
from tinylm.evaluation.base import Base
from tinylm.inspection import structure
from tinylm.text.dataset import Part
from tinylm.text.rows import Packing, Rows
from tinylm.text.units import bits_per_byte
from tinylm.training.backend import TrainingBackend, choose_compute
from tinylm.training.evaluate import evaluate

SAMPLE_TOKENS = 16_384
"""Tokens of the training text that the base is tried on."""
BATCH_TOKENS = 2048
"""Tokens that are tried at once: their logits fit into a processor's caches, and half the time goes."""
COUNTED_TOKENS = 200_000
"""Tokens of the training text that are counted."""


@dataclass(frozen=True)
class BaseFit:
    """A base and a text.

    Attributes:
        bits_per_byte: of the base as it is, on some rows of the training text.
        counted_bits_per_byte: of n-grams of the first nine tenths of the training text, on the rest of it.
    """

    base: Base
    bits_per_byte: float
    counted_bits_per_byte: float

    @property
    def distance(self) -> float:
        """The ratio of the two: about 1 for a text like the base's own, 2 and more for another kind of text."""
        return self.bits_per_byte / max(self.counted_bits_per_byte, 1e-9)


def measure_fit(base: Base, part: Part, packing: Packing, device: torch.device, *, context_length: int,
                precision: str = "auto", seed: int = 0) -> BaseFit:
    """Measures the fit of a base.

    Args:
        part: the training text, in ids of the base's tokenizer.
        packing, context_length, precision, seed: as in the run that is planned.
    """
    shape = base.shape(context_length)
    rows = Rows(part, packing=packing, context_length=context_length, seed=seed)
    n_rows = max(1, min(rows.rows_per_epoch, SAMPLE_TOKENS // context_length))
    at_once = max(1, BATCH_TOKENS // context_length)
    batches = [rows.rows(first, min(first + at_once, n_rows)) for first in range(0, n_rows, at_once)]
    flops = structure.training_flops_per_token(shape, context_length) * batches[0][0].size
    compute = choose_compute(shape, device, precision=precision, flops=flops)
    model = model_folder.make_model(shape, base.weights).to(device)
    with compute.running():
        nats, tokens = evaluate(model, batches, backend=TrainingBackend(model, compute))
    counted = _counted_nats(part, base.config.model.vocab_size)
    return BaseFit(base, _bits(nats / max(1, tokens), part), _bits(counted, part))


def _counted_nats(part: Part, vocab_size: int) -> float:
    head = part.head(COUNTED_TOKENS)
    ids, is_target = head.ids, head.is_target
    cut = len(ids) - max(1, len(ids) // 10)
    counted = np.ones(len(ids) - cut, bool) if is_target is None else is_target[cut:]
    return baselines.ngram(ids[:cut], ids[cut:], vocab_size, is_target=counted) / max(1, int(counted.sum()))


def _bits(nats_per_token: float, part: Part) -> float:
    return bits_per_byte(nats_per_token * part.n_targets, part.n_bytes)
