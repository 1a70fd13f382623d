"""`mlmagic serve`: a bundle served by this very process until it is told to stop; needs no notebook and no session."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlmagic.api._bundles import find_bundle
from mlmagic.bundles.folder import Bundle
from mlmagic.bundles.schema import Field, Schema
from mlmagic.config import project_folder
from mlmagic.errors import MisuseError
from mlmagic.records import new_id
from mlmagic.serving.options import EVERYWHERE, Options, check_options

__all__ = ["serve_here"]

TOKEN = "MLMAGIC_SERVE_TOKEN"  # not an option alone: those are for everybody on the machine to see
_SHOWN = 12  # columns in the example


def serve_here(
    bundle: str,
    say: Callable[[str], None],
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    hosts: Sequence[str] = (),
    token: str | None = None,
    slo_ms: float = 20.0,
    trust: bool = False,
    log: Path | None = None,
    no_log: bool = False,
) -> None:
    """Serve a bundle until SIGINT or SIGTERM comes; what is under way then is still answered.

    Parameters
    ----------
    say : callable
        Given lines: the address and how to call it, once it answers.
    token : str, optional
        By default what ``MLMAGIC_SERVE_TOKEN`` holds.
    log : Path, optional
        A project's ``.mlmagic`` folder, to whose journal predictions go; by default that of the working folder, if it
        has one.

    Raises
    ------
    MisuseError, UnknownNameError
        No such bundle, or it cannot be served; one line.
    """
    from mlmagic.serving.server import serve

    if log is not None and no_log:
        raise MisuseError("--log and --no-log contradict each other")
    found = find_bundle(bundle)
    journals = None if no_log else _journals(log)
    options = Options(
        bundle=str(found.path.absolute()),
        endpoint_id=new_id(),
        host=host,
        port=port,
        token=token if token is not None else os.environ.get(TOKEN),
        hosts=tuple(hosts),
        trust=trust,
        slo_ms=slo_ms,
        journals=journals,
    )
    check_options(options)
    troubles: list[str] = []

    def announce(told: Mapping[str, Any]) -> None:
        if "error" in told:
            troubles.append(str(told["error"]))
        else:
            for line in _welcome(found, str(told["url"]), options):
                say(line)

    serve(options, lifeline=False, announce=announce)
    if troubles:
        raise MisuseError(troubles[0])


def _journals(log: Path | None) -> str | None:
    if log is not None:
        return str((log.expanduser() / "journal").absolute())
    folder = project_folder() / "journal"
    return str(folder.absolute()) if folder.is_dir() else None


def _welcome(bundle: Bundle, url: str, options: Options) -> list[str]:
    rows = json.dumps({"rows": [example(bundle.schema)]}, ensure_ascii=False)
    token = f' -H "Authorization: Bearer ${TOKEN}"' if options.token else ""
    log = f"predictions are logged in {options.journals}" if options.journals else "predictions are not logged"
    where = f"{url} and all other addresses of this machine" if options.host in EVERYWHERE else url
    lines = [f"{bundle.name} {bundle.version} at {where}; {log}; Ctrl-C stops it"]
    if len(bundle.schema.fields) <= _SHOWN and bundle.schema.layout != "tensor":
        lines.append(f"  curl{token} {url}/v1/models/{bundle.name}:predict -d {shlex.quote(rows)}")
    else:
        lines.append(f"  curl{token} {url}/v1/models/{bundle.name}")
    return lines


def example(schema: Schema) -> dict[str, Any]:
    """A row that the model takes."""
    return {field.name: _value(field) for field in schema.fields}


def _value(field: Field) -> Any:
    if field.type == "string":
        return (field.categories or ("",))[0]
    if field.closed and field.categories:
        return int(float(field.categories[0]))
    if field.type == "bool":
        return True
    middle = ((field.low or 0.0) + (field.high or 0.0)) / 2
    whole = field.type == "int64" or field.dtype.lower().startswith(("int", "uint"))
    return int(middle) if whole else float(f"{middle:.4g}")
