"""Chromium without a window, and a web site for it to visit whose name leads to this machine."""

from __future__ import annotations

import http.server
import shutil
import subprocess
import tempfile
import threading
from types import TracebackType

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
           "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
           "--disable-extensions", "--mute-audio", "--virtual-time-budget=4000", "--timeout=20000", "--dump-dom"]
MAPPED = "--host-resolver-rules=MAP *.example 127.0.0.1, EXCLUDE localhost"


def visit(url: str) -> str:
    """What a page looks like after four seconds of its own time."""
    assert CHROMIUM
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        done = subprocess.run([CHROMIUM, *OPTIONS, MAPPED, f"--user-data-dir={profile}",
                               url], capture_output=True, text=True,
                              timeout=120, check=False, errors="replace")
    assert done.stdout, done.stderr
    return done.stdout


class Site:
    """A web site. A context manager.

    Args:
        pages: HTML by path.

    Attributes:
        port: it answers to every name.
        asked: the paths that have been asked for.
    """

    def __init__(self, pages: dict[str, str]) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                page = pages.get(self.path.partition("?")[0])
                self.send_response(200 if page else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write((page or "").encode())

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    def __enter__(self) -> Site:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
