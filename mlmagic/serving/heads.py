"""The step from a request's head to who answers it: line and headers come in, a checked `Head` or a refusal goes out.

Clients that stay connected send the same head again and again. So heads that passed all checks are known by their
bytes, and are neither parsed nor checked again.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias
from urllib.parse import unquote_to_bytes, urlsplit

from mlmagic.serving.limits import Limits
from mlmagic.serving.options import EVERYWHERE, LOOPBACK, Options
from mlmagic.serving.requests import CLOSE, KEEP, RefusedError, Request

Handler: TypeAlias = Callable[[Request, bytes, "Head"], None]
"""Answers a request with this body, now or later; may raise `RefusedError`."""

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[^:\[\]/?#@\s]+)(?::\d{1,5})?", re.IGNORECASE)
_ONCE = frozenset(
    {b"host", b"content-length", b"authorization", b"inference-header-content-length", b"timeout", b"transfer-encoding"}
)


@dataclass(frozen=True, slots=True)
class Route:
    """A path that exists.

    Attributes
    ----------
    methods : mapping
        Method -> who answers.
    open : bool
        Answered without a token.
    """

    methods: Mapping[bytes, Handler]
    open: bool = False


@dataclass(frozen=True, slots=True)
class Head:
    """A request's head that passed all checks.

    Attributes
    ----------
    handle : Handler
    length : int or None
        Bytes of the body; ``None``: it comes in chunks.
    closing : bytes
        What the answer says about the connection.
    json_bytes : int or None
        How much of the body is JSON, where tensors follow.
    seconds : float or None
        Within which an answer is of use to the client.
    expects : bool
        The client waits for a word before it sends the body.
    """

    handle: Handler
    length: int | None
    closing: bytes
    json_bytes: int | None = None
    seconds: float | None = None
    expects: bool = False


class Gate:
    """Checks heads.

    Parameters
    ----------
    routes : mapping
        Path -> `Route`; there are no others.
    missing : callable
        Path -> what to say about one that there is not.
    """

    def __init__(
        self, routes: Mapping[str, Route], missing: Callable[[str], str], options: Options, limits: Limits
    ) -> None:
        self._routes, self._missing, self._limits = routes, missing, limits
        self._token = None if options.token is None else options.token.encode()
        self._hosts = hosts_of(options)
        self._any_address = options.host in EVERYWHERE  # there nobody answers without a token

    def pass_(
        self, method: bytes, target: bytes, headers: Iterable[tuple[bytes, bytes]], version: str, keep: bool
    ) -> Head:
        """The checked head.

        Raises
        ------
        RefusedError
            It is not let through.
        """
        named = _named(headers)
        self._check_host(named.get(b"host"))
        self._check_origin(named.get(b"origin"))
        path = _path(target)
        route = self._routes.get(path)
        if route is None or not route.open:
            self._check_token(named.get(b"authorization", b""))
        if route is None:
            raise RefusedError(404, self._missing(path))
        handle = route.methods.get(method)
        if handle is None:
            allowed = b", ".join(sorted(route.methods))
            raise RefusedError(405, f"{path} takes {allowed.decode()} only", b"Allow: %b\r\n" % allowed)
        if named.get(b"content-encoding", b"identity").lower() != b"identity":
            raise RefusedError(415, "bodies are taken as they are: send no Content-Encoding")
        return Head(
            handle,
            self._length(named),
            (KEEP if version == "1.0" else b"") if keep else CLOSE,
            _whole(named.get(b"inference-header-content-length"), "Inference-Header-Content-Length"),
            _seconds(named.get(b"timeout")),
            named.get(b"expect", b"").lower() == b"100-continue",
        )

    def _check_host(self, host: bytes | None) -> None:
        if host is None:
            raise RefusedError(400, "there is no Host header")
        found = _HOST.fullmatch(host.decode("latin-1"))
        if found is None or not self._is_ours(found[1].lower()):
            raise RefusedError(421, "this server does not answer to the name in the Host header")

    def _is_ours(self, name: str) -> bool:
        if name in self._hosts:
            return True
        return self._any_address and _is_address(name)  # addresses cannot be pointed at us by somebody else's DNS

    def _check_origin(self, origin: bytes | None) -> None:
        """Pages of other sites can make a browser post here, though they never see the answer."""
        if origin is not None and not self._is_ours(_site(origin)):
            raise RefusedError(403, "requests from other sites' pages are not answered")

    def _check_token(self, given: bytes) -> None:
        if self._token is None:
            return
        kind, _, token = given.partition(b" ")
        if not (hmac.compare_digest(token.strip(), self._token) and kind.lower() == b"bearer"):
            message = "a token is needed: send the header Authorization: Bearer …"
            raise RefusedError(401, message, b"WWW-Authenticate: Bearer\r\n")

    def _length(self, named: Mapping[bytes, bytes]) -> int | None:
        coding = named.get(b"transfer-encoding")
        if coding is not None:
            if coding.lower() != b"chunked":
                raise RefusedError(415, "bodies are taken as they are, or chunked: send no other Transfer-Encoding")
            return None
        length = _whole(named.get(b"content-length"), "Content-Length") or 0
        if length > self._limits.body:
            raise too_large(self._limits)
        return length


def too_large(limits: Limits) -> RefusedError:
    """The refusal of a body beyond the limit."""
    return RefusedError(413, f"the body is larger than {limits.body} bytes, the most that this server takes")


def hosts_of(options: Options) -> frozenset[str]:
    """Names that a Host header may hold, in lower case; IPv6 addresses in brackets."""
    names = {name.lower() for name in (*LOOPBACK, options.host, *options.hosts) if name}
    return frozenset(f"[{name}]" if ":" in name and not name.startswith("[") else name for name in names)


def _named(headers: Iterable[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    named: dict[bytes, bytes] = {}
    for name, value in headers:
        lower = name.lower()
        if lower in named and lower in _ONCE:
            raise RefusedError(400, f"the header {lower.decode('latin-1')} came twice")
        named[lower] = value
    return named


def _path(target: bytes) -> str:
    if not target.startswith(b"/"):
        raise RefusedError(400, "the request's target is no path")
    return unquote_to_bytes(target.partition(b"?")[0]).decode("utf-8", "replace")


def _site(origin: bytes) -> str:
    try:
        netloc = urlsplit(origin.decode("latin-1")).netloc
    except ValueError:
        return ""
    found = _HOST.fullmatch(netloc)
    return found[1].lower() if found else ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _whole(text: bytes | None, name: str) -> int | None:
    if text is None:
        return None
    if not text.isdigit() or len(text) > 18:
        raise RefusedError(400, f"the header {name} is no whole number")
    return int(text)


def _seconds(text: bytes | None) -> float | None:
    milliseconds = _whole(text, "timeout (milliseconds)")
    return None if milliseconds is None else milliseconds / 1000
