"""tinylm demo: the teaching notebook, told step by step."""

from __future__ import annotations

import argparse

from tinylm.system.standard_streams import redirect_to_null, tolerant_console

EXAMPLE = "tinylm demo"


def add_arguments(_: argparse.ArgumentParser) -> None:
    """Adds no arguments: the demo is the same every time."""


def run(_: argparse.Namespace) -> int:
    from tinylm.learn.demo import run_demo

    run_demo(tolerant_console(on_failure=redirect_to_null))
    return 0
