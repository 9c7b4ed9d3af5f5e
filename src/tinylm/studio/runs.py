"""Training runs of a studio: each is a process of its own, which outlives the page and the studio."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from tinylm import model_folder
from tinylm.errors import TinyLMError
from tinylm.http.api import Handlers
from tinylm.http.body import read_body
from tinylm.http.errors import ApiError
from tinylm.http.responses import Json
from tinylm.runs.stopping import clear_request, request_stop
from tinylm.serving.reading import parse
from tinylm.studio.histories import Histories, finite_baselines, metrics_after, samples_of
from tinylm.studio.refusals import writing
from tinylm.studio.request_schemas import ResumeRequest, RunRequest
from tinylm.studio.run_records import RunRecord, RunRecords
from tinylm.studio.states import State, state_of
from tinylm.studio.texts import Texts
from tinylm.studio.workspace import Workspace
from tinylm.system.processes import start_apart, terminate, tinylm_command, wait_for_end
from tinylm.training.checkpoint import Checkpoints

STOP_SECONDS = 10.0
"""Seconds in which a run that is still being prepared ends."""
MAX_RUNS = 4
"""Runs that train at the same time: more would only slow each other down."""


class Runs:
    """Routes about runs.

    Args:
        workspace: the folder of models.
        texts: what they train on.
        records: of the runs that were started here.
        histories: of what they have recorded.
    """

    def __init__(self, workspace: Workspace, texts: Texts, records: RunRecords, histories: Histories) -> None:
        self._workspace, self._texts, self._records, self._histories = workspace, texts, records, histories
        self._starting = asyncio.Lock()

    def handlers(self) -> dict[str, Handlers]:
        return {"/api/runs": {"POST": self.start}, "/api/runs/{id}": {"GET": self.watch},
                "/api/runs/{id}/stop": {"POST": self.stop}, "/api/runs/{id}/resume": {"POST": self.resume}}

    async def start(self, request: Request) -> Response:
        fields = parse(RunRequest, await read_body(request))
        async with self._starting:
            return Json({"id": await asyncio.to_thread(self._start, fields)})

    async def watch(self, request: Request) -> Response:
        after = request.query_params.get("after", "0")
        offset = int(after) if after.isdecimal() and len(after) < 16 else 0
        return Json(await asyncio.to_thread(self._watched, request.path_params["id"], offset))

    async def stop(self, request: Request) -> Response:
        return Json({"gone": await asyncio.to_thread(self._stop, request.path_params["id"])})

    async def resume(self, request: Request) -> Response:
        fields = parse(ResumeRequest, await read_body(request))
        async with self._starting:
            await asyncio.to_thread(self._resume, request.path_params["id"], fields)
        return Json({})

    # ---- starting and stopping

    def _start(self, fields: RunRequest) -> str:
        folder = self._workspace.new_model(fields.name)
        self._check_not_too_many()
        source = self._texts.source(fields.texts)
        words = ["train", str(source), f"--minutes={fields.minutes:g}", f"--out={folder}"]
        self._start_process(folder.name, source.name, fields.minutes, words)
        return folder.name

    def _resume(self, id: str, fields: ResumeRequest) -> None:
        folder, record = self._workspace.model(id), self._records.read(id)
        if self.state(id) == "training":
            raise ApiError(409, "The run is training already", code="is_training")
        if not model_folder.has_checkpoints(folder):
            raise ApiError(409, "There is no checkpoint to go on from: this model was not trained here",
                           code="no_checkpoint")
        self._check_not_too_many()
        clear_request(folder)
        minutes = [] if fields.minutes is None else [f"--minutes={fields.minutes:g}"]
        planned = fields.minutes or (record.minutes if record else None)
        self._start_process(id, record.text if record else "", planned,
                            ["train", "--resume", *minutes, f"--out={folder}"])

    def _check_not_too_many(self) -> None:
        if sum(map(self._records.is_alive, self._records.names())) >= MAX_RUNS:
            raise ApiError(409, f"{MAX_RUNS} runs are training already. Wait for one to end, or stop one",
                           code="too_many_runs")

    def _start_process(self, name: str, text: str, minutes: float | None, words: Sequence[str]) -> None:
        with writing():
            self._records.folder(name).mkdir(exist_ok=True)
            process = start_apart(tinylm_command(*words), self._records.log(name))
            self._records.write(name, RunRecord(process, text, minutes))

    def _stop(self, id: str) -> bool:
        """Stops a run. Returns True if it had made no model yet, and has left nothing."""
        folder, record = self._known(id)
        if self.state(id) != "training":
            raise ApiError(409, "The run is not training", code="not_training")
        if folder is not None and model_folder.is_training(folder):
            with writing():
                request_stop(folder)
        elif record is not None:  # it has not made a step yet, so that nothing is lost
            terminate(record.process)
            if wait_for_end(record.process, STOP_SECONDS) and id not in self._workspace.models():
                shutil.rmtree(self._records.folder(id), ignore_errors=True)
                return True
        return False

    # ---- watching

    def state(self, id: str) -> State:
        """The state of the run of a model whose name is known."""
        folder = self._workspace.models().get(id)
        return state_of(folder, is_alive=self._records.is_alive(id), error=self._records.error(id),
                        history=self._histories.of(folder).history if folder else None)

    def _known(self, id: str) -> tuple[Path | None, RunRecord | None]:
        """The folder and the record of a run, of which one is there. Raises: ApiError: neither is (404)."""
        if id in self._records.names() and id not in self._workspace.models():
            return None, self._records.read(id)
        return self._workspace.model(id), self._records.read(id) if id in self._records.names() else None

    def _watched(self, id: str, offset: int) -> dict[str, Any]:
        folder, record = self._known(id)
        state, minutes = self.state(id), record.minutes if record else None
        lines, after, has_more = metrics_after(folder, offset) if folder else ([], 0, False)
        found: dict[str, Any] = {
            "state": state, "metrics": lines, "next": after, "more": has_more, "baselines": {}, "samples": [],
            "sentences": [], "minutes": minutes, "text": record.text if record else "",
            "log_tail": self._records.log_tail(id) if record else []}
        if folder:
            watch = self._histories.of(folder)
            history = watch.history
            minutes = found["minutes"] = minutes or _minutes_of(folder)
            found |= {"baselines": finite_baselines(history), "samples": samples_of(folder),
                      "bits_per_nat": history.bits_per_byte_per_nat, "left_out_bits": history.left_out_bits,
                      "sentences": watch.sentences(), "can_resume": model_folder.has_checkpoints(folder)}
        found["seconds_left"] = _seconds_left(folder, record, minutes, is_training=state == "training")
        if state == "failed":
            found["error"] = self._records.error(id) or ("The training ended without a word. Perhaps the machine had "
                                                         "too little memory, or was switched off")
        return found


def _minutes_of(folder: Path) -> float | None:
    try:
        return model_folder.read_config(folder).train.minutes
    except TinyLMError:
        return None


def _seconds_left(folder: Path | None, record: RunRecord | None, minutes: float | None, *,
                  is_training: bool) -> float | None:
    """Seconds until the planned end of a run of minutes; None: it is a run of steps, or not known."""
    if minutes is None:
        return None
    started = record.process.started if record else 0.0
    numbers = Checkpoints(folder / model_folder.CHECKPOINTS).newest_numbers() if folder else None
    used, since = 0.0, started
    if numbers is not None:
        with suppress(KeyError, TypeError, ValueError):  # it is damaged
            used, since = float(numbers[0]["records"]["seconds"]), max(numbers[1], started)
    if is_training and since:
        used += time.time() - since
    return max(0.0, 60 * minutes - used)
