"""The rules behind what nobody chose."""

from hypothesis import given
from hypothesis import strategies as st

from tinylm.config.presets import SIZES
from tinylm.config.schema import ModelConfig, TrainConfig
from tinylm.planning import defaults

SPEED = 75e9


def filled(n_bytes, **train):
    return defaults.fill_defaults({"model": {}, "train": train}, n_bytes=n_bytes, n_tokens=n_bytes, vocab_size=68,
                                  speed=SPEED)


BUDGETS = {"seconds": st.floats(10, 1e6), "n_bytes": st.integers(1_000, 10**10), "speed": st.floats(1e9, 1e15)}


@given(**BUDGETS, more=st.floats(1, 1000))
def test_more_time_or_more_speed_never_give_a_smaller_model(seconds, n_bytes, speed, more):
    def rank(n_bytes, seconds, speed):
        return list(SIZES).index(defaults.choose_size(n_bytes, n_bytes // 3, 2048, seconds, speed))

    chosen = rank(n_bytes, seconds, speed)
    assert chosen <= rank(n_bytes, seconds * more, speed)
    assert chosen <= rank(n_bytes, seconds, speed * more)


@given(**BUDGETS, fitting=st.sets(st.sampled_from(list(SIZES)), min_size=1))
def test_a_size_that_does_not_fit_is_never_chosen(seconds, n_bytes, speed, fitting):
    assert defaults.choose_size(n_bytes, n_bytes // 3, 2048, seconds, speed, fitting) in fitting


def test_a_small_text_gets_a_small_model_however_long_it_may_take():
    assert defaults.choose_size(2_000, 2_000, 256, 3600, SPEED) == "0.1M"


@given(st.floats(0, 1e6), st.floats(1, 100))
def test_the_more_often_a_text_is_read_the_more_is_done_against_learning_by_heart(epochs, more):
    once, often = defaults.choose_regularisation(epochs), defaults.choose_regularisation(epochs * more)
    assert all(a <= b for a, b in zip(once, often, strict=True))


def test_the_border_between_fresh_and_repeated_text():
    assert filled(10**8, minutes=1)["train"]["weight_decay"] == 0.5
    assert filled(5_000, minutes=0.02)["train"]["weight_decay"] > 0.5


@given(st.integers(1, 10**12), st.floats(1, 1000))
def test_the_longer_a_text_the_fewer_epochs_are_of_use(n_bytes, more):
    assert defaults.useful_epochs(n_bytes) >= defaults.useful_epochs(round(n_bytes * more)) >= 4


def test_a_run_of_minutes_ends_where_reading_on_would_be_learning_by_heart():
    train = filled(5_000, minutes=5)["train"]
    assert (train["minutes"], train["max_epochs"]) == (5, round(defaults.useful_epochs(5_000), 1))
    assert "max_epochs" not in filled(5_000, steps=5)["train"]


def test_a_size_that_was_chosen_has_all_its_minutes():
    result = defaults.fill_defaults({"model": {"d_model": 64}, "train": {"minutes": 5}}, n_bytes=5000, n_tokens=5000,
                          vocab_size=68, speed=SPEED)
    assert "max_epochs" not in result["train"]


@given(st.floats(1, 1e12), st.floats(1, 1000), st.integers(1, 10**12))
def test_short_runs_and_short_texts_take_small_batches(tokens, more, n_tokens):
    batch = defaults.choose_batch(tokens, n_tokens)
    of_more = defaults.choose_batch(tokens * more, n_tokens)
    assert defaults.MIN_BATCH_TOKENS <= batch <= of_more <= defaults.BATCH_TOKENS
    assert batch == defaults.MIN_BATCH_TOKENS or tokens / batch >= defaults.MIN_STEPS


@given(minutes=st.floats(0.1, 1000), n_bytes=st.integers(1_000, 10**9), speed=st.floats(1e9, 1e15))
def test_every_budget_gives_a_config(minutes, n_bytes, speed):
    result = defaults.fill_defaults({"model": {}, "train": {"minutes": minutes}}, n_bytes=n_bytes, n_tokens=n_bytes,
                          vocab_size=68, speed=speed)
    train = TrainConfig(**result["train"])
    assert ModelConfig(**result["model"]).context_length * train.batch_size <= defaults.BATCH_TOKENS
    assert 0 <= train.warmup_steps <= defaults.MAX_WARMUP_STEPS


def test_what_was_chosen_stays():
    chosen = {"model": {"d_model": 64, "n_layers": 1, "n_heads": 1, "dropout": 0.3, "context_length": 32},
              "train": {"steps": 7, "batch_size": 3}}
    result = defaults.fill_defaults(chosen, n_bytes=1000, n_tokens=1000, vocab_size=68, speed=SPEED)
    assert chosen["model"].items() <= result["model"].items()
    assert chosen["train"].items() <= result["train"].items()
    assert "minutes" not in result["train"]


def test_without_a_budget_there_is_a_sensible_one():
    assert filled(10_000_000)["train"]["minutes"] == defaults.DEFAULT_MINUTES


def test_epochs_become_steps():
    config = TrainConfig(epochs=2.5, batch_size=4)
    assert defaults.count_steps(config, rows_per_epoch=10) == 7
    assert defaults.count_steps(TrainConfig(minutes=1), 10) is None
    assert defaults.count_steps(TrainConfig(minutes=1, max_epochs=2.5, batch_size=4), 10) == 7
    assert defaults.count_steps(TrainConfig(steps=3), 10) == 3


def test_counted_runs_do_not_depend_on_the_machine():
    def at(speed, **train):
        return defaults.fill_defaults({"model": {}, "train": train}, n_bytes=10**6, n_tokens=10**6, vocab_size=68,
                                      speed=speed)

    assert at(1e9, steps=500) == at(1e13, steps=500)
    assert at(1e9, epochs=2) == at(1e13, epochs=2)
    assert at(1e9, minutes=5) != at(1e13, minutes=5)
