"""The second reading file computes what the first does: every activation at every tap, for every shape."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.interchange.shapes import SHAPES, make_model
from tests.page.node import make_folder, run
from tinylm.inspection.trace import trace
from tinylm.interchange.html.check import read_page
from tinylm.interchange.html.export import PAGE, write
from tinylm.interchange.source import Dtype
from tinylm.model.taps import tap_names
from tinylm.model_folder import make_model as make_module

FAST = ("default", "GQA", "gpt2", "notebook", "narrow heads")
LIMIT = 1e-3


def compare(tmp: Path, cases: list[tuple[str, Dtype]]) -> None:
    """Holds every activation of pages against torch with the same rounding of the weights."""
    folder, wanted, question = make_folder(tmp / "node"), [], []
    for number, (shape, dtype) in enumerate(cases):
        (tmp / str(number)).mkdir()
        write(make_model(shape), tmp / str(number), dtype)
        config, weights = read_page(tmp / str(number) / PAGE)
        ids = [1, *np.random.default_rng(number).integers(3, config.vocab_size, 19).tolist()]
        wanted.append(trace(make_module(config, weights), ids))
        question += [{"page": str(tmp / str(number) / PAGE), "plain": plain, "ids": ids} for plain in (False, True)]
    found = run(folder, "activations.mjs", question)
    for number, case in enumerate(cases):
        for way, result in zip(("WebAssembly", "JavaScript"), found[2 * number:2 * number + 2], strict=True):
            assert result["way"] == way
            assert list(result["activations"]) == tap_names(2), case
            for name, want in wanted[number].items():
                assert furthest(result["activations"][name], want[0]) < LIMIT, (case, way, name)


def furthest(found: list[list[float]], want: torch.Tensor) -> float:
    """The largest difference of an activation: a list for each position, against (T, D), or (H, T, K or S)."""
    rows = want.transpose(0, 1) if want.dim() == 3 else want
    apart = 0.0
    for position, (ours, theirs) in enumerate(zip(found, rows, strict=True)):
        if want.dim() == 3 and theirs.shape[-1] == len(found):  # scores and pattern: the page has no later keys
            theirs = theirs[:, :position + 1]
        apart = max(apart, float(np.abs(np.array(ours, np.float64) - theirs.numpy().reshape(-1)).max()))
    return apart


def test_every_activation_is_the_same(tmp_path: Path) -> None:
    compare(tmp_path, [(shape, "f16") for shape in FAST])


@pytest.mark.slow
def test_every_activation_is_the_same_for_all_shapes_and_number_formats(tmp_path: Path) -> None:
    compare(tmp_path, [(shape, dtype) for shape in SHAPES for dtype in ("f16", "q8_0", "f32")])  # type: ignore[misc]


def test_a_reading_slides_as_a_context_does_and_may_be_cut_short(tmp_path: Path) -> None:
    """A context of 10, a text of 25: the logits after each id are those of the ids that the window of Python shows."""
    from tinylm.generation.context import ContextWindow

    model = make_model("default", context_length=10)
    (tmp_path / "page").mkdir()
    write(model, tmp_path / "page", "f32")
    module = make_module(model.config.model, model.weights).eval()
    ids = [1, *np.random.default_rng(0).integers(3, module.config.vocab_size, 24).tolist()]
    found: dict[str, Any] = run(make_folder(tmp_path / "node"), "reading.mjs",
                                {"page": str(tmp_path / "page" / PAGE), "ids": ids, "cut": 7})
    window = ContextWindow(ids[:1], 10)
    for position, id in enumerate(ids):
        if position:
            window.extend(id)
        with torch.no_grad():
            want = module(torch.tensor([window.visible]))[0, -1].numpy()
        assert np.abs(np.array(found["logits"][position]) - want).max() < LIMIT, position
        assert found["visible"][position] == window.visible
        assert found["dropped"][position] == window.n_dropped
    assert found["whole"] == ContextWindow(ids, 10).visible
    assert np.abs(np.array(found["cut"]) - np.array(found["logits"][6])).max() < LIMIT
