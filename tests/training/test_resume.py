"""A run that goes on is the run that never stopped: to the byte, from any step, over any history."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from torch import nn

from tinylm.config.schema import ModelConfig, TrainConfig
from tinylm.model.transformer import TinyLM
from tinylm.text.dataset import Part
from tinylm.text.rows import Rows
from tinylm.training.checkpoint import Checkpoints
from tinylm.training.controller import ScheduleController
from tinylm.training.evaluate import Validator
from tinylm.training.events import Finished, RolledBack, Stepped, Validated, to_json_line
from tinylm.training.loop import STEPS_BETWEEN_ROLLBACKS, Training
from tinylm.training.optimizer import make_optimizers, optimizer_state
from tinylm.training.schedule import StepHorizon

pytestmark = pytest.mark.usefixtures("one_thread")

IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
MODEL = ModelConfig(vocab_size=30, d_model=16, n_layers=2, n_heads=2, context_length=8)
STEPS = 12

VARIANTS = {
    "muon": {},
    "adamw": {"optimizer": "adamw"},
    "dropout": {"dropout": 0.3},
    "accumulation": {"gradient_accumulation": 2},
    "epoch edge": {"tokens": 8 * 8 * 4},
}


def part(tokens=2000):
    steps = np.random.default_rng(0).integers(-2, 3, tokens)
    ids = (3 + np.cumsum(steps) % 27).astype(np.uint16)
    return Part(ids, np.array([0, len(ids)], np.int64), len(ids))


def training(tokens=2000, dropout=0.0, load_last_good=None, **values):
    config = TrainConfig(**{"steps": STEPS, "batch_size": 8, "warmup_steps": 3, "evaluate_every": 5, **values})
    model = TinyLM(MODEL.model_copy(update={"dropout": dropout}), config.seed)
    rows = Rows(part(tokens), packing="windows", context_length=8, seed=config.seed)
    held_out = Rows(part(100), packing="windows", context_length=8)
    controller = ScheduleController(config, StepHorizon(config.steps))
    return Training(model, make_optimizers(model, config), rows, config, controller,
                    Validator(model, lambda: held_out.evaluation(16)), load_last_good=load_last_good)


def everything(run):
    """All bytes of a run's tensors."""
    named = {**dict(run.model.named_parameters()), **optimizer_state(run.model, run.optimizers)}
    return {name: tensor.detach().numpy().tobytes() for name, tensor in named.items()}


@pytest.fixture(scope="module")
def undisturbed():
    """By variant: the lines of the log, and the bytes of the tensors before the best weights are put back and after."""
    told = {}
    for name, values in VARIANTS.items():
        run = training(**values)
        lines = [to_json_line(event) for event in run.steps()]
        before = everything(run)
        lines += [to_json_line(event) for event in run.end()]
        told[name] = lines, before, everything(run)
    return told


@pytest.mark.parametrize("stop", range(STEPS))
@pytest.mark.parametrize("variant", VARIANTS)
def test_resume_is_exact_from_any_step(variant, stop, undisturbed, tmp_path):
    """R1."""
    lines, checkpoints = [], Checkpoints(tmp_path)
    first = training(**VARIANTS[variant])
    checkpoints.save(first.state())
    for event in first.steps():
        lines.append(to_json_line(event))
        if isinstance(event, Stepped) and event.step == stop:  # before the validation that may be due now
            checkpoints.save(first.state())
            break
    kept = len(lines) if stop else 0
    second = training(**VARIANTS[variant])
    second.restore(checkpoints.load()[0])
    lines = lines[:kept] + [to_json_line(event) for event in second.steps()]
    before = everything(second)
    lines += [to_json_line(event) for event in second.end()]
    assert lines == undisturbed[variant][0]
    assert before == undisturbed[variant][1]
    assert everything(second) == undisturbed[variant][2]


def test_the_best_weights_survive(tmp_path):
    """They are saved beside the newest where they are others."""
    losses, best = iter([1.0, 2.0, 3.0]), torch.zeros(())
    run = training(evaluate_every=2)
    run.validate = lambda _: next(losses)
    for event in run.steps():
        if isinstance(event, Validated) and event.best:
            best = run.model.embed.weight.detach().clone()
        if event.step == 5:
            Checkpoints(tmp_path).save(run.state())
            break
    other = training(evaluate_every=2)
    other.restore(Checkpoints(tmp_path).load()[0])
    other.validate = lambda _: 9.0
    *_, last = other.events()
    assert (last.best_step, last.best_loss) == (2, 1.0)
    assert torch.equal(other.model.embed.weight, best)


# ---- R4: no window lost or seen twice


class Ear(nn.Module):
    """A model that only hears what it is given."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(30, 30)
        self.heard = []

    def forward(self, ids):
        self.heard += [tuple(row) for row in ids.tolist()]
        return self.table(ids)


class Histories(RuleBasedStateMachine):
    """Steps, saves, crashes and stops in any order; what counts is what the final weights have seen."""

    def __init__(self):
        super().__init__()
        self.place = tempfile.TemporaryDirectory(dir=IN_MEMORY)
        self.checkpoints = Checkpoints(Path(self.place.name))
        self.seen, self.saved = [], 0

    def teardown(self):
        self.place.cleanup()

    @initialize(rows=st.integers(1, 12), batch_size=st.integers(1, 5), accumulation=st.integers(1, 2))
    def begin(self, rows, batch_size, accumulation):
        ids = np.arange(rows * 4, dtype=np.uint16) % 27 + 3
        self.rows = Rows(Part(ids, np.arange(0, rows * 4 + 1, 4), len(ids)), packing="padded", context_length=4)
        self.config = TrainConfig(steps=10_000, batch_size=batch_size, gradient_accumulation=accumulation,
                                  optimizer="adamw")
        self.start()
        self.save()

    def start(self):
        model = Ear()
        self.run = Training(model, make_optimizers(model, self.config), self.rows, self.config,
                            ScheduleController(self.config, StepHorizon(10_000)))
        self.events = self.run.steps()

    @rule(steps=st.integers(1, 4))
    def train(self, steps):
        for _ in range(steps):
            self.run.model.heard.clear()
            next(self.events)
            self.seen += self.run.model.heard

    @rule()
    def save(self):
        self.checkpoints.save(self.run.state())
        self.saved = len(self.seen)

    @rule()
    def crash_and_resume(self):
        del self.seen[self.saved:]
        self.start()
        self.run.restore(self.checkpoints.load()[0])

    @invariant()
    def every_window_once_an_epoch(self):
        size = self.rows.rows_per_epoch if hasattr(self, "rows") else 1
        whole = [Counter(self.seen[first:first + size]) for first in range(0, len(self.seen) - size + 1, size)]
        assert all(epoch == whole[0] and sum(epoch.values()) == size for epoch in whole)
        if whole:
            everything = Counter(tuple(row) for inputs, _ in self.rows.evaluation(100) for row in inputs.tolist())
            assert whole[0] == everything


@pytest.mark.parametrize("histories", [200, pytest.param(2000, marks=pytest.mark.slow)])
def test_no_window_is_lost_or_seen_twice(histories):
    run_state_machine_as_test(Histories, settings=settings(max_examples=histories, stateful_step_count=8,
                                                           deadline=None))


# ---- R8: numbers that are not finite


class Poison:
    """Puts a NaN somewhere once the run has come to a step: once, or every time."""

    def __init__(self, run, what, step, always):
        self.run, self.what, self.step, self.always = run, what, step, always
        self.done = False
        if what == "gradient":
            run.model.layers[1].mlp.up_proj.weight.register_hook(self._gradient)
        if what == "activation":
            run.model.layers[0].register_forward_hook(lambda _module, _inputs, out: self._activation(out))

    def due(self):
        if self.run.step < self.step or (self.done and not self.always):
            return False
        self.done = True
        return True

    def _gradient(self, gradient):
        return gradient * float("nan") if self.due() else gradient

    def _activation(self, out):
        return out * float("nan") if self.due() else out

    @torch.no_grad()
    def between_steps(self):
        if self.what == "weight" and self.due():
            self.run.model.layers[0].attn.q_proj.weight[1, 1] = float("inf")
        if self.what == "moment" and self.due():
            parameter = self.run.model.layers[1].attn.o_proj.weight
            self.run.optimizers[1].state[parameter]["momentum"][0, 0] = float("nan")


def poisoned(tmp_path, what, step, *, always):
    checkpoints = Checkpoints(tmp_path)
    run = training(load_last_good=lambda: checkpoints.load()[0], steps=14)
    poison = Poison(run, what, step, always)
    checkpoints.save(run.state())
    events = []
    for event in run.steps():
        events.append(event)
        state = run.state()
        if event.step % 3 == 0 and all(t.isfinite().all() for ts in state.tensors.values() for t in ts.values()):
            checkpoints.save(state)  # as the journal does
        poison.between_steps()
    return run, [*events, *run.end()]


@pytest.mark.parametrize("step", [1, 4, 7, *(pytest.param(step, marks=pytest.mark.slow) for step in (2, 3, 5, 9, 11))])
@pytest.mark.parametrize(("what", "where"), [("gradient", "layers.1.mlp.up_proj"), ("activation", "layers.1.resid_pre"),
                                             ("weight", "layers.0.attn.q_proj"), ("moment", "layers.1.attn.o_proj")])
class TestNumbersThatAreNotFinite:
    def test_once_the_run_goes_back_and_on_more_slowly(self, tmp_path, what, where, step):
        run, events = poisoned(tmp_path, what, step, always=False)
        back = next(event for event in events if isinstance(event, RolledBack))
        # an activation that was wrong once is right again when it is looked for: only the gradient tells of it then,
        # or the loss of the validation after step 5
        assert (where if what != "activation" else "the loss" if step == 5 else "gradient") in back.where
        assert back.to_step <= back.step - 1
        assert back.learning_rate_scale == 0.5
        assert events[-1].reason == "finished"
        assert all(parameter.isfinite().all() for parameter in run.model.parameters())
        rates = {event.step: event.learning_rate for event in events if isinstance(event, Stepped)}
        undisturbed = {event.step: event.learning_rate for event in training(steps=14).steps()
                       if isinstance(event, Stepped)}
        assert rates[14] == pytest.approx(undisturbed[14] / 2)

    def test_again_and_the_run_ends_with_the_place_named(self, tmp_path, what, where, step):
        run, events = poisoned(tmp_path, what, step, always=True)
        assert sum(isinstance(event, RolledBack) for event in events) == 1
        assert isinstance(events[-1], Finished)
        assert events[-1].reason == "not finite"
        assert where in events[-1].where
        state, warnings = Checkpoints(tmp_path).load()
        assert warnings == []
        assert all(t.isfinite().all() for tensors in state.tensors.values() for t in tensors.values())
        if events[-1].best_loss is not None:
            assert all(parameter.isfinite().all() for parameter in run.model.parameters())


def test_long_after_the_first_time_it_may_happen_again():
    run = training(load_last_good=lambda: state, steps=14)
    state = run.state()
    run._state.failed_step = 1
    run._state.step = STEPS_BETWEEN_ROLLBACKS + 1
    run.model.embed.weight.register_hook(lambda gradient: gradient * float("nan"))
    assert isinstance(next(run._stepped(1.0)), RolledBack)
