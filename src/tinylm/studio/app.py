"""The studio's application: the routes of its parts, and the layers around them."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

import tinylm
from tinylm.http.access import AccessMiddleware, AccessPolicy
from tinylm.http.api import Handlers, JsonApi
from tinylm.http.request_log import LoggingMiddleware
from tinylm.http.responses import Json
from tinylm.interchange.formats import FORMATS
from tinylm.planning.defaults import DEFAULT_MINUTES
from tinylm.serving.limits import Limits
from tinylm.studio.histories import Histories
from tinylm.studio.models import Models
from tinylm.studio.page_files import PageFiles
from tinylm.studio.plans import Plans
from tinylm.studio.run_records import RunRecords
from tinylm.studio.runs import Runs
from tinylm.studio.texts import Texts
from tinylm.studio.workspace import Workspace


class StudioApi(JsonApi):
    """All routes of the studio.

    Args:
        workspace: the folder of models.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        records, histories, texts = RunRecords(workspace), Histories(), Texts(workspace)
        runs = Runs(workspace, texts, records, histories)
        parts = (PageFiles(), texts, Plans(texts), runs, Models(workspace, records, histories, runs))
        handlers: dict[str, Handlers] = {"/api/studio": {"GET": self.studio}}
        for part in parts:
            handlers |= part.handlers()
        super().__init__(handlers)

    async def studio(self, _: Request) -> Response:
        exports = [{"to": name, "dtypes": list(form.dtypes)} for name, form in FORMATS.items()]
        return Json({"version": tinylm.__version__, "folder": str(self._workspace.root), "exports": exports,
                     "minutes_default": DEFAULT_MINUTES})


def build_app(api: StudioApi, limits: Limits, access: AccessPolicy, log: Callable[[str], None]) -> ASGIApp:
    """The application with its layers: LoggingMiddleware around AccessMiddleware around the routes.

    Args:
        access: who may ask.
        log: takes the traceback of an error that nobody expected.
    """
    return LoggingMiddleware(AccessMiddleware(api, access), api.router, log, _ignore, limits.seconds, lines=False)


def _ignore(*_: object) -> None:
    pass
