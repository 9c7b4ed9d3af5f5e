"""Kind E: prompts and settings in an equal-looking or near spelling, in every door that takes a text."""

from __future__ import annotations

import io
import unicodedata
from pathlib import Path

import pytest

import tinylm as product
from tests.cases.recipes import accented, book, curly, rhyme, script
from tinylm.errors import TinyLMError
from tinylm.model_folder import read_tokenizer
from tinylm.text.near import NearCharacters
from tinylm.text.tokenizer import Tokenizer


def train(folder: Path, name: str, text: str, tokenizer: str = "char") -> Path:
    """A model of two steps: what is asked here is its tokenizer."""
    path = folder / f"{name}.txt"
    path.write_text(text[:9000], encoding="utf-8", newline="")
    product.train(path, tokenizer=tokenizer, steps=2, out=folder / name, quiet=True, config={
        "model": {"context_length": 16, "n_layers": 1, "d_model": 16, "n_heads": 1}, "train": {"batch_size": 2}})
    return folder / name


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("near")
    return {name: train(folder, name, text, tokenizer) for name, text, tokenizer in (
        ("nfd", accented("NFD"), "char"), ("curly", curly(), "char"), ("words", curly(), "word"),
        ("bytes", book(), "bpe"))}


def test_case_15_a_prompt_in_one_code_point_is_read_in_two(tinylm, runs) -> None:
    said = tinylm("generate", runs["nfd"], "thé", "--max-tokens", "5", "--greedy")
    assert said.code == 0
    assert said.err == "note: 'é' was read as 'e' + U+0301, as the training text has it\n"
    assert said.out.startswith("the\u0301")
    assert tinylm("generate", runs["nfd"], "the\u0301", "--max-tokens", "5", "--greedy").out == said.out
    told = tinylm("generate", runs["nfd"], "thé", "--max-tokens", "5", "--greedy", "--json")
    assert told.json["prompt"] == "thé"
    assert told.json["text"] == said.out[4:-1]


def test_case_16_a_straight_apostrophe_is_read_as_the_curly_one_of_the_book(tinylm, runs) -> None:
    for command in (("generate", "--max-tokens", "3", "--greedy"), ("predict",), ("tokenize",)):
        said = tinylm(command[0], runs["curly"], "child's", *command[1:])
        assert said.code == 0, said.err
        assert "\"'\" was read as '’' (U+2019)" in said.err
    assert tinylm("tokenize", runs["curly"], "d's", "--json").json["tokens"] == ["<bos>", "d", "’", "s", "<eos>"]


@pytest.mark.parametrize(("run", "prompt", "read"), [
    ("curly", '"yes" said', "“yes” said"),  # double quotes by their place
    ("curly", "the\xa0house\u3000at", "the house at"),  # spaces of other widths
    ("curly", "the ｈｏｕｓｅ", "the house"),  # full width
    ("curly", "one\r\ntwo\rthe", "one\ntwo\nthe"),  # line ends of other systems
    ("curly", "\ufeffThe of\u200bﬁre", "The offire"),  # a mark that Notepad leaves, a space of no width, a ligature
    ("nfd", "ü", "u\u0308"),
    ("bytes", "one\r\ntwo", "one\ntwo"),  # bytes know CR, and a model that never met it does not
    ("words", "child's letter", "child’s letter"),
])
def test_other_forms_that_look_the_same_are_read_and_said(tinylm, runs, run: str, prompt: str, read: str) -> None:
    said = tinylm("tokenize", runs[run], prompt, "--json")
    assert said.json["ids"] == read_tokenizer(runs[run]).encode(read)
    assert said.err.startswith("note: ")


@pytest.mark.parametrize(("run", "prompt", "facts"), [
    ("curly", "Zoe", ("'Z' (character 1)", "tinylm train SOURCE --tokenizer bpe")),
    ("curly", "café", ("'é' (character 4, near to 'e')",)),
    ("curly", "Kitchen", ("'K' (character 1, near to 'k')",)),
    ("nfd", "straße", ("'ß' (character 5, near to 'ss')",)),
])
def test_what_is_another_text_is_refused_with_what_is_near(tinylm, runs, run: str, prompt: str, facts) -> None:
    for command in ("generate", "predict", "tokenize"):
        said = tinylm(command, runs[run], prompt)
        assert (said.code, said.out) == (2, "")
        for fact in facts:
            assert fact in said.err
        assert "Leave it out" in said.err
        assert "Use a tokenizer" not in said.err, "which this command cannot"


@pytest.mark.parametrize(("alphabet", "character", "near"), [
    ("\u06a9\u06cc", "\u0643", ["\u06a9"]),  # a Persian text, an Arabic keyboard
    ("\u0643\u064a", "\u06cc", ["\u064a"]),
    ("si\u0219", "\u015f", ["\u0219", "s"]),  # Romanian: a comma below, typed with a cedilla
    ("\u0131\u0130", "i", ["\u0131", "\u0130"]),  # Turkish
    ("\xab\xbb", '"', ["\xab", "\xbb"]), ("\xab\xbb", "\u201e", ["\xab", "\xbb"]),
    ("\u05f4", '"', ["\u05f4"]), ("\u05be", "-", ["\u05be"]),
    ("\u06f3", "3", ["\u06f3"]), ("\u06f3", "\u0663", ["\u06f3"]),
    ("\u3002", ".", ["\u3002"]), ("\u061f", "?", ["\u061f"]),
    ("\u0451", "\u0435", ["\u0451"]),
])
def test_letters_and_marks_of_another_keyboard_are_named_as_near(alphabet: str, character: str, near) -> None:
    reader = NearCharacters(alphabet)
    assert reader.read(character).text == character, "which is another text"
    assert reader.near(character) == near


def test_a_single_word_to_judge_on_is_not_said_to_be_learned_from(tinylm, runs, tmp_path) -> None:
    (tmp_path / "word.txt").write_text("the", encoding="utf-8")
    said = tinylm("evaluate", runs["curly"], tmp_path / "word.txt")
    assert said.code == 2
    assert "a single word of 3 characters, which is no text yet. Give at least some sentences" in said.err


def test_words_in_another_case_are_named_and_read_as_unk(tinylm, runs) -> None:
    said = tinylm("tokenize", runs["words"], "THE child's house, xyzzy", "--json")
    assert said.json["tokens"][1] == "<unk>"
    assert "'THE' (word 1, near to 'the' or 'The') is unknown to this model, and read as <unk>" in said.err
    assert "'xyzzy' (word 4) is unknown" in said.err
    assert "\"child's\" was read as 'child’s'" in said.err


def test_settings_are_read_as_prompts_are(tinylm, runs) -> None:
    said = tinylm("generate", runs["nfd"], "The", "--prefix", "é", "--banned-tokens", "\xa0",
                  "--logit-bias", "\u3000=2", "--stop", "ü", "--max-tokens", "6", "--seed", "1", "--json")
    assert said.json["text"].startswith("e\u0301")
    for form in ("'é' was read as", "U+00A0 was read as ' '", "U+3000 was read as ' '", "'ü' was read as"):
        assert form in said.err
    refused = tinylm("generate", runs["nfd"], "The", "--banned-tokens", "ß")
    assert refused.code == 2
    assert "near to 'ss'" in refused.err
    never = tinylm("generate", runs["nfd"], "The", "--stop", "<|end|>", "--max-tokens", "2")
    assert (never.code, "the stop text '<|end|>' can never come" in never.err) == (0, True)


def test_a_stop_text_of_white_space_never_comes_among_words(tinylm, runs) -> None:
    said = tinylm("generate", runs["words"], "the", "--stop", "\\n", "--stop", "\n", "--max-tokens", "2")
    assert said.code == 0
    assert said.err.count("can never come: words are joined by single spaces") == 1


def test_in_a_program_a_replaced_form_is_a_warning(runs) -> None:
    lm = product.load(runs["nfd"])
    with pytest.warns(product.NearFormWarning, match=r"'é' was read as 'e' \+ U\+0301"):
        lm.predict("thé")
    with pytest.warns(product.NearFormWarning):
        assert lm.generate("The", prefix=["é"], max_tokens=3, seed=0).startswith("e\u0301")
    with pytest.raises(TinyLMError, match="near to 'ss'"):
        lm.generate("ß")


def test_the_server_reads_a_prompt_as_the_commands_do(runs) -> None:
    from tinylm.http.errors import ApiError
    from tinylm.serving.completions import prepare_prompts
    from tinylm.serving.limits import Limits
    from tinylm.serving.request_schemas import CompletionRequest

    lm = product.load(runs["nfd"])
    asked, = prepare_prompts(lm, CompletionRequest(model="nfd", prompt="thé", stop="ü"), Limits())
    assert asked.ids == lm.tokenizer.encode_prompt("the\u0301")
    with pytest.raises(ApiError, match="near to 'ss'"):
        prepare_prompts(lm, CompletionRequest(model="nfd", prompt="ß"), Limits())


def test_a_chat_notes_it_and_goes_on(tinylm, runs, monkeypatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO("thé\nß\nThe\n/quit\n".encode()), "utf-8"))
    said = tinylm("chat", runs["nfd"], "--max-tokens", "3", "--seed", "1")
    assert said.code == 0
    assert "'é' was read as" in said.err
    assert "near to 'ss'" in said.err


def test_a_text_to_validate_on_widens_the_alphabet_and_words_without_unk_are_told_what_to_train_with(
        tinylm, tmp_path) -> None:
    (tmp_path / "a.txt").write_text(book(3000), encoding="utf-8")
    (tmp_path / "b.txt").write_text("the naïve house. " * 20, encoding="utf-8")
    small = ("--steps", "1", "--size", "0.1M", "--set", "model.context_length=16", "--set", "train.batch_size=2")
    said = tinylm("train", tmp_path / "a.txt", *small, "--set", f"data.validation={tmp_path / 'b.txt'}",
                  "--tokenizer", "char", "--out", tmp_path / "run")
    assert said.code == 0, said.err
    assert read_tokenizer(tmp_path / "run").knows("ï")
    strict = tinylm("plan", tmp_path / "a.txt", *small, "--set", f"data.validation={tmp_path / 'b.txt'}",
                    "--tokenizer", "word", "--set", "data.unknown_token=false")
    assert strict.code == 2
    assert "--set data.unknown_token=true" in strict.err
    assert "Leave it out" not in strict.err


@pytest.mark.parametrize("name", ["ar", "el", "ru", "th", "ja"])
def test_a_text_of_its_own_script_is_read_as_it_is_in_both_normal_forms(name: str) -> None:
    text = script(name, 2000)
    for form, other in (("NFC", "NFD"), ("NFD", "NFC")):
        tokenizer = Tokenizer.train("char", [unicodedata.normalize(form, text)])
        assert tokenizer.typed(unicodedata.normalize(form, text)).replaced == []
        assert tokenizer.typed(unicodedata.normalize(other, text)).text == unicodedata.normalize(form, text)


def test_a_model_that_learned_crlf_keeps_it() -> None:
    for kind in ("char", "bpe"):
        tokenizer = Tokenizer.train(kind, [rhyme().decode()])
        assert tokenizer.typed("Rose\r\n").text == "Rose\r\n"
