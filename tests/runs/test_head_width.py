"""A model whose heads are wider than their share of the residual stream: planned, trained, loaded, written."""

from __future__ import annotations

import pytest

import tinylm
from tinylm.cli import main
from tinylm.model.taps import hooked


@pytest.mark.parametrize("d_head", [8, 48])
def test_it_is_trained_on_the_cpus_path_and_written_by_the_engine_as_by_torch(tmp_path, d_head, capsys):
    folder = tmp_path / "run"
    settings = ["hello", "--size", "0.1M", "--steps", "3", "--seed", "1", "--set", f"model.d_head={d_head}"]
    assert main(["plan", *settings]) == 0
    assert main(["train", *settings, "--out", str(folder)]) == 0
    capsys.readouterr()
    lm = tinylm.load(folder)
    assert lm.config.model.d_head == d_head != lm.config.model.d_model // lm.config.model.n_heads
    assert lm.served_by == "engine"
    by_engine, predicted = lm.generate("how are", max_tokens=20, greedy=True), lm.predict("how are")
    with hooked(lm.model, lambda _, activation: activation):
        assert lm.served_by == "torch"
        assert lm.generate("how are", max_tokens=20, greedy=True) == by_engine
        by_torch = lm.predict("how are")
    assert [each.token for each in by_torch] == [each.token for each in predicted]
    assert [each.probability for each in by_torch] == pytest.approx([each.probability for each in predicted], abs=1e-5)
