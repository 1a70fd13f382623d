"""What a cell prints and shows: recorded while it passes, unchanged, and shown again in the same order.

The streams' and publishers' own methods are wrapped for the time of a cell, as IPython does it for its history:
front ends check for the classes of these objects, so the objects stay.
"""

from __future__ import annotations

import base64
import sys
from collections.abc import Callable, Mapping
from typing import Any

Event = dict[str, Any]

_LIVE = "application/vnd.jupyter.widget-view+json"
_LIMIT = 4 << 20  # characters after which nothing more is recorded; the cell will not be kept


class Outputs:
    """Records one shell's output, a cell at a time.

    Attributes
    ----------
    events : list of dict
        ``kind`` is ``stdout``, ``stderr``, ``display``, ``clear`` or ``result``; the rest is plain values.
    problem : str or None
        Why what was shown cannot be shown again.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._undo: list[Callable[[], None]] = []
        self._publishing = 0
        self._size = 0
        self.events: list[Event] = []
        self.problem: str | None = None

    # -- recording ---------------------------------------------------------------------------

    def begin(self) -> None:
        """Listen until `end`."""
        self.end()
        self.events, self.problem, self._size = [], None, 0
        self._wrap(sys.stdout, "write", lambda write: self._writer(write, "stdout"))
        self._wrap(sys.stderr, "write", lambda write: self._writer(write, "stderr"))
        publisher, hook = self._shell.display_pub, self._shell.displayhook
        self._wrap(publisher, "publish", self._publisher)
        self._wrap(publisher, "clear_output", self._clearer)
        self._wrap(hook, "write_format_data", self._result)
        self._wrap(hook, "start_displayhook", lambda call: self._counted(call, 1))
        self._wrap(hook, "finish_displayhook", lambda call: self._counted(call, -1))

    def end(self) -> None:
        """Stop listening; everything is as it was."""
        while self._undo:
            self._undo.pop()()

    def _wrap(self, owner: Any, name: str, wrapped: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
        own = getattr(owner, "__dict__", {})
        before = own.get(name)
        try:
            setattr(owner, name, wrapped(getattr(owner, name)))
        except AttributeError:  # a stream that lets nobody listen: what it prints would be missing
            self.problem = f"what goes to {name} of a {type(owner).__qualname__} cannot be recorded"
            return
        self._undo.append(lambda: setattr(owner, name, before) if before is not None else delattr(owner, name))

    def _add(self, event: Event, size: int) -> None:
        self._size += size
        if self._size < _LIMIT:
            self.events.append(event)
        else:
            self.problem = "its output is larger than 1 MB"

    def _writer(self, write: Callable[..., Any], kind: str) -> Callable[..., Any]:
        def writing(text: Any, *args: Any, **kwargs: Any) -> Any:
            done = write(text, *args, **kwargs)
            if not self._publishing and isinstance(text, str) and text:
                last = self.events[-1] if self.events else None
                if last is not None and last["kind"] == kind and self._size < _LIMIT:
                    last["text"] += text
                    self._size += len(text)
                else:
                    self._add({"kind": kind, "text": str(text)}, len(text))
            return done

        return writing

    def _publisher(self, publish: Callable[..., Any]) -> Callable[..., Any]:
        def publishing(data: Any, metadata: Any = None, *args: Any, **kwargs: Any) -> Any:
            self._publishing += 1
            try:
                done = publish(data, metadata, *args, **kwargs)
            finally:
                self._publishing -= 1
            event = {"kind": "display", "update": bool(kwargs.get("update"))}
            self._show(event, data=data, metadata=metadata, transient=kwargs.get("transient"))
            return done

        return publishing

    def _clearer(self, clear: Callable[..., Any]) -> Callable[..., Any]:
        def clearing(wait: bool = False) -> Any:
            self._publishing += 1
            try:
                done = clear(wait)
            finally:
                self._publishing -= 1
            self._add({"kind": "clear", "wait": bool(wait)}, 0)
            return done

        return clearing

    def _result(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def writing(data: Any, metadata: Any = None) -> Any:
            self._show({"kind": "result"}, data=data, metadata=metadata)
            return write(data, metadata)

        return writing

    def _counted(self, call: Callable[..., Any], step: int) -> Callable[..., Any]:
        def counted() -> Any:
            self._publishing += step
            return call()

        return counted

    def _show(self, event: Event, **parts: Any) -> None:
        if _LIVE in (parts["data"] or {}):
            self.problem = "it shows a widget, which is live"
            return
        try:
            event |= {name: _plain(part or {}) for name, part in parts.items()}
        except TypeError as error:
            self.problem = f"what it shows cannot be kept ({error})"
            return
        self._add(event, len(str(event["data"])))

    # -- showing again -----------------------------------------------------------------------

    def replay(self, events: tuple[Mapping[str, Any], ...], shown: tuple[Any, ...]) -> None:
        """Show recorded events; `shown` holds the value that becomes ``Out[n]``."""
        for event in events:
            kind = event["kind"]
            if kind in ("stdout", "stderr"):
                getattr(sys, kind).write(event["text"])
            elif kind == "clear":
                self._shell.display_pub.clear_output(event["wait"])
            elif kind == "display":
                self._shell.display_pub.publish(
                    _rich(event["data"]), _rich(event["metadata"]), transient=event["transient"], update=event["update"]
                )
            else:
                self._replay_result(event, shown)

    def _replay_result(self, event: Mapping[str, Any], shown: tuple[Any, ...]) -> None:
        """As IPython's own display hook does it, but for computing what to show."""
        hook = self._shell.displayhook
        data = _rich(event["data"])
        hook.start_displayhook()
        try:
            hook.write_output_prompt()
            hook.write_format_data(data, _rich(event["metadata"]))
            if shown:
                hook.update_user_ns(shown[0])
                hook.fill_exec_result(shown[0])
            if data:
                hook.log_output(data)
        finally:
            hook.finish_displayhook()


_BYTES, _AS_IT_IS = "__base64__", "__dict__"  # what stands for bytes; a dict that happens to have such a key


def _plain(value: Any) -> Any:
    """Values that JSON can hold; raises `TypeError` for others."""
    if value is None or type(value) in (str, int, float, bool):
        return value
    if isinstance(value, bytes):
        return {_BYTES: base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        plain = {str(key): _plain(part) for key, part in value.items()}
        return {_AS_IT_IS: plain} if plain.keys() & {_BYTES, _AS_IT_IS} else plain
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    raise TypeError(type(value).__qualname__)


def _rich(value: Any) -> Any:
    """The inverse of `_plain`."""
    if isinstance(value, Mapping):
        if value.keys() == {_BYTES}:
            return base64.b64decode(value[_BYTES])
        if value.keys() == {_AS_IT_IS}:
            return {key: _rich(part) for key, part in value[_AS_IT_IS].items()}
        return {key: _rich(part) for key, part in value.items()}
    return [_rich(part) for part in value] if isinstance(value, (list, tuple)) else value
