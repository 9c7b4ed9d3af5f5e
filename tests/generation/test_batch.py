"""Texts written together are what they are alone, whoever joins and leaves, by the engine and by torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.generation.step_decoder import StepDecoder, generate_ids
from tests.model_strategies import make_model
from tinylm.config.schema import ModelConfig, SampleConfig
from tinylm.engine import engine as engines
from tinylm.engine.engine import Engine
from tinylm.engine.micro_kernel import TILE_ROWS
from tinylm.engine.workspace import Workspace
from tinylm.errors import TinyLMError
from tinylm.generation import backend
from tinylm.generation.backend import EngineBackend
from tinylm.generation.batch import Batch, TokenSequence
from tinylm.generation.torch_backend import TorchBackend
from tinylm.model.tensors import weights_of

EOS = 2
VOCAB = 40
CONFIGS = [SampleConfig(max_tokens=30, greedy=True), SampleConfig(max_tokens=25, temperature=1.5),
           SampleConfig(max_tokens=40, top_k=5, repetition_penalty=1.3), SampleConfig(max_tokens=1),
           SampleConfig(max_tokens=33, top_p=0.8, presence_penalty=1.0)]


def shape(**values: object) -> ModelConfig:
    return ModelConfig(**{"vocab_size": VOCAB, "d_model": 32, "n_layers": 2, "n_heads": 2, "context_length": 24,
                          **values})


MODEL = make_model(shape())
ENGINE = Engine(MODEL.config, weights_of(MODEL))
BACKENDS = {"engine": lambda: EngineBackend(ENGINE), "torch": lambda: TorchBackend(MODEL)}


def prompt(length: int, seed: int = 0) -> list[int]:
    return [1, *np.random.default_rng([length, seed]).integers(3, VOCAB, length).tolist()]


def alone(kind: str, ids: list[int], number: int) -> list[int]:
    decoder, config = StepDecoder(BACKENDS[kind](), ids), CONFIGS[number % len(CONFIGS)]
    return list(generate_ids(decoder, config, eos_id=EOS, seed=number))


def add(batch: Batch, ids: list[int], number: int) -> TokenSequence:
    return batch.add(ids, CONFIGS[number % len(CONFIGS)], seed=number)


def finish(batch: Batch, most: int = 1) -> int:
    """The number of calls until nothing runs, of so many steps at most."""
    steps = 0
    while batch.running:
        batch.run(most)
        steps += 1
    return steps


@pytest.mark.parametrize("most", [1, 7, 64])
@pytest.mark.parametrize("kind", BACKENDS)
def test_texts_of_any_length_are_what_they_are_alone(kind: str, most: int) -> None:
    """Longer than the context, too: then each slides in a place of its own."""
    prompts = [prompt(length) for length in (0, 1, 5, 60, 23, 24, 25, 3, 200, 0)]
    batch = Batch(BACKENDS[kind](), VOCAB, EOS)
    texts = [add(batch, ids, number) for number, ids in enumerate(prompts)]
    finish(batch, most)
    for number, (text, ids) in enumerate(zip(texts, prompts, strict=True)):
        assert text.new == alone(kind, ids, number)
        assert text.ids[:len(ids)] == ids
        assert text.stopped_by == ("eos" if text.new[-1] == EOS else "length")
    assert {text.stopped_by for text in texts} == {"eos", "length"}
    assert max(text.n_dropped for text in texts) > 170


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.data())
def test_whoever_joins_and_leaves(data: st.DataObject) -> None:
    """At any time, in blocks of any size, removed or not: what is written is how it begins, alone."""
    backend = EngineBackend(ENGINE)
    backend.block = data.draw(st.integers(1, 60))
    batch, texts = Batch(backend, VOCAB, EOS), []
    for number in range(data.draw(st.integers(1, 12))):
        ids = prompt(data.draw(st.integers(0, 50)), number)
        texts.append((add(batch, ids, number), ids))
        for _ in range(data.draw(st.integers(0, 8))):
            batch.run(data.draw(st.integers(1, 9)))
        if data.draw(st.booleans()):
            batch.remove(data.draw(st.sampled_from(texts))[0])
    finish(batch, data.draw(st.integers(1, 9)))
    for number, (text, ids) in enumerate(texts):
        expected = alone("engine", ids, number)
        assert text.new == expected if text.stopped_by else text.new == expected[:len(text.new)]


def test_a_step_tells_what_it_chose_and_from_which_logits() -> None:
    batch = Batch(EngineBackend(ENGINE), VOCAB, EOS)
    texts = [add(batch, prompt(3), 0), add(batch, prompt(9), 0)]
    decoders = [StepDecoder(EngineBackend(ENGINE), prompt(3)), StepDecoder(EngineBackend(ENGINE), prompt(9))]
    for place in range(5):
        heard = batch.step()
        assert [each is text for each, text in zip(heard, texts, strict=True)] == [True, True]
        for text, decoder in zip(texts, decoders, strict=True):
            assert text.logits is not None
            assert np.array_equal(text.logits, decoder.logits)
            assert text.new[place:] == [int(decoder.logits.argmax())]
            decoder.append(text.new[-1])


def test_a_long_prompt_does_not_keep_others_waiting() -> None:
    """A text that is being written gets an id at every step, and a short prompt gets its first before the long one."""
    model = make_model(shape(context_length=4096, d_model=16, n_layers=1))
    batch = Batch(EngineBackend(Engine(model.config, weights_of(model))), VOCAB, EOS)
    forever = SampleConfig(max_tokens=1000)
    never_ends = np.zeros(VOCAB, np.float32)
    never_ends[EOS] = -np.inf
    first = batch.add(prompt(4), forever, seed=0, bias=never_ends)
    batch.step()
    long, short = (batch.add(prompt(length), forever, seed=1, bias=never_ends) for length in (3000, 40))
    steps = 0
    while not long.new:
        written = len(first.new)
        batch.step()
        steps += 1
        assert len(first.new) == written + 1
        assert steps > 1 or short.new
    assert 3000 / backend.PREFILL_CHUNK <= steps <= 3000 / backend.PREFILL_CHUNK + 4


@pytest.mark.parametrize("cached", [0, engines.MAX_CACHED_WEIGHTS])
def test_many_texts_in_a_run_are_each_as_alone(cached: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a small model in groups, each on one core; of a large one all together, on all cores."""
    monkeypatch.setattr(engines, "MAX_CACHED_WEIGHTS", cached)
    engine = Engine(MODEL.config, weights_of(MODEL), cores=3)
    batch = Batch(EngineBackend(engine), VOCAB, EOS)
    texts = [add(batch, [1, 3 + number], number) for number in range(27)]
    finish(batch, 16)
    for number, text in enumerate(texts):
        assert text.new == alone("engine", [1, 3 + number], number)


@settings(derandomize=True, deadline=None)
@given(count=st.integers(1, 200), cores=st.integers(1, 16))
def test_groups_hold_everybody_and_give_each_core_something_to_do(count: int, cores: int) -> None:
    parts = engines.groups(count, cores)
    assert [place for part in parts for place in range(count)[part]] == list(range(count))
    sizes = [part.stop - part.start for part in parts]
    assert max(sizes) <= engines.MAX_GROUP_SIZE
    assert max(sizes) - min(sizes) <= 1
    assert len(parts) >= min(cores, count // TILE_ROWS)


def test_a_run_is_one_call_that_tells_of_all_its_steps() -> None:
    calls, never_ends = [], np.zeros(VOCAB, np.float32)
    never_ends[EOS] = -np.inf

    class Counted(Engine):
        def _run(self, workspace: Workspace, sampling: object) -> None:
            if not workspace.work[0]["logits_given"]:  # else it only samples
                calls.append(int(workspace.work[0]["steps"]))
            super()._run(workspace, sampling)

    batch = Batch(EngineBackend(Counted(MODEL.config, weights_of(MODEL))), VOCAB, EOS)
    texts = [batch.add([1, 7], SampleConfig(max_tokens=most), seed=0, bias=never_ends) for most in (9, 3)]
    prompts = batch.run(5)
    written = batch.run(5)
    last = batch.run(5)
    assert calls == [1, 2, 5]
    assert [[text for text, *_ in told] for told in (prompts, written, last)] == [texts, texts, texts[:1]]
    decoder = StepDecoder(EngineBackend(ENGINE), [1, 7])
    for told in (prompts, written, last):
        for id, logits in zip(told[0].ids, told[0].logits, strict=True):
            assert np.array_equal(logits, decoder.logits)
            decoder.append(id)
    assert texts[0].new[:3] == texts[1].new


@pytest.mark.parametrize("most", [1, 9])
@pytest.mark.parametrize("kind", BACKENDS)
def test_a_damaged_text_ends_alone(kind: str, most: int) -> None:
    """Only those that meet id 7 meet the damage."""
    model = make_model(shape())
    with torch.no_grad():
        model.embed.weight[7] = float("nan")
    engine = Engine(model.config, weights_of(model))
    batch = Batch(EngineBackend(engine) if kind == "engine" else TorchBackend(model), VOCAB, EOS)
    ban = np.zeros(VOCAB, np.float32)
    ban[[EOS, 7]] = -np.inf
    config = SampleConfig(max_tokens=30)
    prompts = [[1, 3, 4], [1, 7, 3], [1, 5], [1, *[5] * 30, 7], [1, 6, 8]]
    texts = [batch.add(ids, config, seed=number, bias=ban) for number, ids in enumerate(prompts)]
    finish(batch, most)
    for number, (text, ids) in enumerate(zip(texts, prompts, strict=True)):
        if 7 in ids:
            assert (text.new, text.stopped_by) == ([], "error")
            assert "not finite" in str(text.error)
        else:
            decoder = StepDecoder(batch.backend, ids)
            assert text.new == list(generate_ids(decoder, config, eos_id=EOS, seed=number, bias=ban))


def test_a_text_that_meets_damage_in_the_midst_of_a_run_ends_alone() -> None:
    """The others have counted nothing twice."""
    model = make_model(shape())
    with torch.no_grad():
        model.embed.weight[7] = float("nan")
    engine = Engine(model.config, weights_of(model))
    batch, ban = Batch(EngineBackend(engine), VOCAB, EOS), np.zeros(VOCAB, np.float32)
    ban[[EOS, 7]] = -np.inf
    config = SampleConfig(max_tokens=20, greedy=True, frequency_penalty=0.5)
    texts = [batch.add([1, 5], config, seed=0, bias=ban, forced=forced) for forced in ([], [9, 9, 9, 7], [8])]
    finish(batch, 20)
    assert (texts[1].new, texts[1].stopped_by) == ([9, 9, 9, 7], "error")
    for text, forced in ((texts[0], []), (texts[2], [8])):
        decoder = StepDecoder(EngineBackend(engine), [1, 5])
        assert text.new == list(generate_ids(decoder, config, eos_id=EOS, seed=0, bias=ban, forced=forced))


@pytest.mark.parametrize("most", [1, 9])
def test_settings_that_leave_nothing_end_their_text_alone(most: int) -> None:
    batch = Batch(EngineBackend(ENGINE), VOCAB, EOS)
    nothing = np.full(VOCAB, -np.inf, np.float32)
    text = batch.add([1], SampleConfig(), seed=0, bias=nothing, forced=[5, 6])
    other = add(batch, [1], 0)
    finish(batch, most)
    assert (text.new, text.stopped_by) == ([5, 6], "error")
    assert "every token is banned" in str(text.error)
    assert other.new == alone("engine", [1], 0)


def test_nothing_to_write_is_written_at_once() -> None:
    batch = Batch(EngineBackend(ENGINE), VOCAB, EOS)
    text = batch.add([1], SampleConfig(max_tokens=0), seed=0)
    assert (text.stopped_by, text.new, batch.running, batch.step()) == ("length", [], [], [])


@pytest.mark.parametrize("kind", BACKENDS)
def test_what_is_forced_comes_first_whatever_is_banned(kind: str) -> None:
    config, forced = SampleConfig(max_tokens=12), [9, 9, 30, 7]
    bias = np.zeros(VOCAB, np.float32)
    bias[[9, EOS]] = -np.inf
    batch = Batch(BACKENDS[kind](), VOCAB, EOS)
    text = batch.add(prompt(20), config, seed=3, bias=bias, forced=forced)
    finish(batch)
    decoder = StepDecoder(BACKENDS[kind](), prompt(20))
    assert text.new == list(generate_ids(decoder, config, eos_id=EOS, seed=3, bias=bias, forced=forced))
    assert text.new[:4] == forced
    assert len(text.new) == 12
    assert 9 not in text.new[4:]
    ended = batch.add([1], config, seed=0, forced=[5, EOS, 6])
    finish(batch)
    assert (ended.new, ended.stopped_by) == ([5, EOS], "eos")


@pytest.mark.parametrize("length", [22, 23])
def test_where_nothing_may_be_forgotten_a_text_ends_with_the_context(length: int) -> None:
    """The context of 24 holds <bos> and the prompt; one id more is chosen after the last that fits."""
    bias = np.zeros(VOCAB, np.float32)
    bias[EOS] = -np.inf
    config = SampleConfig(max_tokens=9, overflow="error")
    batch = Batch(EngineBackend(ENGINE), VOCAB, EOS)
    text = batch.add(prompt(length), config, seed=0, bias=bias)
    finish(batch)
    assert (len(text.new), text.stopped_by, text.n_dropped) == (24 - length, "length", 0)
    decoder = StepDecoder(EngineBackend(ENGINE), prompt(length))
    assert text.new == list(generate_ids(decoder, config, eos_id=EOS, seed=0, bias=bias))


def test_where_nothing_may_be_forgotten_a_long_prompt_is_refused() -> None:
    config = SampleConfig(overflow="error")
    with pytest.raises(TinyLMError, match="the prompt has 25 tokens, <bos> counted, and this model sees 24 at once"):
        Batch(EngineBackend(ENGINE), VOCAB, EOS).add(prompt(24), config, seed=0)
    with pytest.raises(TinyLMError, match="the prompt has 25 tokens"):
        next(generate_ids(StepDecoder(EngineBackend(ENGINE), prompt(24)), config, eos_id=EOS, seed=0))


@pytest.mark.parametrize("kind", BACKENDS)
def test_no_text_ends_before_min_tokens(kind: str) -> None:
    """Whether it is written in runs or step by step, alone or beside one without a least; and it may end right then."""
    ends = np.zeros(VOCAB, np.float32)
    ends[EOS] = 50.0
    for least in (0, 1, 2, 7, 30):
        config = SampleConfig(max_tokens=40, min_tokens=least, greedy=True)
        for most in (1, 64):
            batch = Batch(BACKENDS[kind](), VOCAB, EOS)
            texts = [batch.add(prompt(5), config, seed=0, bias=ends) for _ in range(2)]
            other = batch.add(prompt(5), SampleConfig(max_tokens=40), seed=0, bias=ends)
            finish(batch, most)
            assert [len(text.new) for text in texts] == [least + 1] * 2
            assert [text.stopped_by for text in texts] == ["eos"] * 2
            assert len(other.new) == 1
        one = list(generate_ids(StepDecoder(BACKENDS[kind](), prompt(5)), config, eos_id=EOS, seed=0, bias=ends))
        assert one == texts[0].new
    assert ends[EOS] == 50.0
