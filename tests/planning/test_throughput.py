"""Measuring the speed of training: real steps, without a trace."""

import numpy as np
import torch

from tinylm.config.schema import ModelConfig, TrainConfig
from tinylm.planning import throughput
from tinylm.training.backend import choose_compute

CPU = torch.device("cpu")
MODEL = ModelConfig(vocab_size=20, context_length=16, d_model=8, n_layers=1, n_heads=2, dropout=0.1)
COMPUTE = choose_compute(MODEL, CPU, flops=1.0)


class Rows:
    rows_per_epoch = 64

    def __init__(self):
        self.asked = []

    def batch(self, step, batch_size):  # noqa: ARG002
        self.asked.append(batch_size)
        return (np.zeros((batch_size, 16), np.int64),) * 2


def test_the_speed_of_this_machine_is_a_speed():
    assert 1e6 < throughput.measure_speed(throughput.smallest_model({}), CPU, seconds=0.0) < 1e15


def test_every_part_of_a_run_takes_time():
    times = throughput.measure_step_times(MODEL, TrainConfig(steps=1, batch_size=4), Rows(), compute=COMPUTE,
                              seconds=0.05)
    assert min(times.step, times.validated_token, times.generated_token, times.model_init) > 0


def test_of_a_large_batch_a_part_is_timed():
    rows = Rows()
    train = TrainConfig(steps=1, batch_size=10**6)
    throughput.measure_step_times(MODEL, train, rows, compute=COMPUTE, seconds=0.0)
    assert max(rows.asked) == throughput.ROWS_PER_CORE * COMPUTE.workers.cores


def test_measuring_leaves_the_random_state_and_the_threads_alone():
    torch.manual_seed(1)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    throughput.warm_up(throughput.smallest_model({}), CPU)
    throughput.measure_step_times(MODEL, TrainConfig(steps=1), Rows(), compute=COMPUTE, seconds=0.0)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
