"""The plain JSON interface: `{"rows": [{column: value, …}, …]}` comes in, `{"predictions": […], …}` goes out."""

from __future__ import annotations

from mlmagic.bundles.schema import Schema
from mlmagic.serving.heads import Head
from mlmagic.serving.intake import Intake
from mlmagic.serving.json_values import may_hold_booleans
from mlmagic.serving.packages import orjson
from mlmagic.serving.quick_row import QuickRow
from mlmagic.serving.requests import RefusedError, Request
from mlmagic.serving.writer import Scored, joined

_EXPECTED = 'expected {"rows": [{column: value, …}, …]}'


class Predict:
    """Answers `POST /v1/models/NAME:predict`.

    Parameters
    ----------
    schema : Schema
    intake : Intake
        Where requests go.
    name, version : str
        Of the bundle.
    """

    def __init__(self, schema: Schema, intake: Intake, name: str, version: str) -> None:
        self._loads = orjson().loads
        self._intake = intake
        self._quick, self._tensor = QuickRow(schema), schema.tensor
        self._listed = schema.layout != "columns" or not schema.named
        about = orjson().dumps({"model": name, "version": version})[1:-1].replace(b"%", b"%%")
        self._body = b'{"predictions":[%b],' + about + b',"request_id":"%b"}'

    def __call__(self, request: Request, body: bytes, head: Head) -> None:
        """Queue a request.

        Raises
        ------
        RefusedError
            It is no such JSON, or too much of it.
        """
        row = self._quick.of_rows(body)
        if row is not None:
            self._intake.put_row(request, self, {self._tensor: row}, head)
            return
        try:
            rows = self._loads(body)["rows"]
        except ValueError as error:
            raise RefusedError(400, f"the body is no JSON: {error}") from None
        except (KeyError, TypeError, IndexError):
            raise RefusedError(400, _EXPECTED) from None
        if type(rows) is not list or not rows:
            raise RefusedError(400, f"rows is no list with at least one row; {_EXPECTED}")
        named = type(rows[0]) is dict
        if not named and not (self._listed and type(rows[0]) is list):
            raise RefusedError(400, f"row 0 is no object of columns and values; {_EXPECTED}")
        self._intake.take(request, self, len(rows), head)
        request.rows, request.named, request.suspect = rows, named, may_hold_booleans(body)
        self._intake.put(request)

    def add(self, request: Request, scored: Scored, start: int, stop: int) -> None:
        """Take over the request's part of a scored batch, and answer once all parts are there."""
        text = scored.rows[start] if stop - start == 1 else b",".join(scored.rows[start:stop])
        request.done += stop - start
        if request.done == request.count and request.parts is None:
            self._answer(request, text)
            return
        if request.parts is None:
            request.parts = []
        request.parts.append(text)
        if request.done == request.count:
            self._answer(request, joined(request.parts))

    def _answer(self, request: Request, rows: bytes) -> None:
        request.answer(self._body % (rows, request.request_id.encode()))
