"""A look at the base of a run, before its first step: how well it reads the text as it is."""

from __future__ import annotations

from tinylm import model_folder
from tinylm.planning.setup import RunSetup
from tinylm.text.rows import Rows
from tinylm.text.units import bits_per_byte
from tinylm.training.backend import TrainingBackend
from tinylm.training.evaluate import evaluate

SAMPLE_TOKENS = 16_384
"""Tokens of the training text that the base is tried on."""


def sample_bits(setup: RunSetup) -> float:
    """Bits a byte of the base as it is, on some rows of the training text: what is held out judges, and decides
    nothing.

    Args:
        setup: of a run that begins from the weights of a base.
    """
    config, part = setup.config, setup.data.dataset.train
    assert setup.weights is not None
    model = model_folder.make_model(config.model, setup.weights).to(setup.compute.device)
    rows = Rows(part, packing=config.data.packing, context_length=config.model.context_length, seed=config.train.seed)
    n_rows = max(1, min(rows.rows_per_epoch, SAMPLE_TOKENS // config.model.context_length))
    with setup.compute.running():
        nats, tokens = evaluate(model, [rows.batch(0, n_rows)], backend=TrainingBackend(model, setup.compute))
    return bits_per_byte(nats / max(1, tokens) * part.n_tokens, part.n_bytes)
