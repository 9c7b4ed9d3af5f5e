"""The controller: what the loop does next is asked once a step, and whoever answers decides."""

import dataclasses
import time

import pytest

from tests.training.test_loop import training
from tinylm.config.schema import TrainConfig
from tinylm.training.controller import Decision, ScheduleController, TrainingState
from tinylm.training.evaluate import Interrupted
from tinylm.training.events import Finished, Stepped, Validated
from tinylm.training.schedule import StepHorizon, TimeHorizon

pytestmark = pytest.mark.usefixtures("one_thread")


class Scripted:
    """Decisions by step, as another process might have made them; without one, a step at half the peak rate."""

    def __init__(self, **decisions):
        self.decisions = {int(step.removeprefix("at_")): decision for step, decision in decisions.items()}
        self.begun, self.asked, self.planned = [], [], []

    def begin(self, state):
        self.begun.append(state.step)

    def decide(self, state):
        self.asked.append(state.step)
        return self.decisions.get(state.step, Decision(learning_rate_factor=0.5))

    def validated(self, state):
        self.planned.append((state.step, state.losses[-1]))

    def stop_requested(self):
        return False


def scripted(controller, validate=None, **values):
    run = training(1000, validate, **values)
    return dataclasses.replace(run, controller=controller)


def test_the_loop_obeys_a_controller_of_anybodys():
    saved = []
    controller = Scripted(at_2=Decision(validate=True, learning_rate_factor=0.25), at_3=Decision(save=True),
                          at_5=Decision(stop="interrupted"))
    run = scripted(controller, lambda _: 2.0)
    run.save = lambda: saved.append(run.step)
    events = list(run.events())
    rates = [event.learning_rate / run.config.learning_rate for event in events if isinstance(event, Stepped)]
    assert rates == pytest.approx([0.5, 0.5, 0.25, 1.0, 0.5])
    assert [event.step for event in events if isinstance(event, Validated)] == [2, 5]  # the last one: before leaving
    assert saved == [3]
    assert events[-1] == Finished(5, "interrupted", 2, 2.0, 5 * 8 * 16)
    assert controller.begun == [0]
    assert controller.asked == [0, 1, 2, 2, 3, 4, 5]  # once a step, and again after a validation
    assert controller.planned == [(2, 2.0), (5, 2.0)]


def test_two_runs_that_share_their_answers_are_one_run():
    """As ranks would: the second has no clock and no schedule of its own, and replays what the first was told."""
    class Recording(ScheduleController):
        def decide(self, state):
            told.append(super().decide(state))
            return told[-1]

    class Replaying(Scripted):
        def decide(self, state):  # noqa: ARG002
            return told.pop(0)

    told = []
    first = training(12, lambda _: 1.0, evaluate_every=4)
    first = dataclasses.replace(first, controller=Recording(first.config, StepHorizon(12)))
    events = list(first.events())
    assert list(scripted(Replaying(), lambda _: 1.0, evaluate_every=4).events()) == events
    assert told == []


def test_clock_person_and_rules_answer_through_the_controller():
    config = TrainConfig(steps=100, target_loss=1.5, warmup_steps=0, decay="linear")
    asked = []
    controller = ScheduleController(config, StepHorizon(100), should_stop=lambda: bool(asked),
                                    should_save=lambda: bool(asked))
    assert controller.decide(TrainingState(step=50)) == Decision(validate=True, learning_rate_factor=0.5)
    assert controller.decide(TrainingState(step=50, best_loss=1.4)).stop == "until"
    rising = [3.0, 2.0, 1.5, *(1.5 + n / 10 for n in range(9))]
    assert controller.decide(TrainingState(step=50, losses=rising)).stop == "overfitting"
    last = controller.decide(TrainingState(step=100, validated_step=100))
    assert (last.stop, last.validate, last.is_last) == ("finished", False, True)
    asked.append(True)
    assert controller.decide(TrainingState(step=1)) == Decision(stop="interrupted", save=True,
                                                                learning_rate_factor=0.99)
    late = ScheduleController(config, TimeHorizon(60, time.perf_counter() - 61))
    assert late.decide(TrainingState(step=3)).stop == "finished"


def test_a_run_of_minutes_validates_as_often_as_it_can_afford():
    horizon = TimeHorizon(1000, time.perf_counter() - 500)
    controller, state = ScheduleController(TrainConfig(minutes=1), horizon), TrainingState(step=10)
    for seconds, apart in ((0.1, 1 / 20), (10.0, 1 / 5), (100.0, 1 / 2)):
        state.validation_seconds = seconds
        controller.validated(state)
        assert state.next_validation - horizon.progress(10) == pytest.approx(apart, abs=1e-3)
        assert horizon.validating == pytest.approx(1.2 * seconds)
    horizon.count_sampling(9.0)
    state.validation_seconds = 1.0
    controller.validated(state)
    assert state.next_validation - horizon.progress(10) == pytest.approx(1 / 5, abs=1e-3), "a sample follows each"
    horizon.reserve_finishing(1e6)
    assert horizon.finishing == 250, "most of the time is for steps"
    horizon.reserve_finishing(40.0)
    assert horizon.progress(10) == pytest.approx(500 / (1000 - 120 - 40), abs=1e-3)


def test_a_request_to_stop_gives_up_a_validation_but_not_the_last_one():
    asked = []

    def validate(should_stop):
        asked.append(should_stop())
        if asked[-1]:
            raise Interrupted
        return 1.0

    run = training(4, validate, should_stop=lambda: run.step >= 2, evaluate_every=2)
    *_, last = run.events()
    assert (asked, last.reason, last.best_loss) == ([True], "interrupted", None)
    asked.clear()
    run = training(4, validate, should_stop=lambda: run.step >= 4, evaluate_every=4)
    *_, last = run.events()
    assert (asked, last.reason, last.best_loss) == ([False], "finished", 1.0)
