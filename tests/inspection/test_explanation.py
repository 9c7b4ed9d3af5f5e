"""An explanation against the transformer written out in NumPy, over the whole family of models."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tests.model_strategies as family
from tests.inspection.numpy_model import NumpyModel, softmax
from tinylm.config.presets import PRESETS
from tinylm.config.schema import ModelConfig, TrainConfig
from tinylm.errors import TinyLMError
from tinylm.inspection.change import compare
from tinylm.inspection.explanation import Explanation
from tinylm.inspection.plain import plain
from tinylm.inspection.trace import logit_lens
from tinylm.text.tokenizer import Tokenizer

CLOSE = {"rtol": 1e-4, "atol": 1e-4}
every_shape = settings(derandomize=True, deadline=None, max_examples=40)


class Names:
    """Names ids by their numbers, for models of any vocabulary."""

    def token(self, id: int) -> str:
        return f"t{id}"

    def tokens(self, ids) -> list[str]:
        return [self.token(id) for id in ids]


def explain(config: ModelConfig, length: int = 4, seed: int = 2) -> tuple[Explanation, NumpyModel]:
    model, ids = family.make_model(config), family.make_ids(config, 1, length, seed)[0].tolist()
    explanation = Explanation(model, Names(), ids, TrainConfig(steps=1))
    return explanation, NumpyModel(config, dict(model.named_parameters()))


@every_shape
@given(config=st.from_type(ModelConfig))
def test_every_activation_is_that_of_the_formulas(config):
    explanation, written_out = explain(config)
    expected = written_out(list(explanation.ids))
    assert list(explanation.activations) == list(expected)
    for name, activation in explanation.activations.items():
        np.testing.assert_allclose(activation[0], expected[name], **CLOSE, err_msg=name)


@every_shape
@given(config=st.from_type(ModelConfig), position=st.integers(-4, 3))
def test_contributions_add_up_and_are_those_of_the_formulas(config, position):
    """Each part is followed to the logits alone: the formulas with divisors of norms held at what they were."""
    explanation, written_out = explain(config)
    token, against = 0, config.vocab_size - 1
    found = explanation.contributions(token, against, position)
    kept = written_out(list(explanation.ids))
    logits = kept["logits"][position]
    assert found.logit_difference == pytest.approx(logits[token] - logits[against], abs=1e-4)
    assert sum(part.value for part in found.parts) == pytest.approx(found.logit_difference, abs=1e-4)
    assert found.position == position % 4
    values = {part.part: part.value for part in found.parts}
    assert len(values) == len(found.parts)
    expected = written_out_contributions(written_out, kept, position)
    for name, vector in expected.items():
        assert values[name] == pytest.approx(vector[token] - vector[against], abs=1e-4), name
    biases = {name for name in values if name.endswith("bias")}
    assert set(values) - biases == set(expected)


def written_out_contributions(model: NumpyModel, kept, position) -> dict[str, np.ndarray]:
    """The logits (V,) of each part alone, by name, without biases."""
    config, w = model.config, model.weights
    found = {}

    def through(vector, stream, name):
        if config.norm == "layernorm":
            vector, stream = vector - vector.mean(), stream - stream.mean()
        return vector / np.sqrt((stream**2).mean() + config.norm_eps) * w[name + ".weight"]

    def to_logits(vector, layer, after_attention):
        """Through every norm behind the part: in a post-norm model those of its layer and the later ones."""
        if config.norm_position == "post":
            for i in range(layer, config.n_layers):
                at = {name: kept[f"layers.{i}.{name}"][position] for name in ("resid_pre", "resid_mid", "attn_out",
                                                                              "mlp_out")}
                if i > layer or after_attention:
                    vector = through(vector, at["resid_pre"] + at["attn_out"], f"layers.{i}.norm1")
                vector = through(vector, at["resid_mid"] + at["mlp_out"], f"layers.{i}.norm2")
        last = kept[f"layers.{config.n_layers - 1}.resid_post"] if config.n_layers else before_ln_f
        return through(vector, last[position], "ln_f") @ w["embed.weight" if config.tied_embeddings else
                                                          "out_head.weight"].T

    learned = w["positions.weight"][:len(kept["embed"])] if config.positions == "learned" else 0 * kept["embed"]
    before_ln_f = kept["embed"] + learned
    found["embed"] = to_logits(kept["embed"][position], 0, True)
    if config.positions == "learned":
        found["positions"] = to_logits(learned[position], 0, True)
    for i in range(config.n_layers):
        o_proj = w[f"layers.{i}.attn.o_proj.weight"]
        for h, z in enumerate(kept[f"layers.{i}.attn.z"][:, position]):
            columns = slice(h * config.d_head, (h + 1) * config.d_head)
            found[f"{i}.{h}"] = to_logits(o_proj[:, columns] @ z, i, True)
        found[f"{i}.mlp"] = to_logits(kept[f"layers.{i}.mlp_out"][position], i, False)
    return found


@pytest.mark.parametrize("preset", PRESETS)
def test_tokens_lens_attention_and_loss(preset):
    explanation, written_out = explain(ModelConfig.preset(preset, vocab_size=11, d_model=32, n_heads=4, n_layers=2), 6)
    ids = list(explanation.ids)
    kept = written_out(ids)
    probs = softmax(kept["logits"])
    tokens = explanation.tokens()
    assert [(each.position, each.id, each.token) for each in tokens] == [(n, id, f"t{id}") for n, id in enumerate(ids)]
    assert (tokens[0].probability, tokens[0].rank) == (None, None)
    for before, each in enumerate(tokens[1:]):
        assert each.probability == pytest.approx(probs[before, each.id], abs=1e-5)
        assert each.rank == 1 + sorted(probs[before], reverse=True).index(probs[before, each.id])
    assert explanation.loss == pytest.approx(-np.log([probs[n, id] for n, id in enumerate(ids[1:])]).mean(), abs=1e-5)
    best = np.argsort(-probs[2])[:3]
    assert [each.id for each in explanation.next(3, 2)] == best.tolist()
    assert [each.probability for each in explanation.next(3, 2)] == pytest.approx(probs[2][best], abs=1e-5)

    attention = explanation.attention(1, 3)
    np.testing.assert_allclose(attention.pattern, kept["layers.1.attn.pattern"][3], **CLOSE)
    scores = np.array([[-np.inf if each is None else each for each in row] for row in attention.scores])
    np.testing.assert_allclose(scores, kept["layers.1.attn.scores"][3], **CLOSE)
    assert attention.tokens == tuple(each.token for each in tokens)

    lens = explanation.lens(top=2, token=4)
    assert [each.stream for each in lens.readings] == ["layers.0.resid_pre", "layers.0.resid_post",
                                                       "layers.1.resid_post"]
    head = written_out.weights["embed.weight" if written_out.config.tied_embeddings else "out_head.weight"]
    for reading in lens.readings:
        read = softmax(written_out.norm(kept[reading.stream], "ln_f") @ head.T
                       + written_out.weights.get("out_head.bias", 0.0))
        assert reading.probabilities == pytest.approx(read[:, 4], abs=1e-5)
        assert [each.id for each in reading.next[-1]] == np.argsort(-read[-1])[:2].tolist()
        assert reading.ranks == (1 + (read > read[:, 4:5]).sum(1)).tolist()
    assert [each.id for each in lens.readings[-1].next[-1]] == [each.id for each in explanation.next(2)]


# ---- changes


def zeroed(places):
    """A change that sets activations to zero: {name: (head, position)}, None for all."""
    def change(name, x):
        if name in places:
            x, (head, position) = x.copy(), places[name]
            if head is None:
                x[... if position is None else position] = 0
            else:
                x[head, ... if position is None else position] = 0
        return x

    return change


@pytest.mark.parametrize("preset", ["notebook", "gpt2", "qwen3"])
@pytest.mark.parametrize(("off", "places"), [
    ("1.2", {"layers.1.attn.z": (2, None)}),
    ("0.mlp", {"layers.0.mlp_out": (None, None)}),
    ("0.attn", {"layers.0.attn_out": (None, None)}),
    ("1", {"layers.1.attn_out": (None, None), "layers.1.mlp_out": (None, None)}),
    ("mlp, 0.1", {"layers.0.mlp_out": (None, None), "layers.1.mlp_out": (None, None), "layers.0.attn.z": (1, None)}),
    ("1.0:2", {"layers.1.attn.z": (0, 2)}),
    ("layers.1.resid_pre:-1", {"layers.1.resid_pre": (None, -1)}),
    ("layers.0.attn.q.3", {"layers.0.attn.q": (3, None)})])
def test_what_is_off_is_zero_in_the_formulas(preset, off, places):
    explanation, written_out = explain(ModelConfig.preset(preset, vocab_size=11, d_model=32, n_heads=4, n_layers=2))
    changed = explanation.without(off)
    expected = written_out(list(explanation.ids), zeroed(places))
    np.testing.assert_allclose(changed.activations["logits"][0], expected["logits"], **CLOSE)
    assert changed.changes == (f"{off} off",)
    parts = changed.contributions().parts
    assert sum(part.value for part in parts) == pytest.approx(changed.contributions().logit_difference, abs=1e-4)


def test_a_part_at_its_mean_gives_the_mean_of_the_text():
    explanation, written_out = explain(ModelConfig.preset("llama", vocab_size=11, d_model=32, n_heads=4, n_layers=2,
                                                          n_kv_heads=2))
    mean = explanation.without("1.2, 0.mlp", mean=True)
    kept = written_out(list(explanation.ids))

    def change(name, x):
        if name == "layers.0.mlp_out":
            return x * 0 + kept[name].mean(0)
        if name == "layers.1.attn.z":
            x = x.copy()
            x[2] = kept[name][2].mean(0)
        return x

    np.testing.assert_allclose(mean.activations["logits"][0], written_out(list(explanation.ids), change)["logits"],
                               **CLOSE)
    with pytest.raises(TinyLMError, match=r"layers\.1\.attn\.pattern: .*pair of positions"):
        explanation.without("layers.1.attn.pattern", mean=True)


@pytest.mark.parametrize(("at", "names"), [
    ("layers.1.resid_pre:2", {"layers.1.resid_pre": (None, 2)}), ("1.3", {"layers.1.attn.z": (3, None)}),
    ("0.mlp:-1", {"layers.0.mlp_out": (None, -1)}), ("layers.0.attn.pattern", {"layers.0.attn.pattern": (None, None)}),
    ("layers.1.attn.k.1:0", {"layers.1.attn.k": (1, 0)})])
def test_what_is_patched_is_that_of_the_other_text(at, names):
    config = ModelConfig.preset("llama", vocab_size=11, d_model=32, n_heads=4, n_layers=2, n_kv_heads=2)
    explanation, written_out = explain(config)
    other = Explanation(explanation._model, Names(), [7, 1, 2, 9], TrainConfig(steps=1))
    kept = written_out(list(other.ids))

    def change(name, x):
        if name in names:
            x, (head, position) = x.copy(), names[name]
            chosen = (slice(None) if head is None else head,) if head is not None else ()
            piece = (*chosen, slice(None) if position is None else position)
            x[piece] = kept[name][piece]
        return x

    patched = explanation.patched(other, at)
    expected = written_out(list(explanation.ids), change)["logits"]
    np.testing.assert_allclose(patched.activations["logits"][0], expected, **CLOSE)
    assert np.abs(expected - written_out(list(explanation.ids))["logits"]).max() > 1e-3


def test_patches_and_ablations_combine_in_their_order():
    explanation, written_out = explain(ModelConfig.preset("gpt2", vocab_size=11, d_model=32, n_heads=4, n_layers=2))
    other = Explanation(explanation._model, Names(), [7, 1, 2, 9, 3], TrainConfig(steps=1))
    kept = written_out(list(other.ids))
    changed = explanation.without("0.mlp").patched(other, "1.0:-1").without("1.1")

    def change(name, x):
        if name == "layers.0.mlp_out":
            return 0 * x
        if name == "layers.1.attn.z":
            x = x.copy()
            x[0, -1], x[1] = kept[name][0, -1], 0
        return x

    np.testing.assert_allclose(changed.activations["logits"][0], written_out(list(explanation.ids), change)["logits"],
                               **CLOSE)
    assert changed.changes == ("0.mlp off", "1.0:-1 from the other text", "1.1 off")
    assert not explanation._model.taps.hooks


def test_the_map_of_patches_is_each_patch_alone():
    config = ModelConfig.preset("qwen3", vocab_size=11, d_model=32, n_heads=4, n_layers=2, n_kv_heads=2)
    explanation, _ = explain(config)
    other = Explanation(explanation._model, Names(), [explanation.ids[0], 1, 2, 9], TrainConfig(steps=1))
    found = explanation.patch_map(other, 3, 5)

    def difference(text):
        logits = text.activations["logits"][0, -1]
        return pytest.approx(float(logits[3] - logits[5]), abs=1e-4)

    assert found.unpatched == difference(explanation)
    assert found.source == difference(other)
    for layer in range(2):
        for position in range(4):
            alone = explanation.patched(other, f"layers.{layer}.resid_pre:{position}")
            assert found.stream[layer][position] == difference(alone)
        for head in range(4):
            assert found.heads[layer][head] == difference(explanation.patched(other, f"{layer}.{head}"))
        assert found.mlps[layer] == difference(explanation.patched(other, f"{layer}.mlp"))
    assert found.stream[0][0] == found.unpatched, "the first token is the same in both"


def test_without_layers_there_is_still_an_explanation():
    explanation, _ = explain(ModelConfig(vocab_size=9, n_layers=0, d_model=8, n_heads=2, positions="learned"))
    assert [part.part for part in explanation.contributions().parts] == ["embed", "positions"]
    assert [reading.stream for reading in explanation.lens().readings] == ["logits"]
    assert explanation.strongest_head(explanation.contributions()) is None
    with pytest.raises(TinyLMError, match="no layers"):
        explanation.without("0")


def test_a_text_of_one_token_has_no_loss():
    model = family.make_model(ModelConfig(vocab_size=9, d_model=8, n_heads=2, n_layers=1))
    explanation = Explanation(model, Names(), [1], TrainConfig(steps=1))
    assert explanation.loss is None
    assert len(explanation.tokens()) == 1
    with pytest.raises(TinyLMError, match="nothing to predict"):
        explanation.training_step()


def test_texts_of_two_lengths_are_patched_at_one_position_alone():
    explanation, _ = explain(ModelConfig.preset("llama", vocab_size=11, d_model=32, n_heads=4, n_layers=2))
    other = Explanation(explanation._model, Names(), [1, 2, 3, 4, 5, 6], TrainConfig(steps=1))
    assert explanation.patched(other, "1.mlp:-1").loss is not None
    with pytest.raises(TinyLMError, match=r"different numbers of positions at 1\.mlp"):
        _ = explanation.patched(other, "1.mlp").activations
    with pytest.raises(TinyLMError, match="there is no position 5: they go from 0 to 3"):
        _ = explanation.patched(other, "1.mlp:5").activations
    with pytest.raises(TinyLMError, match="4 and 6 tokens"):
        explanation.patch_map(other)
    assert not explanation._model.taps.hooks


def test_a_model_whose_logits_are_no_numbers_is_refused():
    model = family.make_model(ModelConfig(vocab_size=9, d_model=8, n_heads=2, n_layers=1))
    with torch.no_grad():
        model.ln_f.weight[0] = float("nan")
    with pytest.raises(TinyLMError, match="damaged"):
        Explanation(model, Names(), [1, 2], TrainConfig(steps=1)).tokens()


def test_everything_is_plain_data():
    explanation, _ = explain(ModelConfig.preset("qwen3", vocab_size=11, d_model=32, n_heads=4, n_layers=2))
    results = [explanation.tokens(), explanation.next(), explanation.lens(), explanation.attention(0, 0),
               explanation.contributions(), explanation.training_step(), explanation.patch_map(explanation, 1, 2),
               compare(explanation, explanation.without("0"))]
    for result in results:
        data = plain(result)
        assert json.loads(json.dumps(data, allow_nan=False)) == data


def test_a_real_tokenizer_names_the_tokens():
    tokenizer = Tokenizer.train("char", ["abc"])
    model = family.make_model(ModelConfig(vocab_size=tokenizer.vocab_size, d_model=8, n_heads=2, n_layers=1))
    explanation = Explanation(model, tokenizer, tokenizer.encode_prompt("cab"), TrainConfig(steps=1))
    assert [each.token for each in explanation.tokens()] == ["<bos>", "c", "a", "b"]


def test_the_lens_of_the_last_layer_is_the_prediction_under_a_change_too():
    explanation, _ = explain(ModelConfig.preset("tinylm", vocab_size=11, d_model=32, n_heads=4, n_layers=2))
    changed = explanation.without("0.1")
    read = logit_lens(explanation._model, changed.activations)["layers.1.resid_post"]
    torch.testing.assert_close(read, changed.activations["logits"])
