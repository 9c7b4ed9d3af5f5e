"""`LanguageModel.export` and `tinylm.import_model`: the commands, in Python."""

from __future__ import annotations

import pytest

import tinylm
from tests.interchange.shapes import make_model
from tinylm.errors import TinyLMError


@pytest.fixture
def lm():
    model = make_model("llama", "bpe")
    return tinylm.LanguageModel(model.config, model.tokenizer, weights=model.weights)


@pytest.mark.parametrize("to", ["hf", "gguf"])
def test_a_model_goes_out_and_comes_in(lm, to, tmp_path):
    found = lm.export(tmp_path / "out", to=to, dtype="f32")
    assert all(check.is_right for check in found.checks)
    again = tinylm.import_model(tmp_path / "out" / ("model.gguf" if to == "gguf" else ""), tmp_path / "run")
    assert again.folder == tmp_path / "run"
    theirs, ours = again.predict("the cat", top=3), lm.predict("the cat", top=3)
    assert [each.token for each in theirs] == [each.token for each in ours]
    assert [each.probability for each in theirs] == pytest.approx([each.probability for each in ours], rel=1e-4)
    with pytest.raises(TinyLMError, match="--force"):
        tinylm.import_model(tmp_path / "out" / ("model.gguf" if to == "gguf" else ""), tmp_path / "run")


def test_an_export_is_of_the_weights_as_they_are_now(lm, tmp_path):
    lm.model.ln_f.weight.data *= 2
    lm.export(tmp_path / "out", dtype="f32")
    again = tinylm.import_model(tmp_path / "out" / "model.gguf", tmp_path / "run")
    assert (again.model.ln_f.weight == lm.model.ln_f.weight).all()


def test_an_export_that_is_there_is_replaced_by_force_alone(lm, tmp_path):
    lm.export(tmp_path / "out", "hf")
    with pytest.raises(TinyLMError, match="there is an export already"):
        lm.export(tmp_path / "out", "hf")
    assert lm.export(tmp_path / "out", "hf", force=True).dtype == "f32"
    with pytest.raises(TinyLMError, match="there is no format 'ggml'"):
        lm.export(tmp_path / "other", "ggml")
