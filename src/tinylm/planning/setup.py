"""The setup of a run: its config, and all that follows from config and data, computed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from tinylm.config.presets import PartialConfig
from tinylm.config.schema import BaseConfig, ModelConfig, RunConfig, SampleConfig, TrainConfig
from tinylm.errors import TinyLMError
from tinylm.inspection import structure
from tinylm.model.tensors import Weights
from tinylm.planning.base_fit import BaseFit
from tinylm.planning.data import RunData
from tinylm.planning.defaults import count_steps, fill_defaults, has_size
from tinylm.planning.fine_tuning import fill_fine_tuning
from tinylm.planning.machine import Machine
from tinylm.planning.memory_check import check_fits, fitting_sizes
from tinylm.text.dataset import Part
from tinylm.text.replay import ReplayRows
from tinylm.text.rows import IGNORE, Rows
from tinylm.text.turns import longest_conversation
from tinylm.training.backend import Compute, choose_compute
from tinylm.training.schedule import VALIDATIONS, count_validations
from tinylm.training.world import World

MAX_BESIDE = 0.9
"""The largest share of the rows that a text takes which is read beside conversations. Below it each of both is read as
often."""


@dataclass(frozen=True)
class RunSetup:
    """Setup of a run: everything that is fixed before its first step.

    Attributes:
        rows: the rows of ids that it trains on.
        compute: the device and the path of the computation.
        n_steps: of a run of minutes the most, and None where the clock alone ends it.
        n_validations: in a run of steps about so many, in a run of minutes the most.
        weights: the parameters that the run begins with, by name; None: drawn from the seed.
    """

    config: RunConfig
    data: RunData
    rows: Rows | ReplayRows
    compute: Compute
    n_steps: int | None
    n_validations: int
    weights: Weights | None = None

    @classmethod
    def of(cls, config: RunConfig, data: RunData, device: torch.device) -> RunSetup:
        """The setup that follows from a config and its data."""
        train, data = config.train, data.fitted(config.model.context_length)
        rows, compute = rows_of(config, data.dataset.train, data.replay), compute_of(config, device)
        n_steps = count_steps(train, rows.rows_per_epoch)
        return cls(config, data, rows, compute, n_steps, _count_validations(config, data, n_steps))

    def in_world(self, world: World) -> RunSetup:
        """The same run, computed by the ranks of a world."""
        return replace(self, compute=replace(self.compute, world=world))

    def begun_from(self, weights: Weights) -> RunSetup:
        """The same run, begun from these parameters instead of a draw.

        Args:
            weights: by name, as `model_folder.read_weights` gives them.

        Raises:
            TinyLMError: the weights are not those of this model.
        """
        expected = {tensor.name: tensor.shape for tensor in structure.parameter_table(self.config.model)}
        given = {name: tuple(array.shape) for name, array in weights.items()}
        if wrong := sorted(name for name in expected.keys() | given.keys() if expected.get(name) != given.get(name)):
            raise TinyLMError("these weights are not those of the model that is to be trained", where=wrong[0],
                              remedy="Give weights of a model with the same settings and vocabulary")
        return replace(self, weights=weights)


def compute_of(config: RunConfig, device: torch.device) -> Compute:
    """The path, cores and precision of a run."""
    model, train = config.model, config.train
    flops = structure.training_flops_per_token(model, model.context_length)
    return choose_compute(model, device, precision=train.precision, shards=train.shards,
                          flops=flops * model.context_length * train.batch_size)


def rows_of(config: RunConfig, text: Part, replay: Part | None) -> Rows | ReplayRows:
    """The rows that a run trains on: of its text, and where it replays, of its base's text among them."""
    pad = text.specials.pad
    padding = pad if config.train.loss_on_padding else IGNORE

    def of(part: Part) -> Rows:
        return Rows(part, packing=config.data.packing, context_length=config.model.context_length,
                    seed=config.train.seed, target_padding=padding)

    own = of(text)
    if replay is None:
        return own
    share = config.base.replay or min(MAX_BESIDE, replay.n_tokens / (replay.n_tokens + text.n_tokens))
    return ReplayRows(own, of(replay), share, (pad, padding))


def _count_validations(config: RunConfig, data: RunData, n_steps: int | None) -> int:
    train = config.train
    if train.minutes is not None or n_steps is None or not data.validation_tokens:
        return VALIDATIONS
    tokens = n_steps * train.batch_size * train.gradient_accumulation * config.model.context_length
    return count_validations(tokens, data.validation_tokens)


def fill_config(overrides: PartialConfig, data: RunData, machine: Machine, fit: BaseFit | None = None) -> RunConfig:
    """The whole config: what a person chose, and the defaults that suit the data, the machine and the base. A size that
    nobody chose is one that fits into memory.

    Raises:
        TinyLMError: the run does not fit.
    """
    text = data.dataset.train
    others = data.replay if data.split.beside else None
    n_bytes, n_tokens = (text.n_bytes_read + (others.n_bytes if others else 0),
                         text.n_tokens + (others.n_tokens if others else 0))
    speed, longest = machine.speed, longest_conversation(*data.dataset.parts)
    if fit is None:
        fill = partial(fill_defaults, overrides, n_bytes=n_bytes, n_tokens=n_tokens,
                       vocab_size=data.tokenizer.vocab_size, speed=speed, longest=longest)
    else:
        fill = partial(fill_fine_tuning, overrides, fit, n_bytes=n_bytes, n_tokens=n_tokens, speed=speed,
                       longest=longest)
    limits = data.validation_tokens, machine.available_bytes, machine.device
    config = _make_config(fill(), overrides, data)
    if fit is None and not has_size(overrides["model"]):
        fitting = fitting_sizes(config.model, config.train, *limits)
        config = _make_config(fill(fitting=fitting), overrides, data)
    check_fits(config.model, config.train, *limits, base=config.base)
    return config


def _make_config(filled: dict[str, dict[str, Any]], overrides: Mapping[str, Any], data: RunData) -> RunConfig:
    model, train = ModelConfig(**filled["model"]), filled["train"]
    if train["batch_size"] == "full":
        rows = Rows(data.dataset.train, packing=data.config.packing, context_length=model.context_length)
        train = {**train, "batch_size": rows.rows_per_epoch}
    sample, base = filled.get("sample", overrides["sample"]), filled.get("base", {})
    return RunConfig(model=model, data=data.config, train=TrainConfig(**train), sample=SampleConfig(**sample),
                     base=BaseConfig(**base))
