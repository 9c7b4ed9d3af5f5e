"""The files of the studio's page: a fixed list, which follows from the imports of its first module."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from tinylm.http.api import Handlers
from tinylm.http.errors import ApiError
from tinylm.page.modules import ROOT, module_order, read_module

PAGE, CODE = "studio.html", "studio.js"
POLICY = ("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; "
          "connect-src 'self'; frame-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
"""The page loads what this server has, and nothing else; WebAssembly computes its products."""


class PageFiles:
    """The page and what it loads, read once."""

    def __init__(self) -> None:
        scripts = dict.fromkeys(module_order(CODE), "text/javascript")
        styles = dict.fromkeys((path.name for path in ROOT.glob("*.css")), "text/css")
        self._page = read_module(PAGE)
        self._files = {path: (read_module(path), kind) for path, kind in (scripts | styles).items()}

    def handlers(self) -> dict[str, Handlers]:
        return {"/": {"GET": self.page}, "/static/{path:path}": {"GET": self.file}}

    async def page(self, _: Request) -> Response:
        return Response(self._page, media_type="text/html", headers={"Content-Security-Policy": POLICY})

    async def file(self, request: Request) -> Response:
        found = self._files.get(request.path_params["path"])
        if found is None:
            raise ApiError(404, "The page has no such file", code="not_found")
        content, kind = found
        return Response(content, media_type=kind)
