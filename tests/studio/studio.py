"""The real studio in a process of its own, and ways to talk to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import psutil

from tests.serving.server import PATIENCE, Reply, until


class Studio:
    """`tinylm studio`, ready when this has been made. A context manager.

    Attributes:
        url: without a path; `address` is the whole one that was printed.
        key: the token in it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._place = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self._output, self._errors = (Path(self._place.name, name) for name in ("output", "errors"))
        with open(self._output, "w") as output, open(self._errors, "w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tinylm", "studio", str(folder), "--no-browser", "--json"], stdout=output,
                stderr=errors, env={**os.environ, "PYTHONIOENCODING": "utf-8"})
        until(lambda: self._output.read_text().endswith("\n") or self.process.poll() is not None)
        assert self._output.read_text(), f"it does not begin: {self.log}"
        self.address: str = json.loads(self._output.read_text())["url"]
        self.url, _, self.key = self.address.partition("/?token=")
        self.port = int(self.url.rpartition(":")[2])
        self.headers = {"Authorization": f"Bearer {self.key}"}

    def __enter__(self) -> Studio:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.process.kill()
        self.process.wait(PATIENCE)
        if error:
            error.add_note(self.log[-4000:])
        self._place.cleanup()

    def stop(self) -> int:
        """Its exit code after a Ctrl-C, or on Windows after being ended."""
        self.process.send_signal(signal.SIGINT if os.name != "nt" else signal.SIGTERM)
        return self.process.wait(PATIENCE)

    @property
    def log(self) -> str:
        """What it has written to its standard error: nothing, as long as it meets no error of its own."""
        return self._errors.read_text(encoding="utf-8", errors="replace")

    def ask(self, path: str, body: Any = None, *, method: str | None = None,
            headers: Mapping[str, str] | None = None) -> Reply:
        """One request on a connection of its own. A body that is not bytes goes as JSON; a header of None is left out.
        """
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        kind = {} if data is None else {"Content-Type": "application/json"}
        given = {name: value for name, value in {**kind, **self.headers, **(headers or {})}.items() if value}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request(method or ("GET" if data is None else "POST"), path, data, given)
            response = connection.getresponse()
            return Reply(response.status, response.headers, response.read())

    def get(self, path: str, body: Any = None, *, method: str | None = None) -> Any:
        """What a request gives that has to go well."""
        reply = self.ask(path, body, method=method)
        assert reply.status == 200, (path, reply.status, reply.body[:1000])
        return reply.json

    def upload(self, name: str, text: str | bytes) -> Any:
        data = text if isinstance(text, bytes) else text.encode()
        return self.get(f"/api/texts?name={quote(name)}", data)

    def models(self) -> dict[str, Any]:
        """Cards by id."""
        return {card["id"]: card for card in self.get("/api/models")["models"]}

    def watch(self, id: str) -> Any:
        return self.get(f"/api/runs/{quote(id)}")

    def cpu_seconds(self) -> float:
        """Seconds that it has computed."""
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    def is_well(self) -> bool:
        """It runs, and has met no error of its own."""
        assert self.process.poll() is None, self.log
        assert not self.log, self.log
        return bool(self.get("/api/studio")["version"])


@contextlib.contextmanager
def studio_of(folder: Path) -> Iterator[Studio]:
    """A studio whose runs end with it."""
    with Studio(folder) as studio:
        try:
            yield studio
        finally:
            if studio.process.poll() is None:
                for id, card in studio.models().items():
                    if card["state"] == "training":
                        studio.ask(f"/api/runs/{quote(id)}/stop", {})
