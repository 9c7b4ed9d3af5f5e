"""Several models with additions to one base (LoRA) are served by name, and each writes its own text."""

from __future__ import annotations

from pathlib import Path

import tinylm

from .server import Server

ASKED = {"prompt": "the ", "max_tokens": 12, "temperature": 0}
QUICK = {"train": {"evaluate_every": 10, "batch_size": 8, "learning_rate": 0.05}}


def test_models_on_one_base_are_served_by_name(book_run: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for name in ("zebra", "yak"):
        tinylm.train(texts=f"the {name} and the {name} and the {name}. " * 60, base=book_run, lora=4, steps=40,
                     out=runs / name, config=QUICK, quiet=True)
    tinylm.merge(runs / "yak" / "adapter", runs / "merged", base=book_run)
    expected = {name: tinylm.load(runs / name).generate("the ", greedy=True, max_tokens=12)
                for name in ("merged", "yak", "zebra")}
    assert expected["merged"] == expected["yak"] != expected["zebra"]
    with Server(runs) as server:
        assert [model["id"] for model in server.ask("/v1/models").json["data"]] == ["merged", "yak", "zebra"]
        for name, text in expected.items():
            assert server.complete(**ASKED, model=name)["choices"][0]["text"] == text
