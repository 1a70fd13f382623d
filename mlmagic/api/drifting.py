"""`mlmagic.drift` and `mlmagic.profile`: has the data moved away from its reference? Recorded with both versions."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from mlmagic.api._bundles import PREFIX
from mlmagic.api._subjects import Subject, subject
from mlmagic.bundles.folder import PROFILE
from mlmagic.bundles.profiling import profile_in
from mlmagic.checks.drift import compare
from mlmagic.checks.drift.report import DriftReport, Measured
from mlmagic.checks.profile import Profile
from mlmagic.errors import MisuseError
from mlmagic.records import Drift, new_id
from mlmagic.session import active
from mlmagic.tables import table_of
from mlmagic.views import drift as _faces  # noqa: F401  draws the result

__all__ = ["DriftReport", "Profile", "drift", "profile"]

PROFILE_SUFFIX = ".profile"


def profile(data: Any, *, seed: int = 0) -> Profile:
    """What a reference is remembered by: its bins, categories, ranges and a sample; ``.save(path)`` keeps it.

    Parameters
    ----------
    data : table
        pandas, polars, Arrow, a Parquet or CSV file, a DuckDB relation.
    """
    return Profile.of(table_of(data), seed=seed)


def drift(
    reference: Any,
    current: Any = None,
    *,
    columns: Sequence[str] | None = None,
    methods: Sequence[str] | None = None,
    alpha: float = 0.05,
    joint: bool = True,
    seed: int = 0,
    spelled: Mapping[str, str] | None = None,
) -> DriftReport:
    """Whether, where and how much current data differs from its reference.

    Parameters
    ----------
    reference : table, Profile or path
        The data to compare with, its profile, or the file of one (``.profile``); without `current` the name of an
        endpoint, whose logged rows are compared with what its bundle was exported with.
    current : table
        pandas, polars, Arrow, a Parquet or CSV file, a DuckDB relation.
    columns : sequence of str, optional
        Only these.
    methods : sequence of str, optional
        Only these: ``psi``, ``ks``, ``wasserstein``, ``jensen_shannon``, ``chi_square``, ``nulls``, ``new_categories``,
        ``range``.
    alpha : float
        The share of false alarms that is accepted, over all columns together.
    joint : bool
        Also ask a classifier whether it can tell the two sets apart.

    Returns
    -------
    DriftReport

    Raises
    ------
    MisuseError, UnknownNameError
        The two cannot be compared; one line.
    """
    columns, methods = _names(columns), _names(methods)
    names = spelled or {}
    if current is None:
        reference, current, about = _of_endpoint(reference)
    else:
        about = subject(reference, names.get("reference")), subject(current, names.get("current"))
    session = active()
    with session.recorder.aside() if session is not None else nullcontext():
        found = compare(
            _as_profile(reference, seed),
            table_of(current),
            columns=columns,
            methods=methods,
            alpha=alpha,
            joint=joint,
            seed=seed,
        )
    found = replace(found, reference=about[0].name, current=about[1].name)
    if session is not None:
        session.drifted(_rows(found, about, session.recorder.execution_id))
    return found


def _of_endpoint(name: Any) -> tuple[Profile, Any, tuple[Subject, Subject]]:
    """What an endpoint's bundle was exported with, and the rows that the endpoint has logged."""
    from mlmagic.api._logged import logged_rows

    if not isinstance(name, str):
        raise MisuseError("drift takes a reference and current data, or the name of an endpoint")
    bundle, endpoint_id, rows = logged_rows(name)
    about = Subject(f"{PREFIX}{bundle.name}"), Subject(f"endpoint:{endpoint_id}")
    reference = profile_in(bundle.read(PROFILE))
    known = {column.name for column in reference.columns}  # which leaves out secrets
    return reference, {name: column for name, column in rows.items() if name in known}, about


def _names(given: Any) -> list[str] | None:
    """Names as text, as tables have them; a single one is a list of one."""
    return None if given is None else [given] if isinstance(given, str) else [str(name) for name in given]


def _as_profile(reference: Any, seed: int) -> Profile:
    if isinstance(reference, Profile):
        return reference
    if isinstance(reference, (str, os.PathLike)) and Path(reference).suffix == PROFILE_SUFFIX:
        return Profile.load(Path(reference))
    return Profile.of(table_of(reference), seed=seed)


def _rows(report: DriftReport, about: tuple[Subject, Subject], execution_id: str | None) -> list[Drift]:
    drift_id, now = new_id(), time.time()
    measures: list[tuple[str | None, Measured]] = [
        (column.name, one) for column in report.columns for one in column.measures
    ]
    if report.joint is not None:
        measures.append((None, report.joint.measured))
    return [
        Drift(
            drift_id, now, report.reference, report.current, name, one.method, one.statistic, one.p_value,
            one.threshold, one.drifted, one.q_value, about[0].version_id, about[1].version_id, execution_id,
            one.note or None,
        )
        for name, one in measures
    ]  # fmt: skip
