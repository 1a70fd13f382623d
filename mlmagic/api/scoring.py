"""`mlmagic.score`: a bundle's answers for a file or a table, also where there is no notebook."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mlmagic._optional import loaded
from mlmagic.api._bundles import find_bundle
from mlmagic.bundles.folder import MODEL, Bundle
from mlmagic.bundles.reading import threads
from mlmagic.bundles.scorer import Scorer
from mlmagic.bundles.scoring import ScoreReport, Wish, score_file, score_table
from mlmagic.errors import MisuseError, UnknownNameError
from mlmagic.views import bundles as _faces  # noqa: F401  draws the result

__all__ = ["ScoreReport", "score"]

BAD_ROWS = ("error", "null")


def score(
    bundle: str | os.PathLike[str] | Bundle,
    data: Any,
    out: str | os.PathLike[str] | None = None,
    *,
    keep: Sequence[str] | None = None,
    batch_rows: int | None = None,
    bad_rows: str = "error",
    progress: Callable[[int], None] | None = None,
) -> Any:
    """The answers of an exported model for many rows.

    Parameters
    ----------
    bundle : str, path or Bundle
        A folder, or the name of a bundle of this project (its newest version), or ``NAME/VERSION``.
    data : path, table or array
        A ``.csv`` or ``.parquet`` file, which may be larger than memory; or rows in memory.
    out : path, optional
        With a file: where to write its rows with the answers, as CSV or Parquet by the suffix.
    keep : sequence of str, optional
        With a file: its columns that stand before the answers; by default all, ``[]`` for none.
    batch_rows : int, optional
        With a file: rows that are in memory at a time.
    bad_rows : str
        ``error``: a row that the model does not take ends it all; ``null``: such a row has no answer, and is counted.
    progress : callable, optional
        With a file: told the rows done so far, after each batch.

    Returns
    -------
    ScoreReport or pandas.DataFrame
        What was written; for rows in memory the answers: ``label`` and ``probability_CLASS`` for each class, or
        ``prediction``, or the names of a network's outputs.

    Raises
    ------
    MisuseError, UnknownNameError
        No such bundle, file or column, or a row that the model does not take; one line.

    Examples
    --------
    >>> mlmagic.score("churn", "today.parquet", "answers.parquet")  # doctest: +SKIP
    >>> mlmagic.score("churn", frame)["probability_stays"]  # doctest: +SKIP
    """
    if bad_rows not in BAD_ROWS:
        raise UnknownNameError.among("way with bad rows", bad_rows, BAD_ROWS)
    found = find_bundle(bundle)
    scorer = Scorer(found.read(MODEL), found.schema, threads())
    if not isinstance(data, (str, os.PathLike)):
        if out is not None or keep is not None or batch_rows is not None:
            raise MisuseError("rows in memory are answered in memory: out, keep and batch_rows are for files")
        return _framed(score_table(scorer, data, bad_rows == "null"), data)
    if out is None:
        raise MisuseError(f"where are the answers for {os.fspath(data)} to go? score(bundle, data, 'answers.parquet')")
    wish = Wish(keep, batch_rows, bad_rows == "null", progress)
    return score_file(scorer, Path(data), Path(out), wish, name=found.name, version=found.version)


def _framed(answers: Any, data: Any) -> Any:
    """Answers as a data frame, with the labels of the rows where these have some."""
    frame = answers.to_pandas()
    pandas = loaded("pandas")
    if pandas is not None and isinstance(data, (pandas.DataFrame, pandas.Series)):
        frame.index = data.index
    return frame
