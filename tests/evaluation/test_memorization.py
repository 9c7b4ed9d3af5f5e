"""The copy meter against planted copies, and against a search by hand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinylm.evaluation import memorization, rolling_hash, text_blocks
from tinylm.evaluation.memorization import CopyIndex, Overlap, TextLocation, combine
from tinylm.text.corpus import open_corpus
from tinylm.text.split import split_corpus

quick = settings(derandomize=True, deadline=None)
WORDS = st.lists(st.sampled_from(["a", "b", "c", "das", "où", "世界", "…", "x1"]), min_size=3, max_size=60)
SPACES = st.sampled_from([" ", "\n", " \t", "\r\n"])


def index_of(path: Path, text: str | None = None, **options: str) -> CopyIndex:
    if text is not None:
        path.write_text(text, encoding="utf-8", newline="")
    return CopyIndex(split_corpus(open_corpus(path, **options), 0.0).train)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("copying") / "text.txt"


def longest_common(train: list[str], words: list[str]) -> int:
    """By trying every run."""
    known = {tuple(train[i:j]) for i in range(len(train)) for j in range(i, len(train) + 1)}
    return max(j - i for i in range(len(words) + 1) for j in range(i, len(words) + 1) if tuple(words[i:j]) in known)


def share(train: list[str], words: list[str], width: int = 8) -> float:
    known = {tuple(train[i:i + width]) for i in range(len(train) - width + 1)}
    grams = [tuple(words[i:i + width]) for i in range(len(words) - width + 1)]
    return sum(gram in known for gram in grams) / len(grams) if grams else 0.0


@settings(quick, max_examples=60)
@given(WORDS, WORDS, SPACES, SPACES)
def test_it_finds_what_a_search_by_hand_finds(place, train, words, gap, other_gap):
    copied = index_of(place, gap.join(train)).measure(other_gap.join(words))
    assert copied.longest == longest_common(train, words)
    assert copied.share == pytest.approx(share(train, words))
    assert copied.windows == max(0, len(words) - 7)
    run = copied.run.split()
    assert len(run) == copied.longest
    assert " ".join(run) in " ".join(train)
    assert copied.run in other_gap.join(words)
    assert len(copied.run) == copied.characters


NUMBERED = [f"w{i}" for i in range(300)]


@settings(quick, max_examples=60)
@given(st.integers(0, 299), st.integers(1, 60), st.integers(0, 30), st.integers(0, 30))
def test_a_planted_copy_is_found_in_its_length_and_at_its_line(place, first, length, before, after):
    """Five words a line; copies begin at the start, go over line ends, and stop at the end of the text."""
    lines = [" ".join(NUMBERED[i:i + 5]) for i in range(0, 300, 5)]
    index = index_of(place, "\n".join(lines))
    plant = NUMBERED[first:first + length]
    text = " ".join(["zzz"] * before + plant + ["yyy"] * after)
    copied = index.measure(text)
    assert (copied.longest, copied.run) == (len(plant), " ".join(plant))
    assert copied.where == TextLocation(str(place), first // 5 + 1, lines[first // 5])
    windows = max(0, before + len(plant) + after - 7)
    assert copied.share * windows == pytest.approx(max(0, len(plant) - 7))


@settings(quick, max_examples=20)
@given(st.integers(0, 250), st.integers(1, 60))
def test_chunks_blocks_and_equal_hashes_change_nothing(place, first, length):
    """Tiny chunks and blocks, and numbers so coarse that nearly every window's hash is met by chance."""
    plant = NUMBERED[first:first + length]
    text = "zzz " + " ".join(plant) + " zzz"
    expected = index_of(place, "\n".join(NUMBERED)).measure(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rolling_hash, "CHUNK", 16)
        patch.setattr(text_blocks, "BLOCK_CHARACTERS", 40)
        assert index_of(place, "\n".join(NUMBERED)).measure(text) == expected
        patch.setattr(memorization, "_word_numbers",
                      lambda text: rolling_hash.np.array([len(w) for w in text.split()], "u4"))
        assert index_of(place, "\n".join(NUMBERED)).measure(text) == expected
    assert expected.longest == len(plant)
    assert expected.where == TextLocation(str(place), first + 1, NUMBERED[first])


@pytest.mark.parametrize("text", ["", " \n", "zzz", "zzz " * 20])
def test_where_nothing_is_copied_it_says_so(place, text):
    windows = max(0, len(text.split()) - 7)
    assert index_of(place, "a b c").measure(text) == Overlap("words", 0, 0, "", 0.0, 8, windows, None)


def test_a_text_shorter_than_eight_words_has_a_longest_run(place):
    copied = index_of(place, "one two three four").measure("two three !")
    assert (copied.longest, copied.characters, copied.run, copied.share, copied.windows) == (2, 9, "two three", 0.0, 0)


def test_nothing_is_copied_across_the_end_of_a_document(place):
    index = index_of(place, "one two\nthree four\n\nfive\n", documents="line")
    assert index.measure("one two three four").longest == 2
    assert index.measure("three four five").where == TextLocation(str(place), 2, "three four")
    assert index.measure("five").where == TextLocation(str(place), 4, "five")
    assert index.measure("\ud800").longest == 0


def test_file_and_line_in_a_folder_of_many_kinds(tmp_path, monkeypatch):
    monkeypatch.setattr(text_blocks, "BLOCK_CHARACTERS", 16)
    (tmp_path / "a.txt").write_text("one two\nthree four\n")
    (tmp_path / "b.jsonl").write_text('{"text": "five six\\nseven"}\n\n{"text": "eight\\nnine ten"}\n')
    (tmp_path / "c.txt").write_text("\n\neleven twelve")
    index = index_of(tmp_path)
    for words, file, line, text in (("two three", "a.txt", 1, "one two"), ("four", "a.txt", 2, "three four"),
                                    ("six seven", "b.jsonl", 1, "five six"), ("nine ten", "b.jsonl", 3, "nine ten"),
                                    ("seven", "b.jsonl", 1, "seven"), ("eleven", "c.txt", 3, "eleven twelve")):
        assert index.measure(words).where == TextLocation(str(tmp_path / file), line, text), words
    assert index.measure("four five").longest == 1, "these stand in two files"


def test_of_a_long_text_the_beginning_is_searched_and_that_is_said(place, monkeypatch):
    monkeypatch.setattr(text_blocks, "BLOCK_CHARACTERS", 40)
    whole = index_of(place, "\n".join(NUMBERED)).measure("w10 w11")
    assert whole.searched is None
    monkeypatch.setattr(memorization, "MAX_SEARCHED_BYTES", 500)
    index = CopyIndex(split_corpus(open_corpus(place), 0.0).train)
    near, far = index.measure("w10 w11"), index.measure("w290 w291")
    assert (near.longest, far.longest) == (2, 0)
    assert near.searched == far.searched
    assert 500 <= near.searched <= 600
    monkeypatch.setattr(memorization, "MAX_SEARCHED_BYTES", place.stat().st_size)
    assert CopyIndex(split_corpus(open_corpus(place), 0.0).train).measure("w290 w291") == \
        index_of(place).measure("w290 w291")


def test_only_the_training_text_counts(place):
    place.write_text("\n".join(NUMBERED))
    split = split_corpus(open_corpus(place), 0.5)
    index = CopyIndex(split.train)
    assert index.measure("w10 w11").longest == 2
    assert index.measure("w290 w291").longest == 0


@pytest.mark.parametrize(("alphabet", "ngram"), [("ACGT", 40), ("天地玄黄宇宙洪荒日月盈昃", 13)])
def test_scripts_without_spaces_are_counted_in_characters(place, alphabet, ngram):
    import random

    dice = random.Random(0)
    lines = ["".join(dice.choices(alphabet, k=70)) for _ in range(100)]
    copied = index_of(place, "\n".join(lines)).measure("zz" + lines[50][10:65] + "zz")
    assert (copied.unit, copied.ngram, copied.longest, copied.characters) == ("characters", ngram, 55, 55)
    assert copied.where == TextLocation(str(place), 51, lines[50])
    assert copied.share == pytest.approx((56 - ngram) / (60 - ngram))


def test_a_long_line_is_shown_around_the_copy(place):
    words = [f"w{i}" for i in range(50_000)]
    copied = index_of(place, " ".join(words)).measure("w30000 w30001 w30002")
    assert copied.longest == 3
    assert copied.where is not None
    assert copied.where.line == 1
    assert "w30000 w30001 w30002" in copied.where.text
    assert len(copied.where.text) <= text_blocks.MAX_LINE_CHARACTERS


def test_texts_together(place):
    index = index_of(place, " ".join(NUMBERED))
    texts = [" ".join(["zzz"] * 10), " ".join(NUMBERED[5:15]), "w1 w2"]
    both = combine([index.measure(text) for text in texts])
    assert (both.longest, both.run, both.windows, both.share) == (10, texts[1], 6, pytest.approx(0.5))


def test_a_text_that_repeats_itself_is_measured_in_no_time(place):
    """Every window equals every other: what compares each with each would never end."""
    copied = index_of(place, "la " * 300_000).measure("la " * 2_000 + "lu")
    assert (copied.longest, copied.share) == (2_000, pytest.approx(1993 / 1994))


MEASURE = """
import sys
from tinylm.evaluation.memorization import CopyIndex
from tinylm.system.memory import peak_memory_bytes
from tinylm.text.corpus import open_corpus
from tinylm.text.split import split_corpus
split = split_corpus(open_corpus(sys.argv[1]), 0.0)
before = peak_memory_bytes()
index = CopyIndex(split.train)
copied = index.measure(sys.argv[2])
print(peak_memory_bytes() - before, copied.longest, copied.where.line)
assert "torch" not in sys.modules
"""


@pytest.mark.parametrize("megabytes", [3, pytest.param(100, marks=pytest.mark.slow)])
def test_memory_is_a_small_multiple_of_the_text(place, megabytes):
    import random

    dice, lines, size = random.Random(0), [], 0
    vocabulary = ["".join(dice.choices("etaoinshrdlu", k=dice.randint(1, 9))) for _ in range(50_000)]
    weights = [1 / rank for rank in range(1, len(vocabulary) + 1)]
    while size < megabytes * 1_000_000:
        words = dice.choices(vocabulary, weights, k=100_000)
        lines += [" ".join(words[i:i + 12]) for i in range(0, len(words), 12)]
        size += sum(map(len, words)) + len(words)
    place.write_text("\n".join(lines))
    plant = len(lines) * 3 // 4
    done = subprocess.run([sys.executable, "-c", MEASURE, str(place), "\n".join(lines[plant:plant + 10])],
                          capture_output=True, text=True, check=True)
    peak, longest, line = map(int, done.stdout.split())
    assert (longest, line) == (120, plant + 1)
    assert peak < 4 * size + 8_000_000, "and some for tables and one block"


# ---- copied stretches


def covered(train: list[str], words: list[str], width: int = 8) -> set[int]:
    """Words that lie in a window of so many that stands in the training text, by trying every window."""
    known = {tuple(train[i:i + width]) for i in range(len(train) - width + 1)}
    return {i + k for i in range(len(words) - width + 1) if tuple(words[i:i + width]) in known for k in range(width)}


@settings(quick, max_examples=60)
@given(st.lists(st.sampled_from("ab"), min_size=12, max_size=50), st.lists(st.sampled_from("ab"), max_size=40))
def test_stretches_are_copies_that_do_not_overlap_and_hold_every_long_run(place, train, words):
    text = " ".join(words)
    spans = index_of(place, " ".join(train)).spans(text)
    ends = [0, *(span.end for span in spans)]
    assert all(span.start >= end for span, end in zip(spans, ends, strict=False))
    for span in spans:
        assert f" {text[span.start:span.end]} " in f" {' '.join(train)} "
    inside = {i for i in range(len(words)) if any(span.start <= 2 * i < span.end for span in spans)}
    assert inside <= covered(train, words)
    assert bool(spans) == bool(covered(train, words))


def test_a_stretch_has_the_line_from_which_it_was_copied(place):
    train = "\n".join(f"line {n} has words of its own such as {n * n} and {n + 7} too" for n in range(300))
    text = "Nobody wrote this. line 40 has words of its own such as 1600 and 47 too, and so on."
    span, = index_of(place, train).spans(text)
    assert text[span.start:span.end] == "line 40 has words of its own such as 1600 and 47"
    assert (span.where.line, span.where.text) == (41, train.splitlines()[40])


def test_a_text_that_repeats_one_line_is_searched_in_little_time(place):
    train = "the same words again and again in one line\n" * 20_000
    spans = index_of(place, train).spans("the same words again and again in one line " * 100)
    assert spans[0].start == 0
    assert sum(span.end - span.start for span in spans) > 4000
