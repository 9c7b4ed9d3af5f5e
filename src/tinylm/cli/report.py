"""tinylm report RUN: the curves, samples and numbers of a training run as one HTML page."""

from __future__ import annotations

import argparse

from tinylm.cli.output import add_json, print_json, print_unfinished

EXAMPLE = "tinylm report runs/book"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a model folder; its training may still be going on")
    parser.add_argument("--out", metavar="FILE", help="where the page goes (default: RUN/report.html)")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    from tinylm import __version__
    from tinylm.reports.html_page import write_page
    from tinylm.system.untrusted import escape_control_codes

    path = write_page(arguments.run, arguments.out, version=__version__)
    print_unfinished(arguments.run)
    if arguments.json:
        print_json({"page": str(path)})
    else:
        print(f"{escape_control_codes(path)}  (open it in a browser)")
    return 0
