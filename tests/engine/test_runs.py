"""Several ids a call: the same texts as one by one, to the last digit of what they were chosen from."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate, zip_longest

import numpy as np
import pytest

from tests.generation.step_decoder import StepDecoder
from tests.model_strategies import make_model
from tinylm.config.schema import ModelConfig, SampleConfig
from tinylm.engine.engine import Engine
from tinylm.engine.kv_cache import SequenceCache
from tinylm.engine.sampling_records import SamplingRecords
from tinylm.engine.thread_tuner import MIN_WORK_PER_CALL, MIN_WORK_PER_CORE, RETRIAL_INTERVAL, ThreadTuner
from tinylm.errors import TinyLMError
from tinylm.generation.backend import EngineBackend
from tinylm.generation.batch import Batch
from tinylm.generation.run_tuner import RunTuner
from tinylm.model.tensors import weights_of
from tinylm.sampling.sampler import Sampler

CONFIG = ModelConfig(vocab_size=50, d_model=64, n_layers=2, n_heads=4, context_length=60)
SAMPLES = [SampleConfig(greedy=True), SampleConfig(), SampleConfig(temperature=0.7, top_p=0.9, frequency_penalty=0.5)]

FORCED = (5, 6, 5, 40)


def sampler(sample: SampleConfig, seed: int = 3, forced: tuple[int, ...] = FORCED) -> Sampler:
    return Sampler(sample, [1, 7], np.zeros(CONFIG.vocab_size, np.float32), seed, forced)


def alone(engine: Engine, ids: list[int], sampler: Sampler, count: int, eos_id: int) -> list[tuple[object, ...]]:
    """What single steps leave at each new id: the id, its logits, all ids before it, the visible ones, and how many
    were dropped."""
    decoder = StepDecoder(EngineBackend(engine), ids)
    return [(id, decoder.logits.tolist(), list(decoder.ids), list(decoder.visible), decoder.n_dropped)
            for id in decoder.generate(sampler, count, eos_id)]


def runs(engine: Engine, sample: SampleConfig, count: int, eos_id: int) -> Iterator[list[tuple[object, ...]]]:
    """The same of a batch of one, run by run; what there is of ids after the last id of the run."""
    batch = Batch(EngineBackend(engine), CONFIG.vocab_size, eos_id)
    config = sample.model_copy(update={"max_tokens": count})
    text, tuner = batch.add([1, 7], config, seed=3, forced=FORCED), RunTuner(256)
    while batch.running:
        yield [(id, row.tolist(), list(text.ids), list(text.visible), text.n_dropped)
               for new in tuner.run(batch) for id, row in zip(new.ids, new.logits, strict=True)]
    if text.error:
        raise text.error


@pytest.mark.parametrize("sample", SAMPLES, ids=str)
@pytest.mark.parametrize("eos_id", [-1, 9])
def test_a_run_writes_what_single_steps_write(sample: SampleConfig, eos_id: int) -> None:
    """Past the end of the context, and up to `eos_id`; two texts in turn on one engine."""
    engine = Engine(CONFIG, weights_of(make_model(CONFIG)))
    expected = alone(engine, [1, 7], sampler(sample), 150, eos_id)
    for each in zip(*zip_longest(*(runs(engine, sample, 150, eos_id) for _ in range(2)), fillvalue=[]), strict=True):
        assert [(id, logits) for run in each for id, logits, *_ in run] == [(id, row) for id, row, *_ in expected]
        for run, end in zip(each, accumulate(map(len, each)), strict=True):
            assert not run or run[-1] == expected[end - 1]
        assert len(max(each, key=len)) > 1
    assert len(expected) < 150 if eos_id >= 0 else expected[-1][-1] > 0


def test_several_texts_in_a_run_are_each_as_alone() -> None:
    engine = Engine(CONFIG, weights_of(make_model(CONFIG)), cores=2)
    samplers = [sampler(sample, seed) for seed, sample in enumerate(SAMPLES)]
    streams = [SequenceCache(CONFIG) for _ in samplers]
    ids, _ = engine.write(streams, [1, 7, 8], SamplingRecords(samplers, -1), 20)
    for column, seed, first in zip(ids.T.tolist(), range(3), [1, 7, 8], strict=True):
        assert column == [id for id, *_ in alone(engine, [first], sampler(SAMPLES[seed], seed), 20, -1)]
    assert [stream.length for stream in streams] == [20] * 3


def test_what_goes_wrong_in_a_run_is_told_at_its_place() -> None:
    """The ids before it come first."""
    model = make_model(CONFIG)
    engine = Engine(CONFIG, weights_of(model))
    written = [id for some in runs(engine, SAMPLES[0], 40, -1) for id, *_ in some]
    model.embed.weight.data[written[20]] = float("nan")
    found = list[list[tuple[object, ...]]]()
    with pytest.raises(TinyLMError, match="not finite"):
        found.extend(runs(Engine(CONFIG, weights_of(model)), SAMPLES[0], 40, -1))
    assert [id for some in found for id, *_ in some] == written[:written.index(written[20]) + 1]


def test_the_number_of_cores_is_the_quickest_one_and_the_others_are_tried_again() -> None:
    tuner, tried = ThreadTuner(4), []
    assert tuner.cores(MIN_WORK_PER_CORE, 1, 1000) == tuner.cores(MIN_WORK_PER_CALL - 1, 1, 1) == 1

    def call(seconds: dict[int, float]) -> None:
        tried.append(tuner.cores(2 * MIN_WORK_PER_CALL, 1, 1))
        tuner.record(tried[-1], 1, 1, seconds[tried[-1]])

    for _ in range(10 * RETRIAL_INTERVAL):
        call({4: 0.003, 2: 0.002, 1: 0.001})
    assert tried[:5] == [4, 4, 2, 2, 1]  # two of several cores, then one alone, which turns out quickest
    assert 2 < tried.count(4) < 10
    assert 2 < tried.count(2) < 10
    for seconds, best in (({4: 0.0005, 2: 0.001, 1: 0.002}, 4), ({4: 0.003, 2: 0.001, 1: 0.002}, 2)):
        for _ in range(20 * RETRIAL_INTERVAL):
            call(seconds)
        assert tried[-4:].count(best) >= 3


def test_a_number_of_fast_cores_is_tried_too() -> None:
    tuner, seconds = ThreadTuner(10, fast_cores=4), {10: 3.0, 5: 2.5, 4: 1.0, 1: 2.0}
    tried = set[int]()
    for _ in range(12):
        cores = tuner.cores(2 * MIN_WORK_PER_CALL, 1, 1)
        tuner.record(cores, 1, 1, seconds[cores])
        tried.add(cores)
    assert (tried, cores) == (set(seconds), 4)
