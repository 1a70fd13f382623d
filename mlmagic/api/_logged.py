"""From an endpoint's log back to data: predictions of the store come in, columns as a profile knows them go out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlmagic.api._bundles import bundles_folder, find_bundle
from mlmagic.api._projects import open_store
from mlmagic.api.endpoints import chosen, known_endpoints
from mlmagic.bundles.folder import MANIFEST, PROFILE, Bundle
from mlmagic.errors import MisuseError
from mlmagic.records import Endpoint as Record
from mlmagic.serving.watch_log import HIDDEN


def logged_rows(name: str, count: int = 100_000) -> tuple[Bundle, str, dict[str, NDArray[Any]]]:
    """An endpoint's bundle, its id, and its last logged rows as columns: inputs, and plain answers as in a profile.

    Raises
    ------
    UnknownNameError, MisuseError
        There is no such endpoint, it has logged nothing, or its bundle is not there.
    """
    with open_store() as store:
        record = chosen(known_endpoints(store), name)
        rows = store.predictions(record.endpoint_id, count)
        places = [bundle.path for bundle in store.bundles() if bundle.bundle_id == record.bundle_id]
    if not rows:
        raise MisuseError(f"endpoint {record.name} has logged no predictions yet")
    found = _bundle_of(record, places)
    columns = {
        field.name: column_of(field.type, [row.inputs.get(field.name) for row in rows]) for field in found.schema.fields
    }
    for output in found.schema.outputs:
        if output.shape in ((), (1,)):
            values = [row.outputs.get(output.name) for row in rows]
            columns.setdefault(f"prediction({output.name})", column_of(output.type, values))
    return found, record.endpoint_id, columns


def _bundle_of(record: Record, places: Sequence[str]) -> Bundle:
    """The very version that an endpoint served; its folder is known where this project exported it."""
    mine = [path.parent for path in (bundles_folder() / record.name).glob(f"*/{MANIFEST}")]
    for place in [*map(Path, places), *mine]:
        with suppress(MisuseError):
            found = find_bundle(place)
            if found.bundle_id == record.bundle_id and found.has(PROFILE):
                return found
    raise MisuseError(f"the bundle of endpoint {record.name} is not in this project, or has no reference profile")


def column_of(kind: str, values: Sequence[Any]) -> NDArray[Any]:
    """A logged column in the types of the graph: null is NaN or ``None``."""
    if kind == "string":
        return np.array([None if value is None else str(value) for value in values], dtype=object)
    numbers = [float("nan") if value is None or isinstance(value, (list, dict)) else value for value in values]
    return np.array([float(value) if value != HIDDEN else np.nan for value in numbers]).astype(np.float32)
