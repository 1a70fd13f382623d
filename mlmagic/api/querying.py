"""`mlmagic.sql`: the store's tables, read-only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mlmagic.api._projects import open_store

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["sql"]


def sql(query: str) -> pd.DataFrame:
    """The answer of one SQL query over the project's history.

    Raises
    ------
    QueryError
        The statement writes, or is wrong.
    """
    with open_store() as store:
        return store.frame(query)
