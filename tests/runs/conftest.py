"""What tests of runs share: a Ctrl-C at a chosen event."""

from __future__ import annotations

import signal

import pytest

from tinylm.runs.recorder import Recorder


@pytest.fixture
def stop_at(monkeypatch):
    """Presses Ctrl-C as soon as an event of this kind and step has been recorded; an event without a step has 0."""
    def stop(kind, step):
        write = Recorder.write

        def write_and_stop(recorder, event):
            write(recorder, event)
            if (event.kind, getattr(event, "step", 0)) == (kind, step):
                monkeypatch.undo()
                signal.raise_signal(signal.SIGINT)

        monkeypatch.setattr(Recorder, "write", write_and_stop)
    return stop
