"""Training runs: `tinylm.train`, and how a run is started, resumed, and where it lies."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

from tinylm import model_folder
from tinylm.config.overrides import merge_overrides
from tinylm.config.presets import PartialConfig
from tinylm.errors import TinyLMError, command, sentences
from tinylm.lm import LanguageModel
from tinylm.planning.setup import RunSetup
from tinylm.reports.terminal import print_commands, print_lines
from tinylm.runs.prepare import plan_run
from tinylm.runs.ranks import check_alone, settings_for_ranks, settings_to_resume
from tinylm.runs.resume import load_setup
from tinylm.runs.runner import Runner, RunResult
from tinylm.runs.stopping import clear_request
from tinylm.system.files import legal_name, write_remedy
from tinylm.system.paths import given_path
from tinylm.system.standard_streams import tolerant_console
from tinylm.text.reading.packed import PACKED
from tinylm.text.reading.sources import SourceLike, Texts, chosen_source
from tinylm.training.world import ALONE, World


def train(source: str | Path | None = None, *, texts: str | Iterable[str] | None = None,
          out: str | Path | None = None, base: str | Path | None = None, preset: str = "tinylm",
          size: str | None = None, config: PartialConfig | str | Path | None = None, force: bool = False,
          chat: bool = False, resume: bool = False, quiet: bool = False, **flags: Any) -> LanguageModel:
    """Trains a model on a text and writes its folder. Progress is printed in a terminal or a notebook.

    Args:
        source: a file or folder of text; or a built-in text: "hello", "animals", "python-reference", "python-stdlib".
        texts: strings instead of a source, each of them a document; a run that is resumed needs them again.
        out: the model folder; by default runs/ and the name of the text.
        base: a model folder to go on from (fine-tuning); "none": the weights are drawn from the seed. By default a run
            of minutes begins from "english" where that helps, unless a tokenizer, preset, size or shape is chosen.
        preset: "tinylm", "notebook", "gpt2", "llama", "qwen3".
        size: a name from `SIZES` in config/presets.py, such as "0.8M"; by default the one that suits text and time.
        config: settings by section, e.g. {"train": {"learning_rate": 1e-3}}; or the path of a TOML file with such.
        force: replace a model that is in `out`; it is kept as `out`.old.
        chat: the source holds conversations, or is the built-in chat "sums", and the model learns to answer.
        resume: go on with the run in `out` where it stopped. Of its settings only `steps`, `epochs`, `minutes`,
            `max_epochs` and `target_loss` may be given anew.
        quiet: print nothing.
        flags: as on the command line: tokenizer, documents, text_field, skip_bad, encoding, validation, format, me,
            replay, lora, seed, device, and one of minutes (by default 5, of the whole call), steps, epochs.

    Returns:
        The model with the weights of the lowest validation loss; of the last step, where nothing is held out.

    Raises:
        TinyLMError: anything in the text or the settings that cannot work; nothing is written then. Or the disk is
            full: the run can be resumed.

    >>> lm = train("hello", preset="notebook", steps=20, out="runs/hello", quiet=True)
    >>> lm.config.train.steps, lm.folder.name
    (20, 'hello')
    >>> tinylm.train("hello", base="runs/hello", epochs=2, out="runs/more", quiet=True).config.base.folder[-5:]
    'hello'
    """
    check_alone()
    layers = () if config is None else (config,)
    overrides = merge_overrides(preset_name=preset, size_name=size, layers=layers, base=base, chat=chat, **flags)
    console = tolerant_console(quiet=quiet)
    given = chosen_source(source, texts)
    if resume:
        return resume_run(given, overrides, out=out, console=console).lm
    if given is None:
        raise TypeError("train() needs a source or texts")
    return train_run(given, overrides, out=out, force=force, console=console).lm


def train_run(source: SourceLike, overrides: PartialConfig, *, out: str | Path | None = None, force: bool = False,
              console: Console, started: float | None = None, world: World = ALONE) -> RunResult:
    """`train` for the command line.

    Args:
        started: a reading of time.perf_counter, from which a run of minutes counts.
        world: the ranks that train together, of which this is the first.
    """
    started = time.perf_counter() if started is None else started
    folder = run_folder(source, out)
    check_is_not_base(folder, overrides["base"].get("folder", ""))
    model_folder.check_free(folder, force=force)
    plan = plan_run(source, settings_for_ranks(overrides, world), log=lambda line: print_lines(console, [line]))
    print_lines(console, plan.notes)
    return start_run(plan.setup.in_world(world), folder, force=force, console=console, started=started)


def start_run(setup: RunSetup, folder: Path, *, force: bool = False, console: Console,
              started: float | None = None) -> RunResult:
    """Trains by a setup, from its first step to a model folder.

    Args:
        started: a reading of time.perf_counter, from which a run of minutes counts; None: from now.
    """
    runner = Runner(setup, folder, console, time.perf_counter() if started is None else started)
    with _with_resume_command(folder, console), ExitStack() as held:
        runner.create(held, force=force)
        return runner.run()


def resume_run(source: SourceLike | None, overrides: PartialConfig, *, out: str | Path | None = None, console: Console,
               started: float | None = None, world: World = ALONE) -> RunResult:
    """`train --resume` for the command line.

    Args:
        world: as of `train_run`.
        source: the text, or the run's folder where `out` is not given. None: the text is where it was.
    """
    started = time.perf_counter() if started is None else started
    if out is None and isinstance(source, str | Path) and (given_path(source) / model_folder.CONFIG).is_file():
        source, out = None, source
    if source is None and out is None:
        raise TinyLMError("which run is to go on?", where="--resume", remedy="Name its folder: --out RUN")
    folder = run_folder(source or "", out)
    with model_folder.locked(folder):
        clear_request(folder)
        setup, changes = load_setup(folder, settings_to_resume(overrides, folder, world), source)
        setup = setup.in_world(world)
        with _with_resume_command(folder, console):
            runner = Runner(setup, folder, console, started)
            print_lines(console, [*runner.resume(), *changes])
            model_folder.write_config(folder, setup.config)
            return runner.run()


def run_folder(source: SourceLike, out: str | Path | None) -> Path:
    """The folder that was asked for, else runs/ and the name of the text, as far as every system takes it."""
    if out is not None:
        return given_path(out)
    suffix = rf"(\.(txt|text|md|jsonl|ndjson|{'|'.join(kind[1:] for kind in PACKED)}))+$"
    path = Path("texts") if isinstance(source, Texts) else Path(os.path.abspath(given_path(source)))
    name = legal_name(re.sub(suffix, "", path.name, flags=re.I))
    return Path(model_folder.RUNS, "stdin" if str(source) == "-" else name or "model")


def check_is_not_base(folder: Path, base: str) -> None:
    """Raises: TinyLMError: the folder of a new model is that of its base, which would be replaced."""
    if base and os.path.realpath(model_folder.model_path(base)) == os.path.realpath(folder):
        raise TinyLMError("is the base, which the new model must not replace", where=str(folder),
                          remedy="Choose another folder with --out")


@contextmanager
def _with_resume_command(folder: Path, console: Console) -> Iterator[None]:
    """Adds the command that resumes the run to whatever ends it."""
    going_on = command("train", "--resume", "--out", folder)
    try:
        yield
    except OSError as error:
        raise TinyLMError(f"could not be written ({error.strerror or error})", where=str(folder),
                          remedy=f"{write_remedy(error)}, then go on with: {going_on}") from None
    except TinyLMError as error:
        if not model_folder.has_checkpoints(folder) or "--resume" in error.remedy or "--force" in error.remedy:
            raise
        raise TinyLMError(error.what, where=error.where,
                          remedy=sentences(error.remedy, f"Then go on with: {going_on}")) from None
    except KeyboardInterrupt:
        print_lines(console, ["", "Left at once. To go on from the last checkpoint:"])
        print_commands(console, [going_on])
        raise
