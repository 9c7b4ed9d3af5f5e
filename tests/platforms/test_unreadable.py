"""R15: a checkpoint that cannot be read just now is neither passed over nor deleted; and a drive that is not there."""

import errno
import os
from pathlib import Path

import pytest

from tests.training.test_checkpoint import Checkpoints, same, state
from tinylm import model_folder
from tinylm.errors import TinyLMError
from tinylm.system import files


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.EBUSY])
@pytest.mark.parametrize("name", ["manifest.json", "state.json", "weights.safetensors", "moments.safetensors",
                                  "best.safetensors"])
def test_nothing_is_deleted_and_it_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, number: int,
                                           name: str) -> None:
    monkeypatch.setattr(files, "RETRY_SECONDS", 0.02)
    checkpoints = Checkpoints(tmp_path)
    newest = [checkpoints.save(state(step)) for step in (1, 2)][-1]
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    read_bytes = Path.read_bytes

    def fail(path: Path) -> bytes:
        if path == newest / name:
            raise OSError(number, os.strerror(number), str(path))
        return read_bytes(path)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", fail)
        with pytest.raises(TinyLMError, match="cannot be read at the moment") as error:
            checkpoints.load()
    assert name in str(error.value)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert same(checkpoints.load()[0], state(2))


def test_a_drive_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda _: False)
    with pytest.raises(TinyLMError, match="no such drive"):
        model_folder.check_free(Path("/z/run"), force=False)
