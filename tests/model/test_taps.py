"""Every activation has its name, can be heard and changed under it, and costs nothing while nobody listens."""

from __future__ import annotations

import pytest
import torch

from tinylm.config.schema import PRESETS, ModelConfig
from tinylm.model.taps import Tap, capture, hooked

B, T, D, H, G, K, F, V = 2, 5, 32, 4, 2, 8, 48, 11
SIZES = {"vocab_size": V, "d_model": D, "n_layers": 2, "n_heads": H, "n_kv_heads": G, "d_mlp": F, "context_length": T}

LEGEND = {
    "embed": (B, T, D), "resid_pre": (B, T, D), "attn.q": (B, H, T, K), "attn.k": (B, G, T, K),
    "attn.v": (B, G, T, K), "attn.scores": (B, H, T, T), "attn.pattern": (B, H, T, T), "attn.z": (B, H, T, K),
    "attn_out": (B, T, D), "resid_mid": (B, T, D), "mlp_pre": (B, T, F), "mlp_post": (B, T, F),
    "mlp_out": (B, T, D), "resid_post": (B, T, D), "ln_f": (B, T, D), "logits": (B, T, V),
}
IN_A_LAYER = [name for name in LEGEND if name not in ("embed", "ln_f", "logits")]
NAMES = ["embed", *(f"layers.{i}.{name}" for i in (0, 1) for name in IN_A_LAYER), "ln_f", "logits"]


@pytest.fixture(params=PRESETS)
def model(request, make_model):
    return make_model(ModelConfig.preset(request.param, **SIZES))


@pytest.fixture
def ids(model, make_ids):
    return make_ids(model.config, B, T)


def hear(model, ids):
    with torch.no_grad(), capture(model) as heard:
        model(ids)
    return heard


def test_the_names_in_the_order_they_arise(model, ids):
    assert list(hear(model, ids)) == NAMES


def test_the_shapes_of_the_legend(model, ids):
    for name, activation in hear(model, ids).items():
        assert activation.shape == LEGEND[name.removeprefix("layers.0.").removeprefix("layers.1.")], name


def test_listening_changes_nothing(model, ids):
    """In double precision, where the rounding of the two attention paths is far below any real difference."""
    model.double()
    with torch.no_grad():
        assert (hear(model, ids)["logits"] - model(ids)).abs().max() <= 1e-12


def test_a_row_of_the_pattern_sums_to_one_and_looks_only_back(model, ids):
    heard = hear(model, ids)
    future = torch.ones(T, T, dtype=torch.bool).triu(1)
    for i in (0, 1):
        pattern, scores = heard[f"layers.{i}.attn.pattern"], heard[f"layers.{i}.attn.scores"]
        torch.testing.assert_close(pattern.sum(-1), torch.ones(B, H, T))
        assert (pattern[..., future] == 0).all()
        assert (pattern[..., ~future] > 0).all()
        assert (scores[..., future] == -torch.inf).all()


def test_the_activations_belong_together(model, ids):
    """Where one flows into the next without a weight between them, the numbers say so."""
    heard = hear(model, ids)
    assert torch.equal(heard["layers.0.resid_post"], heard["layers.1.resid_pre"])
    for i in (0, 1):
        at = f"layers.{i}"
        shared = heard[f"{at}.attn.v"].repeat_interleave(H // G, dim=1)
        torch.testing.assert_close(heard[f"{at}.attn.pattern"] @ shared, heard[f"{at}.attn.z"])
        if model.config.norm_position == "pre":
            mid = heard[f"{at}.resid_pre"] + heard[f"{at}.attn_out"]
            torch.testing.assert_close(mid, heard[f"{at}.resid_mid"])
            torch.testing.assert_close(mid + heard[f"{at}.mlp_out"], heard[f"{at}.resid_post"])


@pytest.mark.parametrize("name", NAMES)
def test_what_a_listener_returns_flows_on(make_model, make_ids, name):
    model = make_model(ModelConfig.preset("tinylm", **SIZES))
    ids = make_ids(model.config, B, T)

    def swap_the_two_texts(heard, activation):
        return activation.flip(0) if heard == name else activation

    with torch.no_grad():
        plain = model(ids)
        with hooked(model, swap_the_two_texts):
            changed = model(ids)
    assert (plain - changed).abs().max() > 1e-3


def test_only_the_names_asked_for(model, ids):
    with capture(model, names=["logits", "layers.1.attn.pattern"]) as heard:
        model(ids)
    assert list(heard) == ["layers.1.attn.pattern", "logits"]


def test_nobody_listens_afterwards(model, ids):
    with hooked(model, lambda _, activation: activation):
        assert model.taps.hook is not None
    assert model.taps.hook is None
    with pytest.raises(RuntimeError, match="enough"), hooked(model, _had_enough):
        model(ids)
    assert model.taps.hook is None
    assert model(ids).shape == (B, T, V)


def _had_enough(_name, _activation):
    raise RuntimeError("enough")


def test_a_listener_within_another_gives_way_again(model, ids):
    outer, inner = [], []

    def into(notes):
        def note(name, activation):
            notes.append(name)
            return activation

        return note

    with hooked(model, into(outer)):
        with hooked(model, into(inner)):
            model(ids)
        assert (outer, inner) == ([], NAMES)
        model(ids)
    assert outer == NAMES


def test_without_a_listener_nothing_is_computed_for_it(model, ids, monkeypatch):
    """A tap is passed by, hands on the very same tensor, and no scores are written out."""
    passed, written_out = [], []
    original = Tap.__call__

    def watched(tap, name, activation):
        result = original(tap, name, activation)
        passed.append(result is activation)
        written_out.append(name in ("scores", "pattern"))
        return result

    monkeypatch.setattr(Tap, "__call__", watched)
    model(ids)
    assert len(passed) == len(NAMES) - 2 * model.config.n_layers
    assert all(passed)
    assert not any(written_out)


def test_each_tap_calls_its_listener_once(model, ids):
    calls = []

    def count(name, activation):
        calls.append(name)
        return activation

    model(ids)
    assert calls == []
    with hooked(model, count):
        model(ids)
    assert sorted(calls) == sorted(NAMES)
    model(ids)
    assert len(calls) == len(NAMES)
