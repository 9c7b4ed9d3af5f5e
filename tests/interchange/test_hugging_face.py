"""The export to Hugging Face: transformers opens it with its own classes, and computes and writes the same."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

import tinylm
from tests.interchange.shapes import SHAPES, TEXTS, make_model, make_tokenizer, reference
from tests.interchange.strings import CONTROL, strings
from tests.interchange.test_architectures import HELD
from tinylm.config.schema import SampleConfig
from tinylm.errors import TinyLMError
from tinylm.interchange.hugging_face.check import engine_ids, engine_logits, read_logits
from tinylm.interchange.hugging_face.config import CLASSES
from tinylm.interchange.hugging_face.export import write
from tinylm.interchange.hugging_face.tokenizer import write_tokenizer
from tinylm.interchange.source import ExportedModel
from tinylm.model_folder import CARD, read_config, read_tokenizer, read_weights

TOLERANCE = 1e-5
KINDS = list(TEXTS)
EXPORTED = [name for name, (architecture, _) in HELD.items() if architecture.islower()]
FILES = ["README.md", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
         "tokenizer_config.json"]


def check_greedy(model: ExportedModel, theirs: torch.nn.Module, ids: list[int], number: int = 64) -> None:
    """Checks that transformers writes, after a prompt, the likeliest ids by tinylm's logits, one after another."""
    prompt = torch.tensor([ids])
    found = theirs.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=number)
    written = found[0].tolist()
    assert len(written) == len(ids) + number
    assert written[len(ids):] == reference(model, written)[len(ids) - 1:-1].argmax(-1).tolist()


def opened(folder: Path) -> torch.nn.Module:
    """The model in transformers, which goes on whatever it writes."""
    theirs = AutoModelForCausalLM.from_pretrained(folder)
    theirs.generation_config.eos_token_id = None
    return theirs


def check_shape(shape: str, kind: str, folder: Path, prompts: int) -> None:
    model = make_model(shape, kind)
    write(model, folder, "f32")
    ids = (3 * model.tokenizer.encode_prompt(TEXTS[kind]))[:96]
    expected = reference(model, ids)
    assert np.abs(engine_logits(folder)(ids) - expected).max() <= TOLERANCE
    assert np.abs(read_logits(folder)(ids) - expected).max() <= TOLERANCE
    assert expected.std() > 1, "too quiet to compare"
    theirs = opened(folder)
    assert type(theirs).__name__ == CLASSES[HELD[shape][0]]
    for n in range(1, prompts + 1):
        check_greedy(model, theirs, ids[n:2 * n + 8])


@pytest.mark.parametrize(("shape", "kind"), list(zip(EXPORTED, itertools.cycle(KINDS), strict=False)))
def test_transformers_computes_and_writes_the_same(shape, kind, tmp_path):
    check_shape(shape, kind, tmp_path, prompts=1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", EXPORTED)
def test_each_shape_with_each_tokenizer_and_twenty_prompts(shape, kind, tmp_path):
    check_shape(shape, kind, tmp_path, prompts=20)


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_makes_the_same_ids_and_the_same_text(kind, tmp_path):
    tokenizer = make_tokenizer(kind)
    write_tokenizer(tokenizer, 96, tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    known = strings(tokenizer, 500)
    expected = [tokenizer.encode_prompt(text) for text in known]
    assert theirs(known)["input_ids"] == expected
    assert [theirs.decode(ids, skip_special_tokens=True) for ids in expected] == list(map(tokenizer.decode, expected))
    assert len(theirs) == tokenizer.vocab_size
    assert (theirs.pad_token_id, theirs.bos_token_id, theirs.eos_token_id) == tokenizer.specials[:3]


@pytest.mark.parametrize("kind", ["word", "bpe"])
@pytest.mark.parametrize("text", CONTROL)
def test_a_typed_control_token_stays_text(kind, text, tmp_path):
    tokenizer = make_tokenizer(kind)
    write_tokenizer(tokenizer, 96, tmp_path)
    ids = engine_ids(tmp_path)(text)
    assert ids == tokenizer.encode_prompt(text)
    assert not set(ids[1:]) & tokenizer.specials.hidden


def test_typed_control_tokens_of_an_alphabet_that_has_their_characters(tmp_path):
    tokenizer = tinylm.Tokenizer.train("char", ["<eos> <bos> <pad> <unk>"])
    write_tokenizer(tokenizer, 96, tmp_path)
    assert engine_ids(tmp_path)("<eos><bos>") == tokenizer.encode_prompt("<eos><bos>")


def test_a_batch_is_padded_on_the_left_and_computes_the_same(tmp_path):
    model = make_model("default", "bpe")
    write(model, tmp_path, "f32")
    tokenizer, theirs = AutoTokenizer.from_pretrained(tmp_path), opened(tmp_path)
    batch = tokenizer(["hello", "the cat sat on the mat and the hat"], padding=True, return_tensors="pt")
    width = batch["input_ids"].shape[1]
    found = theirs.generate(**batch, do_sample=False, max_new_tokens=20)
    for row, mask in zip(found, batch["attention_mask"], strict=True):
        written = row[width - int(mask.sum()):].tolist()
        assert written[-20:] == reference(model, written)[-21:-1].argmax(-1).tolist()


def test_numbers_of_16_bits(tmp_path):
    model = make_model("gpt2")
    notes = write(model, tmp_path, "f16")
    ids = model.tokenizer.encode_prompt(TEXTS["char"])
    rounded = replace(model, weights={name: array.astype(np.float16).astype(np.float32)
                                      for name, array in model.weights.items()})
    assert np.abs(engine_logits(tmp_path)(ids) - reference(rounded, ids)).max() <= TOLERANCE
    assert np.array_equal(read_logits(tmp_path)(ids), reference(rounded, ids))
    assert 1e-5 < np.abs(reference(rounded, ids) - reference(model, ids)).max() < 0.1
    assert AutoModelForCausalLM.from_pretrained(tmp_path).dtype == torch.float16
    assert any("16 bits" in note for note in notes)


@pytest.mark.parametrize("shape", [name for name in SHAPES if name not in EXPORTED])
def test_nothing_is_written_of_a_shape_without_a_class(shape, tmp_path):
    with pytest.raises(TinyLMError, match=r"^model\.\w+.*--to onnx"):
        write(make_model(shape), tmp_path, "f32")
    assert not list(tmp_path.iterdir())


def test_nothing_is_written_in_numbers_that_do_not_fit(tmp_path):
    model = make_model("default")
    with pytest.raises(TinyLMError, match=r"q8_0.*--to gguf"):
        write(model, tmp_path, "q8_0")
    model.weights["ln_f.weight"][3] = 70_000
    with pytest.raises(TinyLMError, match=r"model\.norm\.weight.*16 bits.*--dtype f32"):
        write(model, tmp_path, "f16")
    assert not list(tmp_path.iterdir())
    write(model, tmp_path, "f32")
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES


SAMPLES = [
    (SampleConfig(), {"do_sample": True, "temperature": 0.8, "top_k": 0, "top_p": 1.0, "max_new_tokens": 100}),
    (SampleConfig(greedy=True, max_tokens=15), {"do_sample": False, "max_new_tokens": 15}),
    (SampleConfig(temperature=0), {"do_sample": False}),
    (SampleConfig(min_p=0.1, typical_p=0.9, top_k=7, repetition_penalty=1.2, min_tokens=3),
     {"do_sample": True, "min_p": 0.1, "typical_p": 0.9, "top_k": 7, "repetition_penalty": 1.2, "min_new_tokens": 3}),
    (SampleConfig(beams=3, length_penalty=0.5, early_stopping="never"),
     {"do_sample": False, "num_beams": 3, "length_penalty": 0.5, "early_stopping": "never"}),
]


@pytest.mark.parametrize(("sample", "expected"), SAMPLES)
def test_the_sampling_settings_are_there(sample, expected, tmp_path, caplog):
    model = make_model("default")
    config = model.config.model_copy(update={"sample": sample})
    write(replace(model, config=config), tmp_path, "f32")
    found = GenerationConfig.from_pretrained(tmp_path)
    found.validate(strict=True)
    expected |= {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
    assert {name: getattr(found, name) for name in expected} == expected
    assert not caplog.records


def test_sampling_settings_that_transformers_lacks_are_told(tmp_path):
    model = make_model("default")
    config = model.config.model_copy(update={"sample": SampleConfig(stop=".", presence_penalty=1.0)})
    notes = write(replace(model, config=config), tmp_path, "f32")
    assert any(note == "These sampling settings are not carried: presence_penalty, stop." for note in notes)
    assert all(f"- {note}\n" in (tmp_path / "README.md").read_text(encoding="utf-8") for note in notes)


@pytest.fixture(scope="module")
def trained(book_run, tmp_path_factory):
    """The export of a trained model."""
    config, folder = read_config(book_run), tmp_path_factory.mktemp("trained")
    write(ExportedModel("book", config, read_tokenizer(book_run), read_weights(book_run, config.model),
                        (book_run / CARD).read_text(encoding="utf-8")), folder, "f32")
    return folder


def test_a_trained_model_writes_the_same_text(book_run, trained):
    lm, prompt = tinylm.load(book_run), "The "
    tokenizer, theirs = AutoTokenizer.from_pretrained(trained), AutoModelForCausalLM.from_pretrained(trained)
    ids = tokenizer(prompt, return_tensors="pt")
    found = theirs.generate(**ids, do_sample=False, max_new_tokens=25)[0, ids["input_ids"].shape[1]:]
    assert tokenizer.decode(found, skip_special_tokens=True) == lm.generate(prompt, greedy=True, max_tokens=25)


def test_the_lines_of_the_card_run(trained, monkeypatch):
    card = (trained / CARD).read_text(encoding="utf-8")
    assert card.startswith("---\nlibrary_name: transformers\n")
    assert "license" not in card.split("---")[1]
    assert "## What it was trained on" in card
    lines = card.split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(trained)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(lines, {})
    assert len(printed.getvalue()) > 1


def test_both_spellings_of_the_two_majors_are_there(trained):
    config = json.loads((trained / "config.json").read_bytes())
    assert config["rope_theta"] == config["rope_parameters"]["rope_theta"]
    assert config["dtype"] == config["torch_dtype"] == "float32"
    assert "head_dim" in config
