"""The workspace of a studio: the folder of models, and what the studio keeps beside them in a hidden folder.

    FOLDER/NAME                 a model, under the name that a person gave it
    FOLDER/.studio/KIND/KEY/    a text, a source, an export, a deleted model: under a key that the studio drew
    FOLDER/.studio/runs/NAME/   the record and the log of a run

No path is ever made of what a browser sends: names and keys are looked up among those that are there, and the name of a
new model has to be one that every system takes as the name of a folder.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from tinylm import model_folder
from tinylm.errors import TinyLMError, did_you_mean
from tinylm.http.errors import ApiError
from tinylm.serving.model_registry import is_id, model_folders
from tinylm.system.files import legal_name
from tinylm.system.untrusted import quoted

HIDDEN = ".studio"


class Workspace:
    """The folders of one studio.

    Args:
        root: the folder of models. It is made, if it is not there.

    Raises:
        TinyLMError: the path is a model folder or a file, or cannot be made.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.abspath(root))
        if (self.root / model_folder.CONFIG).is_file():
            raise TinyLMError("is a model, and a studio shows a folder of models", where=str(root),
                              remedy=f"Give the folder that it is in: {self.root.parent}")
        try:
            (self.root / HIDDEN).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TinyLMError(f"is no folder that can be written, nor can one be made there ({error.strerror})",
                              where=str(root), remedy="Choose another folder") from None

    # ---- models

    def models(self) -> dict[str, Path]:
        """Model folders by id, finished or not."""
        return model_folders(self.root)

    def model(self, id: str) -> Path:
        """The folder of a model. Raises: ApiError: there is none of that id (404)."""
        models = self.models()
        if id not in models:
            remedy = f". {quoted(did_you_mean(id, [*models][:20]))}" if models else ""
            raise ApiError(404, f"There is no model {quoted(id)!r}{remedy}", param="id", code="model_not_found")
        return models[id]

    def new_model(self, name: str) -> Path:
        """The folder of a model that is to be.

        Raises:
            ApiError: the name is no name of a folder (400), or is taken (409).
        """
        name = name.strip()
        legal = legal_name(name)
        if not name or legal != name or not is_id(name):
            meant = f"; {quoted(legal)!r} would do" if legal and is_id(legal) else ""
            raise ApiError(400, f"name: {quoted(name)!r} cannot be the name of a folder on every system{meant}",
                           param="name", code="invalid_value")
        taken = [*os.listdir(self.root), *os.listdir(self.kept("runs"))]
        if any(other.casefold() == name.casefold() for other in taken):
            raise ApiError(409, f"name: there is something called {quoted(name)!r} already. Choose another name",
                           param="name", code="name_taken")
        return self.root / name

    # ---- what the studio keeps

    def kept(self, kind: str) -> Path:
        """The hidden folder of one kind, which is made."""
        folder = self.root / HIDDEN / kind
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def free_entry(self, kind: str) -> Path:
        """A folder among those of one kind that is not there yet; its name is its key."""
        return self.kept(kind) / secrets.token_hex(8)

    def named_entry(self, kind: str, made_of: Iterable[str]) -> Path:
        """The folder for what is made of these parts; its name follows from them."""
        return self.kept(kind) / hashlib.sha256("\0".join(made_of).encode()).hexdigest()[:16]

    def entry(self, kind: str, key: str) -> Path:
        """The folder of a key. Raises: ApiError: there is none (404)."""
        if key.startswith(".") or key not in os.listdir(self.kept(kind)):
            raise ApiError(404, f"There is no such entry among the {kind}: {quoted(key)}", param="key",
                           code="not_found")
        return self.kept(kind) / key
