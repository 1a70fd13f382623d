"""The panel's list of endpoints: servers of this project's bundles, what they answered and what their rules said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mlmagic.graph import words
from mlmagic.panel.lists import MAX_ITEMS, Places, item
from mlmagic.panel.wire import Item
from mlmagic.records import Drift, Endpoint
from mlmagic.serving.process import is_running
from mlmagic.session import Session
from mlmagic.views import charts


def endpoints(session: Session, places: Places) -> Iterator[Item]:
    """The endpoints of the project, running ones first, then newest first."""
    store = session.store
    rows = store.endpoints()
    if not rows:
        return
    bundles = {row.bundle_id: row for row in store.bundles()}
    logged, firing, drifting = store.logged(), store.firing(), store.drifting()
    alive = {row.endpoint_id for row in rows if is_alive(row)}
    newest = list(reversed(rows))
    newest.sort(key=lambda row: row.endpoint_id not in alive)
    for row in newest[:MAX_ITEMS]:
        bundle = bundles.get(row.bundle_id)
        cell = places.maker_of(bundle.model_version) if bundle is not None else None
        fired = [one for one in firing if one["endpoint_id"] == row.endpoint_id and (one["fired"] or one["error"])]
        moved = [one for one in drifting if one.current == f"endpoint:{row.endpoint_id}" and one.drifted]
        yield _item(row, row.endpoint_id in alive, logged.get(row.endpoint_id, {}), fired, moved, cell)


def is_alive(row: Endpoint) -> bool:
    """Whether the server is still there, as far as this machine can tell."""
    return row.ended_at is None and row.pid is not None and is_running(row.pid)


def _item(
    row: Endpoint,
    alive: bool,
    logged: Mapping[str, Any],
    fired: Sequence[Mapping[str, Any]],
    moved: Sequence[Drift],
    cell: str | None,
) -> Item:
    state, word = _state(alive, bool(fired), bool(moved))
    answered = f"{logged['rows']:,} rows answered" if logged else "nothing answered yet"
    text = f"{row.url}, {answered}" if alive else f"ended, {answered}"
    details = [*_speed(logged), *map(_said, fired), *_drift(moved)]
    return item(row.endpoint_id, row.name or row.bundle_id, state, text, word=word, details=details, cell=cell)


def _state(alive: bool, fired: bool, moved: bool) -> tuple[str, str]:
    if not alive:
        return "past", "ended"
    return ("bad", "rule fires") if fired else ("warn", "drift") if moved else ("good", "running")


def _speed(logged: Mapping[str, Any]) -> Iterator[str]:
    if logged and logged.get("p50") is not None:
        middle, late = (words.seconds(logged[name]) for name in ("p50", "p99"))
        yield f"{logged['requests']:,} requests; a batch takes {middle}, at most {late} in 99 of 100"


def _said(one: Mapping[str, Any]) -> str:
    if one["error"]:
        return f"{one['name']}: no answer: {one['error']}"
    return f"{one['name']} fired on {one['fired']:,} of {one['rows']:,} rows"


def _drift(moved: Sequence[Drift]) -> Iterator[str]:
    names = list(dict.fromkeys(row.column_name or "all columns together" for row in moved))
    if names:
        yield f"drift: {charts.short(', '.join(names), 150)}"
