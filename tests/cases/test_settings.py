"""Settings as people spell them, from every place that they come from: taken, or named with what they may be."""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest
from pydantic import ConfigDict, TypeAdapter

import tinylm as library
from tests.cases.recipes import book, toml_of_windows
from tests.cli.conftest import Command
from tinylm.cli.chat import Chat
from tinylm.config.overrides import check_overrides, merge_overrides, parse_setting, parse_value, read_toml
from tinylm.config.schema import FOLLOWS_FROM_TEXT, SECTIONS, ModelConfig, SampleConfig
from tinylm.errors import TinyLMError

FIELDS = [(section, name) for section, kind in SECTIONS.items() for name in kind.model_fields
          if f"{section}.{name}" not in FOLLOWS_FROM_TEXT]
TEXTS = ("4", "4.0", "1e3", "1_000", "Yes", "off", "NONE", "", "10%", "1e999", "nan", "-1", "Layer-Norm", "0,5",
         "1,000", "[1", '["a", "b"]', '{"a": 1}', "Bfloat-16", "9" * 5000, "ü\x1b[2J")
VALUES = (None, True, 0, -1, 4.0, 0.5, math.nan, math.inf, 10**30, 10**5000, np.int64(4), np.float32(0.5),
          np.bool_(True), np.zeros(3), Path("a/b"), [], ["a", 2], {"a": 1}, {1: "x"}, b"4", object(),
          datetime.date(2024, 1, 1))
IN_TOML = ("4", "4.0", '"4"', '""', '"Yes"', "true", "-1", "nan", "inf", '["a", "b"]', "[]", "2024-01-01", "{a = 1}",
           "[[1]]", '"none"', "1e30")


def is_of_its_type(section: str, name: str, value: Any) -> bool:
    """True if the value is what the field holds already, without any more reading."""
    field = SECTIONS[section].model_fields[name]
    kind = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
    return bool(TypeAdapter(kind, config=ConfigDict(strict=True)).validate_python(value) == value)


def taken(read: Callable[[], dict[str, dict[str, Any]]], section: str, name: str) -> bool:
    """Whether a value is taken, and is then of its type; an error is a sentence that names the field."""
    said = ""
    try:
        chosen = read()
    except TinyLMError as error:
        said = str(error)
    if said:
        assert f"{section}.{name}" in said
        assert len(said) < 600
        assert said.isprintable()
        assert "Input should" not in said
        return False
    assert name not in chosen[section] or is_of_its_type(section, name, chosen[section][name])
    return True


@pytest.mark.parametrize(("section", "name"), FIELDS)
def test_every_field_takes_or_names_every_value(section: str, name: str, tmp_path: Path) -> None:
    """Some 55 fields, with 60 values each."""
    file = tmp_path / "settings.toml"

    def from_file(text: str) -> dict[str, dict[str, Any]]:
        file.write_text(f"[{section}]\n{name} = {text}\n", encoding="utf-8")
        return read_toml(file)

    answers = [taken(lambda text=text: parse_setting(f"{section}.{name}={text}"), section, name) for text in TEXTS]
    answers += [taken(lambda value=value: check_overrides({section: {name: value}}), section, name) for value in VALUES]
    answers += [taken(lambda text=text: from_file(text), section, name) for text in IN_TOML]
    assert any(answers)


@pytest.mark.parametrize(("setting", "value"), [
    ("train.steps=4.0", 4), ("train.steps=1e3", 1000), ("train.steps=1_000", 1000), ("train.seed= 7 ", 7),
    ("train.minutes=.5", 0.5), ("train.learning_rate=1e-3", 0.001), ("train.target_loss=None", None),
    ("train.evaluate_every=null", None), ("train.optimizer=AdamW", "adamw"), ("train.precision=Float-32", "float32"),
    ("train.loss_on_padding=YES", True), ("model.bias=off", False), ("model.bias=1", True), ("model.causal=no", False),
    ("model.norm=Layer-Norm", "layernorm"), ("model.norm=RMSNorm", "rmsnorm"), ("model.mlp=squared-relu",
                                                                                "squared_relu"),
    ("model.n-layers=3", 3), ("model.dropout=10%", 0.1), ("data.validation=10%", 0.1), ("data.validation=0", 0.0),
    ("data.validation=none", 0.0), ("data.validation=held out.txt", "held out.txt"), ("data.text_field=5", "5"),
    ("data.text_field=true", "true"), ('data.text_field="body"', "body"), ("data.tokenizer=BPE", "bpe"),
    ("data.vocab_size=", None), ("sample.top_k=40", 40), ("sample.early_stopping=Never", "never"),
    ("sample.early_stopping=True", True), ("sample.stop=a, b", ("a, b",)), ('sample.stop="\\n"', ("\n",)),
    ("sample.stop=[not a list", ("[not a list",)),
    ('sample.banned_tokens=["a", "#3"]', ("a", "#3")), ("sample.banned_tokens=7", ("7",)),
    ('sample.logit_bias={"the": "2.5"}', {"the": 2.5}), ("sample.logit_bias=a=b=-1", {"a=b": -1.0}),
    ("sample.greedy=t", True),
])
def test_a_spelling_is_taken(setting: str, value: Any) -> None:
    (section, values), = parse_setting(setting).items()
    (_, found), = values.items()
    assert found == value
    assert type(found) is type(value)
    assert is_of_its_type(section, next(iter(values)), found)


@pytest.mark.parametrize(("setting", "said"), [
    ("train.steps=four", "must be a whole number of at least 1, or none, but it is 'four'. Write it in figures"),
    ("train.steps=1,000", "Write it as 1_000"), ("train.learning_rate=0,5", "Write it as 0.5"),
    ("train.minutes=5m", "must be a number above 0"), ("train.steps=0", "of at least 1"),
    ("train.seed=-1", "of at least 0"), (f"train.seed={10**30}", "at most 9,223,372,036,854,775,807"),
    ("train.target_loss=nan", "must be a number, or none"), ("model.bias=perhaps", "must be true or false"),
    ("model.norm=lyernorm", "must be one of layernorm, rmsnorm, but it is 'lyernorm'. Did you mean 'layernorm'?"),
    ("model.dropout=1", "of at least 0 and below 1"), ("data.validation=1.5", "a share of 0"),
    ("sample.logit_bias=the", 'by token, such as {"the": 2.5}'), ("sample.top_p=0", "above 0 and of at most 1"),
])
def test_a_value_that_cannot_be_is_told_in_words(setting: str, said: str) -> None:
    with pytest.raises(TinyLMError) as caught:
        parse_setting(setting)
    assert said in str(caught.value)


# ---- numbers in quotes, and files from Windows, in whole commands


@pytest.mark.parametrize(("data", "steps"), [
    pytest.param(b'[train]\nsteps = "4"\n', 4, id="case_40 in quotes"),
    pytest.param(toml_of_windows(), 4, id="case_42 by Notepad"),
    pytest.param('[train]\r\nsteps = 3\r\nminutes = "none"\r\n'.encode("utf-16"), 3, id="case_42 by PowerShell"),
])
def test_a_run_with_a_file_of_settings(data: bytes, steps: int, tinylm: Command, tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(book(9000))
    (tmp_path / "win.toml").write_bytes(data)
    run = tinylm("train", tmp_path / "book.txt", "--config", tmp_path / "win.toml", "--size", "0.1M", "--set",
                 "train.batch-size=4", "--out", tmp_path / "run", "--json")
    assert run.json["step"] == steps


def test_case_40_in_python() -> None:
    for value in ("4", np.int64(4), 4.0, np.float32(4)):
        chosen = merge_overrides(steps=value)["train"]
        assert (chosen, type(chosen["steps"])) == ({"steps": 4}, int)
    assert merge_overrides(minutes="0.5", layers=({"train": {"minutes": "4"}},))["train"] == {"minutes": 0.5}
    with pytest.raises(TinyLMError, match=r"train.steps: must be .*, but it is true"):
        merge_overrides(steps=True)


@pytest.mark.parametrize(("data", "said"), [
    (b"[train]\nsteps: 4\n", "line 2, column 6: is not valid TOML"), (b"[train\nsteps = 4", "line 1"),
    (b"[train]\ndevice = cpu\n", 'a text stands in quotes: device = "cpu"'),
    (b"steps = 4\n", "steps: stands outside of any section. Put it into the section train: [train] in a file"),
    (b"[trian]\nsteps = 4\n", "trian: there is no such section. Did you mean 'train'?"),
    (b"[[train]]\nsteps = 4\n", "train must be a [section]"), (b"[train.more]\nx = 1\n", "train.more: there is no"),
    (b"[train]\nsteps = 2024-01-01\n", "but it is 2024-01-01"),
    ("[train]\ndecay = 'n\xe4h'".encode("latin-1"), "UTF-8"),
    (b"[train]\nsteps = 1\nsteps = 2\n", "line 3"), (b"a = " + b"[" * 5000, "not valid TOML"),
    (b"[train]\nsteps = 1\nepochs = 1\n", "steps and epochs both say how long the run is. Leave out all but one"),
])
def test_a_file_of_settings_that_cannot_be(data: bytes, said: str, tinylm: Command, tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_bytes(data)
    found = tinylm("plan", "hello", "--config", tmp_path / "settings.toml")
    assert (found.code, found.out, found.err.count("\n")) == (2, "", 1)
    assert said in found.err


@pytest.mark.parametrize("config", ["a.toml", {"steps": 4}, {"train": 4}, {"train": [1]}, [1], {1: {}},
                                    {"train": {1: 2}}])
def test_settings_in_python_that_have_no_sections(config: Any, tmp_path: Path,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TinyLMError):
        merge_overrides(layers=(config,))
    (tmp_path / "a.toml").write_text("[train]\nsteps = 3")
    assert merge_overrides(layers=("a.toml",))["train"] == {"steps": 3}


@pytest.mark.parametrize(("flag", "value"), [
    ("--steps", "four"), ("--minutes", "5m"), ("--seed", "-1"), ("--minutes", "0"), ("--epochs", "inf"),
    ("--steps", str(10**30)), ("--vocab-size", "8k"), ("--target-loss", "low"), ("--tokenizer", "wordy"),
    ("--device", "gpu"),
])
def test_a_flag_is_named(flag: str, value: str, tinylm: Command, tmp_path: Path) -> None:
    found = tinylm("train", "hello", flag, value, "--out", tmp_path / "run")
    assert (found.code, found.err.count("\n")) == (2, 1)
    assert found.err.startswith(f"tinylm: {flag} (")
    assert not (tmp_path / "run").exists()


# ---- sizes that do not go together


@pytest.mark.parametrize("sizes", [
    {"d_model": 10, "n_heads": 4}, {"d_model": 100, "n_heads": 7}, {"n_heads": 6, "n_kv_heads": 4, "d_model": 96},
    {"d_model": 12, "n_heads": 4}, {"d_model": 9, "n_heads": 3}, {"d_model": 7, "n_heads": 2},
    {"tied_embeddings": True, "head_bias": True}, {"d_model": 2**31 - 1, "n_heads": 2**31 - 2, "positions": "none"},
])
def test_each_remedy_for_sizes_works(sizes: dict[str, Any]) -> None:
    with pytest.raises(TinyLMError) as caught:
        ModelConfig(vocab_size=5, **sizes)
    ways = re.findall(r"(\w+) (\w+)(?:,|\.|$)", caught.value.remedy.replace(", or", ","))
    assert ways, caught.value
    for name, value in ways:
        ModelConfig(vocab_size=5, **{**sizes, name: value})


# ---- greedy, and texts


@pytest.fixture(scope="module")
def lm(book_run: Path) -> library.LanguageModel:
    return library.load(book_run)


@pytest.mark.parametrize("zero", [0, 0.0, "0", np.float32(0)])
def test_case_43_temperature_0_is_greedy_in_python(lm: library.LanguageModel, zero: Any) -> None:
    likeliest = lm.generate("The ", max_tokens=12, greedy=True)
    assert lm.generate("The ", max_tokens="12", temperature=zero) == likeliest
    assert lm.generate("The ", samples=2, max_tokens=12, temperature=zero, seed=1) == [likeliest] * 2


def test_case_43_temperature_0_is_greedy_in_commands(lm: library.LanguageModel, tinylm: Command) -> None:
    likeliest = lm.generate("The ", max_tokens=12, greedy=True)
    told = tinylm("generate", lm.folder, "The ", "--max-tokens", 12, "--temperature", 0, "--json")
    assert told.json["text"] == likeliest
    chosen = merge_overrides(layers=(parse_setting("sample.temperature=0"),))["sample"]
    assert SampleConfig(**chosen).is_greedy


def test_case_43_temperature_0_is_greedy_in_chat(lm: library.LanguageModel, capsys: pytest.CaptureFixture[str]) -> None:
    chat = Chat(lm, {"greedy": True, "max_tokens": 5})
    chat.handle_line("/temperature 0.7")
    assert not lm.sample_config(**chat.settings).is_greedy
    chat.handle_line("/temperature 0")
    chat.handle_line("/stop none at all")
    chat.handle_line("/top-k 3")
    assert lm.sample_config(**chat.settings).is_greedy
    assert json.dumps(["none at all"]) in capsys.readouterr().out
    with pytest.raises(TinyLMError, match=r"sample.temperature: must be a number .*Write it as 0.5"):
        chat.handle_line("/temperature 0,5")


def test_a_temperature_takes_the_place_of_a_models_own_greed(hello_run: Path) -> None:
    lm = library.load(hello_run)
    assert lm.sample_config().is_greedy
    assert not lm.sample_config(temperature=1).is_greedy
    assert lm.sample_config(temperature=1, greedy=True).is_greedy
    assert lm.sample_config(temperature=None, top_k=None, seed=None) == lm.sample_config()


def test_case_44_one_text_stands_for_a_list(lm: library.LanguageModel) -> None:
    free = lm.generate("The ", max_tokens=30, seed=3)
    stop = free[8:10]
    assert lm.generate("The ", max_tokens=30, seed=3, stop=stop) == free[:free.index(stop)]
    assert lm.generate("The ", max_tokens=30, seed="3", stop=[stop, ""], top_k=None) == free[:free.index(stop)]
    assert lm.generate("The ", max_tokens=3, prefix="then") == "the"
    assert free[0] not in lm.generate("The ", max_tokens=20, seed=3, banned_tokens=free[0])
    assert parse_setting("sample.stop=x") == {"sample": {"stop": ("x",)}}


@pytest.mark.parametrize("settings", [
    {"stop": 5.5}, {"stop": b"x"}, {"temperature": "hot"}, {"temperature": -1}, {"top_k": -1}, {"seed": 1.5},
    {"samples": "two"}, {"samples": 0}, {"samples": True}, {"logprobs": "x"}, {"logit_bias": {"a": None}},
    {"banned_tokens": {}},
])
def test_what_a_text_cannot_be_written_with(lm: library.LanguageModel, settings: dict[str, Any]) -> None:
    with pytest.raises(TinyLMError, match=next(iter(settings))):
        lm.complete("The ", **settings)


def test_what_a_person_types_is_a_list_or_a_text() -> None:
    assert [parse_value(text) for text in ('["a"]', "[a", "5", "a,b", '"5"')] == [["a"], "[a", "5", "a,b", "5"]


@pytest.mark.parametrize("setting", [
    "train.steps=9e99", "train.minutes=1e8", "train.epochs=1e300", "train.batch_size=9e18", "model.norm_eps=1e308",
    "train.muon_learning_rate=1e308", "train.learning_rate=1e308", "sample.length_penalty=1e30",
    "sample.logit_bias=a=1e308", "data.vocab_size=9e18",
])
def test_numbers_that_nothing_below_can_compute_with_are_refused(setting: str) -> None:
    with pytest.raises(TinyLMError, match="of at most"):
        parse_setting(setting)


def test_a_batch_that_no_memory_holds_is_refused_before_its_ids_are_made(tinylm: Command) -> None:
    said = tinylm("plan", "hello", "--preset", "notebook", "--set", f"train.batch_size={2**31 - 1}")
    assert (said.code, "It fits with --set train.batch_size=" in said.err) == (2, True), said.err


# ---- settings that are given in the wrong place, or for nothing


@pytest.mark.parametrize(("words", "said"), [
    ("--batch-size 4", "It is a setting: --set train.batch_size=VALUE"),
    ("--batch_size=4", "It is a setting: --set train.batch_size=4"),
    ("--learning-rate=1e-3", "--set train.learning_rate=1e-3"),
    ("--dropout 0.1", "--set model.dropout=VALUE"), ("--temperature=0", "--set sample.temperature=0"),
    ("--set steps=5", "Write it as --set train.steps=5"),
    ("--set batch-size", "Write it as --set train.batch_size=VALUE"),
    ("--set train.dropout=0.1", "train.dropout: there is no such setting. It is model.dropout"),
    ("--set model.batch_size=4", "It is train.batch_size"), ("--set data.seed=1", "It is train.seed"),
])
def test_a_setting_in_the_wrong_place_is_told_its_own(words: str, said: str, tinylm: Command) -> None:
    found = tinylm("plan", "hello", *words.split())
    assert (found.code, found.err.count("\n")) == (2, 1)
    assert said in found.err


def test_a_setting_that_train_has_no_argument_for() -> None:
    with pytest.raises(TypeError, match=r'it is a setting: config={"train": {"batch_size": ...}}'):
        library.train("hello", batch_size=4)


@pytest.mark.parametrize(("words", "said"), [
    (("--vocab-size", 300), "a vocabulary of 300 was asked for, and one of characters has"),
    (("--text-field", "body"), "a text field was named, and this text has no records"),
    (("--vocab-size", 300, "--tokenizer", "bpe"), ""), ((), ""),
])
def test_what_is_asked_for_and_not_used_is_told(words: tuple[object, ...], said: str, tinylm: Command,
                                                tmp_path: Path) -> None:
    (tmp_path / "book.txt").write_text(book(6000))
    notes = tinylm("plan", tmp_path / "book.txt", "--size", "0.1M", "--steps", 1, *words, "--json").json["notes"]
    found = [note for note in notes if "asked for, and" in note or "no records" in note]
    assert (len(found), said in "".join(found)) == (bool(said), True)


def test_a_field_that_is_used_is_not_told_of(tinylm: Command, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"body": "Rose is red, violets are blue."}\n' * 50)
    notes = tinylm("plan", tmp_path / "a.jsonl", "--size", "0.1M", "--steps", 1, "--text-field", "body",
                   "--json").json["notes"]
    assert "no records" not in str(notes)
