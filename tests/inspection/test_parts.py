"""Places as people write them; heads, embeddings and one training step against what is written out here."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tests.model_strategies as family
from tinylm.config.schema import ModelConfig, TrainConfig
from tinylm.errors import TinyLMError
from tinylm.inspection.embeddings import embedding_map, neighbours
from tinylm.inspection.heads import head_scores, loss_of, part_effects, repeated_ids, text_means
from tinylm.inspection.interventions import ablate
from tinylm.inspection.one_step import training_step
from tinylm.inspection.places import Place, axes_of, find_head, find_places, heads_and_mlps
from tinylm.inspection.trace import trace
from tinylm.model.taps import TAPS, hooked
from tinylm.text.rows import IGNORE
from tinylm.text.tokenizer import Tokenizer

CONFIG = ModelConfig.preset("llama", vocab_size=11, d_model=32, n_heads=4, n_kv_heads=2, n_layers=2, context_length=20)

# ---- places


def test_every_tap_and_every_part_is_a_place():
    model = family.make_model(CONFIG)
    activations = trace(model, [1, 2, 3])
    for name, activation in activations.items():
        assert find_places(name, CONFIG) == [Place(name)]
        assert len(axes_of(name)) == activation.dim()
        piece = activation[Place(name, position=-2).slices(activation)]
        assert piece.shape[axes_of(name).index("T")] == 1
    for place in heads_and_mlps(CONFIG):
        assert find_places(place.name, CONFIG) == [place]
    assert len(heads_and_mlps(CONFIG)) == 2 * (4 + 1)


@pytest.mark.parametrize(("text", "names"), [
    ("1.3", ["1.3"]), ("1.3:2,0.mlp:-1", ["1.3:2", "0.mlp:-1"]), ("1.attn", ["layers.1.attn.z", "1.attn"]),
    ("0", ["layers.0.attn.z", "0.attn", "0.mlp"]), ("mlp", ["0.mlp", "1.mlp"]), (" 0.0 , 0.1 ", ["0.0", "0.1"]),
    ("attn", ["layers.0.attn.z", "0.attn", "layers.1.attn.z", "1.attn"]), ("layers.0.attn.k.1", ["layers.0.attn.k.1"]),
    ("embed:0", ["embed:0"]), ("layers.1.resid_post:3", ["layers.1.resid_post:3"])])
def test_the_notation(text, names):
    assert [place.name for place in find_places(text, CONFIG)] == names


@pytest.mark.parametrize(("text", "told"), [
    ("2.0", "no head 2.0"), ("0.4", "no head 0.4"), ("2", "no layer 2"), ("2.mlp", "no layer 2"), ("", "names no part"),
    (",", "names no part"), ("head", "no part 'head'"), ("1.0:x", "no number after the colon"),
    ("layers.0.attn.k.2", "has no head 2: it has 2"), ("layers.0.resid_pre.1", "has no head 1: it has 0"),
    ("layers.1.resid_pots", "Did you mean 'layers.1.resid_post'?"), ("1.0.0", "no part '1.0.0'"),
    ("-1", "no part '-1'"),
    ("²", "no part"), ("1.0:9999999999999999999999", "no number after"), ("99999999999999999999.0", "no part")])
def test_what_is_not_there_is_named_with_what_is(text, told):
    with pytest.raises(TinyLMError, match=r"^--off: ") as error:
        find_places(text, CONFIG, "--off")
    assert told in str(error.value)


def test_a_head_is_a_layer_and_a_number():
    assert find_head("1.3", CONFIG) == (1, 3)
    for text in ("1", "1.mlp", "1.3:2", "1.4", "x"):
        with pytest.raises(TinyLMError, match="head"):
            find_head(text, CONFIG)


def test_the_table_of_taps_has_the_axes_that_the_notation_needs():
    assert all("T" in tap.shape for tap in TAPS)


# ---- heads


@settings(derandomize=True, deadline=None, max_examples=25)
@given(config=st.from_type(ModelConfig), start=st.sampled_from((None, 1)))
def test_the_scores_of_heads_are_means_of_their_patterns(config, start):
    model, ids = family.make_model(config), repeated_ids(range(2, config.vocab_size), config.context_length, start)
    scores = head_scores(model, ids)
    assert [(score.layer, score.head) for score in scores] == [
        (layer, head) for layer in range(config.n_layers) for head in range(config.n_heads)]
    if ids is None:
        assert all(score.previous_token is score.induction is None for score in scores)
        return
    activations, (rows, length) = trace(model, torch.from_numpy(ids)), ids.shape
    for score in scores:
        pattern = activations[f"layers.{score.layer}.attn.pattern"][:, score.head]
        before = [pattern[b, t, t - 1].item() for b in range(rows) for t in range(1, length)]
        assert score.previous_token == pytest.approx(np.mean(before), abs=1e-5)
        after = [pattern[b, t, earlier + 1].item() for b in range(rows) for t in range(length) for earlier in range(t)
                 if ids[b, earlier] == ids[b, t]]
        assert score.induction == pytest.approx(np.mean(after), abs=1e-5)


def test_repeated_texts_are_random_and_always_the_same():
    ids = repeated_ids(range(5, 200), 256, start=1)
    assert ids.shape == (4, 65)
    assert (ids[:, 0] == 1).all()
    assert (ids[:, 1:33] == ids[:, 33:]).all()
    assert all(len(set(row)) == 33 for row in ids.tolist())
    assert len({tuple(row) for row in ids.tolist()}) == 4
    assert (repeated_ids(range(5, 200), 256, start=1) == ids).all()
    assert repeated_ids(range(5, 200), 4, start=1) is None
    assert repeated_ids([5], 256) is None


BATCHES = [(np.array([[1, 2, 3, 4], [1, 5, 0, 0]]), np.array([[2, 3, 4, 5], [5, 6, IGNORE, IGNORE]])),
           (np.array([[1, 7]]), np.array([[7, 8]]))]


def test_the_effect_of_a_part_is_the_loss_without_it():
    model = family.make_model(CONFIG)

    def loss(*hooks):
        nats = []
        with torch.no_grad(), hooked(model, *hooks):
            for inputs, targets in BATCHES:
                logprobs = model(torch.from_numpy(inputs)).log_softmax(-1)
                nats += [-logprobs[b, t, target].item() for (b, t), target in np.ndenumerate(targets) if target >= 0]
        return sum(nats) / len(nats)

    whole, effects = part_effects(model, BATCHES)
    assert whole == pytest.approx(loss(), abs=1e-5) == pytest.approx(loss_of(model, BATCHES), abs=1e-5)
    assert [effect.part for effect in effects] == [place.name for place in heads_and_mlps(CONFIG)]
    for effect, place in zip(effects, heads_and_mlps(CONFIG), strict=True):
        assert effect.loss == pytest.approx(loss(ablate([place])), abs=1e-5)
        assert effect.difference == pytest.approx(effect.loss - whole)


def test_the_mean_of_a_text_leaves_padding_out():
    model = family.make_model(CONFIG)
    means = text_means(model, BATCHES)
    kept = [trace(model, torch.from_numpy(inputs))["layers.1.mlp_out"][torch.from_numpy(targets != IGNORE)]
            for inputs, targets in BATCHES]
    expected = torch.cat(kept).mean(0)
    assert len(torch.cat(kept)) == 8
    torch.testing.assert_close(means["layers.1.mlp_out"][0, 0], expected)
    _, effects = part_effects(model, BATCHES, mean=True)
    place = Place("layers.1.mlp_out")
    assert effects[-1].loss == pytest.approx(loss_of(model, BATCHES, [ablate([place], means)]))
    assert effects[-1].loss != pytest.approx(loss_of(model, BATCHES, [ablate([place])]), abs=1e-6)


# ---- embeddings


def test_neighbours_are_those_of_the_largest_cosine():
    tokenizer = Tokenizer.train("char", ["abcdefgh"])
    rows = np.random.default_rng(3).normal(size=(tokenizer.vocab_size, 5)).astype(np.float32)
    rows[7] = 0
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-30)
    for id in (0, 4, 7):
        cosines = unit @ unit[id]
        found = neighbours(rows, id, 4, tokenizer)
        best = [other for other in np.argsort(-cosines, kind="stable") if other != id][:4]
        assert [near.id for near in found] == best
        assert [near.similarity for near in found] == pytest.approx(cosines[best], abs=1e-6)
    assert len(neighbours(rows, 0, 1000, tokenizer)) == tokenizer.vocab_size - 1


def test_the_map_is_the_first_two_principal_components():
    tokenizer = Tokenizer.train("char", ["abcdefgh"])
    rows = (np.random.default_rng(4).normal(size=(tokenizer.vocab_size, 6)) * [5, 3, 1, 1, 1, 1] + 2).astype(np.float32)
    centred = rows - rows.mean(0)
    _, lengths, directions = np.linalg.svd(centred, full_matrices=False)
    places = centred @ directions[:2].T
    drawn = embedding_map(rows, list(range(len(rows))), tokenizer)
    found = np.array([(point.x, point.y) for point in drawn.points])
    np.testing.assert_allclose(abs(found), abs(places), atol=1e-4)
    assert drawn.explained == pytest.approx((lengths**2 / (lengths**2).sum())[:2], abs=1e-5)
    some = embedding_map(rows, [6, 2], tokenizer)
    assert [(point.id, point.token) for point in some.points] == [(6, "d"), (2, "<eos>")]
    np.testing.assert_allclose([(point.x, point.y) for point in some.points], found[[6, 2]])


@pytest.mark.parametrize("width", [1, 2])
def test_a_map_of_a_narrow_embedding(width):
    tokenizer = Tokenizer.train("char", ["a"])
    drawn = embedding_map(np.float32([[1, 0], [2, 0], [4, 0], [1, 0]])[:, :width], [0, 1, 2], tokenizer)
    assert [point.x for point in drawn.points] == pytest.approx([-1, 0, 2])
    assert [point.y for point in drawn.points] == pytest.approx([0, 0, 0])
    assert drawn.explained == pytest.approx((1, 0))
    same = embedding_map(np.ones((4, width), np.float32), [0], tokenizer)
    assert same.explained == (0, 0)


# ---- one step


IDS = [1, 5, 6, 7, 8]


def loss_of_text(model) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(model(torch.tensor([IDS[:-1]]))[0], torch.tensor(IDS[1:]))


@pytest.mark.parametrize("preset", ["notebook", "gpt2", "qwen3"])
def test_the_gradient_is_the_slope_of_the_loss(preset):
    """Held against a difference of two losses, in 64 bits: nothing of backpropagation is in it."""
    model = family.make_model(ModelConfig.preset(preset, vocab_size=11, d_model=32, n_heads=4, n_layers=2, dropout=0.5))
    step = training_step(model, IDS, TrainConfig(steps=1))
    name, index = step.weight.rstrip("]").split("[")
    place = tuple(map(int, index.split(",")))
    wide = copy.deepcopy(model).double()
    losses = []
    for move in (1e-5, -1e-5):
        with torch.no_grad():
            wide.get_parameter(name)[place] = step.value_before + move
            losses.append(loss_of_text(wide).item())
    assert step.gradient == pytest.approx((losses[0] - losses[1]) / 2e-5, rel=1e-3)
    loss_of_text(model).backward()
    assert abs(step.gradient) == pytest.approx(max(each.grad.abs().max().item() for each in model.parameters()))
    assert step.gradient_norm == pytest.approx(
        math.sqrt(sum(each.grad.square().sum().item() for each in model.parameters())), rel=1e-5)


@pytest.mark.parametrize(("weight", "settings", "optimizer"), [
    ("out_head.weight[7, 3]", {"optimizer": "adam", "weight_decay": 0.0, "grad_clip": 0.0}, "adam"),
    ("embed.weight[5, 0]", {"optimizer": "adamw", "weight_decay": 0.1, "grad_clip": 0.0}, "adamw"),
    ("layers.0.norm1.weight[2]", {"optimizer": "muon", "weight_decay": 0.1, "grad_clip": 0.5}, "adamw")])
def test_the_first_step_of_adam_is_one_learning_rate_long(weight, settings, optimizer):
    """Kingma & Ba's update with no memory: the gradient over its own size; AdamW shrinks the weight besides."""
    model = family.make_model(ModelConfig.preset("llama", vocab_size=11, d_model=32, n_heads=4, n_layers=2))
    config = TrainConfig(steps=1, learning_rate=0.01, **settings)
    before = copy.deepcopy(model.state_dict())
    step = training_step(model, IDS, config, weight)
    decay = 0.01 * config.weight_decay if weight.startswith("embed") else 0.0
    expected = step.value_before * (1 - decay) - 0.01 * math.copysign(1, step.gradient)
    assert step.value_after == pytest.approx(expected, rel=1e-4)
    assert (step.optimizer, step.learning_rate) == (optimizer, 0.01)
    assert step.clipped_to == (0.5 if config.grad_clip else None)
    assert step.loss_before == pytest.approx(loss_of_text(model).item(), abs=1e-5)
    assert step.loss_after < step.loss_before
    assert step.tokens == 4
    assert all(torch.equal(before[name], now) for name, now in model.state_dict().items()), "a copy took the step"
    assert all(parameter.grad is None for parameter in model.parameters())


def test_muon_moves_a_matrix_as_torchs_muon_does():
    """torch makes the update orthogonal in bfloat16, whose rounding grows where a gradient has few directions: the two
    updates point the same way, and are as long."""
    model = family.make_model(ModelConfig.preset("llama", vocab_size=11, d_model=32, n_heads=4, n_layers=2))
    config = TrainConfig(steps=1, muon_learning_rate=0.02, weight_decay=0.0, grad_clip=0.0)
    name = "layers.1.attn.q_proj"
    steps = [training_step(model, IDS, config, f"{name}.weight[{i}, 3]") for i in range(32)]
    assert {(step.optimizer, step.learning_rate) for step in steps} == {("muon", 0.02)}
    matrix = copy.deepcopy(model)
    loss_of_text(matrix).backward()
    theirs = matrix.get_parameter(f"{name}.weight")
    torch.optim.Muon([theirs], lr=0.02, weight_decay=0.0).step()
    expected = (theirs - model.get_parameter(f"{name}.weight"))[:, 3].detach().numpy()
    moves = np.array([step.value_after - step.value_before for step in steps])
    lengths = np.linalg.norm(moves), np.linalg.norm(expected)
    assert moves @ expected / math.prod(lengths) > 0.9
    assert lengths[0] == pytest.approx(lengths[1], rel=0.2)


@pytest.mark.parametrize(("weight", "told"), [
    ("embed.weight", "is no number in it"), ("embed.weight[11, 0]", "from embed.weight[0, 0] to embed.weight[10, 31]"),
    ("embed.wieght[0, 0]", "Did you mean 'embed.weight'?"), ("ln_f.weight[0, 0]", "to ln_f.weight[31]"),
    ("embed.weight[-1, 0]", "is no number in it"), ("__class__[0]", "there is no parameter")])
def test_a_weight_that_is_not_there(weight, told):
    model = family.make_model(ModelConfig.preset("llama", vocab_size=11, d_model=32, n_heads=4, n_layers=1))
    with pytest.raises(TinyLMError) as error:
        training_step(model, IDS, TrainConfig(steps=1), weight)
    assert told in str(error.value)
