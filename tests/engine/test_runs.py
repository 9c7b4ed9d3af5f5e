"""Several ids a call: the same texts as one by one, to the last digit of what they were chosen from."""

from __future__ import annotations

import numpy as np
import pytest

from tests.model_strategies import make_model
from tinylm.config.schema import ModelConfig, SampleConfig
from tinylm.engine.engine import Engine
from tinylm.engine.kv_cache import SequenceCache
from tinylm.engine.sampling_records import SamplingRecords
from tinylm.engine.thread_tuner import MIN_WORK_PER_CALL, MIN_WORK_PER_CORE, RETRIAL_INTERVAL, ThreadTuner
from tinylm.engine.weights import weights_of
from tinylm.errors import TinyLMError
from tinylm.generation.context import Decoder
from tinylm.generation.engine_decoder import EngineDecoder
from tinylm.sampling.sampler import Sampler

CONFIG = ModelConfig(vocab_size=50, d_model=64, n_layers=2, n_heads=4, context_length=60)
SAMPLES = [SampleConfig(greedy=True), SampleConfig(), SampleConfig(temperature=0.7, top_p=0.9, frequency_penalty=0.5)]


def sampler(sample: SampleConfig, seed: int = 3, forced: tuple[int, ...] = (5, 6, 5, 40)) -> Sampler:
    return Sampler(sample, [1, 7], np.zeros(CONFIG.vocab_size, np.float32), seed, forced)


def seen(window: Decoder, ids: object) -> list[tuple[object, ...]]:
    """What whoever reads along finds at each new id."""
    return [(id, window.logits.tolist(), list(window.ids), list(window.visible), window.n_dropped) for id in ids]


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
@pytest.mark.parametrize("eos_id", [-1, 9])
def test_a_run_writes_what_single_steps_write(sample: SampleConfig, eos_id: int) -> None:
    """Past the end of the context, and up to `eos_id`; two texts in turn on one engine."""
    engine = Engine(CONFIG, weights_of(make_model(CONFIG)))
    windows = [EngineDecoder(engine, [1, 7]) for _ in range(3)]
    alone = seen(windows[0], Decoder.write(windows[0], sampler(sample), 150, eos_id))
    one, other = (window.write(sampler(sample), 150, eos_id) for window in windows[1:])
    together = [(seen(windows[1], [id]), seen(windows[2], [twin])) for id, twin in zip(one, other, strict=True)]
    assert [each for (each,), _ in together] == [each for _, (each,) in together] == alone
    assert len(alone) < 150 if eos_id >= 0 else windows[1].n_dropped > 0


def test_several_texts_in_a_run_are_each_as_alone() -> None:
    engine = Engine(CONFIG, weights_of(make_model(CONFIG)), cores=2)
    samplers = [sampler(sample, seed) for seed, sample in enumerate(SAMPLES)]
    streams = [SequenceCache(CONFIG) for _ in samplers]
    ids, _ = engine.write(streams, [1, 7, 8], SamplingRecords(samplers, -1), 20)
    for column, seed, first in zip(ids.T.tolist(), range(3), [1, 7, 8], strict=True):
        alone = EngineDecoder(engine, [first])
        assert column == list(Decoder.write(alone, sampler(SAMPLES[seed], seed), 20, -1))
    assert [stream.length for stream in streams] == [20] * 3


def test_what_goes_wrong_in_a_run_is_told_at_its_place() -> None:
    """The ids before it come first."""
    model = make_model(CONFIG)
    engine = Engine(CONFIG, weights_of(model))
    written = list(EngineDecoder(engine, [1]).write(sampler(SAMPLES[0]), 40, -1))
    model.embed.weight.data[written[20]] = float("nan")
    decoder, found = EngineDecoder(Engine(CONFIG, weights_of(model)), [1]), []
    with pytest.raises(TinyLMError, match="not finite"):
        found.extend(decoder.write(sampler(SAMPLES[0]), 40, -1))
    assert found == written[:written.index(written[20]) + 1]


def test_the_number_of_cores_is_the_quicker_one_and_the_other_is_tried_again() -> None:
    tuner, tried = ThreadTuner(4), []
    assert tuner.cores(MIN_WORK_PER_CORE, 1, 1000) == tuner.cores(MIN_WORK_PER_CALL - 1, 1, 1) == 1
    for _ in range(10 * RETRIAL_INTERVAL):
        tried.append(tuner.cores(2 * MIN_WORK_PER_CALL, 1, 1))
        tuner.record(tried[-1], 1, 1, {4: 0.003, 1: 0.001}[tried[-1]])
    assert tried[:4] == [4, 4, 1, 1]  # two of several cores, then one alone, which turns out quicker
    assert 2 < tried.count(4) < 10
    for _ in range(10 * RETRIAL_INTERVAL):
        tried.append(tuner.cores(2 * MIN_WORK_PER_CALL, 1, 1))
        tuner.record(tried[-1], 1, 1, {4: 0.0005, 1: 0.002}[tried[-1]])
    assert tried[-1] == 4
