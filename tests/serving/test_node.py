"""A client in another language than ours: what Node brings along is enough."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from .server import Server

NODE = shutil.which("node")


@pytest.mark.skipif(not NODE, reason="there is no node")
@pytest.mark.parametrize("model", ["characters", "random_bytes", "whole_characters"])
def test_node_reads_a_stream(server: Server, model: str) -> None:
    done = subprocess.run([str(NODE), Path(__file__).parent / "stream.mjs", server.url, model,
                           "aé🙂"], capture_output=True,
                          text=True, timeout=60, check=True, env={**os.environ, "KEY": "none is needed"})
    told = json.loads(done.stdout)
    expected = server.complete("aé🙂", model=model, max_tokens=200, seed=3)
    assert told == {"status": 200, "text": expected["choices"][0]["text"], "usage": expected["usage"], "done": True,
                    "held": ""}
