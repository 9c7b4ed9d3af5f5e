"""The benchmarks can be found and told how to run, and the peers are what they say they are. Nothing is timed here."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import tinylm
from benchmarks import base, first_token, storage
from benchmarks.__main__ import BENCHMARKS, main
from benchmarks.bandwidth import matrix_weights
from benchmarks.harness import ROOT, Pair, in_pairs, outcome, process, tell
from benchmarks.peers import gpt, notebook
from benchmarks.peers.llama import make_llama
from benchmarks.shapes import SHAPES, make_config, make_weights
from benchmarks.time_to_loss import with_passed_on
from tinylm.config.schema import ModelConfig
from tinylm.engine.weights import PackedWeights
from tinylm.inspection.structure import total_parameters

SHAPE = gpt.Shape(vocab_size=11, context=8, n_layers=2, n_heads=2, width=16)
TEXT = "the cat sat on the mat, and the cat sat on the hat. " * 20


def test_the_list_names_each_with_a_sentence_and_imports_nothing_large() -> None:
    listing = ("import sys, benchmarks.__main__ as b; b.main([]); "
               "assert not {'torch', 'numpy', 'tinylm'} & set(sys.modules)")
    done = subprocess.run([sys.executable, "-c", listing], cwd=ROOT, capture_output=True, text=True, check=True)
    for name, sentence in BENCHMARKS.items():
        assert f"  {name:<16} {sentence}\n" in done.stdout
        assert sentence.endswith(".")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_each_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([name, "--help"])
    assert end.value.code == 0
    assert f"usage: python -m benchmarks {name}" in capsys.readouterr().out


def test_an_unknown_name_and_options_for_nobody_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["speed"]) == 2
    assert "throughput" in capsys.readouterr().err
    with pytest.raises(SystemExit) as end:
        main(["notebook", "--", "--size", "5M"])
    assert end.value.code == 2


def test_options_that_are_passed_on_come_last_and_replace_the_horizon() -> None:
    assert with_passed_on(["--size", "2M"], ["--minutes", "1"], []) == ["--size", "2M", "--minutes", "1"]
    assert with_passed_on(["--size", "2M"], ["--minutes", "1"], ["--steps=9"]) == ["--size", "2M", "--steps=9"]


def test_whole_words_of_samples_are_counted_in_a_list() -> None:
    words = base.known_words("It's\na\nword\nand\n")
    assert base.known_share(["ed. It’s a word and xyzzy, hal"], words) == 0.8
    assert base.known_share([], words) == 0
    rows = [{"text": "a", "change": -0.25, "from_nothing": {"bits_per_byte": 2.0, "seconds": 9.0},
             "default": {"bits_per_byte": 1.5, "seconds": 8.0}}, {"text": "b"}]
    assert base.table(rows).splitlines()[1].split() == ["a", "2.000", "1.500", "-25.0%", "9", "8"]
    assert "begins from nothing" in base.table(rows).splitlines()[2]


def test_pairs_take_turns_at_beginning() -> None:
    order: list[str] = []

    def side(name: str, number: int) -> dict[str, object]:
        order.append(f"{name}{number}")
        return {"value": 1.0}

    in_pairs(3, lambda n: side("peer", n), lambda n: side("ours", n))
    assert order == ["peer0", "ours0", "ours1", "peer1", "peer2", "ours2"]


def test_the_last_line_is_one_object_with_medians(capsys: pytest.CaptureFixture[str]) -> None:
    pairs = [Pair({"value": peer}, {"value": ours}) for peer, ours in ((10.0, 5.0), (12.0, 3.0), (90.0, 30.0))]
    assert tell(outcome("book", pairs, unit="s", peer="it")) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [told[name] for name in ("benchmark", "value", "peer", "ratio", "unit")] == ["book", 5.0, 12.0, 3.0, "s"]
    assert [run["tinylm"]["value"] for run in told["runs"]] == [5.0, 3.0, 30.0]
    other_way = outcome("throughput", pairs, unit="tokens/s", more_is_better=True, peer="it")
    assert other_way["ratio"] == pytest.approx(1 / 3, 1e-3)


def test_a_missed_target_has_no_value_and_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    missed = [Pair({"value": 10.0}, {"value": 5.0}), Pair({"value": 10.0}, {"value": None})]
    assert tell(outcome("book", missed, unit="s", peer="it")) == 1
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["value"] is None
    assert told["ratio"] is None


@pytest.mark.parametrize(("side", "precision"), [("peer", "auto"), ("tinylm", "auto"), ("tinylm", "float32")])
def test_both_sides_of_throughput_take_steps(side: str, precision: str) -> None:
    from benchmarks.throughput import SIDES

    rows = torch.randint(68, (4, 64))
    with SIDES[side](precision) as step:
        step(rows, rows)


def test_the_peer_learns_a_small_text() -> None:
    torch.manual_seed(0)
    ids, held_out, vocab_size = gpt.encode(TEXT)
    assert len(held_out) == math.ceil(len(TEXT) / 10)
    model = gpt.GPT(gpt.Shape(vocab_size, context=16, n_layers=1, n_heads=2, width=32))
    before = gpt.evaluate(model, held_out, 16)
    assert before == pytest.approx(math.log(vocab_size), rel=0.05)
    seconds = gpt.train(model, ids, steps=60, horizon=60, batch=8, context=16, learning_rate=1e-2)
    assert len(seconds) == 60
    assert gpt.evaluate(model, held_out, 16) < before / 2


def test_the_peer_is_judged_on_every_token_once() -> None:
    model = gpt.GPT(SHAPE).eval()
    for length in (16, 17, 20, 5):
        ids = torch.randint(11, (length,))
        with torch.no_grad():
            rows = [model(ids[None, i:i + 8][:, :length - 1 - i])[0] for i in range(0, length - 1, 8)]
        nats = -torch.cat(rows).log_softmax(-1)[torch.arange(length - 1), ids[1:]].sum().item()
        assert gpt.evaluate(model, ids, 8) == pytest.approx(nats / (length - 1), rel=1e-5)


def test_so_is_the_gpt2_of_transformers_but_for_a_guess_at_the_first() -> None:
    from transformers import GPT2Config, GPT2LMHeadModel

    from benchmarks.peers.trainer import nats

    model = GPT2LMHeadModel(GPT2Config(vocab_size=11, n_positions=8, n_embd=16, n_layer=1, n_head=2, bos_token_id=0,
                                       eos_token_id=0)).eval()
    for length in (16, 17, 20, 5):
        ids = torch.randint(11, (length,))
        with torch.no_grad():
            rows = [model(ids[None, i:i + 8][:, :length - 1 - i]).logits[0] for i in range(0, length - 1, 8)]
        expected = math.log(11) - torch.cat(rows).log_softmax(-1)[torch.arange(length - 1), ids[1:]].sum().item()
        assert nats(model, ids, 8) == pytest.approx(expected, rel=1e-5)


def test_the_peer_sees_no_future() -> None:
    model, ids = gpt.GPT(SHAPE).eval(), torch.randint(11, (1, 8))
    changed = ids.clone()
    changed[0, 5] = (ids[0, 5] + 1) % 11
    before, after = model(ids), model(changed)
    torch.testing.assert_close(before[:, :5], after[:, :5])
    assert (before[:, 5:] - after[:, 5:]).abs().amax(-1).min() > 0


@pytest.mark.parametrize("shape", [SHAPE, gpt.Shape(65), gpt.Shape(65, 256, 6, 6, 384)])
def test_the_peer_has_the_parameters_that_its_shape_says(shape: gpt.Shape) -> None:
    with torch.device("meta"):
        model = gpt.GPT(shape)
    assert sum(p.numel() for p in model.parameters()) == shape.parameters
    optimized = [p for group in gpt.make_optimizer(model, 1e-3).param_groups for p in group["params"]]
    assert sum(p.numel() for p in optimized) == shape.parameters


def test_the_peers_learning_rate_rises_to_its_peak_and_falls_to_a_tenth() -> None:
    shares = [gpt.learning_rate_share(step, 2000) for step in range(2001)]
    assert max(shares) == shares[100] == 1
    assert shares[:101] == sorted(shares[:101])
    assert shares[100:] == sorted(shares[100:], reverse=True)
    assert shares[-1] == pytest.approx(0.1)


def test_the_peers_program_ends_with_one_object(tmp_path) -> None:
    text = tmp_path / "text.txt"
    text.write_text(TEXT, encoding="utf-8")
    told = process("benchmarks.peers.gpt", text, "--layers", 1, "--heads", 1, "--width", 8, "--context", 8,
                   "--steps", 3).json()
    assert {"seconds", "loss", "steps", "tokens_per_second"} <= set(told)
    assert told["steps"] == 3


def test_a_process_that_fails_ends_the_benchmark_with_its_last_words() -> None:
    with pytest.raises(SystemExit, match=re.escape("benchmarks.peers.gpt")) as end:
        process("benchmarks.peers.gpt", "no-such-text.txt", environment={"OMP_NUM_THREADS": "1"})
    assert "no-such-text.txt" in str(end.value)


def test_the_notebook_peer_is_the_notebooks_network() -> None:
    torch.manual_seed(0)
    inputs, targets, vocab_size = notebook.make_batch()
    assert (inputs.shape, vocab_size) == ((4, 8), 12)
    assert inputs[2].tolist() == [1, 5, 6, 7, 8, 0, 0, 0]
    assert targets[2].tolist() == [5, 6, 7, 8, 2, 0, 0, 0]
    model = notebook.NotebookModel(vocab_size)
    assert sum(p.numel() for p in model.parameters()) == 17_932
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    assert notebook.train(model, optimizer, inputs, targets, epochs=40) < math.log(12) / 2


def test_book_asks_for_a_model_of_tinylms_shape() -> None:
    from benchmarks.book import SHAPE as NAMES

    assert set(NAMES.values()) <= set(ModelConfig.model_fields)


@pytest.mark.parametrize("size", SHAPES)
def test_the_llama_has_the_parameters_of_our_model(size: str) -> None:
    assert make_llama(SHAPES[size]).num_parameters() == total_parameters(make_config(SHAPES[size]))


@pytest.mark.parametrize("benchmark", ["writing", "prefill"])
@pytest.mark.parametrize("side", ["peer", "tinylm"])
def test_both_sides_read_and_write(benchmark: str, side: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = {"writing": ["--streams", "3", "--storage", "int8"], "prefill": ["--size", "0.8M"]}[benchmark]
    assert main([benchmark, "--only", side, "--tokens", "4", *options]) == 0
    assert json.loads(capsys.readouterr().out)["value"] > 0


def test_the_model_of_the_first_token_has_a_prompt_of_four_ids(tmp_path: Path) -> None:
    ids = first_token.make_tinylm(tmp_path / "model")
    assert tinylm.load(tmp_path / "model").tokenizer.decode(ids) == first_token.PROMPT
    assert first_token.first_character("tinylm", "predict", tmp_path / "model", first_token.PROMPT)["value"] > 0
    with pytest.raises(SystemExit, match="no such model folder"):
        first_token.first_character("tinylm", "predict", tmp_path / "none", first_token.PROMPT)


def test_32_bits_are_judged_as_evaluate_judges(book_run: Path) -> None:
    lm = tinylm.load(book_run)
    bits = storage.measure(book_run, Path(lm.config.data.source))
    assert bits["fp32"]["value"] == pytest.approx(lm.evaluate().bits_per_byte, abs=1e-5)
    assert abs(bits["bf16"]["value"] - bits["fp32"]["value"]) < 0.01
    assert abs(bits["int8"]["value"] - bits["fp32"]["value"]) < 0.01
    assert len({found["value"] for found in bits.values()}) == 3


def test_writing_passes_its_options_on_to_the_process_of_each_side(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["writing", "--pairs", "1", "--tokens", "2", "--weight-dtype", "int8"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["weight_dtype"], told["tokens"], len(told["runs"])) == ("int8", 2, 1)


def test_the_share_of_bandwidth_counts_the_weights_that_the_engine_reads() -> None:
    config = make_config(SHAPES["0.8M"])
    assert matrix_weights("0.8M") == PackedWeights(config, make_weights(config)).n_weights
