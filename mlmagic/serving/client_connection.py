"""One kept connection to a server: binary tensors of the Open Inference Protocol go out, arrays come in.

With the standard library's client alone: whoever has a URL can do the same with any other.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from mlmagic.bundles.graph import Answers
from mlmagic.bundles.rows import Feeds
from mlmagic.bundles.schema import Schema
from mlmagic.errors import MisuseError
from mlmagic.serving.tensors import DATATYPES, NUMBERS, TEXT, packed

TIMEOUT = 60.0  # seconds for one answer
_HEADER = "Inference-Header-Content-Length"
_PATIENCE = 5  # times that a server may say that it is busy
_STALE = (http.client.BadStatusLine, ConnectionError)  # what a kept connection says that the server has closed


class ClientConnection:
    """One kept connection to a server; threads take turns.

    Parameters
    ----------
    url : str
    token : str or None
    timeout : float
        Seconds for one answer.
    """

    def __init__(self, url: str, token: str | None = None, timeout: float = TIMEOUT) -> None:
        self._url = url
        self._place = urlsplit(url)
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._timeout = timeout
        self._kept: http.client.HTTPConnection | None = None
        self._lock = threading.Lock()

    def get(self, path: str) -> dict[str, Any]:
        """The JSON object at a path; where an answer has no body, nothing."""
        _, body = self._request("GET", path, None, {})
        found = json.loads(body) if body else {}
        return found if isinstance(found, dict) else {"answer": found}

    def post(self, path: str, head: bytes, tensors: bytes) -> Answers:
        """The outputs for binary tensors.

        Raises
        ------
        MisuseError
            The server is gone, or refuses; with its reason.
        """
        headers = {"Content-Type": "application/octet-stream", _HEADER: str(len(head))}
        told, body = self._request("POST", path, head + tensors, headers)
        length = told.get(_HEADER.lower())
        return decoded(body, int(length) if length else None)

    def close(self) -> None:
        """Release the connection; a later question opens another one."""
        with self._lock:
            self._drop()

    def __del__(self) -> None:
        """A handle that nobody holds any more holds no connection."""
        if getattr(self, "_kept", None) is not None:
            self._drop()

    def _request(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[dict[str, str], bytes]:
        with self._lock:
            for _ in range(_PATIENCE):
                status, told, content = self._answer(method, path, body, {**self._headers, **headers})
                if status != 503 or "retry-after" not in told:
                    break
                time.sleep(min(1.0, float(told["retry-after"])))
        if status >= 400:
            raise MisuseError(f"{self._url} refused: {_reason(status, content)}")
        return told, content

    def _answer(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        fresh = self._kept is None
        try:
            return self._exchange(method, path, body, headers)
        except _STALE as error:
            self._drop()
            if fresh:
                raise self._gone(error) from None
        except OSError as error:
            self._drop()
            raise self._gone(error) from None
        try:  # the server had closed what was kept: it did not read the request
            return self._exchange(method, path, body, headers)
        except (http.client.HTTPException, OSError) as error:
            self._drop()
            raise self._gone(error) from None

    def _exchange(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        if self._kept is None:
            kind = http.client.HTTPSConnection if self._place.scheme == "https" else http.client.HTTPConnection
            self._kept = kind(self._place.hostname or "", self._place.port, timeout=self._timeout)
        with suppress(BrokenPipeError, ConnectionResetError):  # refused while it was sent: the reason is there to read
            self._kept.request(method, path, body, dict(headers))
        answer = self._kept.getresponse()
        content = answer.read()
        if answer.will_close:
            self._drop()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content

    def _drop(self) -> None:
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()

    def _gone(self, error: Exception) -> MisuseError:
        if isinstance(error, TimeoutError):
            return MisuseError(f"{self._url} did not answer within {self._timeout:g} s")
        why = getattr(error, "strerror", None) or type(error).__name__
        return MisuseError(f"nothing answers at {self._url} ({why}): start the endpoint again with %serve")


def _reason(status: int, content: bytes) -> str:
    """The server's own line, else the status."""
    with suppress(ValueError, KeyError, TypeError):
        return str(json.loads(content)["error"]).splitlines()[0]
    return f"HTTP status {status}"


# -- binary tensors --------------------------------------------------------------------------------


def encoded(schema: Schema, feeds: Feeds, outputs: list[str]) -> tuple[bytes, bytes]:
    """The head (JSON) and the tensors of a request for some outputs, all binary."""
    names = {schema.tensor: schema.tensor} | {field.tensor: field.name for field in schema.fields}
    kinds = {schema.tensor: schema.fields[0].type} | {field.tensor: field.type for field in schema.fields}
    contents = {name: packed(array) for name, array in feeds.items()}
    head = {
        "inputs": [
            {
                "name": names[tensor],
                "datatype": DATATYPES[kinds[tensor]],
                "shape": list(array.shape),
                "parameters": {"binary_data_size": len(contents[tensor])},
            }
            for tensor, array in feeds.items()
        ],
        "outputs": [{"name": name, "parameters": {"binary_data": True}} for name in outputs],
    }
    return json.dumps(head).encode(), b"".join(contents.values())


def decoded(body: bytes, head_length: int | None) -> Answers:
    """The outputs of an answer, binary or not."""
    head = json.loads(body if head_length is None else body[:head_length])
    at = len(body) if head_length is None else head_length
    found: Answers = {}
    for output in head["outputs"]:
        kind, size = output["datatype"], output.get("parameters", {}).get("binary_data_size")
        if size is None:
            array = np.array(output["data"], dtype=object if kind == TEXT else NUMBERS[kind])
        else:
            array, at = _array_of(body[at : at + size], kind), at + size
        found[output["name"]] = array.reshape(output["shape"])
    return found


def _array_of(content: bytes, kind: str) -> NDArray[Any]:
    if kind != TEXT:
        return np.frombuffer(content, dtype=NUMBERS[kind]).copy()  # the user may write into it
    texts, at = [], 0
    while at < len(content):
        end = at + 4 + int.from_bytes(content[at : at + 4], "little")
        texts.append(content[at + 4 : end].decode())
        at = end
    return np.array(texts, dtype=object)
