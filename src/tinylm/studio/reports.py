"""Reports: the page of a run's curves and numbers, which the studio shows in a frame."""

from __future__ import annotations

import asyncio
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

import tinylm
from tinylm.http.api import Handlers
from tinylm.reports.html_page import make_page
from tinylm.studio.refusals import as_api_errors
from tinylm.studio.workspace import Workspace

POLICY = "sandbox allow-scripts; frame-ancestors 'self'; base-uri 'none'; form-action 'none'"
"""The report has a policy of its own in its head, which names its two scripts. Here it is kept apart from the studio:
it runs as a page of no origin, which has no cookie and reads nothing."""


class Reports:
    """The route of reports.

    Args:
        workspace: the folder of models.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def handlers(self) -> dict[str, Handlers]:
        return {"/api/models/{id}/report": {"GET": self.report}}

    async def report(self, request: Request) -> Response:
        page = await asyncio.to_thread(_page, self._workspace.model(request.path_params["id"]))
        return HTMLResponse(page, headers={"Content-Security-Policy": POLICY})


@as_api_errors(409)
def _page(folder: Path) -> str:
    return make_page(folder, version=tinylm.__version__)
