"""The Open Inference Protocol, version 2: tensors in JSON or binary come in, tensors go out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from mlmagic.bundles.schema import Schema
from mlmagic.serving.heads import Head
from mlmagic.serving.inputs import Inputs
from mlmagic.serving.intake import Intake
from mlmagic.serving.json_values import may_hold_booleans
from mlmagic.serving.packages import orjson
from mlmagic.serving.quick_row import QuickRow
from mlmagic.serving.requests import RefusedError, Request
from mlmagic.serving.tensors import datatype_of, packed, tensors_of
from mlmagic.serving.writer import Scored

_UNSUPPORTED = ("classification", "shared_memory_region")


@dataclass(frozen=True, slots=True)
class Wanted:
    """An output that a request asks for."""

    name: str
    binary: bool


class Infer:
    """Answers `POST /v2/models/NAME[/versions/V]/infer`.

    Parameters
    ----------
    schema, intake, name, version
        As for `v1.Predict`.
    """

    def __init__(self, schema: Schema, intake: Intake, name: str, version: str) -> None:
        self._loads = orjson().loads
        self._schema, self._intake = schema, intake
        self._inputs = Inputs(schema)
        self._quick = QuickRow(schema)
        self._names = tuple(output.name for output in schema.outputs)
        self.about = orjson().dumps({"model_name": name, "model_version": version})[1:-1]
        self._all = self.form_of(tuple(Wanted(name, False) for name in self._names))
        self._all_binary = self.form_of(tuple(Wanted(name, True) for name in self._names))

    def form_of(self, wanted: tuple[Wanted, ...]) -> Tensors:
        """How an answer with some outputs is written."""
        return Tensors(self.about, wanted)

    def __call__(self, request: Request, body: bytes, head: Head) -> None:
        """Queue a request.

        Raises
        ------
        RefusedError
            It is none of this protocol, or does not fit the model.
        """
        row = self._quick.of_tensor(body) if head.json_bytes is None else None
        if row is not None:
            self._intake.put_row(request, self._all, {self._schema.tensor: row}, head)
            return
        text, binary = _split(body, head.json_bytes)
        plain = self._read(text)
        parameters = plain.get("parameters") or {}
        found = None if binary else self._inputs.one_row(plain["inputs"])
        rows, feeds, count = found or self._inputs.rows_of(tensors_of(plain["inputs"], binary))
        form = self._form(plain.get("outputs"), parameters)
        self._intake.take(request, form, count, head, _id(plain.get("id")), _timeout(parameters))
        request.rows, request.feeds = rows, feeds
        request.suspect = rows is not None and may_hold_booleans(text, max(0, text.find(b'"data"')))
        self._intake.put(request)

    def _read(self, text: bytes) -> dict[str, Any]:
        try:
            plain = self._loads(text)
        except ValueError as error:
            raise RefusedError(400, f"the body is no JSON: {error}") from None
        if type(plain) is not dict or type(plain.get("inputs")) is not list or not plain["inputs"]:
            raise RefusedError(400, 'expected {"inputs": [{"name": …, "shape": …, "datatype": …, "data": …}, …]}')
        if type(plain.get("parameters", {})) is not dict:
            raise RefusedError(400, "parameters is no object")
        return plain

    def _form(self, outputs: Any, parameters: Mapping[str, Any]) -> Tensors:
        binary = parameters.get("binary_data_output", False)
        if not outputs:
            return self._all_binary if binary is True else self._all
        if type(outputs) is not list:
            raise RefusedError(400, "outputs is no list")
        if len(outputs) > len(self._names):
            raise RefusedError(400, f"{len(outputs)} outputs are asked for; there are: {', '.join(self._names)}")
        wanted = tuple(self._wanted(output, binary is True) for output in outputs)
        if len({one.name for one in wanted}) != len(wanted):
            raise RefusedError(400, "an output is asked for twice")
        return self.form_of(wanted)

    def _wanted(self, output: Any, binary: bool) -> Wanted:
        if type(output) is not dict or output.get("name") not in self._names:
            name = output.get("name") if type(output) is dict else output
            raise RefusedError(400, f"no output {str(name)[:100]!r}; there are: {', '.join(self._names)}")
        parameters = output.get("parameters") or {}
        if type(parameters) is not dict:
            raise RefusedError(400, "parameters is no object")
        for name in _UNSUPPORTED:
            if name in parameters:
                raise RefusedError(400, f"outputs with {name} are not supported")
        return Wanted(output["name"], parameters.get("binary_data", binary) is True)


class Tensors:
    """An answer of this protocol with certain outputs."""

    def __init__(self, about: bytes, wanted: tuple[Wanted, ...]) -> None:
        self._about, self._wanted = about.replace(b"%", b"%%"), wanted
        self._binary = any(one.binary for one in wanted)
        self._templates: dict[Any, bytes] = {}

    def add(self, request: Request, scored: Scored, start: int, stop: int) -> None:
        """Take over the request's part of a scored batch, and answer once all parts are there."""
        request.done += stop - start
        if request.parts is None and request.done == request.count:
            self._answer(request, scored, [self._part(one, scored, start, stop) for one in self._wanted])
            return
        if request.parts is None:
            request.parts = [[] for _ in self._wanted]
        for parts, one in zip(request.parts, self._wanted, strict=True):
            parts.append(self._part(one, scored, start, stop))
        if request.done == request.count:
            joined = [
                (b"" if one.binary else b",").join(parts)
                for parts, one in zip(request.parts, self._wanted, strict=True)
            ]
            self._answer(request, scored, joined)

    def _part(self, one: Wanted, scored: Scored, start: int, stop: int) -> bytes:
        if one.binary:
            return packed(scored.answers[one.name][start:stop])
        flat = scored.flat(one.name)
        return flat[start] if stop - start == 1 else b",".join(flat[start:stop])

    def _answer(self, request: Request, scored: Scored, contents: list[bytes]) -> None:
        values: list[Any] = [orjson().dumps(request.request_id)]
        for content, one in zip(contents, self._wanted, strict=True):
            values += (request.count, len(content) if one.binary else content)
        body = self._template(scored) % tuple(values)
        if not self._binary:
            request.answer(body)
            return
        length = b"Inference-Header-Content-Length: %d\r\n" % len(body)
        tail = [content for content, one in zip(contents, self._wanted, strict=True) if one.binary]
        request.reply(200, b"".join([body, *tail]), b"application/octet-stream", length)

    def _template(self, scored: Scored) -> bytes:
        """The JSON of an answer, but for its id, its rows, and of each output the data."""
        found = self._templates.get(scored.kinds)
        if found is None:
            outputs = b",".join(self._described(one, scored.answers[one.name]) for one in self._wanted)
            found = self._templates[scored.kinds] = b'{%b,"id":%%b,"outputs":[%b]}' % (self._about, outputs)
        return found

    def _described(self, one: Wanted, array: NDArray[Any]) -> bytes:
        name = orjson().dumps(one.name).replace(b"%", b"%%")
        shape = b"".join(b",%d" % size for size in array.shape[1:])
        data = b'"parameters":{"binary_data_size":%d}' if one.binary else b'"data":[%b]'
        return b'{"name":%b,"datatype":"%b","shape":[%%d%b],%b}' % (name, datatype_of(array).encode(), shape, data)


def _split(body: bytes, json_bytes: int | None) -> tuple[bytes, memoryview]:
    if json_bytes is None:
        return body, memoryview(b"")
    if json_bytes > len(body):
        raise RefusedError(400, f"Inference-Header-Content-Length is {json_bytes}, and the body has {len(body)} bytes")
    return body[:json_bytes], memoryview(body)[json_bytes:]


def _id(given: Any) -> str:
    if given is None:
        return ""
    if type(given) is not str or len(given) > 128:
        raise RefusedError(400, "id is no text of at most 128 letters")
    return given


def _timeout(parameters: Mapping[str, Any]) -> float | None:
    """Seconds; the parameter is in microseconds, as Triton has it."""
    timeout = parameters.get("timeout")
    if timeout is None or timeout == 0:
        return None
    if type(timeout) is not int or timeout < 0:
        raise RefusedError(400, "timeout is no number of microseconds")
    return timeout / 1e6
