"""`mlmagic.check`: does a bundle hold what it promises, here; and does it fit these rows? Needs no notebook."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlmagic.api._bundles import find_bundle
from mlmagic.bundles.checked import CheckedBundle, Finding
from mlmagic.bundles.checking import Checking
from mlmagic.bundles.fitting import check_file, check_table
from mlmagic.bundles.folder import Bundle
from mlmagic.views import bundles as _faces  # noqa: F401  draws the result

__all__ = ["CheckedBundle", "check"]


def check(bundle: str | os.PathLike[str] | Bundle, data: Any = None, *, trust: bool = False) -> CheckedBundle:
    """Whether a bundle is whole and answers here as its model did in the notebook; and whether rows fit it.

    Looks at the hashes of its files, its signature (told, and no reason to fail), the graph's operators, whether the
    schema fits the graph, the answers for its holdout rows, its assertions on these, and its batch times. Of `data`:
    whether the rows are such as the bundle takes, which of its assertions fire, and drift from its reference.

    Parameters
    ----------
    bundle : str, path or Bundle
        A folder, or the name of a bundle of this project (its newest version), or ``NAME/VERSION``.
    data : path or table, optional
        A ``.csv`` or ``.parquet`` file, or rows in memory.
    trust : bool
        Run the bundle's assertions although this user's key did not sign it: they are Python.

    Returns
    -------
    CheckedBundle
        ``.ok`` where nothing failed.

    Raises
    ------
    MisuseError, UnknownNameError
        There is no such bundle, or its manifest is damaged; one line.

    Examples
    --------
    >>> mlmagic.check("churn").ok  # doctest: +SKIP
    >>> mlmagic.check("churn", "today.parquet")  # doctest: +SKIP
    """

    def more(checking: Checking) -> Iterator[Finding]:
        if isinstance(data, (str, os.PathLike)):
            return check_file(checking, Path(data))
        return check_table(checking, data, f"a {type(data).__qualname__}")

    return Checking(find_bundle(bundle), trust).result(None if data is None else more)
