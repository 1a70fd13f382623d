"""`mlmagic serve`: answer requests with a bundle, on a machine that never saw its notebook."""

from __future__ import annotations

import argparse
from pathlib import Path


def declare(parser: argparse.ArgumentParser) -> None:
    """Its arguments and options."""
    parser.add_argument("bundle", metavar="BUNDLE", help="a bundle's folder, or its name in this project")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1); any other needs a token")
    parser.add_argument("--port", type=int, default=0, metavar="N", help="to listen on (default: any that is free)")
    parser.add_argument("--token", metavar="TEXT", help="what clients have to send (better: MLMAGIC_SERVE_TOKEN)")
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME", help="another name that requests come to"
    )
    parser.add_argument("--slo-ms", type=float, default=20.0, metavar="MS", help="milliseconds for a batch (20)")
    parser.add_argument(
        "--trust", action="store_true", help="run the bundle's Python rules although you did not sign it"
    )
    parser.add_argument("--log", type=Path, metavar="FOLDER", help="a project's .mlmagic folder, for the predictions")
    parser.add_argument("--no-log", action="store_true", help="log no predictions")


def execute(asked: argparse.Namespace) -> int:
    """Do it; the exit status."""
    from mlmagic.api.foreground import serve_here

    serve_here(
        asked.bundle,
        lambda line: print(line, flush=True),
        host=asked.host,
        port=asked.port,
        hosts=asked.allow_host,
        token=asked.token,
        slo_ms=asked.slo_ms,
        trust=asked.trust,
        log=asked.log,
        no_log=asked.no_log,
    )
    return 0
