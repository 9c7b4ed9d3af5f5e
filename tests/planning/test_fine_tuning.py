"""The rules of fine-tuning: what follows from a base and its distance from the text, and what a person chose stays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tinylm.config.schema import BaseConfig, DataConfig, ModelConfig, RunConfig, SampleConfig, TrainConfig
from tinylm.errors import TinyLMError
from tinylm.evaluation.base import Base
from tinylm.planning.base_fit import BaseFit, measure_fit
from tinylm.planning.data import load_data
from tinylm.planning.fine_tuning import epochs_that_pay, fill_fine_tuning, fine_tuned_bits
from tinylm.planning.memory_check import check_fits
from tinylm.text.tokenizer import Tokenizer

SHAPE = {"vocab_size": 300, "d_model": 48, "n_heads": 3, "n_layers": 2, "context_length": 128}


def fit_of(distance: float = 1.0, **shape: Any) -> BaseFit:
    """A base that reads a text so many times as ill as n-grams of the text do."""
    config = RunConfig(model=ModelConfig(**SHAPE | shape), data=DataConfig(), train=TrainConfig(steps=1),
                       sample=SampleConfig(greedy=True))
    base = Base("/models/base", config, Tokenizer.train("char", ["ab"]), {}, "f00d")
    return BaseFit(base, distance * 2.0, 2.0)


def fill(fit: BaseFit, train: dict[str, Any] | None = None, model: dict[str, Any] | None = None,
         n_bytes: int = 20_000, **base: Any) -> dict[str, dict[str, Any]]:
    chosen = {"model": model or {}, "train": train or {}, "sample": {},
              "base": {"folder": "base", "replay": 0.2, **base}}
    return fill_fine_tuning(chosen, fit, n_bytes=n_bytes, n_tokens=n_bytes // 3, speed=75e9)


def test_shape_sampling_and_base_are_those_of_the_base():
    filled = fill(fit_of(n_kv_heads=1))
    assert {**filled["model"], "dropout": 0.0} == fit_of(n_kv_heads=1).base.config.model.model_dump()
    assert filled["sample"]["greedy"] is True
    assert filled["base"] == {"folder": "/models/base", "replay": 0.2, "fingerprint": "f00d"}


@pytest.mark.parametrize(("distance", "rate"), [(1.0, 0.001), (2.0, 0.004), (9.0, 0.01)])
def test_additions_of_low_rank_are_trained_by_adamw_at_rates_that_grow_likewise(distance, rate):
    train = fill(fit_of(distance), lora=8)["train"]
    assert (train["optimizer"], train["learning_rate"]) == ("adamw", rate)
    assert fill(fit_of(distance), {"optimizer": "muon"}, lora=8)["train"]["optimizer"] == "muon"
    assert "optimizer" not in fill(fit_of(distance), lora=0)["train"]


def test_additions_need_layers_and_a_rank_below_the_width():
    for fit, rank in ((fit_of(), 48), (fit_of(n_layers=0), 1)):
        with pytest.raises(TinyLMError, match=r"is not low|has no layers"):
            fill(fit, lora=rank)
    assert fill(fit_of(), lora=47)["base"]["lora"] == 47


@pytest.mark.parametrize(("distance", "rate"), [(0.5, 0.002), (1.0, 0.002), (2.0, 0.008), (3.2, 0.02), (9.0, 0.02)])
def test_learning_rates_grow_with_the_distance_up_to_those_from_nothing(distance, rate):
    train = fill(fit_of(distance))["train"]
    assert train["muon_learning_rate"] == pytest.approx(rate)
    assert train["learning_rate"] == pytest.approx(rate / 2)
    adamw = fill(fit_of(distance), {"optimizer": "adamw"})["train"]
    assert adamw["learning_rate"] == pytest.approx(rate / 4)


def test_a_short_text_is_read_more_often_and_held_back_more():
    runs = [fill(fit_of(), n_bytes=n_bytes)["train"] for n_bytes in (5_000, 100_000, 5_000_000)]
    assert [run["max_epochs"] for run in runs] == sorted((run["max_epochs"] for run in runs), reverse=True)
    assert [run["weight_decay"] for run in runs] == [5.0, 1.5, 0.5]
    assert runs[-1]["max_epochs"] == epochs_that_pay(10**9) == 3


def test_what_a_person_chose_stays():
    chosen = {"steps": 77, "batch_size": 3, "learning_rate": 0.5, "weight_decay": 0.0, "warmup_steps": 2}
    filled = fill(fit_of(), chosen, {"dropout": 0.4, "context_length": 64})
    assert {name: filled["train"][name] for name in chosen} == chosen
    assert (filled["model"]["dropout"], filled["model"]["context_length"]) == (0.4, 64)
    assert "max_epochs" not in filled["train"]


def test_adam_gets_no_decay_that_it_would_add_to_the_gradient():
    assert "weight_decay" not in fill(fit_of(), {"optimizer": "adam"})["train"]


@pytest.mark.parametrize(("shape", "length"), [
    ({"context_length": 8192}, 512), ({"context_length": 64}, 64),
    ({"context_length": 1024, "positions": "learned"}, 1024)])
def test_rows_of_an_imported_model_are_as_long_as_a_short_text_affords(shape, length):
    assert fill(fit_of(**shape))["model"]["context_length"] == length


def test_more_is_expected_than_of_base_or_counting_alone():
    assert fine_tuned_bits(base=2.0, ngram=9.0) == pytest.approx(2.0, abs=0.01)
    assert fine_tuned_bits(base=9.0, ngram=2.0) == pytest.approx(1.74, abs=0.01)
    assert fine_tuned_bits(base=2.2, ngram=2.4) < 2.1


def test_a_base_that_does_not_fit_into_memory_is_refused_without_another_size():
    import torch

    from tinylm.errors import TinyLMError

    model = ModelConfig(vocab_size=2048, d_model=512, n_layers=8, n_heads=8)
    with pytest.raises(TinyLMError, match="smaller base") as error:
        check_fits(model, TrainConfig(steps=1, batch_size=1), 0, 10**6, torch.device("cpu"),
                   base=BaseConfig(folder="runs/book"))
    assert "--size" not in error.value.remedy


def test_a_text_of_the_base_is_near_and_another_is_far(book: Path, book_run: Path, tmp_path: Path):
    import torch

    other = tmp_path / "other.txt"
    letters = sorted(set(book.read_text(encoding="utf-8")[:50_000]) - set("\n\r"))
    other.write_text("".join(letters[i * i % 61 % len(letters)] for i in range(4000)), encoding="utf-8")
    base, distances = Base.read(str(book_run)), []
    for text in (book, other):
        data = load_data(str(text), {}, tokenizer=base.tokenizer)
        fit = measure_fit(base, data.dataset.train, data.config.packing, torch.device("cpu"), context_length=32)
        distances.append(fit.distance)
    assert distances[0] < distances[1]
