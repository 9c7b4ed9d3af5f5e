"""Store: a finished run as a built-in model, with its matrices in 8 bits and a card that names its sources."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

import tinylm
from bases.card import Judged, make_card
from bases.texts import HELD_OUT, SOURCES_TABLE
from tinylm import model_folder
from tinylm.config.schema import SampleConfig
from tinylm.engine.weights import quantised
from tinylm.model.tensor_file import write_tensors
from tinylm.model.tensors import SCALE, fingerprint

OPENINGS = ("I woke up early and", '"What do you mean?" said', "Dear Anna,\n\nThank you for",
            "The first thing to do is")
"""Prompts of the card's samples: a diary, a story, a letter, a manual."""
MAX_TOKENS = 60
SAMPLE = SampleConfig(min_p=0.05)
"""How the model writes unless somebody asks otherwise, it and those begun from it: without what is far less likely than
the likeliest, of which words are made that do not exist (LOG.md, "The base by default")."""
OPENING = Path(__file__).parents[1] / "tests" / "fixtures" / "pride-and-prejudice-opening.txt"
"""A text to judge by that the project has at hand: a test holds the card against it."""


def store(run: Path, texts: Path, name: str) -> None:
    """Writes the built-in model `name` from a run on the folder `texts`, which `write_texts` made."""
    config, tokenizer, weights = model_folder.read_model(run)
    data = config.data.model_copy(update={"source": ""})  # nobody has it at hand: it is made by `write_texts`
    with model_folder.new_folder(model_folder.BUILT_IN / name, force=True) as folder:
        model_folder.write_config(folder, config.model_copy(update={"data": data, "sample": SAMPLE}))
        tokenizer.save(folder / model_folder.TOKENIZER)
        write_tensors(folder / model_folder.WEIGHTS, _in_8_bits(weights))
        lm = tinylm.load(folder)
        judges = [*sorted((texts / HELD_OUT).glob("*.txt")), OPENING]
        judged = [Judged(path.stem, lm.evaluate(path)) for path in judges]
        samples = [(prompt, lm.generate(prompt, max_tokens=MAX_TOKENS, seed=0)) for prompt in OPENINGS]
        sources = json.loads((texts / SOURCES_TABLE).read_text(encoding="utf-8"))
        weights_digest = fingerprint(model_folder.read_weights(folder, config.model))
        (folder / model_folder.CARD).write_text(
            make_card(name, lm, sources, judged, samples, weights_digest, _steps(run)), encoding="utf-8")


def _in_8_bits(weights: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The matrices as whole numbers beside their scales, and the vectors as they are."""
    stored = {}
    for name, each in weights.items():
        if each.ndim == 2:
            stored[name], stored[f"{name}{SCALE}"] = quantised(each)
        else:
            stored[name] = each
    return stored


def _steps(run: Path) -> int:
    """The step of the best weights so far; the run may still be going on."""
    events = map(json.loads, (run / model_folder.METRICS).read_text(encoding="utf-8").splitlines())
    return max(event["step"] for event in events if event["event"] == "validation" and event["best"])
