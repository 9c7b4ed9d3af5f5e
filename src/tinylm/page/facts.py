"""Facts: what a page knows of a model beside its weights and tokenizer, as JSON values. Names, shapes and words come
from the tables that the commands and the documents use."""

from __future__ import annotations

from typing import Any, NamedTuple

from tinylm.config.sample_settings import named_settings
from tinylm.config.schema import ModelConfig, SampleConfig
from tinylm.model.taps import AXES, TAPS


class Range(NamedTuple):
    """The range of a slider: its ends, and the step between two places. The slider's lowest and highest values need not
    be the bounds of the setting, which a person may type beside it."""

    lowest: float
    highest: float
    step: float


RANGES = {
    "temperature": Range(0, 2, 0.05), "top_k": Range(0, 100, 1), "top_p": Range(0.05, 1, 0.01),
    "min_p": Range(0, 0.95, 0.01), "typical_p": Range(0.05, 1, 0.01), "repetition_penalty": Range(0.5, 2, 0.05),
    "frequency_penalty": Range(-2, 2, 0.1), "presence_penalty": Range(-2, 2, 0.1), "max_tokens": Range(1, 500, 1),
}
"""Ranges of sliders, by setting. The first ones are used most."""


def model_facts(config: ModelConfig, sample: SampleConfig) -> dict[str, Any]:
    """The shape of a model, its sampling settings, and the names of its activations.

    >>> facts = model_facts(ModelConfig(vocab_size=12), SampleConfig(top_p=0.9))
    >>> facts["taps"][0], facts["axes"][3]
    ({'name': 'embed', 'shape': '(B, T, D)', 'about': 'the vectors of the ids'}, {'letter': 'D', \
'about': 'the residual stream', 'size': 128})
    >>> [setting["value"] for setting in facts["settings"] if setting["name"] == "top_p"]
    [0.9]
    """
    return {
        "config": config.model_dump(mode="json"),
        "settings": sampling_settings(sample),
        "greedy": sample.is_greedy,
        "taps": [tap._asdict() for tap in TAPS],
        "axes": [{"letter": letter, "about": about, "size": getattr(config, size) if size else None}
                 for letter, (about, size) in AXES.items()],
    }


def sampling_settings(sample: SampleConfig) -> list[dict[str, Any]]:
    """The settings of `RANGES` with their words, defaults and ranges, each wide enough for its value."""
    words = {each.name: each.setting for each in named_settings()}
    settings = []
    for name, (lowest, highest, step) in RANGES.items():
        value = getattr(sample, name)
        settings.append({"name": name, "help": words[name].help, "about": words[name].about, "value": value,
                         "lowest": min(lowest, value), "highest": max(highest, value), "step": step})
    return settings
