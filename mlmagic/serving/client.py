"""The step from a user's table to an endpoint and back: a frame comes in, the model's answers go out, as arrays.

Rows travel as binary tensors over one kept connection; see `mlmagic.serving.client_connection`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import replace
from types import TracebackType
from typing import Any, Protocol
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from mlmagic.bundles.rows import Feeds, feeds_of, rows_of
from mlmagic.bundles.schema import LABEL, NUMPY, PREDICTION, PROBABILITIES, Schema
from mlmagic.errors import MisuseError
from mlmagic.records import Endpoint as Record
from mlmagic.serving.client_connection import ClientConnection, encoded
from mlmagic.serving.options import GRACE, Options

_HEADROOM = 64 << 10  # bytes of a body that are not rows


class Process(Protocol):
    """The server's process, where it is ours to end; see `mlmagic.serving.process`."""

    pid: int

    @property
    def alive(self) -> bool: ...

    def stop(self, grace: float = ...) -> None: ...


class Endpoint:
    """A running server of a bundle, to be asked and stopped; as a context manager it is stopped at the end.

    Parameters
    ----------
    url : str
        ``http://host:port``.
    name : str
        Of the bundle.
    schema : Schema
        What its model takes and gives.
    version, bundle_id : str
        Of the bundle.
    endpoint_id : str
    token : str, optional
        What the server asks for.
    process : Process, optional
        Where it is ours to stop.
    options : Options, optional
        What it was started with; of these, what it takes in one request: tables that are larger go in parts.

    Examples
    --------
    >>> endpoint = mlmagic.serve("churn")  # doctest: +SKIP
    >>> endpoint.predict(customers)  # doctest: +SKIP
    """

    def __init__(
        self,
        url: str,
        name: str,
        schema: Schema,
        *,
        version: str = "",
        bundle_id: str = "",
        endpoint_id: str = "",
        token: str | None = None,
        process: Process | None = None,
        options: Options | None = None,
    ) -> None:
        self.url, self.name, self.schema = url, name, schema
        self.version, self.bundle_id, self.endpoint_id = version, bundle_id, endpoint_id
        self.token = token
        self.started_at = time.time()
        self._connection = ClientConnection(url, token)
        self._process = process
        self._options = options or Options(bundle="", endpoint_id=endpoint_id)

    def predict(self, data: Any) -> NDArray[Any]:
        """What the model's own `predict` answers: labels of a classifier, else values, one for each row.

        Parameters
        ----------
        data : table or array
            With the model's columns, in any order.

        Raises
        ------
        MisuseError, UnknownNameError
            The data does not fit, or the server refused it; one line.
        """
        names = {output.name for output in self.schema.outputs}
        output = next((name for name in (LABEL, PREDICTION) if name in names), self.schema.answers)
        found = self._ask(data, output)
        if output == LABEL:
            return _as_classes(found.reshape(-1), self.schema.classes)
        return found.reshape(-1) if output == PREDICTION and found.shape[1:] == (1,) else found

    def predict_proba(self, data: Any) -> NDArray[Any]:
        """A classifier's probabilities, shape (rows, classes).

        Raises
        ------
        MisuseError, UnknownNameError
            The model gives none, the data does not fit, or the server refused it; one line.
        """
        if PROBABILITIES not in {output.name for output in self.schema.outputs}:
            raise MisuseError(f"{self.name} gives no probabilities: ask predict(…)")
        return self._ask(data, PROBABILITIES)

    def status(self) -> dict[str, Any]:
        """What the server tells of itself: requests, times, batches, assertions, drift."""
        return self._connection.get(f"/v1/models/{quote(self.name, safe='')}")

    @property
    def alive(self) -> bool:
        """Whether it answers."""
        if self._process is not None and not self._process.alive:
            return False
        try:
            self._connection.get("/v2/health/live")
        except MisuseError:
            return False
        return True

    def stop(self, grace: float = GRACE) -> None:
        """Let it finish what it has, and end; after `grace` seconds it is killed.

        Raises
        ------
        MisuseError
            It was not started here.
        """
        self._connection.close()
        if self._process is None:
            raise MisuseError(f"endpoint {self.name} was not started here: %endpoints {self.name} stop")
        self._process.stop(grace)

    def serves_as(self, options: Options) -> bool:
        """Whether it was started in the same way; any port will do where none is asked for."""
        own = self._options
        alike = replace(options, endpoint_id=own.endpoint_id, port=options.port or own.port)
        return own == alike if options.port else replace(own, port=0) == replace(alike, port=0)

    def record(self, session_id: str | None = None) -> Record:
        """It as a row of the store, where its own log does not have it."""
        return Record(
            self.endpoint_id, self.bundle_id, self.url, self.started_at, None, self.name,
            None if self._process is None else self._process.pid, session_id,
        )  # fmt: skip

    def __enter__(self) -> Endpoint:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "" if self._process is None or self._process.alive else " (stopped)"
        version = f" {self.version}" if self.version else ""
        return f"endpoint {self.name}{version} at {self.url}{state}"

    def _ask(self, data: Any, output: str) -> NDArray[Any]:
        feeds = feeds_of(self.schema, data)
        if not rows_of(feeds):
            wanted = self.schema.output(output)
            return np.empty((0, *(size or 0 for size in wanted.shape)), NUMPY[wanted.type])
        path = f"/v2/models/{quote(self.name, safe='')}/infer"
        parts, start = [], 0
        for part in self._parts(feeds):
            head, body = encoded(self.schema, part, [output])
            try:
                parts.append(self._connection.post(path, head, body)[output])
            except MisuseError as error:
                raise MisuseError(_counted_from(start, str(error))) from None
            start += rows_of(part)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _parts(self, feeds: Feeds) -> Iterator[Feeds]:
        """The rows in portions that the server takes."""
        rows = rows_of(feeds)
        each = max(1, sum(map(_weight, feeds.values())) // rows)
        most = max(1, min(self._options.rows, (self._options.body_bytes - _HEADROOM) // each))
        # Texts differ in length: each portion is weighed again.
        for start in range(0, rows, most):
            yield from _halved(
                {name: array[start : start + most] for name, array in feeds.items()}, self._options.body_bytes
            )


def _halved(feeds: Feeds, most: int) -> Iterator[Feeds]:
    rows = rows_of(feeds)
    if rows == 1 or sum(map(_weight, feeds.values())) + _HEADROOM <= most:
        yield feeds
        return
    for part in (slice(None, rows // 2), slice(rows // 2, None)):
        yield from _halved({name: array[part] for name, array in feeds.items()}, most)


def _counted_from(start: int, reason: str) -> str:
    """A server's reason with the row's number in the whole table, not in the part that it was sent."""
    return re.sub(r"\brow (\d+)", lambda row: f"row {int(row[1]) + start}", reason, count=1)


def _weight(array: NDArray[Any]) -> int:
    """Bytes that an array takes on its way."""
    if array.dtype.kind != "O":
        return array.nbytes
    return 4 * array.size + len("".join(array.reshape(-1).tolist()).encode())


def _as_classes(labels: NDArray[Any], classes: tuple[Any, ...] | None) -> NDArray[Any]:
    """Labels as the model's own: of the type that its classes have."""
    if not classes:
        return labels
    own = np.array(classes)
    if labels.dtype.kind != "O" or own.dtype.kind == "U":
        return labels.astype(own.dtype)
    known = {str(one): one for one in classes}
    return np.array([known.get(label, label) for label in labels.tolist()])
