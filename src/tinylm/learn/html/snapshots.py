"""Snapshots of a small run: it is trained again when the page is made, and looked at on the way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinylm.config.overrides import merge_overrides
from tinylm.inspection.explanation import Explanation
from tinylm.model.threads import torch_threads
from tinylm.model.transformer import TinyLM
from tinylm.runs.prepare import RunPlan, plan_run
from tinylm.sampling.predictions import Prediction
from tinylm.training.controller import ScheduleController
from tinylm.training.events import Stepped
from tinylm.training.loop import Training
from tinylm.training.optimizer import make_optimizers
from tinylm.training.schedule import StepHorizon

COUNT = 10


@dataclass(frozen=True)
class Snapshot:
    """A run after some steps.

    Attributes:
        step: updates so far.
        embedding: (V, D).
        next: what the model says after the sentence, the likeliest first.
    """

    step: int
    embedding: NDArray[np.float32]
    next: list[Prediction]


def take_snapshots(source: str, text: str, **flags: Any) -> tuple[Snapshot, ...]:
    """Trains the notebook's preset on a built-in text, and takes `COUNT` snapshots, more of them at the beginning.

    Args:
        text: a sentence, whose next token is looked at.
        flags: of the run, such as `epochs`.

    >>> found = take_snapshots("hello", "hello , how are", epochs=16)
    >>> found[0].step, found[-1].step, found[-1].embedding.shape
    (0, 16, (12, 32))
    """
    plan = plan_run(source, merge_overrides(preset_name="notebook", **flags))
    steps = plan.setup.n_steps
    assert steps is not None, "the notebook preset counts epochs"
    model = TinyLM(plan.setup.config.model, plan.setup.config.train.seed)
    wanted = {round(steps * (number / (COUNT - 1)) ** 2) for number in range(COUNT)}
    found = [_snapshot(plan, model, text, 0)]
    loop = Training(model, make_optimizers(model, plan.setup.config.train), plan.setup.rows, plan.setup.config.train,
                    ScheduleController(plan.setup.config.train, StepHorizon(steps)))
    with torch_threads(1):
        for event in loop.events():
            if isinstance(event, Stepped) and event.step in wanted:
                found.append(_snapshot(plan, model, text, event.step))
    return tuple(found)


def _snapshot(plan: RunPlan, model: TinyLM, text: str, step: int) -> Snapshot:
    tokenizer, was_training = plan.setup.data.tokenizer, model.training
    explanation = Explanation(model.eval(), tokenizer, tokenizer.encode_prompt(text), plan.setup.config.train)
    found = Snapshot(step, model.embed.weight.detach().float().cpu().numpy().copy(), explanation.next(3))
    model.train(was_training)
    return found
