"""One step against plain torch."""

import pytest
import torch
import torch.nn.functional as F

from tinylm.config.schema import ModelConfig, TrainConfig
from tinylm.errors import TinyLMError
from tinylm.jit.thread_pool import ThreadPool
from tinylm.model.transformer import TinyLM
from tinylm.text.rows import IGNORE
from tinylm.text.units import bits_per_byte
from tinylm.training import step
from tinylm.training.backend import Compute, TrainingBackend
from tinylm.training.evaluate import Interrupted, Validator, evaluate
from tinylm.training.loss import total_loss
from tinylm.training.optimizer import make_optimizers
from tinylm.training.step import train_step

CONFIG = ModelConfig(vocab_size=11, d_model=16, n_layers=1, n_heads=2, context_length=8)
RANDOM = CONFIG.model_copy(update={"init": "torch"})


def batch(rows, seed=0):
    ids = torch.randint(0, 11, (rows, 9), generator=torch.Generator().manual_seed(seed)).numpy()
    return ids[:, :-1], ids[:, 1:].copy()


def sgd(model):
    return [torch.optim.SGD(model.parameters(), lr=0.1)]


def weights(model):
    return torch.cat([p.detach().flatten().clone() for p in model.parameters()])


def test_the_loss_leaves_padding_out():
    logits = torch.randn(2, 3, 11, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([[1, 2, IGNORE], [3, IGNORE, IGNORE]])
    kept = targets != IGNORE
    assert torch.isclose(total_loss(logits, targets), F.cross_entropy(logits[kept], targets[kept], reduction="sum"))


def test_a_step_equals_plain_torch():
    ours, theirs = TinyLM(CONFIG), TinyLM(CONFIG)
    inputs, targets = batch(4)
    targets[0, 3:] = IGNORE
    result = train_step(ours, sgd(ours), [(inputs, targets)])
    loss = F.cross_entropy(theirs(torch.from_numpy(inputs)).flatten(0, 1), torch.from_numpy(targets).flatten())
    loss.backward()
    norm = torch.cat([p.grad.flatten() for p in theirs.parameters()]).norm()
    sgd(theirs)[0].step()
    assert abs(result.loss - loss.item()) < 1e-6
    assert abs(result.gradient_norm - norm.item()) < 1e-5
    torch.testing.assert_close(weights(ours), weights(theirs))


def test_accumulated_batches_equal_one_large_one_even_with_padding():
    ours, theirs = TinyLM(CONFIG), TinyLM(CONFIG)
    inputs, targets = batch(4)
    targets[0, 2:] = IGNORE
    train_step(ours, sgd(ours), [(inputs[:2], targets[:2]), (inputs[2:], targets[2:])])
    train_step(theirs, sgd(theirs), [(inputs, targets)])
    torch.testing.assert_close(weights(ours), weights(theirs))


def test_clipping_bounds_the_update():
    model = TinyLM(CONFIG)
    before = weights(model)
    result = train_step(model, sgd(model), [batch(4)], grad_clip=0.01)
    assert result.gradient_norm > 0.01
    assert abs((weights(model) - before).norm().item() - 0.1 * 0.01) < 1e-5


def test_an_update_that_is_not_finite_is_not_made():
    model = TinyLM(CONFIG)
    optimizers = make_optimizers(model, TrainConfig(steps=1))
    train_step(model, optimizers, [batch(4)])
    before = weights(model)
    handle = model.embed.weight.register_hook(lambda gradient: gradient * float("nan"))
    assert not train_step(model, optimizers, [batch(4, seed=1)]).applied
    handle.remove()
    assert torch.equal(weights(model), before)
    assert train_step(model, optimizers, [batch(4, seed=1)]).applied


def test_dropout_is_a_function_of_its_seed_and_leaves_the_random_state_alone():
    def after(seed):
        model = TinyLM(CONFIG.model_copy(update={"dropout": 0.3, "init": "torch"})).train()
        train_step(model, sgd(model), [batch(4)], dropout_seed=seed)
        return weights(model)

    state = torch.get_rng_state()
    assert torch.equal(after(1), after(1))
    assert not torch.equal(after(1), after(2))
    assert torch.equal(torch.get_rng_state(), state)


def test_evaluation_is_the_mean_over_all_targets_with_dropout_off():
    model = TinyLM(CONFIG.model_copy(update={"dropout": 0.5, "init": "torch"})).train()
    inputs, targets = batch(6)
    targets[1, 4:] = IGNORE
    batches = [(inputs[rows], targets[rows]) for rows in (slice(0, 4), slice(4, 6))]
    nats, tokens = evaluate(model, batches)
    assert model.training
    model.eval()
    with torch.no_grad():
        expected = F.cross_entropy(model(torch.from_numpy(inputs)).flatten(0, 1), torch.from_numpy(targets).flatten(),
                                   reduction="sum")
    assert tokens == 44
    assert abs(nats - expected.item()) < 1e-4


def test_a_validator_measures_the_same_batches_again_and_again():
    model, batches = TinyLM(CONFIG), [batch(4), batch(2, seed=1)]
    validate = Validator(model, lambda: iter(batches))
    nats, tokens = evaluate(model, batches)
    assert validate() == validate() == nats / tokens
    assert validate.result == (nats, tokens) == (nats, 48)
    with pytest.raises(Interrupted):
        validate(lambda: True)
    assert validate.result[0] == nats, "of the last validation that was carried through"


def half(model) -> TrainingBackend:
    """As on a GPU that multiplies float16 and not bfloat16; torch's autocast does the same on a CPU."""
    return TrainingBackend(model, Compute(torch.device("cpu"), torch.float16, ThreadPool(), fast=False))


def test_float16_keeps_small_gradients_by_scaling_the_loss():
    model = TinyLM(RANDOM)
    with torch.no_grad():
        model.out_head.weight *= 1e-4  # so that what comes back through the head is near the least of float16

    def gradients(backend, **scale):
        model.zero_grad()
        step._gradients(model, [batch(4)], 0, backend, scale.get("loss_scale", 1.0))
        return model.layers[0].mlp.gate_proj.weight.grad.clone()

    exact = gradients(TrainingBackend(model))
    scaled, unscaled = gradients(half(model), loss_scale=step.LOSS_SCALES[torch.float16][0]), gradients(half(model))
    assert (scaled - exact).norm() < 0.05 * exact.norm()
    assert (unscaled - exact).norm() > 0.2 * exact.norm()


def test_float16_takes_a_smaller_scale_where_the_gradient_overflows():
    ours, theirs, tried = TinyLM(RANDOM), TinyLM(RANDOM), []
    for model in (ours, theirs):
        with torch.no_grad():
            model.out_head.weight *= 3000.0
    backend = half(ours)
    backward = backend.backward

    def counted(batches, n_targets, dropout_seed):
        tried.append(n_targets)
        return backward(batches, n_targets, dropout_seed)

    backend.backward = counted
    result = train_step(ours, sgd(ours), [batch(4)], grad_clip=1.0, backend=backend)
    assert len(tried) > 1
    assert result.applied
    expected = train_step(theirs, sgd(theirs), [batch(4)], grad_clip=1.0)
    assert result.gradient_norm == pytest.approx(expected.gradient_norm, rel=0.02)
    assert result.loss == pytest.approx(expected.loss, rel=0.01)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_float16_learns_as_32_bits_do(optimizer):
    losses = []
    for make_backend in (TrainingBackend, half):
        model = TinyLM(CONFIG)
        backend = make_backend(model)
        optimizers = make_optimizers(model, TrainConfig(steps=30, optimizer=optimizer), backend._compute)
        losses.append([train_step(model, optimizers, [batch(4)], backend=backend).loss for _ in range(30)])
    exact, ours = losses
    assert ours == pytest.approx(exact, rel=0.03, abs=0.03)
    assert ours[-1] < ours[0] / 2


@pytest.mark.parametrize(("rows", "remedy"), [
    (8, "Try --set train.batch_size=4 --set train.gradient_accumulation=4"), (1, "Try a smaller model")])
def test_memory_that_runs_out_becomes_a_sentence_with_a_remedy(rows, remedy):
    with pytest.raises(TinyLMError, match="memory ran out") as refusal, step.explain_out_of_memory(rows, 2):
        torch.empty(1 << 60)
    assert remedy in str(refusal.value)
    with pytest.raises(RuntimeError, match="shapes"), step.explain_out_of_memory(rows, 2):
        torch.ones(2, 3) @ torch.ones(2, 3)


def test_bits_per_byte_of_guessing_bytes_is_eight():
    assert abs(bits_per_byte(1000 * torch.log(torch.tensor(256.0)).item(), 1000) - 8) < 1e-5
