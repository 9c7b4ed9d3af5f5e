"""tinylm report RUN: the curves, samples and numbers of a training run as one HTML page."""

from __future__ import annotations

import argparse

from tinylm.cli.output import add_json, print_page, print_unfinished

EXAMPLE = "tinylm report runs/book"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a model folder; its training may still be going on")
    parser.add_argument("--out", metavar="FILE", help="where the page goes (default: RUN/report.html)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    from tinylm import __version__
    from tinylm.reports.html_page import write_page

    path = write_page(arguments.run, arguments.out, version=__version__)
    print_unfinished(arguments.run)
    print_page(path, as_json=arguments.json)
    return 0
