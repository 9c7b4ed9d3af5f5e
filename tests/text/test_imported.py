"""Imported tokenizers: the library's ids, roles that tokenizer.json alone keeps, and control text that stays text."""

from __future__ import annotations

import json
import random

import pytest
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

from tinylm.errors import TinyLMError
from tinylm.generation.detokenizer import Detokenizer
from tinylm.interchange.gguf.pretokenizers import PRETOKENIZERS
from tinylm.text.special_tokens import SpecialTokens
from tinylm.text.tokenizer import Tokenizer

CONTROL = ["<s>", "</s>", "<|im_end|>"]
TEXT = ["hello world, it's 12 o'clock there », é 漢字 <s>"] * 5
LETTERS = "helo wrd,it's12c<>|/_ »é漢\n"


def byte_level():
    library = tokenizers.Tokenizer(models.BPE())
    library.pre_tokenizer, library.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    library.train_from_iterator(TEXT, trainers.BpeTrainer(
        vocab_size=300, special_tokens=CONTROL, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False))
    library.add_tokens(["<tool>", "é!"])
    return library, {}


def unigram():
    library = tokenizers.Tokenizer(models.Unigram())
    library.pre_tokenizer, library.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    library.train_from_iterator(TEXT, trainers.UnigramTrainer(
        vocab_size=60, special_tokens=["<unk>", *CONTROL], unk_token="<unk>", show_progress=False))
    return library, {"unk": 0}


def byte_fallback():
    letters = [f"<0x{byte:02X}>" for byte in range(256)] + ["▁", *"helowrd"]
    vocab = {entry: id for id, entry in enumerate(["<unk>", *CONTROL, *letters, "he", "▁he", "ll"])}
    library = tokenizers.Tokenizer(models.BPE(vocab, [("h", "e"), ("▁", "he"), ("l", "l")], unk_token="<unk>",
                                              fuse_unk=True, byte_fallback=True))
    library.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    library.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(),
                                         decoders.Strip(" ", 1, 0)])
    library.add_special_tokens(CONTROL)
    return library, {}


MAKERS = [byte_level, unigram, byte_fallback]


def roles(library, **values):
    begin, end, mark = map(library.token_to_id, CONTROL)
    given = {"pad": end, "bos": begin, "eos": end, "control": frozenset({mark}), "further_eos": frozenset({mark}),
             "add_eos": False, **values}
    return SpecialTokens(**given)


def imported(make, unused=5, **values):
    library, more = make()
    specials = roles(library, **more, **values)
    return library, Tokenizer.imported(library.to_str(), specials, library.get_vocab_size() + unused)


def texts(count):
    generator = random.Random(0)
    return ["".join(generator.choices(LETTERS, k=generator.randrange(40))) for _ in range(count)]


@pytest.mark.parametrize("make", MAKERS)
def test_ids_are_those_of_the_library(make):
    library, tokenizer = imported(make)
    for text in texts(500):
        if not any(control in text for control in CONTROL):
            assert tokenizer.encode_text(text) == library.encode(text, add_special_tokens=False).ids
        assert tokenizers.Tokenizer.from_str(tokenizer.to_json()).encode("hello w").ids == tokenizer.encode("hello w")


@pytest.mark.parametrize("make", MAKERS)
def test_typed_control_text_stays_text(make):
    _, tokenizer = imported(make)
    for text in [*CONTROL, "a<s>b</s>", "<|im_end|> <s>", "<unk>"]:
        assert not tokenizer.specials.hidden & set(tokenizer.encode_text(text))
        if make is byte_level:
            assert tokenizer.decode(tokenizer.encode(text)) == text


@pytest.mark.parametrize("make", [byte_level, byte_fallback])
def test_decoding_gives_the_text_back_in_any_pieces(make):
    _, tokenizer = imported(make)
    for text in texts(300):
        ids = tokenizer.encode(text)
        if make is byte_fallback:  # Metaspace puts no blank before one: the two texts have the same ids
            text = text.removeprefix(" ")
        assert tokenizer.decode(ids) == text
        stream = Detokenizer(tokenizer)
        assert "".join([*(stream.push(id) for id in ids), stream.finish()]) == text


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("values", [{}, {"bos": None}, {"add_bos": False}, {"add_eos": True}])
def test_the_file_alone_keeps_all_roles(make, values):
    _, tokenizer = imported(make, **values)
    again = Tokenizer.from_json(tokenizer.to_json())
    assert again.kind == "imported"
    assert again.specials.add_bos == (tokenizer.bos_id is not None and values.get("add_bos", True))
    assert (again.specials, again.vocab_size, again.to_json()) == (
        tokenizer.specials, tokenizer.vocab_size, tokenizer.to_json())
    assert again.encode("hello there") == tokenizer.encode("hello there")


def test_unused_ids_stand_for_nothing():
    library, tokenizer = imported(byte_level, unused=3)
    last = library.get_vocab_size() + 2
    assert (tokenizer.token_bytes(last), tokenizer.token(last)) == (b"", f"<unused {last}>")
    with pytest.raises(TinyLMError, match="there is no id"):
        tokenizer.token(last + 1)


@pytest.mark.parametrize(("part", "value", "named"), [
    ("pre_tokenizer", {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated", "invert": False},
     r"\(a\+\)\+"),
    ("pre_tokenizer", {"type": "Custom"}, "Custom"),
    ("normalizer", {"type": "Precompiled", "precompiled_charsmap": "AAAA"}, "Precompiled"),
    ("normalizer", {"type": "Sequence", "normalizers": [{"type": "NFC"}] * 1000}, "very many"),
    ("decoder", {"type": "CTC"}, "CTC"), ("decoder", None, "none"), ("surprise", 1, "surprise"),
    ("model", {"type": "WordPiece"}, "WordPiece"),
])
def test_what_is_not_known_is_named(part, value, named):
    library, _ = byte_level()
    data = {**json.loads(library.to_str()), part: value}
    with pytest.raises(TinyLMError, match=named):
        Tokenizer.imported(json.dumps(data), roles(library))


@pytest.mark.parametrize("name", PRETOKENIZERS)
def test_the_patterns_of_gguf_files_are_known(name):
    library, _ = byte_level()
    data = {**json.loads(library.to_str()), "pre_tokenizer": PRETOKENIZERS[name].json}
    Tokenizer.imported(json.dumps(data), roles(library))


@pytest.mark.parametrize("values", [{"eos": 10**9}, {"pad": -1}, {"control": frozenset({5000})}])
def test_roles_must_be_entries(values):
    with pytest.raises(TinyLMError, match="special token"):
        imported(byte_level, **values)


@pytest.mark.parametrize("size", [3, 10**9])
def test_the_rows_of_the_model_must_suit_the_entries(size):
    library, _ = byte_level()
    with pytest.raises(TinyLMError, match="rows"):
        Tokenizer.imported(library.to_str(), roles(library), size)
