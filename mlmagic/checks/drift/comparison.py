"""The step from a profile and current data to a report: each column measured, corrected for their number, judged.

When a column is called what
----------------------------
All p-values of all columns and statistics of one comparison are one family; q is Benjamini and Hochberg's.

``drift``    one of these has q < alpha and an effect of at least its alarm: PSI 0.25, KS 0.1, Cramér's V 0.2, shares
             of nulls 5 points apart, more than 1 % of the rows in unseen categories, 1 % outside the range.
``warn``     not ``drift``, and with q < alpha: PSI 0.1, Cramér's V 0.1, nulls 1 point apart, anything outside the
             range, or Wasserstein or Jensen–Shannon of 0.1 (both notice moves that few models mind; they call ``drift``
             only where no deciding statistic was asked for). Or any row in an unseen category, whatever its q.
``unknown``  it is in one of the two only, of another kind, or has fewer than `FEWEST` values on a side, and its nulls
             are neither of the above.
``ok``       else.

Where there is no drift at all, false discovery rate and family-wise error rate are the same, so that a report without
drift calls any column ``drift`` with a chance of at most alpha. Whether *anything* drifted is said by Holm's
adjustment, in the notes.

Rows are taken to be independent. Where they are not (many rows of one user, or one after the other in time), all
p-values are too small.

Columns of times and of ids (whole numbers or texts without repeats) differ by themselves: of these only nulls are
looked at, unless `columns` names them. Missing and new columns are named, and are ``unknown``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlmagic.checks.drift import domain_classifier, many
from mlmagic.checks.drift.finding import Finding
from mlmagic.checks.drift.registry import DETECTORS
from mlmagic.checks.drift.report import ColumnDrift, DriftReport, JointDrift, Measured, Shares, Verdict
from mlmagic.checks.profile import LOOKED_AT_VALUES, Categories, Numbers, Profile, Remembered, Role, Rows, fits
from mlmagic.errors import MissingPackageError, MisuseError, UnknownNameError
from mlmagic.tables import Column, Table

FEWEST = 10  # values on each side, below which no test says anything
METHODS = (*DETECTORS, domain_classifier.NAME)
_ORDER: dict[Verdict, int] = {"drift": 0, "warn": 1, "unknown": 2, "ok": 3}
_REASONS = 3  # in `because`
_PICTURED = 12  # categories in a picture
_NAMED = 8  # columns in a note


@dataclass(frozen=True, slots=True)
class _Pair:
    """What is left of one column on both sides: what the detectors found, and what is to be said and drawn."""

    name: str
    kind: str
    role: Role
    findings: dict[str, Finding]
    hindrance: str  # why it was not measured in full
    movement: str
    shares: Shares | None
    infinite: int  # of its values now


def compare(
    reference: Profile,
    current: Table,
    *,
    columns: Sequence[str] | None = None,
    methods: Sequence[str] | None = None,
    alpha: float = 0.05,
    joint: bool = True,
    seed: int = 0,
) -> DriftReport:
    """Whether, where and how much current data differs from its reference; the worst columns first.

    Nulls, range, categories and shares in bins are of all rows; KS and Wasserstein of at most 10,000 values of the
    reference and 30,000 of now; the joint test of 5,000 rows each.

    Parameters
    ----------
    columns : sequence of str, optional
        Only these; times and ids are compared when named here.
    methods : sequence of str, optional
        Only these of `METHODS`.
    alpha : float
        Chance of calling any column ``drift`` where there is none.
    joint : bool
        Also ask a classifier whether it can tell the two apart, if `methods` does not exclude it.

    Raises
    ------
    MisuseError, UnknownNameError
        The two cannot be compared; one line.
    """
    _check(reference, current, columns, methods, alpha)
    own = {column.name: column for column in current.columns}
    looked = [column for column in reference.columns if columns is None or column.name in columns]
    fitting = {column.name: fits(column, current) for column in looked if column.name in own}
    common = [column for column in looked if fitting.get(column.name)]
    if not common:
        raise MisuseError(_nothing_in_common(reference, current))
    pairs, rows = reference.seen_in(
        current,
        [column.name for column in common],
        lambda before, now: _pair(before, now, methods, alpha, named=columns is not None),
        seed,
    )
    found = _judged(pairs, methods, alpha)
    others = _not_compared(looked, fitting, own if columns is None else {}, current, reference)
    notes, whole = _notes(pairs, others, alpha, current.rows), None
    if joint and (methods is None or domain_classifier.NAME in methods):
        whole, more = _jointly(reference, rows, required=methods is not None, seed=seed)
        notes += more
    ranked = sorted(found + others, key=_rank)
    return DriftReport(
        reference="reference",
        current="current",
        reference_rows=reference.rows,
        current_rows=current.rows,
        columns=tuple(ranked),
        joint=whole,
        alpha=alpha,
        notes=tuple(notes),
    )


# -- what cannot be compared -----------------------------------------------------------------------


def _check(
    reference: Profile, current: Table, columns: Sequence[str] | None, methods: Sequence[str] | None, alpha: float
) -> None:
    if not current.rows:
        raise MisuseError("the current data has no rows, so there is nothing to compare")
    if not 0 < alpha < 1:
        raise MisuseError(f"alpha is a share of false alarms between 0 and 1, not {alpha}")
    for name in methods or ():
        if name not in METHODS:
            raise UnknownNameError.among("method", name, METHODS)
    known = [column.name for column in reference.columns]
    if columns is not None and not columns or methods is not None and not methods:
        raise MisuseError(f"no {'column' if columns is not None and not columns else 'method'} is named")
    for name in columns or ():
        if name not in known:
            raise UnknownNameError.among("column of the reference", name, known)


def _nothing_in_common(reference: Profile, current: Table) -> str:
    before, now = ([column.name for column in side.columns] for side in (reference, current))
    if set(before) & set(now):
        return "no column can be compared: they are of other kinds than in the reference, or missing"
    return f"no column in common: the reference has {_some(before)}; the current data has {_some(now)}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")


def _not_compared(
    looked: Sequence[Remembered],
    fitting: Mapping[str, bool],
    now: Mapping[str, Column],
    current: Table,
    reference: Profile,
) -> list[ColumnDrift]:
    """Columns of one side only, and those of another kind."""
    known = {column.name for column in reference.columns}
    missing = [(column, "is not in the current data") for column in looked if column.name not in fitting]
    pairs = [(column, current.column(column.name)) for column in looked if fitting.get(column.name) is False]
    other = [(column, f"was {column.kind}, and is {there.kind} ({there.dtype}) now") for column, there in pairs]
    new = [(column, "is not in the reference") for column in now.values() if column.name not in known]
    return [ColumnDrift(column.name, column.kind, "unknown", why, ()) for column, why in [*missing, *other, *new]]


# -- one column ------------------------------------------------------------------------------------


def _pair(
    reference: Remembered, current: Remembered, methods: Sequence[str] | None, alpha: float, named: bool
) -> _Pair:
    hindrance = _hindrance(reference, current, named)
    asked = [name for name in DETECTORS if methods is None or name in methods]
    if hindrance:
        asked = [name for name in asked if name == "nulls"]
    findings = {
        name: found
        for name in asked
        if reference.kind in DETECTORS[name].KINDS
        and (found := DETECTORS[name].measure(reference, current, alpha)) is not None
    }
    infinite = current.infinite if isinstance(current, Numbers) else 0
    moved, shares = _movement(reference, current), _shares(reference, current)
    return _Pair(reference.name, reference.kind, reference.role, findings, hindrance, moved, shares, infinite)


def _hindrance(reference: Remembered, current: Remembered, named: bool) -> str:
    """Why the values of a column are not compared; nothing where they are."""
    if reference.role and not named:
        return "holds times" if reference.role == "time" else "looks like an id"
    for column, where in ((reference, "in the reference"), (current, "now")):
        values = column.values.size if isinstance(column, Numbers) else column.present
        if values < FEWEST:
            return f"has {values or 'no'} value{'s' if values != 1 else ''} {where}: too few to say anything"
    return ""


def _judged(pairs: Sequence[_Pair], methods: Sequence[str] | None, alpha: float) -> list[ColumnDrift]:
    tested = [found for pair in pairs for found in pair.findings.values() if found.p_value is not None]
    q_values = dict(zip(map(id, tested), many.benjamini_hochberg(_p_values(tested)), strict=True))
    return [
        _column(pair, {name: q_values.get(id(one)) for name, one in pair.findings.items()}, alpha) for pair in pairs
    ]


def _p_values(findings: Sequence[Finding]) -> list[float]:
    return [found.p_value for found in findings if found.p_value is not None]


def _column(pair: _Pair, q_values: dict[str, float | None], alpha: float) -> ColumnDrift:
    sure = {name for name, q in q_values.items() if q is not None and q < alpha}
    drifted = {name for name in sure if _reaches(pair.findings[name], pair.findings[name].alarm)}
    notable = {name for name, one in pair.findings.items() if _is_notable(one, name in sure)}
    verdict = _verdict(pair, drifted, notable)
    return ColumnDrift(
        name=pair.name,
        kind=pair.kind,
        verdict=verdict,
        because=_because(pair, drifted or notable, verdict),
        measures=tuple(
            Measured(name, one.statistic, one.p_value, q_values[name], one.threshold, name in drifted, one.note)
            for name, one in pair.findings.items()
        ),
        shares=pair.shares,
    )


def _reaches(found: Finding, limit: float) -> bool:
    return found.statistic > limit if found.plain else found.statistic >= limit


def _is_notable(found: Finding, sure: bool) -> bool:
    return found.statistic > 0 and _reaches(found, found.warn) and (sure or found.plain)


def _verdict(pair: _Pair, drifted: set[str], notable: set[str]) -> Verdict:
    decide = {name for name in pair.findings if DETECTORS[name].DECIDES and name != "nulls"} | {"nulls"} & drifted
    if drifted & decide or (drifted and not decide):
        return "drift"
    if pair.hindrance:
        return "ok" if pair.role and not notable else "warn" if notable else "unknown"
    return "warn" if drifted or notable else "ok"


# -- in words --------------------------------------------------------------------------------------


def _because(pair: _Pair, reasons: set[str], verdict: Verdict) -> str:
    hindered = f"{pair.hindrance}: values not compared" if pair.role and pair.hindrance else pair.hindrance
    told = [pair.findings[name].words for name in _strongest(pair, reasons)[:_REASONS]]
    moved = pair.movement if reasons & {"psi", "ks", "wasserstein", "jensen_shannon", "chi_square"} else ""
    return "; ".join(part for part in (hindered, moved if verdict != "ok" else "", *told) if part)


def _strongest(pair: _Pair, names: set[str]) -> list[str]:
    return sorted(names, key=lambda name: -_ratio(pair.findings[name]))


def _ratio(found: Finding) -> float:
    return found.statistic / found.threshold if found.threshold else 0.0


def _movement(before: Remembered, now: Remembered) -> str:
    if isinstance(before, Numbers) and isinstance(now, Numbers):
        return _moved_numbers(before, now)
    if isinstance(before, Categories) and isinstance(now, Categories):
        return _moved_categories(before, now)
    return ""


def _moved_numbers(before: Numbers, now: Numbers) -> str:
    """The middle, or the spread where that moved more."""
    middles, spreads = (before.median, now.median), (before.sd, now.sd)
    if abs(middles[1] - middles[0]) >= abs(spreads[1] - spreads[0]) and middles[0] != middles[1]:
        return "median moved from {} to {}".format(*_apart(*middles))
    if spreads[0] != spreads[1]:
        return "standard deviation moved from {} to {}".format(*_apart(*spreads))
    return ""


def _apart(before: float, now: float) -> tuple[str, str]:
    """Two numbers with as few digits as tell them apart."""
    for digits in (3, 4, 5, 6, 9):
        told = _digits(before, digits), _digits(now, digits)
        if told[0] != told[1]:
            return told
    return repr(before), repr(now)


def _digits(value: float, digits: int) -> str:
    return f"{value:,.0f}" if 10**digits <= abs(value) < 1e9 else f"{value:.{digits}g}"


def _moved_categories(before: Categories, now: Categories) -> str:
    shares = now.counts / max(now.present, 1) - before.counts / max(before.present, 1)
    if not shares.size:
        return ""
    most = int(np.argmax(np.abs(shares)))
    was, became = before.counts[most] / max(before.present, 1), now.counts[most] / max(now.present, 1)
    return f"{before.labels[most]!r} went from {was:.1%} to {became:.1%}"


def _rank(column: ColumnDrift) -> tuple[int, float]:
    """Worst first; equals stay in the order of the reference."""
    worst = max((_excess(one) for one in column.measures), default=0.0)
    return _ORDER[column.verdict], -worst


def _excess(one: Measured) -> float:
    return (one.statistic or 0.0) / one.threshold if one.threshold else 0.0


# -- for pictures ----------------------------------------------------------------------------------


def _shares(before: Remembered, now: Remembered) -> Shares | None:
    if isinstance(before, Numbers) and isinstance(now, Numbers):
        return Shares(tuple(before.edges.tolist()), (), _of_all(before.counts), _of_all(now.counts))
    if isinstance(before, Categories) and isinstance(now, Categories):
        return _category_shares(before, now)
    return None


def _of_all(counts: NDArray[np.int64]) -> tuple[float, ...]:
    return tuple((counts / max(counts.sum(), 1)).tolist())


def _category_shares(before: Categories, now: Categories) -> Shares:
    """The most frequent categories of both together, then unseen ones, then the rest as one."""
    unseen = now.unseen[:3] if before.distinct <= len(before.labels) else ()
    top = np.argsort(-(before.counts + now.counts), kind="stable")[:_PICTURED]
    rows = [(before.labels[place], int(before.counts[place]), int(now.counts[place])) for place in top]
    rows += [(name, 0, count) for name, count in unseen]
    rest = before.present - sum(row[1] for row in rows), now.present - sum(row[2] for row in rows)
    if any(rest):
        rows.append(("other", *rest))
    labels, *counts = zip(*rows, strict=True) if rows else ((), (), ())
    return Shares((), tuple(labels), _of_all(np.array(counts[0])), _of_all(np.array(counts[1])))


# -- jointly, and notes ----------------------------------------------------------------------------


def _jointly(reference: Profile, rows: Rows, required: bool, seed: int) -> tuple[JointDrift | None, list[str]]:
    try:
        return domain_classifier.measure(reference, rows, seed), []
    except MissingPackageError as error:
        if required:
            raise
        return None, [f"not compared jointly: {error}"]


def _notes(pairs: Sequence[_Pair], others: Sequence[ColumnDrift], alpha: float, rows: int) -> list[str]:
    p_values = [p for pair in pairs for p in _p_values(list(pair.findings.values()))]
    notes = []
    if p_values:
        least = min(many.holm(p_values))
        told = f"{len(p_values)} tests, Holm's smallest p-value {least:.2g}"
        notes.append(f"{'something' if least < alpha else 'nothing'} differs beyond chance ({told})")
    for why in ("is not in the current data", "is not in the reference"):
        names = [column.name for column in others if column.because == why]
        if names:
            notes.append(f"{'missing' if 'current' in why else 'new'} columns: {_some(names)}")
    ids = [pair.name for pair in pairs if pair.hindrance and pair.role]
    if ids:
        notes.append(f"ids and times, of which only nulls are compared unless columns= names them: {_some(ids)}")
    infinite = [f"{pair.name} ({pair.infinite:,})" for pair in pairs if pair.infinite]
    if infinite:
        notes.append(f"infinite values now, counted in the outermost bins: {_some(infinite)}")
    if rows > LOOKED_AT_VALUES and any(pair.kind in ("numeric", "datetime") for pair in pairs):
        notes.append(f"KS and Wasserstein are of a sample of {LOOKED_AT_VALUES:,} rows, the other statistics of all")
    return notes
