"""Text to ids and back: exact, the same everywhere, and never a control token."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tinylm.errors import TinyLMError
from tinylm.text import corpus as corpus_module
from tinylm.text.corpus import CorpusStats, open_corpus
from tinylm.text.reading.built_in import HELLO
from tinylm.text.special_tokens import SPELLED_OUT
from tinylm.text.tokenizer import Tokenizer
from tinylm.text.tokenizer_choice import choose_tokenizer

KINDS = ("word", "char", "bpe")
SPELLINGS = sorted(SPELLED_OUT)
Tokenizers = dict[str, Tokenizer]

AWKWARD = st.one_of(
    st.text(max_size=60),
    st.text("ab'sdtlm AB10.,<>|\n\r\t\x0b\x1c\x1f\x85\xa0\u2003\u3000éß世😀\u0301\u200d", max_size=60),
    st.lists(st.sampled_from([*SPELLINGS, "don't", "we'll", " ", "  ", "\n\n", "def f(x):", "a_b", "<", "eos>", "'"]),
             max_size=20).map("".join),
)
"""Anything, what GPT-2's pattern treats specially, and what looks like a control token."""


# ---- the notebook's items 1, 2, 3


def test_the_notebooks_vocabulary(notebook: Tokenizer) -> None:
    vocab = json.loads(notebook.to_json())["model"]["vocab"]
    assert vocab == {"<pad>": 0, "<bos>": 1, "<eos>": 2, "hello": 3, ",": 4, "how": 5, "are": 6, "you": 7, "?": 8,
                     "is": 9, "your": 10, "day": 11}
    assert (notebook.vocab_size, notebook.unk_id) == (12, None)


def test_the_notebooks_encoding_and_round_trip(notebook: Tokenizer) -> None:
    ids = notebook.encode("how is your day ?")
    assert ids == [1, 5, 9, 10, 11, 8, 2]
    assert notebook.decode(ids) == "how is your day ?"
    assert notebook.decode(ids, specials=True) == "<bos> how is your day ? <eos>"
    assert notebook.tokens(ids) == ["<bos>", "how", "is", "your", "day", "?", "<eos>"]
    assert notebook.encode_prompt("how is") == [1, 5, 9]
    assert notebook.encode_text("how is") == [5, 9]
    assert notebook.encode_batch(["how is", ""]) == [[5, 9], []]
    for sentence in HELLO:
        assert notebook.decode(notebook.encode(sentence)) == sentence


def test_unknown_words_are_named_with_places_near_words_and_remedies(notebook: Tokenizer) -> None:
    with pytest.raises(TinyLMError) as caught:
        notebook.encode("Hi my name is Ben")
    message = str(caught.value)
    for part in ("'Hi' (word 1", "'my' (word 2)", "'name' (word 3", "'Ben' (word 5)", "--tokenizer bpe",
                 "--set data.unknown_token=true"):
        assert part in message
    assert "'is'" not in message.replace("near to 'is'", "")
    with pytest.raises(TinyLMError, match=r"'helo' \(word 2, near to 'hello'\)"):
        notebook.encode("how helo how helo")


def test_a_long_list_of_unknown_words_is_cut(notebook: Tokenizer) -> None:
    with pytest.raises(TinyLMError, match="and 9,990 more"):
        notebook.encode(" ".join(f"w{n}" for n in range(10_000)))


# ---- vocabularies


def test_an_unknown_word_is_unk_where_there_is_one() -> None:
    tokenizer = Tokenizer.train("word", HELLO)
    assert (tokenizer.unk_id, tokenizer.vocab_size, tokenizer.token(3)) == (3, 13, "<unk>")
    assert tokenizer.encode_text("how art thou ?") == [tokenizer.encode_text("how")[0], 3, 3,
                                                       tokenizer.encode_text("?")[0]]
    assert tokenizer.decode(tokenizer.encode("how art")) == "how <unk>"


def test_the_most_frequent_words_stay_in_order_of_appearance() -> None:
    tokenizer = Tokenizer.train("word", ["rare b a", "a b c", "d c"], vocab_size=4 + 3)
    assert tokenizer.tokens(range(4, 7)) == ["b", "a", "c"]


def test_the_alphabet_is_sorted() -> None:
    tokenizer = Tokenizer.train("char", ["zb", "\na é"])
    assert tokenizer.tokens(range(3, 9)) == ["\n", " ", "a", "b", "z", "é"]
    assert tokenizer.unk_id is None


def test_unknown_characters_are_named_with_their_places() -> None:
    with pytest.raises(TinyLMError, match=r"'x' \(character 2\), '😀' \(character 4\).*--tokenizer bpe"):
        Tokenizer.train("char", ["abc"]).encode("axx😀b")


def test_bpe_has_every_byte_and_at_most_what_was_asked(small: Tokenizers) -> None:
    assert small["bpe"].vocab_size == 1024
    assert Tokenizer.train("bpe", []).vocab_size == 3 + 256
    assert small["bpe"].encode_text(" the the")[0] == small["bpe"].encode_text(" the the")[1]


def test_a_token_of_bytes_is_readable(small: Tokenizers) -> None:
    bpe = small["bpe"]
    ids = bpe.encode("the 😀")
    assert "".join(bpe.tokens(ids)) == "<bos>the <0xF0><0x9F><0x98><0x80><eos>"
    assert b"".join(map(bpe.token_bytes, ids)) == "the 😀".encode()
    assert bpe.decode(ids[:-2]) == "the \ufffd"


@pytest.mark.parametrize(("kind", "texts", "vocab_size", "message"), [
    ("bpe", ["abc"], 258, "256 bytes. Give at least --vocab-size 259"),
    ("char", ["abc"], 5, "every character of the text. Give at least --vocab-size 6"),
    ("word", ["a b"], 4, "for the specials and one word. Give at least --vocab-size 5"),
    ("bytes", ["abc"], None, "there is no tokenizer 'bytes'"),
])
def test_vocabularies_that_cannot_be(kind: str, texts: list[str], vocab_size: int | None, message: str) -> None:
    with pytest.raises(TinyLMError) as caught:
        Tokenizer.train(kind, texts, vocab_size=vocab_size)
    assert message in str(caught.value)


def test_words_without_unk_must_all_fit() -> None:
    with pytest.raises(TinyLMError, match=r"every word of the text without <unk>\. Give at least --vocab-size 12"):
        Tokenizer.train("word", HELLO, vocab_size=11, unknown_token=False)


@pytest.mark.parametrize("kind", KINDS)
def test_half_a_surrogate_pair_is_an_error(small: Tokenizers, kind: str) -> None:
    with pytest.raises(TinyLMError, match=r"character 3 is U\+D800"):
        small[kind].encode("ab\ud800")
    if kind != "word":
        with pytest.raises(TinyLMError, match=r"U\+DC00"):
            Tokenizer.train(kind, ["ab\udc00"])


@pytest.mark.parametrize("id", [-1, 12, 10**9])
def test_an_id_outside_the_vocabulary_is_an_error(notebook: Tokenizer, id: int) -> None:
    for use in (lambda: notebook.decode([3, id]), lambda: notebook.token(id), lambda: notebook.token_bytes(id)):
        with pytest.raises(TinyLMError, match="they go from 0 to 11"):
            use()


def test_auto_takes_characters_for_small_texts_and_grows_with_the_text() -> None:
    def stats(size: int, alphabet: str = "abc") -> CorpusStats:
        return CorpusStats(size, size, 1, "", alphabet)

    chosen = [choose_tokenizer(stats(size))[:2] for size in (80, 299_999, 300_000, 10**6, 10**7, 5 * 10**7, 10**9)]
    assert chosen == [("char", None), ("char", None), ("bpe", 2048), ("bpe", 2048), ("bpe", 4096), ("bpe", 8192),
                      ("bpe", 16384)]
    many = "".join(map(chr, range(0x4E00, 0x4E00 + 600)))
    assert choose_tokenizer(stats(80, many)).kind == "bpe"
    assert "80 characters" in choose_tokenizer(stats(80)).reason


# ---- the file


@pytest.mark.parametrize("kind", KINDS)
def test_the_file_is_all_there_is(small: Tokenizers, kind: str, tmp_path: Path) -> None:
    small[kind].save(tmp_path / "tokenizer.json")
    again = Tokenizer.load(tmp_path / "tokenizer.json")
    assert (again.kind, again.unk_id, again.fingerprint) == (kind, small[kind].unk_id, small[kind].fingerprint)
    assert hashlib.sha256((tmp_path / "tokenizer.json").read_bytes()).hexdigest() == again.fingerprint
    assert again.encode("to be is to do") == small[kind].encode("to be is to do")
    assert json.loads(again.to_json())["added_tokens"] == []


def foreign_files() -> dict[str, str]:
    ours = json.loads(Tokenizer.train("bpe", ["ab ab ab"]).to_json())
    words = json.loads(Tokenizer.train("word", HELLO).to_json())
    unigram = tokenizers.Tokenizer(models.Unigram([("a", 0.0)]))
    other_split = tokenizers.Tokenizer(models.WordLevel({"<pad>": 0, "<bos>": 1, "<eos>": 2}, unk_token="<unk>"))
    other_split.pre_tokenizer = pre_tokenizers.Whitespace()
    return {
        "nothing": "", "no JSON": "{", "null": "null", "a list": "[]", "no model": "{}", "deep": "[" * 99999,
        "unigram": unigram.to_str(), "another split": other_split.to_str(),
        "a gap in the ids": json.dumps(words | {"model": words["model"] | {"vocab": {"<pad>": 0, "<bos>": 1, "a": 3}}}),
        "no specials": json.dumps(words | {"model": words["model"] | {"vocab": {"a": 0, "b": 1, "c": 2}}}),
        "bytes missing": json.dumps(ours | {"model": {"type": "BPE", "merges": [],
                                                      "vocab": {"<pad>": 0, "<bos>": 1, "<eos>": 2, "a": 3}}}),
        "merges of nothing": json.dumps(ours | {"model": ours["model"] | {"merges": [["q", "zz"]]}}),
        "added tokens": json.dumps(words | {"added_tokens": [{"id": 2, "content": "<eos>"}]}),
        "a normalizer": json.dumps(words | {"normalizer": {"type": "Lowercase"}}),
        "long characters": json.dumps(ours | {"pre_tokenizer": None, "model": ours["model"] | {"merges": []}}),
    }


@pytest.mark.parametrize("case", foreign_files())
def test_foreign_and_broken_files_are_refused(case: str) -> None:
    with pytest.raises(TinyLMError, match=r"^a\.json: is not a tokenizer that tinylm wrote"):
        Tokenizer.from_json(foreign_files()[case], where="a.json")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(TinyLMError, match="is missing"):
        Tokenizer.load(tmp_path / "none.json")
    (tmp_path / "bad.json").write_bytes(b"\xff")
    with pytest.raises(TinyLMError, match="is not UTF-8"):
        Tokenizer.load(tmp_path / "bad.json")


def test_an_older_file_with_fewer_fields_still_loads() -> None:
    data = json.loads(Tokenizer.train("bpe", ["ab ab"]).to_json())
    del data["pre_tokenizer"]["use_regex"], data["model"]["ignore_merges"]
    assert Tokenizer.from_json(json.dumps(data)).kind == "bpe"


# ---- T1: there and back


def check_round_trip(tokenizer: Tokenizer, text: str) -> None:
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert b"".join(map(tokenizer.token_bytes, ids)) == text.encode()


@settings(max_examples=2_000)
@given(text=AWKWARD)
def test_t1_bpe_gives_back_every_string(small: Tokenizers, text: str) -> None:
    check_round_trip(small["bpe"], text)


def alphabet_of(tokenizer: Tokenizer) -> str:
    return "".join(tokenizer.tokens(range(3, tokenizer.vocab_size)))


@settings(max_examples=2_000)
@given(data=st.data())
def test_t1_char_gives_back_every_string_over_its_alphabet(small: Tokenizers, data: st.DataObject) -> None:
    check_round_trip(small["char"], data.draw(st.text(alphabet_of(small["char"]), max_size=60)))


@pytest.mark.slow
@settings(max_examples=50_000)
@given(text=AWKWARD)
def test_t1_bpe_full(small: Tokenizers, text: str) -> None:
    check_round_trip(small["bpe"], text)


@pytest.mark.slow
@settings(max_examples=50_000)
@given(data=st.data())
def test_t1_char_full(small: Tokenizers, data: st.DataObject) -> None:
    check_round_trip(small["char"], data.draw(st.text(alphabet_of(small["char"]), max_size=60)))


@pytest.mark.slow
def test_t1_every_unicode_scalar(small: Tokenizers) -> None:
    scalars = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    for text in scalars:
        assert small["bpe"].decode(small["bpe"].encode(text)) == text
    check_round_trip(Tokenizer.train("char", scalars), "".join(scalars))


# ---- T2: time on adversarial text

ADVERSARIAL: dict[str, Callable[[int], str]] = {
    "spaces": lambda n: " " * n, "newlines": lambda n: "\n" * n, "tabs": lambda n: "\t" * n,
    "mixed white space": lambda n: " \n\t\r" * (n // 4), "spaces, then a letter": lambda n: " " * n + "a",
    "no-break spaces": lambda n: "\xa0" * n, "wide spaces": lambda n: "\u3000" * n,
    "file separators": lambda n: "\x1c" * n, "separators and spaces": lambda n: "\x1c " * (n // 2),
    "one letter": lambda n: "a" * n,
    "two letters": lambda n: "ab" * (n // 2), "a merged word": lambda n: "the" * (n // 3),
    "no spaces": lambda n: "".join(random.Random(0).choices("acgt", k=n)), "digits": lambda n: "0" * n,
    "letters and digits": lambda n: "a1" * (n // 2), "single letters": lambda n: "a " * (n // 2),
    "long words": lambda n: ("x" * 999 + " ") * (n // 1000), "quotes": lambda n: "'" * n,
    "contractions": lambda n: "'s" * (n // 2), "broken contractions": lambda n: "'l" * (n // 2),
    "symbols": lambda n: "!" * n, "symbols and letters": lambda n: "!a" * (n // 2), "brackets": lambda n: "<" * n,
    "specials": lambda n: "<eos>" * (n // 5), "underscores": lambda n: "a_" * (n // 2),
    "distinct words": lambda n: " ".join(map(str, range(n // 6))), "emoji": lambda n: "😀" * n,
    "combining marks": lambda n: "e" + "\u0301" * n, "joiners": lambda n: "👩\u200d" * (n // 2),
    "random code points": lambda n: "".join(map(chr, random.Random(0).choices(range(0x20, 0xD800), k=n))),
}


def seconds(tokenizer: Tokenizer, text: str) -> float:
    """The best of three, each with a tokenizer that remembers nothing of the text."""
    times = []
    for _ in range(3):
        fresh = Tokenizer.from_json(tokenizer.to_json())
        begin = time.perf_counter()
        fresh.encode_text(text)
        times.append(time.perf_counter() - begin)
    return min(times)


def check_growth(tokenizer: Tokenizer, pattern: str, size: int, doublings: int = 1) -> None:
    """Each doubling of the text up to `size` takes at most 2.5 times the time, on average: one of them may be the one
    that no longer fits in a cache. Measured again when the machine was busy with something else."""
    for _ in range(6):
        small, whole = (seconds(tokenizer, ADVERSARIAL[pattern](n)) for n in (size >> doublings, size))
        if whole <= 2.5**doublings * small + 0.002:
            return
    raise AssertionError(f"{pattern}: {small:.3f} s, then {whole:.3f} s for {2**doublings} times the text")


@pytest.mark.parametrize("pattern", ADVERSARIAL)
def test_t2_time_grows_with_the_text(small: Tokenizers, pattern: str) -> None:
    check_growth(small["bpe"], pattern, 60_000)


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ADVERSARIAL)
def test_t2_full(small: Tokenizers, pattern: str) -> None:
    check_growth(small["bpe"], pattern, 1_000_000, doublings=4)


@pytest.mark.parametrize("pattern", ["one letter", "no spaces", "spaces", "emoji"])
def test_training_survives_a_text_without_words(pattern: str) -> None:
    """The trainer alone takes ten minutes for these: its time grows with the square of a word's length."""
    Tokenizer.train("bpe", [ADVERSARIAL[pattern](200_000)], vocab_size=512)


# ---- T3: one corpus, one file

TRAIN = """
import hashlib, sys
from tinylm.text.corpus import open_corpus
from tinylm.text.tokenizer import Tokenizer
pieces = [piece.text for piece in open_corpus("python-reference").pieces()]
texts = [text[i:i + 4096] for text in pieces for i in range(0, len(text), 4096)]
for kind in ("word", "char", "bpe"):
    print(hashlib.sha256(Tokenizer.train(kind, texts).to_json().encode()).hexdigest())
"""


def trained_elsewhere(hash_seed: str, threads: str) -> str:
    environment = os.environ | {"PYTHONHASHSEED": hash_seed, "RAYON_NUM_THREADS": threads}
    return subprocess.run([sys.executable, "-c", TRAIN], env=environment, capture_output=True, text=True,
                          check=True).stdout


def test_t3_the_same_corpus_gives_the_same_file() -> None:
    found = {trained_elsewhere(seed, threads) for seed in ("0", "1", "random") for threads in ("1", "2")}
    assert len(found) == 1
    assert len(set(found.pop().split())) == 3


@pytest.mark.slow
def test_t3_full() -> None:
    assert len({trained_elsewhere("random", str(1 + n % 8)) for n in range(20)}) == 1


# ---- T4: text never turns into a control token


def specials_in(tokenizer: Tokenizer, text: str) -> set[int]:
    return {id for id in tokenizer.encode_text(text) if id < 3}


ADVERSARIAL_WORDS = st.lists(
    st.sampled_from([*SPELLINGS, "<", ">", "eos>", "<eos", "eos", "hello", " ", "\n", "\x1c", "a"]), max_size=12,
).map("".join)


@settings(max_examples=1_000)
@given(text=ADVERSARIAL_WORDS)
def test_t4_text_never_turns_into_a_control_token(hardened: Tokenizers, text: str) -> None:
    for kind in KINDS:
        assert not specials_in(hardened[kind], text), kind


@pytest.mark.slow
@settings(max_examples=20_000)
@given(text=st.one_of(ADVERSARIAL_WORDS, AWKWARD))
def test_t4_full(hardened: Tokenizers, text: str) -> None:
    for kind in ("word", "bpe"):
        assert not specials_in(hardened[kind], text), kind


@pytest.fixture(scope="module")
def hardened() -> Tokenizers:
    """Trained on a text that is full of spelled-out specials, which they would merge if they could."""
    texts = [" ".join(SPELLINGS * 500), "".join(SPELLINGS * 500), "hello < > \n \x1c eos eos> <eos a"]
    return {kind: Tokenizer.train(kind, texts, vocab_size=1024 if kind == "bpe" else None) for kind in KINDS}


def test_no_other_entry_is_spelled_like_a_special(hardened: Tokenizers) -> None:
    for kind in KINDS:
        entries = [hardened[kind].token_bytes(id) for id in range(4, hardened[kind].vocab_size)]
        assert not any(special.encode() in entries for special in SPELLINGS)
    assert hardened["word"].decode(hardened["word"].encode("hello <eos> a")) == "hello < eos> a"
    assert hardened["bpe"].decode(hardened["bpe"].encode("hello <eos> a")) == "hello <eos> a"


def test_a_typed_special_is_an_unknown_word_in_the_notebook(notebook: Tokenizer) -> None:
    with pytest.raises(TinyLMError, match=r"'<eos>' \(word 2\)"):
        notebook.encode("hello <eos>")


# ---- T5: the same ids in tinylm, tokenizers and transformers


def others(tokenizer: Tokenizer, folder: Path) -> tuple[tokenizers.Tokenizer, PreTrainedTokenizerFast]:
    tokenizer.save(folder / "tokenizer.json")
    path = str(folder / "tokenizer.json")
    return tokenizers.Tokenizer.from_file(path), PreTrainedTokenizerFast(tokenizer_file=path)


def check_others(tokenizer: Tokenizer, found: tuple[tokenizers.Tokenizer, PreTrainedTokenizerFast], text: str) -> None:
    library, transformer = found
    ids = tokenizer.encode(text)
    assert library.encode(text).ids == ids
    assert transformer(text)["input_ids"] == ids
    text_ids = tokenizer.encode_text(text)
    assert library.decode(text_ids) == transformer.decode(text_ids) == tokenizer.decode(text_ids)


@pytest.fixture(scope="module")
def elsewhere(
    small: Tokenizers, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, tuple[tokenizers.Tokenizer, PreTrainedTokenizerFast]]:
    return {kind: others(small[kind], tmp_path_factory.mktemp(kind)) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=500)
@given(data=st.data())
def test_t5_the_same_ids_elsewhere(small: Tokenizers, elsewhere: dict, kind: str, data: st.DataObject) -> None:
    text = data.draw(AWKWARD)
    if kind == "char":
        known = set(alphabet_of(small["char"]))
        text = "".join(character for character in text if character in known)
    check_others(small[kind], elsewhere[kind], text)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["word", "bpe"])
@settings(max_examples=10_000)
@given(text=AWKWARD)
def test_t5_full(small: Tokenizers, elsewhere: dict, kind: str, text: str) -> None:
    check_others(small[kind], elsewhere[kind], text)


@pytest.mark.parametrize("kind", KINDS)
def test_t5_a_whole_text(small: Tokenizers, elsewhere: dict, reference_text: str, kind: str) -> None:
    text = reference_text[:200_000]
    assert elsewhere[kind][0].encode(text).ids == small[kind].encode(text)


def test_the_word_file_without_unk_agrees_too(notebook: Tokenizer, tmp_path: Path) -> None:
    for sentence in HELLO:
        check_others(notebook, others(notebook, tmp_path), sentence)


# ---- pieces


@settings(max_examples=500)
@given(text=AWKWARD, size=st.integers(1, 9))
def test_pieces_tokenise_as_the_whole_does(small: Tokenizers, elsewhere: dict, text: str, size: int) -> None:
    """Cut as a corpus cuts, every tokenizer's result is the library's for the whole text."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus_module, "PIECE", size)
        texts = [piece.text for piece in corpus_module._cut([text], "a")]
    for kind in ("word", "bpe"):
        by_piece = [id for ids in small[kind].encode_batch(texts) for id in ids]
        assert by_piece == elsewhere[kind][0].encode(text, add_special_tokens=False).ids, kind


def test_the_white_space_of_the_cut_is_that_of_the_pattern() -> None:
    """Over all of Unicode, what _cut takes for white space is what GPT-2's pattern does."""
    split = pre_tokenizers.Split(tokenizers.Regex(r"\s"), "removed")
    points = [point for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    text = "x".join(map(chr, points))
    found = {end for _, (_, end) in split.pre_tokenize_str(text)}
    white = {point for index, point in enumerate(points) if 2 * index in found or (not index and 0 in found)}
    pattern = corpus_module.re.compile(f"[{corpus_module.WHITESPACE}]")
    assert {point for point in points if pattern.match(chr(point))} == white


def test_the_python_sources_tokenise_as_the_library_says(small: Tokenizers, elsewhere: dict) -> None:
    texts = [piece.text for _, piece in zip(range(40), open_corpus("python-stdlib").pieces(), strict=False)]
    library = elsewhere["bpe"][0].encode_batch_fast(texts, add_special_tokens=False)
    assert [encoding.ids for encoding in library] == small["bpe"].encode_batch(texts)
