"""What is held out, what lies on the disk, and that it is never out of date."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinylm.errors import TinyLMError
from tinylm.text import corpus as corpus_module
from tinylm.text import dataset as dataset_module
from tinylm.text.corpus import open_corpus
from tinylm.text.dataset import Dataset, build_dataset
from tinylm.text.split import Slice, Split, share_to_hold_out, split_corpus, train_tokenizer
from tinylm.text.tokenizer import Tokenizer

Write = Callable[[str, bytes | str], Path]

LINES = "".join(f"line number {n} of a small text\n" for n in range(40))


def text_of(part: Slice | None) -> str:
    assert part is not None
    return "".join(piece.text for piece in part.pieces())


def made(source: str | Path, cache: Path, kind: str = "char", documents: str = "auto",
         validation: float | str = 0.1) -> tuple[Split, Tokenizer, Dataset]:
    split = split_corpus(open_corpus(source, documents=documents), validation)
    tokenizer = train_tokenizer(split, kind)
    return split, tokenizer, build_dataset(split, tokenizer, cache_dir=cache)


# ---- the split


def test_flowing_text_holds_out_its_last_tenth_of_characters(write: Write) -> None:
    split = split_corpus(open_corpus(write("a.txt", LINES)))
    cut = int(0.9 * len(LINES))
    assert (text_of(split.train), text_of(split.validation)) == (LINES[:cut], LINES[cut:])
    assert not any(piece.ends_document for piece in split.train.pieces())
    assert split.description == f"validation is the last {len(LINES) - cut:,} of {len(LINES):,} characters"


def test_a_long_text_is_cut_where_python_slices_it(write: Write, reference_text: str) -> None:
    split = split_corpus(open_corpus(write("reference.txt", reference_text)))
    cut = int(0.9 * len(reference_text))
    assert (text_of(split.train), text_of(split.validation)) == (reference_text[:cut], reference_text[cut:])


@pytest.mark.parametrize(("count", "held_out"), [(2, 1), (4, 1), (10, 1), (40, 4)])
def test_lines_are_held_out_whole(write: Write, count: int, held_out: int) -> None:
    lines = LINES.splitlines()[:count]
    split = split_corpus(open_corpus(write("a.txt", "\n".join(lines)), documents="line"))
    assert split.train.pieces()
    assert [piece.text for piece in split.train.pieces()] == lines[:-held_out]
    assert [piece.text for piece in split.validation.pieces()] == lines[-held_out:]


def test_many_files_are_held_out_whole_and_few_are_not(write: Write, tmp_path: Path) -> None:
    for n in range(9):
        write(f"texts/{n}.txt", f"this is file {n}.")
    assert split_corpus(open_corpus(tmp_path / "texts")).train.unit == "characters"
    write("texts/9.txt", "this is file 9.")
    split = split_corpus(open_corpus(tmp_path / "texts"))
    assert text_of(split.validation) == "this is file 9."


@given(st.lists(st.text("ab ", min_size=1, max_size=9), min_size=1, max_size=5), st.data())
def test_a_cut_by_characters_loses_nothing(texts: list[str], data: st.DataObject) -> None:
    pieces = [corpus_module.Piece(text, True) for text in texts]
    cut = data.draw(st.integers(0, len("".join(texts))))

    class Fake:
        def pieces(self) -> list[corpus_module.Piece]:
            return pieces

    whole = len("".join(texts))
    left, right = (list(Slice(Fake(), "characters", *ends).pieces()) for ends in ((0, cut), (cut, whole)))
    assert "".join(piece.text for piece in left) == "".join(texts)[:cut]
    assert "".join(piece.text for piece in right) == "".join(texts)[cut:]
    assert sum(piece.ends_document for piece in [*left, *right]) == len(texts)


@pytest.mark.parametrize("share", [1e-9, 0.5, 0.999999])
def test_a_share_that_is_not_0_holds_something_out(write: Write, share: float) -> None:
    split = split_corpus(open_corpus(write("a.txt", LINES)), share)
    assert text_of(split.validation)
    assert text_of(split.train) + text_of(split.validation) == LINES


@pytest.mark.parametrize(("characters", "held_out"), [
    (1_000, 100), (20_000_000, 2_000_000), (20_000_007, 2_000_000), (150_000_000, 2_000_000), (10**10 + 7, 2_000_000)])
def test_by_default_a_tenth_is_held_out_and_at_most_two_million_characters(
        write: Write, monkeypatch: pytest.MonkeyPatch, characters: int, held_out: int) -> None:
    corpus = open_corpus(write("a.txt", LINES))
    monkeypatch.setattr(corpus, "_stats", corpus.stats()._replace(characters=characters))
    split = split_corpus(corpus, share_to_hold_out(corpus))
    assert split.train.stop == split.validation.start == characters - held_out


def test_nothing_or_another_file_held_out(write: Write) -> None:
    path, other = write("a.txt", LINES), write("b.txt", "one\ntwo")
    split = split_corpus(open_corpus(path), 0.0)
    assert (text_of(split.train), split.validation) == (LINES, None)
    split = split_corpus(open_corpus(path, documents="line"), str(other))
    assert [piece.text for piece in split.validation.pieces()] == ["one", "two"], "opened in the same way"
    assert split.train.stop == 40


def test_a_tokenizer_sees_the_training_text_only(write: Write) -> None:
    split = split_corpus(open_corpus(write("a.txt", "known words here " * 20 + "NEW")))
    words = train_tokenizer(split, "word")
    assert words.encode_text("NEW") == [words.unk_id]
    assert train_tokenizer(split, "char").encode_text("NEW"), "but an alphabet is closed"
    with pytest.raises(TinyLMError, match=r"not in the vocabulary: .*'NEW'.*--tokenizer bpe"):
        build_dataset(split, train_tokenizer(split, "word", unknown_token=False))


def test_one_word_is_no_text(write: Write) -> None:
    with pytest.raises(TinyLMError, match=r"a\.txt: holds a single word of 5 characters"):
        split_corpus(open_corpus(write("a.txt", "hello")))
    split_corpus(open_corpus(write("b.txt", "two words")))
    split_corpus(open_corpus(write("c.txt", "汉" * 200)))


def test_too_few_tokens(write: Write, tmp_path: Path) -> None:
    with pytest.raises(TinyLMError, match="too little text: 1 tokens to train on, and 2 are needed"):
        made(write("a.txt", "a b"), tmp_path, validation=0.5)


# ---- ids


def test_hello_on_disk(tmp_path: Path) -> None:
    split = split_corpus(open_corpus("hello"), 0.0)
    tokenizer = train_tokenizer(split, "word", unknown_token=False)
    train = build_dataset(split, tokenizer, cache_dir=tmp_path).train
    assert train.ids.tolist() == [3, 4, 5, 6, 7, 8, 2, 3, 4, 5, 9, 10, 11, 8, 2, 5, 6, 7, 8, 2, 5, 9, 10, 11, 8, 2]
    assert train.offsets.tolist() == [0, 7, 15, 20, 26]
    assert (train.n_tokens, train.n_documents, train.n_bytes, train.ids.dtype) == (26, 4, 76, np.uint16)


@pytest.mark.parametrize("kind", ["word", "char", "bpe"])
def test_both_parts_hold_the_whole_text(write: Write, tmp_path: Path, kind: str) -> None:
    path = write("a.txt", LINES + "Grüße\n" * 50)
    split, tokenizer, dataset = made(path, tmp_path, kind)
    for part, text in ((dataset.train, text_of(split.train)), (dataset.validation, text_of(split.validation))):
        assert part.n_bytes == len(text.encode())
        assert part.n_documents == 1
        assert part.ids[:part.n_tokens - (part is dataset.validation)].tolist() == tokenizer.encode_text(text)
    assert dataset.validation.ids[-1] == tokenizer.eos_id
    assert dataset.train.ids[-1] != tokenizer.eos_id, "the training text goes on where it was cut"


def test_a_large_vocabulary_takes_four_bytes(write: Write, tmp_path: Path) -> None:
    path = write("a.txt", " ".join(map(str, range(70_000))))
    _, tokenizer, dataset = made(path, tmp_path, "word", validation=0.0)
    assert dataset.train.ids.dtype == np.uint32
    assert tokenizer.decode(dataset.train.ids[-3:]) == "69998 69999"


# ---- the cache


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_second_time_nothing_is_encoded(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, cache = write("a.txt", LINES), tmp_path / "cache"
    _, _, first = made(path, cache)
    monkeypatch.setattr(Tokenizer, "encode_arrays", None)
    _, _, second = made(path, cache)
    assert second.folder == first.folder
    assert second.train.ids.tolist() == first.train.ids.tolist()


def test_a_changed_text_tokenizer_or_split_gives_new_ids(write: Write, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    _, tokenizer, first = made(write("a.txt", LINES), cache)
    split, _, changed = made(write("a.txt", LINES.replace("7", "8", 1)), cache)
    assert tokenizer.decode(changed.train.ids) == text_of(split.train) != tokenizer.decode(first.train.ids)
    folders = {first.folder, changed.folder}
    folders |= {made(tmp_path / "a.txt", cache, **other)[2].folder
                for other in ({"validation": 0.2}, {"validation": 0.0}, {"kind": "bpe"}, {"documents": "line"})}
    assert len(folders) == 6
    assert {entry.name for entry in (cache / "ids").iterdir()} == {folder.name for folder in folders}


@pytest.mark.parametrize("name", ["train.ids", "train.offsets", "validation.ids", "meta.json"])
@pytest.mark.parametrize("damage", ["gone", "cut", "changed"])
def test_a_damaged_entry_is_made_anew(write: Write, tmp_path: Path, name: str, damage: str) -> None:
    path, cache = write("a.txt", LINES), tmp_path / "cache"
    _, _, dataset = made(path, cache)
    good = files_of(cache)
    victim = dataset.folder / name
    del dataset
    content = bytearray(victim.read_bytes())
    if damage == "gone":
        victim.unlink()
    else:
        content[3] ^= 1
        victim.write_bytes(content[:-3] if damage == "cut" else content)
    made(path, cache)
    assert files_of(cache) == good


@pytest.mark.parametrize("meta", ["", "[]", "null", '{"train": 3}', '{"train": {"sha256": {}}}', "{}"])
def test_a_meta_file_of_nonsense_is_made_anew(write: Write, tmp_path: Path, meta: str) -> None:
    path, cache = write("a.txt", LINES), tmp_path / "cache"
    _, _, dataset = made(path, cache)
    (dataset.folder / "meta.json").write_text(meta)
    made(path, cache)
    assert json.loads((dataset.folder / "meta.json").read_text())["train"]["n_bytes"] == int(0.9 * len(LINES))


def test_a_text_that_changes_while_it_is_read_is_not_kept(write: Write, tmp_path: Path) -> None:
    path, cache = write("a.txt", LINES), tmp_path / "cache"
    split = split_corpus(open_corpus(path))
    tokenizer = train_tokenizer(split, "char")
    write("a.txt", LINES.replace("7", "8", 1))
    with pytest.raises(TinyLMError, match="changed while it was being read"):
        build_dataset(split, tokenizer, cache_dir=cache)
    assert files_of(cache) == {}


def test_a_failure_leaves_nothing(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    cache = tmp_path / "cache"
    monkeypatch.setattr(dataset_module.np, "array", full)
    with pytest.raises(TinyLMError, match=r"cannot be written \(No space left on device\)"):
        made(write("a.txt", LINES), cache, documents="line")
    assert list((cache / "ids").iterdir()) == []


def test_without_a_place_to_write_a_temporary_folder_stands_in(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = write("file", "not a folder")
    monkeypatch.setattr(dataset_module.tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    _, tokenizer, dataset = made(write("a.txt", LINES), blocked / "cache", validation=0.0)
    assert tokenizer.decode(dataset.train.ids) == LINES
    assert dataset.folder.parent == tmp_path / "tmp"
    del dataset
    assert not list((tmp_path / "tmp").iterdir())


def test_where_the_cache_is(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = split_corpus(open_corpus(write("a.txt", LINES)))
    tokenizer = train_tokenizer(split, "char")
    for variable, folder in (("HOME", ".cache/tinylm"), ("XDG_CACHE_HOME", "tinylm"), ("TINYLM_CACHE", "")):
        for name in ("XDG_CACHE_HOME", "TINYLM_CACHE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(variable, str(tmp_path / variable))
        assert build_dataset(split, tokenizer).folder.parent == tmp_path / variable / folder / "ids"


@pytest.mark.parametrize("damaged", [False, True])
def test_runs_that_make_the_same_ids_at_once_all_succeed(damaged: bool, write: Write, tmp_path: Path,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    path, cache, found = write("a.txt", LINES * 20), tmp_path / "cache", []
    if damaged:
        (made(path, cache)[2].folder / "train.ids").write_bytes(b"damaged")
    barrier, move = threading.Barrier(4), dataset_module._move

    def move_at_once(*arguments: Any) -> Path:
        barrier.wait(timeout=60)
        return move(*arguments)

    monkeypatch.setattr(dataset_module, "_move", move_at_once)
    threads = [threading.Thread(target=lambda: found.append(made(path, cache)[2])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({dataset.folder for dataset in found}) == 1
    assert len(found) == 4
    assert len(list((cache / "ids").iterdir())) == 1


def test_ids_that_a_killed_run_left_are_removed_an_hour_after_its_last_write(write: Write, tmp_path: Path) -> None:
    for name in ("killed", "alive"):
        (tmp_path / "ids" / f".new-{name}").mkdir(parents=True)
        (tmp_path / "ids" / f".new-{name}" / "train.ids").write_bytes(b"12")
    an_hour_ago = time.time() - 3700
    for old in (".new-killed/train.ids", ".new-killed", ".new-alive"):
        os.utime(tmp_path / "ids" / old, (an_hour_ago, an_hour_ago))
    made(write("a.txt", LINES), tmp_path)
    assert [entry.name for entry in (tmp_path / "ids").glob(".new-*")] == [".new-alive"]


@pytest.mark.parametrize(("system", "variables", "expected"), [
    ("linux", {}, "/home/ada/.cache"), ("darwin", {}, "/home/ada/Library/Caches"),
    ("win32", {"LOCALAPPDATA": "/home/ada/Local"}, "/home/ada/Local"), ("win32", {}, "/home/ada/AppData/Local"),
    ("linux", {"LOCALAPPDATA": "/home/ada/Local"}, "/home/ada/.cache"), ("darwin", {"XDG_CACHE_HOME": "/x"}, "/x"),
])
def test_caches_lie_where_each_system_has_them(monkeypatch: pytest.MonkeyPatch, system: str,
                                               variables: dict[str, str], expected: str) -> None:
    for name in ("XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/ada", **variables}.items():
        monkeypatch.setenv(name, value)
    assert dataset_module.user_caches(system) == expected


def test_what_a_process_without_a_cache_left_is_removed_later(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(dataset_module.tempfile, "tempdir", str(tmp_path))
    left = tmp_path / "tinylm-ids-abcdefgh"
    left.mkdir()
    os.utime(left, (0, 0))
    assert dataset_module._writable_beside(None).parent == tmp_path
    assert not left.exists()
