"""A folder with two models, and the studio's application in this process."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="the extra `serve` is not installed")

from tests.http.application import Reply, ask
from tests.studio.studio import Studio
from tinylm.http.access import AccessPolicy, AllowedHosts
from tinylm.http.responses import dumps
from tinylm.serving.model_registry import ModelRegistry
from tinylm.studio.app import StudioApi, build_app
from tinylm.studio.open_models import OpenModels
from tinylm.studio.run_records import RunRecords
from tinylm.studio.server import LIMITS
from tinylm.studio.texts import Texts
from tinylm.studio.workspace import Workspace

KEY, COOKIE = "a-key-of-some-length-0123456789", "tinylm-8000"
POLICY = AccessPolicy(AllowedHosts([], [8000]), key=KEY, cookie=COOKIE)


class Application:
    """The studio's application without a socket.

    Attributes:
        texts, records: those of its folder.
        log: tracebacks of errors that nobody expected.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.log = folder, list[str]()
        workspace = Workspace(folder)
        models = OpenModels(workspace, ModelRegistry(workspace.root, LIMITS, self.log.append))
        self.api = StudioApi(workspace, models, LIMITS)
        self.texts, self.records = Texts(workspace), RunRecords(workspace)
        self.app = build_app(self.api, LIMITS, POLICY, self.log.append)

    def ask(self, path: str, body: Any = None, *, method: str = "", headers: dict[str, str] | None = None) -> Reply:
        """A request with the key. A body that is not bytes goes as JSON."""
        data = body if body is None or isinstance(body, bytes) else dumps(body)
        return ask(self.app, path, data, method=method, headers={"authorization": f"Bearer {KEY}", **(headers or {})})

    def cards(self) -> dict[str, Any]:
        """Cards of models by id."""
        return {card["id"]: card for card in self.ask("/api/models").json["models"]}


@pytest.fixture(scope="session")
def two_models(hello_run: Path, book_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models. Not to be changed: copy it."""
    folder = tmp_path_factory.mktemp("studio")
    shutil.copytree(hello_run, folder / "hello")
    shutil.copytree(book_run, folder / "book")
    return folder


@pytest.fixture
def application(two_models: Path, tmp_path: Path) -> Application:
    """An application with a folder of its own."""
    shutil.copytree(two_models, tmp_path / "models")
    return Application(tmp_path / "models")


@pytest.fixture(scope="session")
def studio(two_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Studio]:
    """The real studio of a folder that tests share; what they put there is theirs to take away."""
    folder = tmp_path_factory.mktemp("shared") / "models"
    shutil.copytree(two_models, folder)
    with Studio(folder) as studio:
        yield studio


