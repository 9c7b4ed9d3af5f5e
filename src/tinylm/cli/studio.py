"""tinylm studio [FOLDER]: the local page on which models are made, watched, questioned and exported."""

from __future__ import annotations

import argparse

from tinylm.cli.output import add_json, open_browser, print_json

EXAMPLE = "tinylm studio runs"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="FOLDER", nargs="?", default="runs",
                        help="a folder of models, which is made if it is not there (default: runs)")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="(default: 0, any that is free)")
    parser.add_argument("--no-browser", action="store_true", help="print the address, and open no browser")
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    from tinylm.studio.server import studio
    from tinylm.system.paths import given_path

    def ready(url: str) -> None:
        if arguments.json:
            print_json({"url": url, "folder": arguments.folder})
        else:
            print(f"studio     {url}\n"
                  "The address holds a key: whoever has it can open the studio. Ctrl-C stops the studio; runs go on.",
                  flush=True)
        if not arguments.no_browser:
            import threading

            # in a thread: a browser in a terminal would keep the server from answering
            threading.Thread(target=open_browser, args=(url,), daemon=True).start()

    return studio(given_path(arguments.folder), arguments.port, ready)
