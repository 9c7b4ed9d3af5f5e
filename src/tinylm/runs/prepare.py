"""Preparation of a run: data -> machine -> config -> setup -> forecast, each a value that the next is made from."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from tinylm.config.chat import keep_chat_format
from tinylm.config.overrides import merge_overrides
from tinylm.config.presets import PartialConfig
from tinylm.config.schema import ModelConfig
from tinylm.evaluation.base import Base, read_base
from tinylm.jit.cache import announcement
from tinylm.model.device import choose_device
from tinylm.planning.base_fit import BaseFit, measure_fit
from tinylm.planning.data import OpenedText, RunData, open_text
from tinylm.planning.default_base import Trial, is_tried, try_default_base
from tinylm.planning.defaults import DEFAULT_MINUTES
from tinylm.planning.fine_tuning import choose_context
from tinylm.planning.forecast import Forecast, make_forecast
from tinylm.planning.machine import measure_machine
from tinylm.planning.setup import RunSetup, fill_config
from tinylm.planning.throughput import measure_step_times, smallest_model
from tinylm.reports.plan_lines import plan_lines, plan_sentences
from tinylm.runs import precompile
from tinylm.sampling.filters import COMPILING, choose
from tinylm.system.memory import peak_memory_bytes
from tinylm.system.signals import interruptible
from tinylm.text.reading.sources import SourceLike, chosen_source
from tinylm.training.backend import must_compile
from tinylm.training.cpu import attention

PROBE_SHARE = 0.012
"""Share of a run of minutes that each of two measurements of speed takes."""
COUNTED_PROBE_SECONDS = 1.0
"""Seconds of the one measurement where steps are counted."""


@dataclass(frozen=True)
class RunPlan:
    """Plan of a run, before its first step.

    Attributes:
        notes: lines for people: what was chosen, and why.
    """

    setup: RunSetup
    forecast: Forecast
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """The plan as `tinylm plan --json` prints it."""
        config = self.setup.config.model_dump(mode="json")
        return {"config": config, "forecast": asdict(self.forecast), "notes": self.notes,
                "sentences": plan_sentences(self.setup, self.forecast)}


def plan_run(source: SourceLike, overrides: PartialConfig, *, started: float | None = None,
             log: Callable[[str], None] = lambda _: None) -> RunPlan:
    """Opens the text, makes tokenizer and ids, measures the machine, and fills in what was not chosen.

    Args:
        started: a reading of time.perf_counter, from which the forecast counts its seconds; None: from now.
        log: gets a line before each part that takes long.

    Raises:
        TinyLMError: anything in the text or the settings that cannot work.
    """
    started = time.perf_counter() if started is None else started
    base = read_base(overrides["base"])
    overrides = keep_chat_format(overrides, base.config.data.chat_format if base else "")
    train, precision = overrides["train"], overrides["train"].get("precision", "auto")
    device = choose_device(train.get("device", "auto"), log=log)
    if must_compile(_kind(base, overrides), device):
        for line in announcement(attention.attend, "for this processor"):
            log(line)
        precompile.start(precision)
    replay = base.replay_text() if base and overrides["base"].get("replay") else None
    text = open_text(source, overrides["data"])
    trial = _try_default_base(overrides, text, device)
    if trial and trial.helps:
        base = trial.fit.base
    data = text.load(base.tokenizer if base else None, replay, log)
    with interruptible():  # who calls from a program of their own has no other guard while kernels are compiled
        precompile.finish()
        for line in announcement(choose, COMPILING):
            log(line)
        counted = any(train.get(name) for name in ("steps", "epochs"))
        machine = measure_machine(_kind(base, overrides), device, precision=precision,
                                  seconds=None if counted else _probe_seconds(train.get("minutes") or DEFAULT_MINUTES))
        fit = (trial.fit if trial else _measure_fit(base, data, device, overrides)) if base else None
        config = fill_config(overrides, data, machine, fit)
        setup = RunSetup.of(config, data, device)
        setup = setup.begun_from(base.weights) if base else setup
        times = measure_step_times(config.model, config.train, setup.rows, compute=setup.compute,
                                   seconds=_probe_seconds(config.train.minutes), rank=config.base.lora)
    forecast = make_forecast(setup, machine, times, elapsed=time.perf_counter() - started,
                             peak_bytes=peak_memory_bytes(), fit=fit)
    return RunPlan(setup, forecast, plan_lines(setup, forecast, overrides, trial))


def _kind(base: Base | None, overrides: PartialConfig) -> ModelConfig:
    return smallest_model(base.config.model.model_dump() if base else overrides["model"])


def _try_default_base(overrides: PartialConfig, text: OpenedText, device: torch.device) -> Trial | None:
    if not is_tried(overrides, text):
        return None
    with interruptible():
        precompile.finish()
        return try_default_base(overrides, text, device)


def _measure_fit(base: Base, data: RunData, device: torch.device, overrides: PartialConfig) -> BaseFit:
    train = overrides["train"]
    return measure_fit(base, data.dataset.train, data.config.packing, device,
                       context_length=choose_context(overrides, base.config.model),
                       precision=train.get("precision", "auto"), seed=train.get("seed", 0))


def _probe_seconds(minutes: float | None) -> float:
    return min(2.0, max(0.3, PROBE_SHARE * 60 * minutes)) if minutes else COUNTED_PROBE_SECONDS


def plan(source: str | Path | None = None, *, texts: str | Iterable[str] | None = None,
         base: str | Path | None = None, preset: str = "tinylm", size: str | None = None,
         config: PartialConfig | str | Path | None = None, chat: bool = False, **flags: Any) -> dict[str, Any]:
    """Plans what `train` would do with the same arguments; trains and writes nothing.

    Args:
        source: as in `train`.
        texts: as in `train`.
        base: as in `train`.
        preset: as in `train`.
        size: as in `train`.
        config: as in `train`.
        chat: as in `train`.
        flags: as in `train`.

    Returns:
        {"config": every setting by section, "forecast": {"seconds", "steps", "tokens", "epochs", "parameters",
        "peak_memory_bytes", "bits_per_byte", "ngram_bits_per_byte"}, "notes": lines for people, "sentences": the same
        for people who have never trained a model}. Seconds are those of the whole process; bits a byte are None where
        nothing is held out to validate on.

    Raises:
        TinyLMError: anything in the text or the settings that cannot work, a model that does not fit into memory
            included.

    >>> forecast = plan("hello", preset="notebook")["forecast"]
    >>> forecast["parameters"], forecast["steps"]
    (17932, 200)
    """
    given = chosen_source(source, texts)
    if given is None:
        raise TypeError("plan() needs a source or texts")
    layers = () if config is None else (config,)
    return plan_run(given, merge_overrides(
        preset_name=preset, size_name=size, layers=layers, base=base, chat=chat, **flags)).to_dict()
