"""The doctor finds illnesses that real trainings were given, and none in healthy ones."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tinylm.config.schema import ModelConfig, TrainConfig
from tinylm.model.transformer import TinyLM
from tinylm.reports.history import read_events
from tinylm.text.dataset import Part
from tinylm.text.rows import Rows
from tinylm.training.controller import ScheduleController
from tinylm.training.diagnostics.doctor import WARNING_PATIENCE, examine
from tinylm.training.early_stopping import overfits
from tinylm.training.evaluate import Validator
from tinylm.training.events import Began, Finished, RolledBack, Stepped, Validated
from tinylm.training.loop import Training
from tinylm.training.optimizer import make_optimizers
from tinylm.training.schedule import StepHorizon

pytestmark = pytest.mark.usefixtures("one_thread")

BEGAN = Began(parameters=100_000, vocab_size=65, context_length=64, train_tokens=90_000, train_bytes=91_000,
              validation_tokens=10_000, validation_bytes=10_100, baselines={"unigram": 4.6, "ngram": 2.5}, repeated=0.0,
              unknown=0.0)


def part(length, seed):
    """A random walk over 27 ids: something to learn, and for a small text something to learn by heart."""
    steps = np.random.default_rng(seed).integers(-2, 3, length)
    ids = (3 + np.cumsum(steps) % 27).astype(np.uint16)
    return Part(ids, np.array([0, len(ids)], np.int64), len(ids))


def training(steps, *, length=4000, model=None, preset="tinylm", **values):
    """A real run of a small model."""
    config = TrainConfig(**{"steps": steps, "batch_size": 4, "warmup_steps": 5, **values})
    shape = {"vocab_size": 30, "d_model": 16, "n_layers": 2, "n_heads": 2, "context_length": 16, "d_mlp": 32}
    net = TinyLM(ModelConfig.preset(preset, **{**shape, **(model or {})}), config.seed)
    rows, other = (Rows(part(n, seed), packing="windows", context_length=16) for n, seed in ((length, 0), (300, 1)))
    validator = Validator(net, lambda: other.evaluation(32))
    return Training(net, make_optimizers(net, config), rows, config, ScheduleController(config, StepHorizon(steps)),
                    validator)


def topics(events):
    return [finding.topic for finding in examine(events)]


def stepped(step, loss, layer_gradients):
    return Stepped(step, loss, 1e-3, 1.0, layer_gradients, 64 * step, 1.0)


# ---- healthy runs

def test_the_models_of_the_suite_are_healthy(hello_run, book_run):
    for folder in (hello_run, book_run):
        events = list(read_events(folder / "metrics.jsonl"))
        assert isinstance(events[-1], Finished)
        assert examine(events) == []


@pytest.mark.parametrize("preset", ["tinylm", "notebook", "gpt2", "llama", "qwen3"])
def test_a_healthy_run_of_each_preset_gets_no_remark(preset):
    values = {"optimizer": "adam", "learning_rate": 1e-3, "decay": "constant", "grad_clip": 0.0}
    run = training(50, preset=preset, **(values if preset == "notebook" else {}))
    assert examine(run.events()) == []


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_batches_of_one_row_are_noisy_and_healthy(optimizer):
    assert examine(training(120, optimizer=optimizer, batch_size=1).events()) == []


@pytest.mark.parametrize("steps", [1, 4, 30])
def test_short_runs_have_done_nothing_wrong(steps):
    assert examine([BEGAN, *training(steps, learning_rate=1e-9, muon_learning_rate=1e-9).events()]) == []


# ---- illnesses

def test_a_small_text_is_learned_by_heart_and_the_run_ended():
    *events, last = training(300, length=300, model={"d_model": 48, "d_mlp": 96}, batch_size=8).events()
    assert last.reason == "overfitting"
    memorised, stopped = examine([*events, last])
    assert (memorised.topic, stopped.topic) == ("overfitting", "stopped")
    assert f"{last.best_step:,}" in memorised.text
    assert f"{last.best_loss:.3f}" in memorised.text
    assert "learns the text by heart" in memorised.text
    assert "are kept" in memorised.remedy
    assert memorised.step < last.step, "it is said before the run ends"
    assert memorised.sentence.startswith(f"Step {memorised.step:,}: ")


def test_a_learning_rate_near_zero_leaves_the_loss_where_it_was():
    (finding,) = examine(training(120, learning_rate=1e-9, muon_learning_rate=1e-9).events())
    assert finding.topic == "loss"
    assert "does not move" in finding.text
    assert "--set train.learning_rate=" in finding.remedy


def test_a_learning_rate_that_is_suddenly_too_high_makes_the_loss_jump():
    run = training(100, optimizer="adamw")
    events = []
    for event in run.events():
        events.append(event)
        if isinstance(event, Stepped) and event.step == 60:
            for group in run.optimizers[0].param_groups:
                group["peak"] *= 300
    spike = next(finding for finding in examine(events) if finding.topic == "spike")
    assert 60 < spike.step < 75
    assert "--set train.learning_rate=" in spike.remedy


@pytest.mark.parametrize(("layer", "factor", "word"), [
    ("layers.1", 1e4, "explodes"), ("layers.0", 1e-5, "vanishes"), ("embed", 1e-5, "vanishes")])
def test_a_gradient_that_explodes_or_vanishes_is_named_by_its_layer(layer, factor, word):
    run = training(60, model={"n_layers": 3})
    for name, parameter in run.model.named_parameters():
        if name.startswith(layer):
            parameter.register_hook(lambda gradient: gradient * factor)
    finding = next(each for each in examine(run.events()) if each.topic == "gradient")
    assert f"{word} in {layer}:" in finding.text


def test_a_gradient_that_grows_in_all_layers_is_named_by_the_layer_where_it_grew_most():
    norms = {"embed": 0.5, "layers.0": 0.6, "out_head": 0.3}
    grown = {**norms, "layers.0": 900.0, "embed": 400.0}
    (finding,) = examine(stepped(step, 1 + 2 / step, norms if step < 200 else grown) for step in range(1, 230))
    assert "explodes in layers.0" in finding.text
    assert "--set train.grad_clip=1" in finding.remedy


def test_numbers_that_are_not_finite_are_told_with_place_and_step():
    run = training(40)
    events = []
    for event in run.events():
        events.append(event)
        if isinstance(event, Stepped) and event.step == 3:
            run.model.layers[1].mlp.up_proj.weight.register_hook(lambda gradient: gradient * math.inf)
    (finding,) = examine(events)
    assert (finding.topic, finding.step) == ("not finite", 3)
    assert "the gradient of layers.1.mlp.up_proj.weight" in finding.text
    assert "the weights of step 2 are kept" in finding.text


def test_every_rollback_is_told():
    events = [RolledBack(step, step - 5, "the weights ln_f.weight", scale) for step, scale in ((40, 0.5), (41, 0.25))]
    first, second = examine(events)
    assert "the weights ln_f.weight" in first.text
    assert "goes on from step 35 with 0.5 of" in first.text
    assert "goes on from step 36 with 0.25 of" in second.text


def test_what_a_rollback_undid_is_no_evidence():
    events = []
    for step, loss in enumerate(RISING[:6], start=1):
        events += [stepped(step, 3 / step, {}), Validated(step, loss, False)]
    back = RolledBack(7, 4, "the loss", 0.5)
    again = [stepped(5, 0.6, {}), Validated(5, 2.6, False)]
    assert topics([*events, stepped(7, 0.4, {}), Validated(7, 2.7, False)]) == ["overfitting"]
    assert topics([*events, back, *again]) == ["not finite"]


# ---- the end

def ended(loss, *, step=500, reason="finished", validations=()):
    return [BEGAN, *(Validated(at, value, False) for at, value in validations),
            Finished(step, reason, step, loss, 1000)]


def test_a_model_that_is_worse_than_counting_has_not_learned_enough():
    (finding,) = examine(ended(2.0))  # 2.0 nats a token are 2.86 bits a byte here
    assert finding.topic == "underfitting"
    assert "2.86 bits a byte" in finding.text
    assert "2.50" in finding.text
    assert "--minutes" in finding.remedy
    assert "--size" in finding.remedy


@pytest.mark.parametrize(("best_at", "helps"), [(300, "More text"), (480, "--minutes")])
def test_more_time_is_not_advised_where_it_has_brought_nothing_for_long(best_at, helps):
    events = [BEGAN, stepped(best_at, 2.1, {}), Validated(best_at, 2.0, True), stepped(500, 1.7, {}),
              Validated(500, 2.02, False), Finished(500, "finished", best_at, 2.0, 1000)]
    (finding,) = examine(events)
    assert finding.topic == "underfitting"
    assert helps in finding.remedy


@pytest.mark.parametrize("values", [
    {"loss": 1.7}, {"loss": 2.0, "reason": "interrupted"}, {"loss": 2.0, "reason": "until"}, {"loss": 2.0, "step": 30},
    {"loss": None}])
def test_one_that_is_better_or_was_stopped_or_hardly_begun_has_nothing_to_hear(values):
    assert examine(ended(**values)) == []


def test_a_run_that_was_still_learning_fast():
    (finding,) = examine(ended(1.5, validations=[(250, 2.2), (375, 1.8), (500, 1.5)]))
    assert finding.topic == "underfitting"
    assert "from 1.800 at step 375 to 1.500 at step 500" in finding.text
    assert topics(ended(1.5, validations=[(250, 1.8), (375, 1.55), (500, 1.5)])) == []
    assert topics(ended(1.5, validations=[(100, 2.2), (500, 1.5)])) == [], "nothing is known of the last quarter"


# ---- training and validation loss that end far apart

ISSUE = [(0.3, 4.9, 4.8), (0.9, 4.2, 4.22), (3, 3.3, 4.06), (6, 2.6, 4.01), (9, 2.0, 4.04), (11, 1.69, 4.07)]
"""(epoch, training loss, validation loss): a run of which the doctor once said that nothing looked wrong."""
BY_HEART = {
    "the issue": ISSUE,
    "validation still falls": [(0.5, 3.0, 3.0), (4, 2.0, 2.4), (8, 1.2, 2.3), (12, 0.9, 2.2), (16, 0.7, 2.1)],
    "validation is flat": [(0.4, 2.5, 2.5), (5, 1.9, 2.3), (10, 1.4, 2.3), (20, 1.0, 2.3)],
    "validated once": [(40, 0.3, 2.9)],
    "validated twice": [(1.0, 2.5, 2.6), (30, 0.9, 2.7)],
    "read often between validations": [(5, 1.2, 1.9), (10, 0.8, 1.9), (15, 0.5, 1.95)],
}
HEALTHY = {
    "characters": [(0.5, 2.4, 2.3), (5, 1.4, 1.5), (10, 1.04, 1.14)],
    "BPE of a short text": [(0.9, 3.8, 3.86), (4, 2.7, 3.4), (8, 1.86, 3.21)],
    "early steps lag behind": [(0.2, 4.1, 3.2), (0.9, 2.5, 2.1), (5, 1.5, 1.6)],
    "a text that is nearly known": [(0.5, 0.9, 0.8), (5, 0.02, 0.15)],
    "one epoch": [(0.5, 4.5, 4.5), (0.9, 4.27, 4.26)],
    "another chapter": [(0.7, 2.4, 2.58), (2, 2.07, 2.38)],
    "dropout": [(1, 2.9, 2.6), (30, 1.52, 1.81)],
}
UNLIKE = {
    "another alphabet's letters": [(0.3, 2.4, 5.0), (0.7, 2.1, 5.4), (1.4, 1.8, 5.7)],
    "within an epoch": [(0.2, 4.5, 4.6), (0.8, 2.6, 4.7)],
    "and read often": [(0.3, 2.6, 4.2), (0.9, 2.3, 4.7), (4, 1.9, 5.0), (9, 1.5, 5.1)],
}


def run_of(points, reason="finished"):
    """The events of a run with 40 steps at each training loss, then a validation."""
    events, step = [replace(BEGAN, baselines={})], 0
    for epoch, training_loss, validation_loss in points:
        for _ in range(40):
            step += 1
            events.append(Stepped(step, training_loss, 1e-3, 1.0, {}, 64 * step, epoch))
        events.append(Validated(step, validation_loss, False))
    best = min(validation_loss for _, _, validation_loss in points)
    return [*events, Finished(step, reason, step, best, 64 * step)]


@pytest.mark.parametrize("points", BY_HEART.values(), ids=BY_HEART)
def test_a_gap_that_grew_is_overfitting_whatever_the_validation_loss_did(points):
    (finding,) = examine(run_of(points))
    assert finding.topic == "overfitting"
    assert "is overfitting: it learns the text" in finding.text
    assert f"{points[-1][1]:.3f}" in finding.text
    assert f"{points[-1][2]:.3f}" in finding.text
    assert "a smaller --size" in finding.remedy


@pytest.mark.parametrize("reason", ["until", "interrupted"])
def test_a_gap_is_told_however_the_run_ended(reason):
    assert topics(run_of(ISSUE, reason)) == ["overfitting"]


@pytest.mark.parametrize("points", HEALTHY.values(), ids=HEALTHY)
def test_losses_that_end_near_each_other_are_healthy(points):
    assert [topic for topic in topics(run_of(points)) if topic != "underfitting"] == []


def test_a_training_loss_that_counts_padding_is_compared_with_nothing():
    _, *events = run_of(ISSUE)
    assert topics([replace(BEGAN, baselines={}, padding_counted=True), *events]) == []


@pytest.mark.parametrize("points", UNLIKE.values(), ids=UNLIKE)
def test_a_gap_that_was_there_in_the_first_epoch_is_another_text(points):
    (finding,) = examine(run_of(points))
    assert finding.topic == "unlike"
    assert "the validation text is unlike the training text" in finding.text
    assert "--validation FILE" in finding.remedy


def test_overfitting_is_told_once():
    rising = [(n, 4 / n, loss) for n, loss in enumerate(RISING, start=2)]
    (finding,) = examine(run_of(rising))
    assert "is overfitting: it learns the text by heart" in finding.text
    assert finding.text.startswith("the model is overfitting")
    assert topics(run_of(rising, "overfitting")) == ["overfitting", "stopped"]


def test_a_real_run_validated_only_at_its_end():
    run = training(260, length=300, model={"d_model": 48, "d_mlp": 96}, batch_size=8, evaluate_every=260)
    events = list(run.events())
    assert len([event for event in events if isinstance(event, Validated)]) <= 2
    (finding,) = examine(events)
    assert (finding.topic, finding.step) == ("overfitting", 260)


# ---- the text

@pytest.mark.parametrize(("facts", "topic", "evidence"), [
    ({"repeated": 0.4}, "repeated", "40%"),
    ({"unknown": 0.12}, "tokenizer", "12%"),
    ({"vocab_size": 20_000}, "tokenizer", "4.5 times"),
    ({"vocab_size": 4096, "validation_bytes": 10_500}, "tokenizer", "1.05 bytes of the validation text"),
])
def test_a_text_that_does_not_suit_is_told_before_the_first_step(facts, topic, evidence):
    (finding,) = examine([replace(BEGAN, train_bytes=270_000 if "vocab_size" in facts else 91_000,
                                 **{"validation_bytes": 30_000, **facts})])
    assert (finding.step, finding.topic) == (0, topic)
    assert evidence in finding.text
    assert finding.sentence == f"{finding.text}. {finding.remedy}."


@pytest.mark.parametrize("facts", [
    {}, {"repeated": 0.1}, {"unknown": 0.01},
    {"vocab_size": 12, "train_tokens": 26, "train_bytes": 76, "validation_tokens": 0, "validation_bytes": 0},
    {"vocab_size": 400},  # characters of a text in several alphabets
    {"vocab_size": 2048, "train_bytes": 290_000, "validation_bytes": 31_000},
    {"vocab_size": 3000, "train_bytes": 260_000, "validation_bytes": 29_000},  # characters of Chinese
])
def test_texts_that_suit(facts):
    assert examine([replace(BEGAN, **facts)]) == []


# ---- how often

def test_a_topic_is_told_once_and_a_spike_again_in_a_run_twice_as_long():
    def jumps(*at):
        return [stepped(step, 9.0 if any(0 <= step - each < 12 for each in at) else 1 + 2 / step, {})
                for step in range(1, 900)]

    assert topics(jumps(200)) == ["spike"]
    assert topics(jumps(200, 300)) == ["spike"]
    assert topics(jumps(200, 300, 700)) == ["spike", "spike"]


# ---- patience

RISING = (2.654, 2.415, 2.337, 2.389, 2.479, 2.575, 2.630, 2.719, 2.919, 2.924, 3.068)  # measured: 5 KB of a novel


def test_patience_is_spent_where_the_loss_has_left_its_best_for_good():
    spent = [n for n in range(len(RISING) + 1) if overfits(RISING[:n])]
    assert spent == list(range(9, len(RISING) + 1))
    assert min(n for n in range(len(RISING) + 1) if overfits(RISING[:n], WARNING_PATIENCE)) == 7


@pytest.mark.parametrize("losses", [
    (), (2.0,), (3.0, 1.0, 2.0, 2.5, 3.0),
    [2.0 + 2 / n for n in range(1, 40)],
    [2.0] * 40,
    [3.0, 2.5, 2.2, 2.0, 2.15, 2.14, 2.12, 2.11, 2.09, 2.07, 1.99],  # the learning rate decays
    [3.0, 2.5, 2.2, 2.0, 2.01, 2.02, 2.03, 2.04, 2.05, 2.05, 2.05],  # hardly worse than the best
    [3.0, 2.5, 1.4, 2.2, 2.1, 2.0, 2.0, 1.95, 1.95, 1.95],  # one lucky validation
    [3.0, 2.0, 2.0, math.nan, math.nan, math.nan, math.nan, math.nan, math.nan],
])
def test_patience_with_everything_else(losses):
    assert not any(overfits(losses[:n]) for n in range(len(losses) + 1))


def test_noise_is_not_overfitting():
    draw = np.random.default_rng(0)
    for length in (20, 100):
        falling = 2 + 2 * np.exp(-np.arange(length) / (length / 6))
        for _ in range(20):
            losses = list(falling * (1 + 0.03 * draw.standard_normal(length)))
            assert not any(overfits(losses[:n]) for n in range(length + 1)), losses
