"""Checkpoints: whole or not there, checked when read, never fewer than needed."""

import json
import random
import shutil
import tempfile
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tinylm.errors import TinyLMError
from tinylm.system.files import sha256
from tinylm.training.checkpoint import KEPT_CHECKPOINTS, Checkpoints, State

IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where flushing costs nothing."""


def state(step, *, best=True):
    def tensors(n):
        return {"a": torch.full((3, 4), float(n)), "b": torch.arange(5.0) + n}

    files = {"weights": tensors(step), "moments": {"step.a": torch.tensor(float(step))}}
    return State(files | ({"best": tensors(step - 1)} if best else {}), {"step": step, "note": None})


def same(one, other):
    return (one.numbers == other.numbers and one.tensors.keys() == other.tensors.keys()
            and all(torch.equal(one.tensors[file][name], other.tensors[file][name])
                    for file in one.tensors for name in one.tensors[file]))


@pytest.mark.parametrize("best", [True, False])
def test_what_is_saved_is_loaded(tmp_path, best):
    checkpoints = Checkpoints(tmp_path / "checkpoints")
    checkpoints.save(state(7, best=best))
    loaded, warnings = checkpoints.load()
    assert same(loaded, state(7, best=best))
    assert warnings == []


def test_before_the_first_step_there_are_no_moments(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(State({"weights": {"a": torch.ones(2)}, "moments": {}}, {"step": 0}))
    assert checkpoints.load()[0].tensors["moments"] == {}


def test_a_few_stay_and_the_newest_counts_even_if_its_step_is_lower(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    for step in (10, 20, 30, 15):  # a run that rolled back
        checkpoints.save(state(step))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000003-step-30", "000004-step-15"]
    assert checkpoints.load()[0].numbers["step"] == 15


def damage(path, random):
    data = bytearray(path.read_bytes())
    if random.random() < 0.5:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    else:
        del data[random.randrange(len(data)):]
    path.write_bytes(data)


@pytest.mark.parametrize("seeds", [range(200), pytest.param(range(200, 2000), marks=pytest.mark.slow)],
                         ids=["200", "2000"])
def test_rot_is_noticed_said_and_the_one_before_is_used(tmp_path, seeds):
    """R5: every flipped bit and every truncation, in any file of a checkpoint, the manifest included."""
    Checkpoints(tmp_path / "whole").save(state(1))
    newest = Checkpoints(tmp_path / "whole").save(state(2))
    names = sorted(path.name for path in newest.iterdir())
    for seed in seeds:
        folder = shutil.copytree(tmp_path / "whole", tmp_path / "rotten")
        draw = random.Random(seed)
        name = draw.choice(names)
        damage(folder / newest.name / name, draw)
        loaded, warnings = Checkpoints(folder).load()
        if loaded.numbers["step"] == 2:  # a flip in the manifest's white space changes nothing
            assert (name, same(loaded, state(2))) == ("manifest.json", True), seed
        else:
            assert same(loaded, state(1)), seed
            assert newest.name in warnings[0], seed
            assert [path.name for path in folder.iterdir()] == ["000001-step-1"], seed
        shutil.rmtree(folder)


def test_where_none_is_intact_nothing_is_removed_and_all_is_told(tmp_path):
    paths = [Checkpoints(tmp_path).save(state(step)) for step in (1, 2)]
    for path in paths:
        (path / "weights.safetensors").unlink()
    with pytest.raises(TinyLMError, match="no checkpoint is intact") as error:
        Checkpoints(tmp_path).load()
    assert all(path.name in str(error.value) for path in paths)
    assert all(path.is_dir() for path in paths)


def test_no_checkpoint_at_all(tmp_path):
    with pytest.raises(TinyLMError, match="no checkpoint to go on from"):
        Checkpoints(tmp_path / "none").load()


def test_a_manifest_cannot_point_out_of_its_folder(tmp_path):
    path = Checkpoints(tmp_path / "c").save(state(1))
    (tmp_path / "secret").write_text("x")
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["../../secret"] = {"bytes": 1, "sha256": sha256(tmp_path / "secret")}
    (path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(TinyLMError, match="secret"):
        Checkpoints(tmp_path / "c").load()


class Retention(RuleBasedStateMachine):
    """R7: whatever happens, the newest checkpoint that has not rotted is there, with the best weights in it."""

    def __init__(self):
        super().__init__()
        self.place = tempfile.TemporaryDirectory(dir=IN_MEMORY)
        self.checkpoints = Checkpoints(Path(self.place.name) / "checkpoints")
        self.good = []  # the steps of intact checkpoints, oldest first, as far as they are promised
        self.step = 0

    def teardown(self):
        self.place.cleanup()

    @rule(steps=st.integers(1, 50))
    def save(self, steps):
        self.step += steps
        self.checkpoints.save(state(self.step))
        self.good = [*self.good, self.step][-KEPT_CHECKPOINTS:]

    @rule()
    def crash_while_saving(self):
        """What a kill leaves: a hidden folder, half written, or an old one half deleted."""
        for name in (".new", ".gone-000001-step-1"):
            (self.checkpoints.folder / name).mkdir(parents=True, exist_ok=True)
            (self.checkpoints.folder / name / "weights.safetensors").write_bytes(b"half")

    @precondition(lambda self: len(self.good) > 1)
    @rule(draw=st.randoms())
    def rot(self, draw):
        newest = max(self.checkpoints.folder.glob("[0-9]*"))
        damage(newest / "weights.safetensors", draw)
        self.good.pop()

    @precondition(lambda self: self.good)
    @rule()
    def resume(self):
        loaded, _ = self.checkpoints.load()
        assert same(loaded, state(self.good[-1]))
        self.step = self.good[-1]

    @invariant()
    def the_last_good_one_is_there(self):
        if self.good:
            names = [path.name for path in self.checkpoints.folder.iterdir()]
            assert any(name.endswith(f"-step-{self.good[-1]}") for name in names), (names, self.good)


@pytest.mark.parametrize("histories", [300, pytest.param(3000, marks=pytest.mark.slow)])
def test_retention_never_deletes_the_last_good_checkpoint(histories):
    few_steps = settings(max_examples=histories, stateful_step_count=8, deadline=None)
    run_state_machine_as_test(Retention, settings=few_steps)
