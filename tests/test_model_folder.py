"""The model folder: whole or not at all, and read with suspicion."""

import os
import shutil

import pytest

import tinylm
from tinylm import model_folder
from tinylm.errors import TinyLMError

from .conftest import refusal


@pytest.fixture
def folder(hello_run, tmp_path):
    return shutil.copytree(hello_run, tmp_path / "model")


def test_a_run_is_a_folder_without_pickle(hello_run):
    names = {path.name for path in hello_run.iterdir()}
    assert names == {"config.json", "tokenizer.json", "model.safetensors", "metrics.jsonl", "samples.jsonl",
                     "README.md", "checkpoints"}
    assert not any(path.read_bytes()[:2] == b"\x80\x04" for path in hello_run.rglob("*") if path.is_file())


def test_all_files_may_be_read_by_the_same_people(hello_run):
    assert len({path.stat().st_mode for path in hello_run.iterdir() if path.is_file()}) == 1


def test_without_checkpoints_it_is_still_a_model(folder):
    before = tinylm.load(folder).predict("how")
    shutil.rmtree(folder / "checkpoints")
    assert tinylm.load(folder).predict("how") == before


def test_a_block_that_fails_leaves_nothing(tmp_path):
    def write_half():
        with model_folder.new_folder(tmp_path / "a" / "run") as temporary:
            (temporary / "config.json").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert list((tmp_path / "a").iterdir()) == []


def test_a_model_is_replaced_only_by_force_and_other_things_never(folder, tmp_path):
    with pytest.raises(TinyLMError, match="--force"), model_folder.new_folder(folder):
        pass
    with model_folder.new_folder(folder, force=True) as temporary:
        (temporary / "config.json").write_text("new")
    assert [path.name for path in folder.iterdir()] == ["config.json"]
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "diary.txt").write_text("dear diary")
    with pytest.raises(TinyLMError, match="not a model"), model_folder.new_folder(mine, force=True):
        pass
    with pytest.raises(TinyLMError, match="is a file"), model_folder.new_folder(mine / "diary.txt", force=True):
        pass
    with pytest.raises(TinyLMError, match="nothing can be written"):
        model_folder.check_free(mine / "diary.txt" / "run", force=False)
    assert (mine / "diary.txt").read_text() == "dear diary"


@pytest.mark.needs_posix
def test_what_a_killed_process_left_is_swept_after_an_hour_and_what_vanishes_meanwhile_is_no_matter(tmp_path):
    left, new = tmp_path / ".run.abcdefgh", tmp_path / ".run.ijklmnop"
    left.mkdir()
    new.mkdir()
    os.utime(left, (0, 0))
    (tmp_path / ".run.gonenow1").symlink_to("nowhere")  # found in the folder, and not there any more
    with model_folder.new_folder(tmp_path / "run") as temporary:
        (temporary / "config.json").write_text("{}")
    assert (tmp_path / "run").is_dir()
    assert not left.exists()
    assert new.is_dir()


def test_an_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "run").mkdir()
    with model_folder.new_folder(tmp_path / "run") as temporary:
        (temporary / "config.json").write_text("x")
    assert (tmp_path / "run" / "config.json").read_text() == "x"


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_file_is_named(folder, name, share):
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[:int(share * len(data))])
    with pytest.raises(TinyLMError, match=name):
        tinylm.load(folder)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(TinyLMError, match=name):
        tinylm.load(folder)


def test_files_that_do_not_belong_together_are_noticed(folder):
    assert "down_proj" in refusal(folder, lambda values: values["model"].update(d_mlp=65))


@pytest.mark.parametrize("change", [
    lambda values: values["model"].update(vocab_size=13), lambda values: values["model"].update(d_modle=3),
    lambda values: values["model"].update(d_model="x"), lambda values: values.update(model=5),
    lambda values: values.pop("model"), lambda values: values.pop("format"), lambda values: values.update(format="x"),
    lambda values: values.update(extra={}), lambda values: values["train"].update(steps=3),
])
def test_a_config_that_cannot_be_is_refused(folder, change):
    assert refusal(folder, change)


def test_a_newer_format_is_refused_by_name(folder):
    assert "newer tinylm" in refusal(folder, lambda values: values.update(format=99))


def test_the_card_says_what_it_was_made_from_and_how_well_it_does(book_run):
    card = (book_run / "README.md").read_text()
    config = model_folder.read_config(book_run)
    for fact in ("book.txt", config.data.fingerprint, "bits a byte", "-grams |", "the last 10%"):
        assert fact in card, fact
