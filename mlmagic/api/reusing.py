"""`mlmagic.reuse`: the cache of cells' results: what it saved, why a cell ran, which cells take part."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any

from mlmagic.api._projects import find_project, open_store
from mlmagic.cache import Cache
from mlmagic.cache.decision import code_change
from mlmagic.errors import MisuseError, UnknownNameError
from mlmagic.records import BEFORE, Execution, Reuse
from mlmagic.results import Result
from mlmagic.session import Session, active, require
from mlmagic.session.reuse import MODES, REFUSED, open_cache, spell
from mlmagic.store import Store
from mlmagic.views import tables

__all__ = ["Ledger", "Reasons", "reuse"]

ACTIONS = ("status", *MODES[:3], "explain", "verify", "clear", "budget")
_UNITS = {
    "": 1,
    "B": 1,
    "K": 10**3,
    "KB": 10**3,
    "M": 10**6,
    "MB": 10**6,
    "G": 10**9,
    "GB": 10**9,
    "T": 10**12,
    "TB": 10**12,
}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]*)")


@dataclass(frozen=True, repr=False)
class Ledger(Result):
    """What reuse cost and saved in this session, and what the project keeps. Times in seconds."""

    mode: str
    computed: int
    computed_seconds: float
    reused: int
    saved_seconds: float
    load_seconds: float
    hashed_seconds: float
    stored: int
    stored_bytes: int
    budget_bytes: int
    keep_seconds: float
    verified: int
    differences: int
    cells: tuple[dict[str, Any], ...] = field(default=())

    def rows(self) -> Iterator[tuple[str, str]]:
        yield "mode", _MODES[self.mode]
        yield "computed", f"{spell(self.computed_seconds)} in {_count(self.computed, 'cell')}"
        loading = f", loading took {spell(self.load_seconds)}" if self.reused else ""
        yield "saved", f"{spell(self.saved_seconds)} in {_count(self.reused, 'reused cell')}{loading}"
        yield "hashed", f"{spell(self.hashed_seconds)} to see what cells read and changed"
        yield (
            "stored",
            f"{_count(self.stored, 'result')}, {_bytes(self.stored_bytes)} of {_bytes(self.budget_bytes)}; "
            f"keeping took {spell(self.keep_seconds)}",
        )
        if self.verified or self.mode == "verify":
            yield "verified", f"{_count(self.verified, 'hit')} computed anew, {_count(self.differences, 'difference')}"

    def text(self) -> str:
        return "\n".join(f"{name:<10} {value}" for name, value in self.rows())

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    def to_pandas(self) -> Any:
        """One row for each cell that the cache was asked about."""
        import pandas as pd

        return pd.DataFrame(list(self.cells))


@dataclass(frozen=True, slots=True)
class Reason:
    """Why one execution ran or did not."""

    cell: str
    execution_id: str
    decision: str
    sentence: str


@dataclass(frozen=True, repr=False)
class Reasons(Result):
    """One sentence for each cell."""

    reasons: tuple[Reason, ...]

    header = ("cell", "reuse")

    def rows(self) -> Iterator[tuple[str, str]]:
        return ((reason.cell, reason.sentence) for reason in self.reasons)

    def text(self) -> str:
        width = max((len(reason.cell) for reason in self.reasons), default=0)
        return "\n".join(f"{cell:<{width}}  {sentence}" for cell, sentence in self.rows()) or "no cell has run yet"

    def to_dict(self) -> dict[str, Any]:
        return {"reasons": [asdict(reason) for reason in self.reasons]}

    def to_pandas(self) -> Any:
        import pandas as pd

        return pd.DataFrame([asdict(reason) for reason in self.reasons])


tables.register(Ledger)
tables.register(Reasons)


def reuse(action: str = "status", argument: str | int | None = None) -> Result | str | None:
    """Ask or set how results of earlier runs are used again.

    Parameters
    ----------
    action : str
        ``status``: what was computed, saved, hashed and stored. ``auto``, ``on``, ``off``: cells under ``%%track``,
        every cell, none. ``explain``: why each cell ran or was reused. ``verify``: from now on every hit is computed
        anew, too, and compared. ``clear``: forget everything kept. ``budget``: how much may be kept.
    argument : str or int, optional
        For ``explain``, a cell: its name, ``[N]`` or ``cell:ID``. For ``budget``, a size: ``"5GB"``.

    Returns
    -------
    Ledger, Reasons, str or None

    Raises
    ------
    NotActiveError
        A mode is to be set where nothing is tracked, or there is no project. Without a running session, the others
        speak of the last one of the project in this folder.
    MisuseError, UnknownNameError
        An action, cell or size that does not exist.
    """
    if action not in ACTIONS:
        raise UnknownNameError.among("action of reuse", action, ACTIONS)
    if argument is not None and action not in ("explain", "budget"):
        raise MisuseError(f"reuse {action} takes nothing more, not {argument!r}")
    if action in MODES:
        require().settings.reuse = action
        if action != "verify":
            return None
    if action == "clear":
        cache = _cache()
        runs, _ = cache.kept()
        return f"forgot {_count(runs, 'result')}, {_bytes(cache.clear())}"
    if action == "budget":
        return _budget(_cache(), argument)
    with open_store() as store:
        asked = _Asked(store, _session_id(store), active())
        return _explain(asked, argument) if action == "explain" else _ledger(asked)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Whose cells are asked about: the running session's, else those of the project's last one."""

    store: Store
    session_id: str
    session: Session | None

    @property
    def mode(self) -> str:
        return self.session.settings.reuse if self.session is not None else "auto"

    def executions(self) -> list[Execution]:
        return [row for row in self.store.history(self.session_id).executions if not _is_adoption(row)]


def _session_id(store: Store) -> str:
    session = active()
    if session is not None:
        return session.session_id
    sessions = store.sessions()
    return sessions[-1].session_id if sessions else ""


def _cache() -> Cache:
    session = active()
    if session is not None and session.cache is not None:
        return session.cache
    return open_cache(find_project())


def _budget(cache: Cache, size: str | int | None) -> str:
    freed = cache.set_budget(_parsed(size)) if size is not None else 0
    removed = f"; removed {_bytes(freed)}" if freed else ""
    return f"results may take {_bytes(cache.budget)}, and take {_bytes(cache.kept()[1])}{removed}"


def _parsed(size: str | int) -> int:
    found = _SIZE.fullmatch(str(size).strip())
    if found is None or found[2].upper() not in _UNITS:
        raise MisuseError(f"a budget is a size such as 5GB or 500MB, not {size!r}")
    return int(float(found[1]) * _UNITS[found[2].upper()])


def _ledger(asked: _Asked) -> Ledger:
    reuses = asked.store.reuses(asked.session_id)
    executions = {row.execution_id: row for row in asked.executions()}
    hits = [row for row in reuses if row.decision == "reused"]
    ran = [row for row in executions.values() if row.status != "reused"]
    cache = _cache()
    stored, nbytes = cache.kept()
    checked = asked.session.verifications if asked.session is not None else []
    return Ledger(
        mode=asked.mode,
        computed=len(ran),
        computed_seconds=sum(row.seconds for row in ran),
        reused=len(hits),
        saved_seconds=sum(row.saved for row in hits),
        load_seconds=sum(row.load_seconds for row in hits),
        hashed_seconds=sum(row.tracking_seconds for row in executions.values()),
        stored=stored,
        stored_bytes=nbytes,
        budget_bytes=cache.budget,
        keep_seconds=sum(row.keep_seconds for row in reuses),
        verified=len(checked),
        differences=sum(len(wrong) for _, wrong in checked),
        cells=tuple({"cell": _label(executions[row.execution_id]), **_fields(row)} for row in reuses),
    )


def _fields(row: Reuse) -> dict[str, Any]:
    return {name: getattr(row, name) for name in Reuse.__slots__}


# -- explain -----------------------------------------------------------------------------------


def _explain(asked: _Asked, target: str | int | None) -> Reasons:
    executions = asked.executions()
    found = {row.execution_id: row for row in asked.store.reuses(asked.session_id)}
    last = {row.cell_id: row for row in executions}
    chosen = [row for row in executions if last[row.cell_id] is row or row.cell_id.startswith("h-")]
    if target is not None:
        chosen = _matching(str(target), executions)
    return Reasons(tuple(_reasons(asked, chosen, found)))


def _reasons(asked: _Asked, chosen: list[Execution], found: Mapping[str, Reuse]) -> Iterator[Reason]:
    """One sentence for each cell; cells in a row that take no part share one."""
    for takes_part, rows in groupby(chosen, key=lambda row: row.execution_id in found):
        cells = list(rows)
        if takes_part:
            yield from (_reason(asked, row, found[row.execution_id]) for row in cells)
            continue
        label = _label(cells[0]) if len(cells) == 1 else f"{_label(cells[0])} … {_label(cells[-1])}"
        why = "%reuse is off" if asked.mode == "off" else "not under %%track (%reuse on takes every cell)"
        yield Reason(label, cells[-1].execution_id, "ran", f"ran: {why}")


def _matching(target: str, executions: list[Execution]) -> list[Execution]:
    """The last execution that a target names."""
    number = re.fullmatch(r"\[?(\d+)\]?", target)
    chosen = [
        row
        for row in executions
        if target in (row.name, row.execution_id, f"cell:{row.cell_id}")
        or (number and row.execution_count == int(number[1]))
    ]
    if not chosen:
        known = [row.name for row in executions if row.name] + [f"[{row.execution_count}]" for row in executions]
        raise UnknownNameError.among("cell", target, known)
    return chosen[-1:]


def _reason(asked: _Asked, execution: Execution, found: Reuse) -> Reason:
    return Reason(_label(execution), execution.execution_id, found.decision, _sentence(asked, execution, found))


def _sentence(asked: _Asked, execution: Execution, found: Reuse) -> str:
    if found.decision == "reused":
        return f"reused, saved {spell(found.saved)}: everything that it reads is as it was"
    if found.unkept == REFUSED:
        return "ran: its own line says --no-reuse"
    why = f"ran because {found.missed}" if found.missed else _new_code(asked, execution)
    if found.decision == "kept":
        return f"{why}; its results are kept"
    cheap = (found.unkept or "").startswith(("computing it took", "it took only", "it only imports"))
    return f"{why}; {'not kept' if cheap else 'cannot be reused'}: {found.unkept}"


def _new_code(asked: _Asked, execution: Execution) -> str:
    """Why nothing was known of a cell's code: it is new, or what of it changed."""
    earlier = asked.store.earlier_source(execution.cell_id, execution.name, execution.execution_id)
    change = code_change(earlier, execution.source) if earlier is not None else None
    return f"ran because its code changed: {change}" if change else "ran: nothing was kept of this code before"


def _label(execution: Execution) -> str:
    count = f"[{execution.execution_count}]" if execution.execution_count is not None else ""
    return f"{count} {execution.name}".strip() if execution.name else count or execution.execution_id


def _is_adoption(row: Execution) -> bool:
    return row.name == BEFORE and row.execution_count is None


_MODES = {
    "auto": "auto: cells under %%track",
    "on": "on: every cell",
    "off": "off",
    "verify": "verify: every hit is computed anew and compared",
}


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _bytes(number: int) -> str:
    for unit, size in (("GB", 10**9), ("MB", 10**6)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return f"{number / 1000:.0f} kB"
