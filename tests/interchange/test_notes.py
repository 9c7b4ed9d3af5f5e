"""Notes of exports and imports: the same things in the same words, as whole sentences."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

import tinylm
from tests.interchange.shapes import TEXTS, make_model
from tests.interchange.test_import_hf import make_tokenizer, write_folder
from tinylm.config.schema import SampleConfig
from tinylm.interchange.chat import UNKNOWN_TEMPLATE
from tinylm.interchange.export import export
from tinylm.interchange.export import read_model as read_exported
from tinylm.interchange.formats import FORMATS
from tinylm.interchange.importing import import_model, read_model
from tinylm.text.special_tokens import SpecialTokens
from tinylm.text.tokenizer import Tokenizer

PROGRAMS = {"hf": "transformers", "gguf": "llama.cpp", "onnx": "transformers.js"}
SAMPLE = SampleConfig(prefix="a", banned_tokens=("b",), typical_p=0.5, stop='"')


def noted(model, to, folder, dtype="f16"):
    return FORMATS[to].write(model, folder, dtype)


@pytest.mark.parametrize("kind", TEXTS)
@pytest.mark.parametrize("shape", ["default", "gpt2"])
def test_notes_are_whole_sentences_and_common_ones_differ_in_the_program_alone(kind, shape, tmp_path):
    found = {}
    for to, program in PROGRAMS.items():
        (tmp_path / to).mkdir()
        model = make_model(shape, kind)
        model = replace(model, config=model.config.model_copy(update={"sample": SAMPLE}))
        notes = noted(model, to, tmp_path / to)
        assert all(note.endswith(".") and (note[0].isupper() or note.startswith("llama.cpp")) for note in notes)
        found[to] = {note.replace(program, "PROGRAM") for note in notes}
    common = set.intersection(*found.values())
    assert any("near spellings" in note for note in common)
    assert any("16 bits: logits" in note for note in common)
    assert any("left out without a word" in note for note in common) == (kind == "char")
    for notes in found.values():
        assert sum("are not carried" in note for note in notes) == 1
        assert sum("tinylm forgets" in note for note in notes) == 1


@pytest.mark.parametrize("to", ["hf", "onnx"])
def test_the_card_says_what_is_printed(to, tmp_path):
    notes = noted(make_model("default"), to, tmp_path)
    card = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert all(f"\n- {note}\n" in card for note in notes)


def test_a_chat_template_that_is_not_known_is_said_and_goes_on_in_exports(tmp_path):
    write_folder(tmp_path / "hf", "llama")
    assert UNKNOWN_TEMPLATE not in read_model(tmp_path / "hf").notes
    path = tmp_path / "hf" / "tokenizer_config.json"
    (tmp_path / "hf" / "chat_template.jinja").write_text("{{ messages }}")
    assert UNKNOWN_TEMPLATE in read_model(tmp_path / "hf").notes
    (tmp_path / "hf" / "chat_template.jinja").unlink()
    path.write_text(json.dumps({**json.loads(path.read_text()), "chat_template": "{{ messages }}"}))
    import_model(tmp_path / "hf", tmp_path / "out")
    assert UNKNOWN_TEMPLATE in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    tinylm.load(tmp_path / "out").save(tmp_path / "saved")
    for number, folder in enumerate((tmp_path / "out", tmp_path / "saved")):
        export(read_exported(folder), "hf", tmp_path / f"again-{number}")
        assert read_model(tmp_path / f"again-{number}").chat_template == "{{ messages }}"


def test_an_export_to_gguf_that_comes_back_has_no_chat_template(tmp_path):
    specials = SpecialTokens(1, 0, 1, None, add_bos=False, add_eos=False)
    tokenizer = Tokenizer.imported(make_tokenizer().backend_tokenizer.to_str(), specials, 320)
    noted(replace(make_model("llama", "bpe"), tokenizer=tokenizer), "gguf", tmp_path, "f32")
    assert UNKNOWN_TEMPLATE not in read_model(tmp_path / "model.gguf").notes
