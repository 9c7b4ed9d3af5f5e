"""The rules behind what nobody chose."""

from tinylm.config import SIZES, TrainConfig
from tinylm.training import plan

SPEED = 75e9


def filled(n_bytes, **train):
    return plan.fill_in({"model": {}, "train": train}, n_bytes=n_bytes, n_tokens=n_bytes, vocab_size=68, speed=SPEED)


def test_more_time_and_more_text_never_give_a_smaller_model():
    names = list(SIZES)
    for n_bytes in (5_000, 100_000, 1_000_000, 10_000_000):
        by_time = [names.index(plan.choose_size(n_bytes, 256, seconds, SPEED)) for seconds in (60, 300, 1200, 7200)]
        assert by_time == sorted(by_time)
    by_text = [names.index(plan.choose_size(n_bytes, 256, 300, SPEED)) for n_bytes in (5_000, 100_000, 1_000_000)]
    assert by_text == sorted(by_text)
    assert plan.choose_size(2_000, 256, 3600, SPEED) == "0.1M"


def test_repeated_text_is_met_with_dropout():
    assert filled(1_000_000, minutes=1)["model"]["dropout"] == 0.0
    assert filled(20_000, minutes=5)["model"]["dropout"] == 0.2


def test_what_was_chosen_stays():
    chosen = {"model": {"d_model": 64, "n_layers": 1, "n_heads": 1, "dropout": 0.3, "context_length": 32},
              "train": {"steps": 7, "batch_size": 3}}
    result = plan.fill_in(chosen, n_bytes=1000, n_tokens=1000, vocab_size=68, speed=SPEED)
    assert chosen["model"].items() <= result["model"].items()
    assert chosen["train"].items() <= result["train"].items()
    assert "minutes" not in result["train"]


def test_without_a_budget_there_is_a_sensible_one():
    assert filled(1_000_000)["train"]["minutes"] == plan.DEFAULT_MINUTES


def test_epochs_become_steps():
    config = TrainConfig(epochs=2.5, batch_size=4)
    assert plan.count_steps(config, rows_per_epoch=10) == 7
    assert plan.count_steps(TrainConfig(minutes=1), 10) is None
    assert plan.count_steps(TrainConfig(steps=3), 10) == 3


def test_counted_runs_do_not_depend_on_the_machine():
    def at(speed, **train):
        return plan.fill_in({"model": {}, "train": train}, n_bytes=10**6, n_tokens=10**6, vocab_size=68, speed=speed)

    assert at(1e9, steps=500) == at(1e13, steps=500)
    assert at(1e9, epochs=2) == at(1e13, epochs=2)
    assert at(1e9, minutes=5) != at(1e13, minutes=5)
