"""tinylm explain: its sections for people and programs, every option, every mistake."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

import tinylm as package
from tests.interchange.shapes import TEXTS, make_model
from tinylm.config.presets import PRESETS
from tinylm.interchange.hugging_face.export import write
from tinylm.reports.explain_sections import SECTIONS

from .conftest import Command, run_elsewhere

TEXT = "hello , how are"
PICTURES = ["tokens", "lens", "attention", "contributions"]


def test_the_four_pictures(tinylm: Command, hello: Path) -> None:
    said = tinylm("explain", hello, TEXT)
    assert (said.code, said.err) == (0, "")
    titles = [block.split(":")[0].split(" ")[0] for block in said.out.split("\n\n")]
    assert titles == ["Tokens", "Lens", "Attention", "Contributions"]
    told = tinylm("explain", hello, TEXT, "--json").json
    assert list(told) == ["text", "ids", "changes", "loss", *PICTURES]
    assert (told["text"], told["ids"], told["changes"]) == (TEXT, [1, 3, 4, 5, 6], [])
    assert [each["token"] for each in told["tokens"]] == ["<bos>", "hello", ",", "how", "are"]
    assert told["lens"]["token"]["token"] == told["contributions"]["token"]["token"] == "you"
    assert told["lens"]["readings"][-1]["next"][-1][0] == pytest.approx(
        tinylm("predict", hello, TEXT, "--json").json["next"][0], abs=1e-5)
    parts = told["contributions"]["parts"]
    assert sum(part["value"] for part in parts) == pytest.approx(told["contributions"]["logit_difference"], abs=1e-4)
    heads = {part["part"]: abs(part["value"]) for part in parts if part["part"] in ("0.0", "0.1", "1.0", "1.1")}
    shown = f"{told['attention']['layer']}.{told['attention']['head']}"
    assert shown == max(heads, key=lambda head: heads[head]), "the head with the largest contribution"
    assert [sum(row) for row in told["attention"]["pattern"]] == pytest.approx([1] * 5)
    assert told["attention"]["scores"][0][1] is None


def test_tokens_heads_and_positions_can_be_chosen(tinylm: Command, hello: Path) -> None:
    told = tinylm("explain", hello, TEXT, "--head", "1.1", "--token", "your", "--against", "#7", "--position", 3,
                  "--json").json
    assert (told["attention"]["layer"], told["attention"]["head"]) == (1, 1)
    assert (told["contributions"]["token"]["token"], told["contributions"]["against"]["token"]) == ("your", "you")
    assert told["contributions"]["position"] == 3
    assert told["lens"]["token"]["token"] == "your"


def test_what_changes_without_a_part(tinylm: Command, hello: Path) -> None:
    change = tinylm("explain", hello, TEXT, "--off", "attn", "--json").json
    assert change["changes"] == ["attn off"]
    assert list(change) == ["text", "ids", "changes", "loss", "change"]
    change = change["change"]
    assert [each["id"] for each in change["before"]] == [each["id"] for each in change["after"]]
    assert change["before"][0]["token"] == "you"
    assert (change["effect"]["split"], change["effect"]["tokens"]) == ("train", 26)
    assert change["effect"]["parts"][0]["loss"] > change["effect"]["loss"]
    mean = tinylm("explain", hello, TEXT, "--off", "attn", "--mean", "--json").json["change"]
    assert mean["changes"] == ["attn at its mean"]
    assert mean["effect"]["parts"][0]["loss"] != change["effect"]["parts"][0]["loss"]
    pictures = tinylm("explain", hello, TEXT, "--off", "1.0", "--show", "contributions,attention", "--head", "1.0",
                      "--json").json
    assert next(part["value"] for part in pictures["contributions"]["parts"] if part["part"] == "1.0") == 0
    assert list(pictures)[-2:] == ["contributions", "attention"]


def test_no_head_is_needed_where_words_go_in_pairs(tinylm: Command, hello: Path) -> None:
    """Counting pairs of words is all that these sentences need: 0.2133 nats a token is their floor."""
    effect = tinylm("explain", hello, TEXT, "--off", "attn", "--json").json["change"]["effect"]
    assert effect["loss"] > 0.2133
    assert effect["parts"][0]["loss"] < 0.4


def test_activations_of_another_text(tinylm: Command, hello: Path) -> None:
    found = tinylm("explain", hello, TEXT, "--patch", "hello , how is", "--json").json["patching"]
    assert (found["token"]["token"], found["against"]["token"]) == ("your", "you")
    assert found["unpatched"] < 0 < found["source"]
    for row in found["stream"]:
        assert row[:4] == pytest.approx([found["unpatched"]] * 4, abs=1e-4), "the texts differ in their last word alone"
        assert row[4] == pytest.approx(found["source"], abs=1e-4)
    at = tinylm("explain", hello, TEXT, "--patch", "how is", "--at", "layers.0.resid_pre:-1", "--json").json["change"]
    assert at["effect"] is None
    assert max(at["after"], key=lambda each: each["probability"])["token"] == "your"


def test_a_training_step(tinylm: Command, hello: Path) -> None:
    step = tinylm("explain", hello, TEXT, "--step", "--weight", "embed.weight[5, 2]", "--json").json["step"]
    assert (step["weight"], step["optimizer"], step["learning_rate"]) == ("embed.weight[5, 2]", "adam", 0.001)
    assert abs(step["value_after"] - step["value_before"]) == pytest.approx(0.001, rel=0.01)
    assert step["loss_after"] < step["loss_before"]
    assert "embed.weight[5, 2]" in tinylm("explain", hello, TEXT, "--step", "--weight", "embed.weight[5, 2]").out


def test_parts_and_neighbours(tinylm: Command, hello: Path) -> None:
    told = tinylm("explain", hello, TEXT, "--show", "parts,neighbours", "--json").json
    assert [each["part"] for each in told["parts"]["effects"]["parts"]] == ["0.0", "0.1", "0.mlp", "1.0", "1.1",
                                                                          "1.mlp"]
    assert all(0 <= score["induction"] <= 1 for score in told["parts"]["heads"])
    points = told["neighbours"]["map"]["points"]
    assert [point["token"] for point in points] == ["<bos>", "hello", ",", "how", "are"]
    assert len(told["neighbours"]["neighbours"]) == len(points)


def test_a_text_that_has_moved_leaves_the_rest(tinylm: Command, book_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "book"
    shutil.copytree(book_run, folder)
    config = json.loads((folder / "config.json").read_text())
    config["data"]["source"] = str(tmp_path / "gone.txt")
    (folder / "config.json").write_text(json.dumps(config))
    said = tinylm("explain", folder, "The ", "--off", "0.0", "--json")
    assert said.json["change"]["effect"] is None
    assert "the loss of the validation text is not known" in said.err
    said = tinylm("explain", folder, "The ", "--show", "parts")
    assert "induction" in said.out
    assert "the text of this model is not there" in said.err


@pytest.mark.parametrize("width", [20, 50, 80, 200])
def test_every_section_keeps_to_any_width(tinylm: Command, hello: Path, monkeypatch: pytest.MonkeyPatch,
                                          width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for options in ((), ("--off", "1.0"), ("--patch", "hello , how is"), ("--show", "neighbours")):
        said = tinylm("explain", hello, TEXT, *options)
        assert said.code == 0
        if width >= 50:
            lines = [line for line in said.out.splitlines() if not line.startswith(("the stream", "a head", "of the"))]
            assert max(map(len, lines)) <= width, options


def test_a_long_text_says_where_each_token_looks_most(tinylm: Command, book_run: Path) -> None:
    said = tinylm("explain", book_run, "The quick brown fox jumps over", "--show", "attention", "--head", "0.0")
    lines = said.out.splitlines()
    assert ["at", "token", "looks", "at"] in [line.split() for line in lines]
    assert len([line for line in lines if line.split()[0].isdigit()]) == 31


def test_the_output_needs_no_unicode(hello: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    printed = run_elsewhere("explain", hello, TEXT)
    assert printed.isascii()
    assert "|####" in printed


def test_a_token_drives_no_terminal(tinylm: Command, tmp_path: Path) -> None:
    texts = ["a\x1b[31mred", "b\x07\r\n", "c\u202edlrow"] * 20
    package.train(texts=texts, tokenizer="char", size="0.1M", steps=1, out=tmp_path / "odd", quiet=True,
                  config={"model": {"context_length": 16}})
    for name in SECTIONS:
        if name not in ("change", "patching", "step"):
            said = tinylm("explain", tmp_path / "odd", "a\x1b[31mred", "--show", name)
            assert said.code == 0, said.err
            assert not any(character in said.out + said.err for character in "\x1b\x07\r\u202e")


@pytest.mark.parametrize(("preset", "tokenizer"), [*zip(PRESETS, ("word", "char", "bpe", "word", "bpe"), strict=True)])
def test_every_preset_and_tokenizer(tinylm: Command, tmp_path: Path, preset: str, tokenizer: str) -> None:
    package.train(texts=["how are you , hello ?", "how is your day ?"] * 8, preset=preset, tokenizer=tokenizer, steps=2,
                  out=tmp_path / "run", quiet=True, config={
                      "model": {"d_model": 16, "n_heads": 4, "n_kv_heads": 2, "n_layers": 2, "context_length": 40},
                      "train": {"batch_size": 2, "epochs": None}, "data": {"validation": 0.2}})
    told = tinylm("explain", tmp_path / "run", "how are you", "--show", "tokens,lens,attention,contributions,parts,"
                  "neighbours,step,change", "--off", "0.1", "--step", "--json").json
    assert told["contributions"]["logit_difference"] == pytest.approx(
        sum(part["value"] for part in told["contributions"]["parts"]), abs=1e-4)
    assert told["step"]["loss_after"] < told["step"]["loss_before"]
    assert len(told["lens"]["readings"]) == 3


@pytest.mark.parametrize(("shape", "kind"), [("gpt2", "bpe"), ("GQA", "char"), ("LayerNorm, rotary and GELU", "bpe")])
def test_an_imported_model_with_its_own_tokenizer(tinylm: Command, tmp_path: Path, shape: str, kind: str) -> None:
    (tmp_path / "out").mkdir()
    write(model := make_model(shape, kind), tmp_path / "out", "f32")
    package.import_model(tmp_path / "out", tmp_path / "run")
    text = TEXTS[kind].split("\n")[0][:20].strip()
    said = tinylm("explain", tmp_path / "run", text, "--show", "tokens,contributions,parts,step", "--step", "--json")
    told, ours = said.json, package.LanguageModel(model.config, model.tokenizer, weights=model.weights).explain(text)
    assert "the loss of the validation text is not known" in said.err
    assert told["ids"] == [*ours.ids]
    assert told["loss"] == pytest.approx(ours.loss, abs=1e-4)
    values = {part.part: part.value for part in ours.contributions().parts}
    assert {part["part"]: part["value"] for part in told["contributions"]["parts"] if part["part"] in values} == (
        pytest.approx(values, abs=1e-4))
    assert told["step"]["loss_before"] == pytest.approx(told["loss"], abs=1e-4)


@pytest.mark.parametrize(("options", "told"), [
    (("--head", "2.0"), "--head: there is no head 2.0"), (("--head", "x"), "'x' is not a head"),
    (("--off", "3"), "off: there is no layer 3"), (("--off", ""), "names no part"), (("--mean",), "--off 0.0"),
    (("--at", "1.0"), "Give it with --patch TEXT"), (("--weight", "embed.weight[0, 0]"), "Add --step"),
    (("--step", "--weight", "embed[0]"), "Did you mean 'embed.weight'?"), (("--show", "lense"), "Did you mean 'lens'?"),
    (("--show", "change"), "Give --off PARTS"), (("--show", ","), "names nothing"), (("--top", "0"), "--top"),
    (("--token", "how are"), "--token: 'how are' is 2 tokens"), (("--token", "#99"), "there is no token #99"),
    (("--position", "5"), "they go from 0 to 4"), (("--patch", "hello"), "5 and 2 tokens"),
    (("--patch", "hello", "--at", "1.mlp"), "different numbers of positions"), (("--patch", "Ben"), "not in the voc")])
def test_a_mistake_is_told_in_one_sentence(tinylm: Command, hello: Path, options: tuple[str, ...], told: str) -> None:
    said = tinylm("explain", hello, TEXT, *options)
    assert (said.code, said.out) == (2, ""), said
    assert told in said.err
    assert said.err.count("\n") == 1


def test_a_text_longer_than_the_context(tinylm: Command, book_run: Path) -> None:
    said = tinylm("explain", book_run, "x" * 40)
    assert said.code == 2
    assert "41 tokens, and this model sees 32 at once" in said.err


def test_the_empty_text_is_explained(tinylm: Command, hello: Path) -> None:
    told: dict[str, Any] = tinylm("explain", hello, "", "--json").json
    assert told["loss"] is None
    assert [each["token"] for each in told["tokens"]] == ["<bos>"]
    assert tinylm("explain", hello, "", "--step").code == 2


# ---- as a page


def test_a_page_draws_what_json_has(tinylm: Command, hello: Path, tmp_path: Path) -> None:
    page = tmp_path / "seen.html"
    said = tinylm("explain", hello, TEXT, "--html", page)
    assert (said.code, said.out, said.err) == (0, f"{page}  (open it in a browser)\n", "")
    content = page.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="explanation">([^<]*)</script>', content)
    assert found
    assert json.loads(found[1]) == {"model": hello.name, **tinylm("explain", hello, TEXT, "--json").json}
    assert "default-src 'none'" in content
    assert len(content) < 100_000


def test_a_page_that_is_there_is_replaced_by_force_alone(tinylm: Command, hello: Path, tmp_path: Path) -> None:
    page = tmp_path / "seen.html"
    tinylm("explain", hello, "hello", "--html", page)
    before = page.read_bytes()
    said = tinylm("explain", hello, "how", "--html", page)
    assert (said.code, said.out) == (2, "")
    assert "there is an explanation already. Choose another --html, or give --force" in said.err
    assert page.read_bytes() == before
    assert tinylm("explain", hello, "how", "--html", page, "--force", "--json").json == {"page": str(page)}
    assert page.read_bytes() != before
    assert [*tmp_path.iterdir()] == [page]


@pytest.mark.parametrize(("name", "said"), [("diary.html", "this file is no earlier explanation"),
                                            ("diary.txt", "for example diary.txt.html"),
                                            ("folder.html", "is a folder")])
def test_a_page_takes_no_place_of_anything_else(tinylm: Command, hello: Path, tmp_path: Path, name: str,
                                                said: str) -> None:
    (tmp_path / "diary.html").write_text("dear diary")
    (tmp_path / "folder.html").mkdir()
    got = tinylm("explain", hello, "hello", "--html", tmp_path / name, "--force")
    assert (got.code, got.out) == (2, "")
    assert said in got.err
    assert (tmp_path / "diary.html").read_text() == "dear diary"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["diary.html", "folder.html"]


def test_force_needs_a_page(tinylm: Command, hello: Path) -> None:
    said = tinylm("explain", hello, "hello", "--force")
    assert (said.code, "Add --html FILE" in said.err) == (2, True)
