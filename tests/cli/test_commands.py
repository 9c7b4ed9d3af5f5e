"""What each command answers, in JSON for programs and in lines for people: the contract's keys, the facts."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from tinylm import SampleConfig, load

from .conftest import Command

FILES = {"config.json", "tokenizer.json", "model.safetensors", "metrics.jsonl", "samples.jsonl", "README.md",
         "checkpoints"}


def test_train_says_what_it_made(tinylm: Command, tmp_path: Path) -> None:
    out = tmp_path / "new" / "model"
    said = tinylm("train", "hello", "--preset", "notebook", "--epochs", 3, "--out", out, "--json")
    told = said.json
    assert told["folder"] == str(out)
    assert told["parameters"] == 17932
    assert told["step"] == 3
    assert told["reason"] == "finished"
    assert told["report"]["split"] == "train"
    assert {path.name for path in out.iterdir()} == FILES
    assert [path.name for path in out.parent.iterdir()] == ["model"]


def test_train_for_people(tinylm: Command, tmp_path: Path) -> None:
    said = tinylm("train", "hello", "--preset", "notebook", "--epochs", 10, "--out", tmp_path / "model")
    assert (said.code, said.err) == (0, "")
    for fact in ("76 characters in 4 documents", "17,932 parameters", "nats a token", "Now try:", "tinylm predict"):
        assert fact in said.out


def test_plan(tinylm: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    told = tinylm("plan", "hello", "--preset", "notebook", "--json").json
    assert {"model", "data", "train", "sample"} <= told["config"].keys()
    assert {"seconds", "steps", "tokens", "parameters", "peak_memory_bytes"} <= told["forecast"].keys()
    assert told["forecast"]["parameters"] == 17932
    assert told["forecast"]["steps"] == 200
    assert not list(tmp_path.iterdir())
    assert "forecast" in tinylm("plan", "hello", "--preset", "notebook").out


def test_plan_and_train_take_settings_in_one_order(tinylm: Command, tmp_path: Path) -> None:
    """Preset, then file, then --set, then the single option."""
    file = tmp_path / "settings.toml"
    file.write_text("[train]\nlearning_rate = 0.5\nsteps = 7\n[model]\nn_layers = 1\n")
    told = tinylm("plan", "hello", "--preset", "notebook", "--config", file, "--set", "train.learning_rate=0.25",
                  "--epochs", 5, "--json").json
    assert told["config"]["train"]["learning_rate"] == 0.25
    assert (told["config"]["train"]["steps"], told["config"]["train"]["epochs"]) == (None, 5)
    assert told["config"]["model"]["n_layers"] == 1


def test_tokenize(tinylm: Command, hello: Path) -> None:
    told = tinylm("tokenize", hello, "how is your day ?", "--json").json
    assert told == {"tokens": ["<bos>", "how", "is", "your", "day", "?", "<eos>"], "ids": [1, 5, 9, 10, 11, 8, 2]}
    assert tinylm("tokenize", hello, "day").out.split() == ["id", "token", "1", "<bos>", "11", "day", "2", "<eos>"]


def test_a_word_out_of_vocabulary(tinylm: Command, hello: Path) -> None:
    for command in ("tokenize", "predict", "generate"):
        said = tinylm(command, hello, "Hi my name is Ben")
        assert (said.code, said.out) == (2, "")
        for fact in ("'Hi' (word 1", "'my' (word 2", "'name' (word 3", "'Ben' (word 5", "near to", "bpe", "<unk>"):
            assert fact in said.err


def test_predict(tinylm: Command, hello: Path) -> None:
    told = tinylm("predict", hello, "hello , how are", "--json").json
    assert told["prompt"] == "hello , how are"
    assert told["ids"] == [1, 3, 4, 5, 6]
    assert len(told["next"]) == 5
    assert told["next"][0].keys() == {"id", "token", "probability"}
    assert told["next"][0]["token"] == "you"
    assert told["next"][0]["probability"] >= 0.9
    assert tinylm("predict", hello, "hello , how are").out.startswith("you")


def test_predict_top(tinylm: Command, hello: Path) -> None:
    everything = tinylm("predict", hello, "how", "--top", 100, "--json").json["next"]
    assert len(everything) == 12
    assert sum(each["probability"] for each in everything) == pytest.approx(1)
    assert tinylm("predict", hello, "how", "--top", 0).code == 2


def test_generate(tinylm: Command, hello: Path) -> None:
    told = tinylm("generate", hello, "hello , how is", "--greedy", "--json").json
    assert {name: told[name] for name in ("prompt", "text", "ids", "stopped_by")} == {
        "prompt": "hello , how is", "text": "your day ?", "ids": [10, 11, 8, 2], "stopped_by": "eos"}
    assert tinylm("generate", hello, "hello , how is", "--greedy").out == "hello , how is your day ?\n"


def test_generate_stops_where_it_is_told(tinylm: Command, hello: Path) -> None:
    by_length = tinylm("generate", hello, "hello", "--greedy", "--max-tokens", 2, "--json").json
    assert (by_length["stopped_by"], len(by_length["ids"])) == ("length", 2)
    by_text = tinylm("generate", hello, "how is", "--greedy", "--stop", "day", "--json").json
    assert (by_text["stopped_by"], by_text["text"]) == ("stop", "your ")
    nothing = tinylm("generate", hello, "how is", "--max-tokens", 0, "--json").json
    assert (nothing["text"], nothing["ids"]) == ("", [])


def test_generate_bans_and_favours_tokens(tinylm: Command, hello: Path) -> None:
    greedy = ("generate", hello, "hello , how is", "--greedy")
    assert tinylm(*greedy).out == "hello , how is your day ?\n"
    assert "your" not in tinylm(*greedy, "--banned-tokens", "your", "--json").json["text"]
    assert tinylm(*greedy, "--logit-bias", "#2=1000", "--json").json["stopped_by"] == "eos"
    assert tinylm(*greedy, "--logit-bias", "day=1000", "--max-tokens", 3, "--json").json["text"] == "day day day"


def test_generate_tells_how_likely_each_token_was(tinylm: Command, hello: Path) -> None:
    plain = ("generate", hello, "hello , how", "--greedy", "--max-tokens", 2)
    told = tinylm(*plain, "--logprobs", 3, "--samples", 2, "--json").json
    assert [len(each["logprobs"]) for each in told["samples"]] == [2, 2]
    first = told["logprobs"][0]
    assert (first["id"], first["token"], len(first["top"])) == (told["ids"][0], first["top"][0]["token"], 3)
    assert first["logprob"] == first["top"][0]["logprob"] <= 0
    assert "logprobs" not in tinylm(*plain, "--json").json
    assert "Add --json" in tinylm(*plain, "--logprobs", 3).err


@pytest.mark.parametrize(("option", "value"), [("true", True), ("false", False), ("never", "never")])
def test_generate_searches_as_it_is_told(tinylm: Command, hello: Path, option: str, value: bool | str) -> None:
    from tinylm.cli import sampling

    parser = argparse.ArgumentParser()
    sampling.add_sampling_options(parser)
    given = sampling.sampling_options(parser.parse_args(["--early-stopping", option]))
    assert SampleConfig(**given).early_stopping == value
    told = tinylm("generate", hello, "how", "--beams", 3, "--early-stopping", option, "--json").json
    assert told["ids"] == load(hello).complete("how", beams=3, early_stopping=value).ids


@pytest.mark.parametrize("weight_dtype", ["bf16", "int8"])
def test_generate_with_fewer_bits(tinylm: Command, hello: Path, weight_dtype: str) -> None:
    told = tinylm("generate", hello, "hello", "--seed", 3, "--weight-dtype", weight_dtype, "--logprobs", 0,
                  "--json").json
    expected = load(hello, weight_dtype=weight_dtype).complete("hello", seed=3, logprobs=0)
    assert [each["logprob"] for each in told["logprobs"]] == [each.logprob for each in expected.logprobs]
    plain = load(hello).complete("hello", seed=3, logprobs=0)
    assert told["logprobs"][0]["logprob"] != plain.logprobs[0].logprob


def test_generate_repeats_itself_with_a_seed(tinylm: Command, hello: Path) -> None:
    wild = ("generate", hello, "how", "--temperature", 3, "--seed", 7, "--samples", 4, "--json")
    first, again = tinylm(*wild).json, tinylm(*wild).json
    assert first == again
    assert len(first["samples"]) == 4
    assert len({sample["text"] for sample in first["samples"]}) > 1


def test_evaluate(tinylm: Command, hello: Path) -> None:
    told = tinylm("evaluate", hello, "--json").json
    assert {"split", "loss", "perplexity", "bits_per_byte", "tokens", "baselines"} <= told.keys()
    assert {"uniform", "unigram"} <= told["baselines"].keys()
    assert told["tokens"] == 26
    assert told["bits_per_byte"] < told["baselines"]["unigram"] < told["baselines"]["uniform"]
    assert {"unit", "longest", "share", "where"} <= told["copying"].keys()
    for_people = tinylm("evaluate", hello).out
    assert "nats a token" in for_people
    assert "copied word for word" in for_people


def test_evaluate_another_text(tinylm: Command, hello: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("how is your day ?\nhow are you ?\n")
    told = tinylm("evaluate", hello, other, "--json").json
    assert (told["split"], told["tokens"]) == ("other.txt", 11)


def test_inspect(tinylm: Command, hello: Path) -> None:
    told = tinylm("inspect", hello, "--json").json
    parameters = told["parameters"]
    assert parameters["total"] == 17932
    assert sum(part["count"] for part in parameters["parts"]) == 17932
    assert all({"name", "shape", "formula", "count"} <= part.keys() for part in parameters["parts"])
    assert told["config"]["d_model"] == 32
    people = tinylm("inspect", hello).out
    assert "12*32 + 2*(4*33*32 + 33*64 + 65*32 + 2*32 + 2*32) + 2*32 + 33*12 = 17,932 parameters" in people


def test_the_model_without_its_records_still_answers(tinylm: Command, hello: Path, tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json", "model.safetensors"):
        (tmp_path / name).write_bytes((hello / name).read_bytes())
    assert tinylm("predict", tmp_path, "how", "--json").json == tinylm("predict", hello, "how", "--json").json
