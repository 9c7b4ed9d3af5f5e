"""Taps: an activation has its name, hooks can watch and change it under it, and without hooks it costs nothing."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest
import torch

from tinylm.config.presets import PRESETS
from tinylm.config.schema import ModelConfig
from tinylm.model.taps import TAPS, Tap, capture, hooked, tap_names

PAGE = Path(__file__).parents[2] / "docs" / "NAMES.md"
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


def record(model, ids):
    with torch.no_grad(), capture(model) as kept:
        model(ids)
    return kept


def test_the_names_in_the_order_they_arise(model, ids):
    assert list(record(model, ids)) == NAMES


def test_the_shapes_of_the_legend(model, ids):
    for name, activation in record(model, ids).items():
        assert activation.shape == LEGEND[name.removeprefix("layers.0.").removeprefix("layers.1.")], name


def test_hooks_change_nothing(model, ids):
    """Double precision keeps the rounding of the two attention paths far below any real difference."""
    model.double()
    with torch.no_grad():
        assert (record(model, ids)["logits"] - model(ids)).abs().max() <= 1e-12


def test_a_row_of_the_pattern_sums_to_one_and_looks_only_back(model, ids):
    kept = record(model, ids)
    future = torch.ones(T, T, dtype=torch.bool).triu(1)
    for i in (0, 1):
        pattern, scores = kept[f"layers.{i}.attn.pattern"], kept[f"layers.{i}.attn.scores"]
        torch.testing.assert_close(pattern.sum(-1), torch.ones(B, H, T))
        assert (pattern[..., future] == 0).all()
        assert (pattern[..., ~future] > 0).all()
        assert (scores[..., future] == -torch.inf).all()


def test_the_activations_belong_together(model, ids):
    """Activations that flow into the next one without a weight between them agree in their numbers."""
    kept = record(model, ids)
    assert torch.equal(kept["layers.0.resid_post"], kept["layers.1.resid_pre"])
    for i in (0, 1):
        at = f"layers.{i}"
        shared = kept[f"{at}.attn.v"].repeat_interleave(H // G, dim=1)
        torch.testing.assert_close(kept[f"{at}.attn.pattern"] @ shared, kept[f"{at}.attn.z"])
        if model.config.norm_position == "pre":
            mid = kept[f"{at}.resid_pre"] + kept[f"{at}.attn_out"]
            torch.testing.assert_close(mid, kept[f"{at}.resid_mid"])
            torch.testing.assert_close(mid + kept[f"{at}.mlp_out"], kept[f"{at}.resid_post"])


@pytest.mark.parametrize("name", NAMES)
def test_what_a_hook_returns_flows_on(make_model, make_ids, name):
    model = make_model(ModelConfig.preset("tinylm", **SIZES))
    ids = make_ids(model.config, B, T)

    def swap_the_two_texts(tapped, activation):
        return activation.flip(0) if tapped == name else activation

    with torch.no_grad():
        plain = model(ids)
        with hooked(model, swap_the_two_texts):
            changed = model(ids)
    assert (plain - changed).abs().max() > 1e-3


def test_only_the_names_asked_for(model, ids):
    with capture(model, names=["logits", "layers.1.attn.pattern"]) as kept:
        model(ids)
    assert list(kept) == ["layers.1.attn.pattern", "logits"]


def test_no_hook_is_left_afterwards(model, ids):
    with hooked(model, lambda _, activation: activation):
        assert model.taps.hooks
    assert not model.taps.hooks
    with pytest.raises(RuntimeError, match="enough"), hooked(model, _had_enough):
        model(ids)
    assert not model.taps.hooks
    assert model(ids).shape == (B, T, V)


def _had_enough(_name, _activation):
    raise RuntimeError("enough")


def test_a_hook_within_another_comes_after_it_and_goes_again(model, ids):
    outer, inner = [], []

    def into(notes):
        def note(name, activation):
            notes.append(name)
            return activation

        return note

    with hooked(model, into(outer)):
        with hooked(model, into(inner)):
            model(ids)
        assert (outer, inner) == (NAMES, NAMES)
        model(ids)
    assert (outer, inner) == (NAMES + NAMES, NAMES)


def test_ablation_and_capture_combine(model, ids):
    """Two hooks at once: the second sees what the first one made of an activation, and so does the model."""
    name = "layers.0.attn_out"

    def ablate(tapped, activation):
        return torch.zeros_like(activation) if tapped == name else activation

    plain = record(model, ids)
    with torch.no_grad(), hooked(model, ablate), capture(model) as after:
        model(ids)
    with torch.no_grad(), capture(model) as before, hooked(model, ablate):
        model(ids)
    assert not after[name].any()
    assert torch.equal(before[name], plain[name])
    assert plain[name].abs().max() > 0.01
    for kept in (after, before):
        assert (kept["logits"] - plain["logits"]).abs().max() > 1e-3
    assert torch.equal(after["logits"], before["logits"])


def test_hooks_of_one_block_are_applied_in_order(model, ids):
    plain = record(model, ids)["embed"]
    with torch.no_grad(), capture(model, ["embed"]) as first, hooked(model, _doubled, _plus_one), \
            capture(model, ["embed"]) as last:
        model(ids)
    assert torch.equal(first["embed"], plain)
    assert torch.equal(last["embed"], 2 * plain + 1)


def _doubled(name, activation):
    return 2 * activation if name == "embed" else activation


def _plus_one(name, activation):
    return activation + 1 if name == "embed" else activation


def test_the_table_of_taps_names_them_with_their_shapes(model, ids):
    """TAPS is what a model has: the same names in the same order, and the shape of each."""
    sizes = {"B": B, "T": T, "S": T, "D": D, "H": H, "G": G, "K": K, "F": F, "V": V}
    kept, table = record(model, ids), {tap.name: tap for tap in TAPS}
    assert tap_names(2) == list(kept)
    for name, activation in kept.items():
        letters = table[re.sub(r"layers\.\d", "layers.i", name)].shape.strip("()").split(", ")
        assert tuple(sizes[letter] for letter in letters) == activation.shape, name


def test_the_page_of_names_has_the_table_of_taps():
    section = PAGE.read_text(encoding="utf-8").split("## Activations\n")[1].split("\n## ")[0]
    rows = [line.split(" | ")[:3] for line in section.splitlines() if line.startswith("| `")]
    assert [(name.strip("| `"), shape, about) for name, shape, about in rows] == [tuple(tap) for tap in TAPS]


def test_a_copy_of_a_model_has_taps_of_its_own(model, ids):
    twin = copy.deepcopy(model)
    with capture(twin) as kept:
        model(ids)
        assert not kept
        twin(ids)
    assert list(kept) == NAMES


def test_without_a_hook_nothing_is_computed_for_it(model, ids, monkeypatch):
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


def test_each_tap_calls_its_hook_once(model, ids):
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
