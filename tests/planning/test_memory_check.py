"""What will not fit is refused before it starts, with the largest that will."""

import psutil
import pytest
import torch

from tinylm.config.presets import SIZES, size
from tinylm.config.schema import ModelConfig, TrainConfig
from tinylm.errors import TinyLMError
from tinylm.planning import memory_check
from tinylm.runs.prepare import plan
from tinylm.runs.run import train

CPU = torch.device("cpu")
GIGABYTE = 10**9


def config(name, **more):
    return ModelConfig(vocab_size=2048, **size(name)["model"], **more)


def test_what_is_available_is_less_than_all():
    assert 0 < memory_check.available_bytes(CPU) <= psutil.virtual_memory().total


def test_the_largest_size_that_fits_is_named():
    training, available = TrainConfig(steps=1, batch_size=2), GIGABYTE
    sizes = memory_check.fitting_sizes(config("0.1M"), training, 8192, available, CPU)
    assert 0 < len(sizes) < len(SIZES)
    with pytest.raises(TinyLMError, match=rf"--size {sizes[-1]}") as refusal:
        memory_check.check_fits(config("125M"), training, 8192, available, CPU)
    assert "1.0 GB are free" in str(refusal.value)
    memory_check.check_fits(config(sizes[-1]), training, 8192, available, CPU)
    with pytest.raises(TinyLMError):
        memory_check.check_fits(config(list(SIZES)[len(sizes)]), training, 8192, available, CPU)


def test_a_batch_that_fits_is_named_and_does_fit():
    """On the reference path: the fast one takes a few rows at a time, whatever the batch."""
    model = config("0.8M", norm="layernorm")
    training = TrainConfig(steps=1, batch_size=4096)
    with pytest.raises(TinyLMError, match=r"--set train\.batch_size=") as refusal:
        memory_check.check_fits(model, training, 8192, 2 * GIGABYTE, CPU)
    rows, accumulation = (int(word.partition("=")[2].rstrip(".")) for word in str(refusal.value).split() if "=" in word)
    assert rows * accumulation == 4096
    smaller = TrainConfig(steps=1, batch_size=rows, gradient_accumulation=accumulation)
    memory_check.check_fits(model, smaller, 8192, 2 * GIGABYTE, CPU)
    memory_check.check_fits(config("0.8M"), training, 8192, 2 * GIGABYTE, CPU)


def test_where_nothing_fits_no_size_is_promised():
    with pytest.raises(TinyLMError, match="smaller") as refusal:
        memory_check.check_fits(config("0.1M"), TrainConfig(steps=1), 8192, 1000, CPU)
    assert "--size" not in str(refusal.value)


@pytest.mark.parametrize("chosen", [
    {"model": {"d_model": 2**17, "n_heads": 2, "n_layers": 100}},
    {"train": {"batch_size": 10**8}, "model": {"norm": "layernorm"}},
], ids=["wide", "many rows"])
def test_plan_and_train_refuse_before_anything_is_made(chosen, tmp_path):
    for attempt in (lambda: plan("hello", config=chosen, steps=1),
                    lambda: train("hello", config=chosen, steps=1, out=tmp_path / "run", quiet=True)):
        with pytest.raises(TinyLMError, match=r"needs [\d,.]+ GB of memory"):
            attempt()
    assert not list(tmp_path.iterdir())
