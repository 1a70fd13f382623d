"""`mlmagic.export`: a model of the notebook as a bundle, proven equal, recorded with the version that it is."""

from __future__ import annotations

import random
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import numpy as np

from mlmagic import config, records
from mlmagic._optional import loaded
from mlmagic.api._bundles import bundles_folder
from mlmagic.api._subjects import Subject, subject
from mlmagic.bundles.export import Order, export_bundle
from mlmagic.bundles.exporters import graph_of
from mlmagic.bundles.folder import Bundle, checked_name
from mlmagic.bundles.parity import PROBES
from mlmagic.bundles.report import ExportReport
from mlmagic.errors import MisuseError, MlmagicError, StoreError, UnknownNameError
from mlmagic.records import Assertion, new_id
from mlmagic.session import Session, active
from mlmagic.signing import user_key
from mlmagic.tables import table_of
from mlmagic.views import bundles as _faces  # noqa: F401  draws the result

__all__ = ["ExportReport", "export"]

SEEN_FRAMES, SEEN_ROWS = 3, 2_000  # of the notebook, beside holdout and training data
_EXPECTED = "give the rows that prove it and their true answers: --holdout X_test y_test (or --no-holdout)"


def export(
    model: Any,
    name: str | None = None,
    *,
    holdout: tuple[Any, Any] | bool | None = None,
    train: Any = None,
    spelled: Mapping[str, str] | None = None,
) -> ExportReport:
    """A model of the notebook as a bundle: a folder that answers as the model does, anywhere, and explains itself.

    The bundle is compared with the model on the holdout, on the training data where that is given, and on other rows
    that the notebook holds; where they differ, nothing is exported.

    Parameters
    ----------
    model : object
        A fitted scikit-learn estimator or pipeline, a torch module, an xgboost or lightgbm model.
    name : str, optional
        Of the bundle; by default the variable's.
    holdout : tuple of (X, y), or False
        Rows that the model was not fitted on, and their true answers (or ``None``). Some of them travel in the bundle,
        with the model's answers. ``False``: none.
    train : table, optional
        The rows that the model was fitted on: what they look like is the reference that drift is measured from.

    Returns
    -------
    ExportReport

    Raises
    ------
    ExportError, MisuseError, UnknownNameError
        What cannot be exported, at which step and why, or what is missing; one line.

    Examples
    --------
    >>> mlmagic.export(model, "churn", holdout=(X_test, y_test), train=X_train)  # doctest: +SKIP
    """
    names = spelled or {}
    about = subject(model, names.get("model"))
    called = checked_name(name or _own_name(about))
    session, began = active(), time.perf_counter()
    with session.recorder.aside() if session is not None else nullcontext(), _unchanged():
        sets, order = _sets(session, model, holdout, train, names)
        graph = graph_of(model, next(iter(sets.values())) if train is None else train, name=called)
        bundle, report = export_bundle(graph, _order(session, called, about, sets, order), bundles_folder(), _key())
    _record(session, bundle, report)
    return replace(report, seconds=time.perf_counter() - began)


def _own_name(about: Subject) -> str:
    if not about.name.isidentifier():
        raise MisuseError(f"{about.name} has no name that a bundle could have: %export MODEL NAME")
    return about.name


def _key() -> bytes:
    """The user's key, made where there is none yet."""
    try:
        return user_key(config.key_path())
    except OSError as error:
        raise StoreError(f"the key that signs bundles cannot be read or made: {error.strerror or error}") from error


@contextmanager
def _unchanged() -> Iterator[None]:
    """What converters and models draw at random or warn of is no matter of the notebook's."""
    states = random.getstate(), np.random.get_state()
    torch = loaded("torch")
    drawn = torch.get_rng_state() if torch is not None else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        if torch is not None and drawn is not None:
            torch.set_rng_state(drawn)


# -- the rows ----------------------------------------------------------------------------------------


def _sets(
    session: Session | None,
    model: Any,
    holdout: tuple[Any, Any] | bool | None,
    train: Any,
    names: Mapping[str, str],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Name -> rows to prove it on, and which of them is what."""
    sets: dict[str, Any] = {}
    order: dict[str, Any] = {}
    if isinstance(holdout, tuple) and len(holdout) == 2:
        X, y = holdout  # noqa: N806
        order["holdout"] = _name(X, names.get("X"), "holdout")
        _same_length(X, y, order["holdout"], names.get("y", "y"))
        sets[order["holdout"]], order["target"] = X, y
    elif holdout is not False:
        raise MisuseError(_EXPECTED if holdout is None else "holdout takes two things: holdout=(X, y), or False")
    if train is not None:
        order["train"] = _name(train, names.get("train"), "train")
        sets.setdefault(order["train"], train)
    columns = _columns(model, next(iter(sets.values()), None))
    if session is not None and columns:
        sets |= {key: rows for key, rows in _seen(session, columns, list(sets.values())).items() if key not in sets}
    if not sets:
        raise MisuseError("no rows to prove it on, and none that tell the columns' types: give --train X")
    return sets, order


def _name(rows: Any, spelled: str | None, otherwise: str) -> str:
    found = subject(rows, spelled).name
    return otherwise if found.startswith("a ") or found == PROBES else found


def _same_length(rows: Any, truth: Any, data: str, target: str) -> None:
    if truth is None:
        return
    count, true = (int(one.shape[0]) if getattr(one, "shape", None) else len(one) for one in (rows, truth))
    if count != true:
        raise MisuseError(f"{data} has {count:,} rows and {target} {true:,} values: they must be equal")


def _columns(model: Any, rows: Any) -> list[str]:
    """Names of the columns that the model takes; none where they have no names."""
    known = getattr(model, "feature_names_in_", None)
    if known is None and hasattr(rows, "columns"):
        known = rows.columns
    return [] if known is None else [str(name) for name in known]


def _seen(session: Session, columns: Sequence[str], given: Sequence[Any]) -> dict[str, Any]:
    """Rows of the notebook with the model's columns: those on which an assertion fired, and some of other frames."""
    found: dict[str, Any] = {}
    if session.flagged is not None and len(session.flagged.inputs) and _has(session.flagged.inputs, columns):
        found["rows that fired"] = _some(session.flagged.inputs, columns)
    frames = 0
    for name, value in list(session.namespace.items()):
        if frames == SEEN_FRAMES or name.startswith("_") or name == PROBES:
            continue
        if _is_frame(value) and len(value) and _has(value, columns) and not any(value is one for one in given):
            frames += 1
            found[name] = _some(value, columns)
    return found


def _is_frame(value: Any) -> bool:
    pandas, polars = loaded("pandas"), loaded("polars")
    return (pandas is not None and type(value) is pandas.DataFrame) or (
        polars is not None and type(value) is polars.DataFrame
    )


def _has(frame: Any, columns: Sequence[str]) -> bool:
    own = list(map(str, frame.columns))
    return len(set(own)) == len(own) and set(columns) <= set(own)


def _some(frame: Any, columns: Sequence[str]) -> Any:
    """The model's columns of a few rows."""
    own = {str(label): label for label in frame.columns}
    return table_of(frame[[own[name] for name in columns]]).sample(SEEN_ROWS).to_pandas()


# -- what goes with it -------------------------------------------------------------------------------


def _order(
    session: Session | None, name: str, about: Subject, sets: Mapping[str, Any], more: Mapping[str, Any]
) -> Order:
    from mlmagic import __version__

    script, notes = _script(about) if session is not None and about.version_id is not None else (None, [])
    return Order(
        name=name,
        sets=sets,
        about={
            "bundle_id": new_id(),
            "created_at": time.time(),
            "model": about.name,
            "model_version": about.version_id,
            "execution_id": None if session is None else session.recorder.execution_id,
            "mlmagic": __version__,
        },
        rules=_rules(session, about) if session is not None else (),
        script=script,
        notes=notes,
        **more,
    )


def _script(about: Subject) -> tuple[str | None, list[str]]:
    """The cells that made the model, as a script; or why there is none."""
    from mlmagic.api.slicing import slice

    root = about.name.partition("[")[0].partition(".")[0].partition("(")[0]
    try:
        return slice(root).source, []
    except UnknownNameError:  # it is known by now, but no cell that has ended made it
        return None, ["no script of the cells that made it: export it in a later cell than the one that fits it"]
    except MlmagicError as error:
        return None, [f"no script of the cells that made it: {error}"]


def _rules(session: Session, about: Subject) -> list[Assertion]:
    """The records of the rules on this model, or on any."""
    mine = {rule.assertion_id for rule in session.rules.values() if rule.model in (None, about.name)}
    return [record for record in session.store.assertions() if record.assertion_id in mine] if mine else []


def _record(session: Session | None, bundle: Bundle, report: ExportReport) -> None:
    if session is None:
        return
    manifest = bundle.manifest
    session.exported(
        records.Bundle(
            bundle_id=bundle.bundle_id,
            name=bundle.name,
            path=str(bundle.path),
            model_version=manifest["model_version"],
            created_at=manifest["created_at"],
            parity=report.parity,
            model=str(manifest["model"]),
            version=bundle.version,
            execution_id=manifest["execution_id"],
        )
    )
