"""The studio's application: the routes of its parts, and the layers around them."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

import tinylm
from tinylm.http.access import AccessMiddleware, AccessPolicy
from tinylm.http.api import Handlers, JsonApi
from tinylm.http.request_log import LoggingMiddleware
from tinylm.http.responses import Json
from tinylm.planning.defaults import DEFAULT_MINUTES
from tinylm.reports.sentences import baseline_label
from tinylm.serving.limits import Limits
from tinylm.studio.exports import Exports, formats
from tinylm.studio.histories import Histories
from tinylm.studio.models import Models
from tinylm.studio.open_models import OpenModels
from tinylm.studio.page_files import PageFiles
from tinylm.studio.plans import Plans
from tinylm.studio.questions import Questions
from tinylm.studio.reports import Reports
from tinylm.studio.run_records import RunRecords
from tinylm.studio.runs import Runs
from tinylm.studio.texts import Texts
from tinylm.studio.workspace import Workspace
from tinylm.system.cores import available_cores
from tinylm.system.memory import total_memory_bytes

BASELINES = ("uniform", "unigram", "ngram", "zstd", "base", "entropy")
"""Names of baselines (evaluation/report.py), which the page shows in words."""


class StudioApi(JsonApi):
    """The application of a studio: the routes of all its parts.

    Args:
        workspace: the folder of models.
        models: that are loaded.
        limits: of what they write.
    """

    def __init__(self, workspace: Workspace, models: OpenModels, limits: Limits) -> None:
        self._workspace = workspace
        records, histories, texts = RunRecords(workspace), Histories(), Texts(workspace)
        runs = Runs(workspace, texts, records, histories)
        parts = (PageFiles(), texts, Plans(texts), runs, Models(workspace, records, histories, runs),
                 Questions(models, limits), Reports(workspace), Exports(workspace))
        handlers: dict[str, Handlers] = {"/api/studio": {"GET": self.studio}}
        for part in parts:
            handlers |= part.handlers()
        super().__init__(handlers)

    async def studio(self, _: Request) -> Response:
        machine = f"{available_cores()} cores, {total_memory_bytes() / 1e9:.0f} GB of memory"
        return Json({"version": tinylm.__version__, "folder": str(self._workspace.root), "machine": machine,
                     "minutes_default": DEFAULT_MINUTES, "exports": formats(),
                     "extras": {"report": find_spec("plotly") is not None},
                     "labels": {name: baseline_label(name) for name in BASELINES}})


def build_app(api: StudioApi, limits: Limits, access: AccessPolicy, log: Callable[[str], None]) -> ASGIApp:
    """The application with its layers: LoggingMiddleware around AccessMiddleware around the routes.

    Args:
        access: who may ask.
        log: takes the traceback of an error that nobody expected.
    """
    return LoggingMiddleware(AccessMiddleware(api, access), api.router, log, _ignore, limits.seconds, lines=False)


def _ignore(*_: object) -> None:
    pass
