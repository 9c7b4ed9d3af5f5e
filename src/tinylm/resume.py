"""Going on with a run that was stopped: what its folder says, and what may be different now."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tinylm import bundle
from tinylm.config import Partial, RunConfig, TrainConfig
from tinylm.errors import TinyLMError, command
from tinylm.prepare import Job, describe
from tinylm.report import measure_baselines, texts
from tinylm.text.corpus import open_corpus
from tinylm.text.dataset import build_dataset
from tinylm.text.split import split_corpus
from tinylm.training.device import choose_device

HORIZONS = ("steps", "epochs", "minutes")
MAY_CHANGE = {"until", "most_epochs", *HORIZONS}
"""Settings of `train` that a run may be given anew: where it ends."""


def reopen(folder: Path, given: Partial, source: str | Path | None = None) -> tuple[Job, list[str]]:
    """The job of a run as its folder has it, and what has been changed in it, for people.

    Args:
        given: choices made now; where one differs from the run's own it must be one that may change.
        source: the text, should it lie elsewhere by now.

    Raises:
        TinyLMError: the folder holds no run, the text is not the same, or a choice cannot be changed.
    """
    before = bundle.read_config(folder)
    config, changes = _changed(before, given)
    tokenizer = bundle.read_tokenizer(folder)
    data = config.data
    if source is None and data.source == "-":
        raise TinyLMError("its text came from standard input, and has to be given again", where=str(folder),
                          remedy=f"{command('train', '-', '--resume', '--out', folder)} < TEXT")
    corpus = open_corpus(source or data.source, documents=data.documents, text_field=data.text_field)
    if corpus.stats().fingerprint != data.fingerprint:
        raise TinyLMError("this is not the text that the run began with", where=corpus.name,
                          remedy="Restore it, name the place where it is now as SOURCE, or train anew with --force")
    split = split_corpus(corpus, data.validation)
    dataset = build_dataset(split, tokenizer)
    job = Job(corpus.name, config, tokenizer, split, dataset, describe(corpus),
              measure_baselines(*texts(split, dataset), tokenizer.vocab_size), choose_device(config.train.device))
    return job, changes


def _changed(config: RunConfig, given: Partial) -> tuple[RunConfig, list[str]]:
    changes: dict[str, Any] = {}
    for section, values in given.items():
        for name, value in values.items():
            before = getattr(getattr(config, section), name)
            if value == before or value in (None, "auto"):
                continue
            if section != "train" or name not in MAY_CHANGE:
                raise TinyLMError(f"this run has {before!r}, and a run that goes on cannot change that to {value!r}",
                                  where=f"{section}.{name}", remedy="Leave it out, or train anew with --force")
            if name in HORIZONS and before is None:
                counted = next(each for each in HORIZONS if getattr(config.train, each) is not None)
                raise TinyLMError(f"the length of this run is counted in {counted}", where=f"train.{name}",
                                  remedy=f"Give --{counted} instead")
            changes[name] = value
    train = TrainConfig(**{**config.train.model_dump(), **changes})
    told = [f"{name}: {value:g} instead of {getattr(config.train, name)}" for name, value in changes.items()]
    return config.model_copy(update={"train": train}), told
