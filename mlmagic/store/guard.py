"""Between a user's SQL and the store: one statement in, its data frame out; anything that writes is refused first.

The database is attached read-only for queries, which protects the tables. The statement is looked at all the same,
because SQL can write elsewhere (COPY, EXPORT, even inside EXPLAIN ANALYZE) and change the engine we keep.
"""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import duckdb

from mlmagic.errors import QueryError
from mlmagic.store.db import Connection
from mlmagic.store.trouble import is_damage

if TYPE_CHECKING:
    import pandas as pd

_CURE = "the store is read-only: ask with SELECT, FROM, WITH, DESCRIBE, SUMMARIZE or EXPLAIN"

# Functions that act instead of answering (start logging to a file, write a checkpoint, ...), as plans name them.
_ACTS = re.compile(
    r"(ENABLE|DISABLE|TRUNCATE|CREATE|DESTROY|REGISTER|DEREGISTER|FORCE|IMPORT|EXPORT|COPY|SET|ADD)_|CHECKPOINT$"
)


def frame(cursor: Connection, sql: str) -> pd.DataFrame:
    """The rows a query gives, all of them.

    Raises
    ------
    QueryError
        If it is not exactly one query, or DuckDB finds a mistake in it.
    """
    try:
        _refuse_actions(cursor, _query(cursor, sql))
        return _fetched(cursor.execute(sql))
    except duckdb.Error as error:
        if is_damage(error):
            raise
        raise QueryError(_one_line(error)) from error


def _query(cursor: Connection, sql: str) -> str:
    """The query itself, taken out of an EXPLAIN."""
    statement = _only(cursor.extract_statements(sql))
    if statement.type == duckdb.StatementType.SELECT:
        return statement.query
    if statement.type == duckdb.StatementType.EXPLAIN:
        return _explained(cursor, statement.query)
    if statement.type == duckdb.StatementType.MULTI:
        raise QueryError("PIVOT needs the values of its columns here: PIVOT … ON column IN (value, …)")
    raise QueryError(f"{_name(statement)} is refused; {_CURE}")


def _only(statements: list[duckdb.Statement]) -> duckdb.Statement:
    if not statements:
        raise QueryError(f"there is no statement; {_CURE}")
    if len(statements) > 1:
        raise QueryError(f"one statement at a time, not {len(statements)}")
    return statements[0]


def _name(statement: duckdb.Statement) -> str:
    return str(statement.type).rpartition(".")[2].replace("_", " ")


def _explained(cursor: Connection, sql: str) -> str:
    """What an EXPLAIN is about: the longest end of its text that is a statement; ANALYZE would run it."""
    for position, _ in duckdb.tokenize(sql)[1:]:
        rest = sql.encode()[position:].decode(errors="replace")
        try:
            found = cursor.extract_statements(rest)
        except duckdb.Error:
            continue
        if found and found[0].type == duckdb.StatementType.SELECT:
            return rest
        break
    raise QueryError(f"EXPLAIN of anything but a query is refused; {_CURE}")


def _refuse_actions(cursor: Connection, query: str) -> None:
    """Look into the plan, where every function stands by its name however the text hides it."""
    row = cursor.execute(f"EXPLAIN (FORMAT json) {query}").fetchone()
    for name in _operators(json.loads(row[1])) if row else ():
        if _ACTS.match(name):
            raise QueryError(f"{name.lower()}() is refused; {_CURE}")


def _operators(plan: list[dict[str, Any]]) -> Iterator[str]:
    for node in plan:
        yield str(node.get("name", "")).strip().upper()
        yield from _operators(node.get("children", []))


def _fetched(result: Connection) -> pd.DataFrame:
    if not any("TIME ZONE" in str(column[1]) for column in result.description or ()):
        return result.df()
    with warnings.catch_warnings():  # DuckDB 2.0 calls pandas in a deprecated way for these columns alone
        warnings.simplefilter("ignore")
        return result.df()


def _one_line(error: duckdb.Error) -> str:
    """DuckDB's first line with its hint, without the excerpt of the statement."""
    first, *more = str(error).splitlines() or ["the query failed"]
    hints = [line.strip() for line in more if line.startswith(("Did you mean", "Candidate bindings"))]
    return " ".join([first.strip(), *hints])
