"""Assembly of a training from its parts, the same on every rank of a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from tinylm.config.schema import RunConfig
from tinylm.evaluation.report import evaluation_batches
from tinylm.model.tensors import Weights
from tinylm.model.transformer import TinyLM
from tinylm.model_folder import make_model
from tinylm.text.dataset import Dataset
from tinylm.training.backend import Compute, TrainingBackend
from tinylm.training.checkpoint import State
from tinylm.training.controller import Controller, SharedController
from tinylm.training.evaluate import Validator
from tinylm.training.loop import BatchSource, Training
from tinylm.training.lora import trained_module
from tinylm.training.optimizer import make_optimizers


class Parts(NamedTuple):
    """The parts of a training.

    Attributes:
        validator: measures the loss on the text that is held out, or where none is, on the one that is trained on.
    """

    backend: TrainingBackend
    validator: Validator
    training: Training


def first_model(config: RunConfig, weights: Weights | None, compute: Compute) -> TinyLM:
    """The model that a run begins with: of given weights, or drawn from the seed."""
    model = TinyLM(config.model, config.train.seed) if weights is None else make_model(config.model, weights)
    return model.to(compute.device)


def assemble(config: RunConfig, dataset: Dataset, rows: BatchSource, compute: Compute, model: TinyLM,
             weights: Weights | None, controller: Controller | None = None, *,
             should_stop: Callable[[], bool] = lambda: False, load_last_good: Callable[[], State],
             save: Callable[[], None] = lambda: None) -> Parts:
    """Puts a training together.

    Args:
        model: the one to be trained.
        weights: of the base; needed where additions to it are trained.
        controller: None on the ranks that follow rank 0.
        should_stop: true once this process was asked to stop, where the controller does not know.
        load_last_good, save: as of `Training`.
    """
    world, evaluated = compute.world, dataset.validation or dataset.train
    trained, backend = trained_module(model, weights, config.base.lora, config.train.seed, compute)
    validator = Validator(model, lambda: evaluation_batches(evaluated, config.data.packing,
                                                            config.model.context_length), backend)
    if controller is None or world.size > 1:
        controller = SharedController(world, controller, should_stop)
    training = Training(trained, make_optimizers(trained, config.train, compute), rows, config.train, controller,
                        validator if dataset.validation else None, backend, load_last_good, save)
    return Parts(backend, validator, training)
