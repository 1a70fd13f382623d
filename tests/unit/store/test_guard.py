import os

import pandas as pd
import pytest

from mlmagic.errors import QueryError
from mlmagic.store.store import Store


@pytest.fixture
def filled(store, journal, cell) -> Store:
    journal.observed(cell("e1", writes=("x", "y"), reads=("v0",)))
    return store


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM executions",
        "FROM executions",
        "FROM executions;",
        "/* why */ WITH e AS (FROM executions) SELECT count(*) FROM e -- so",
        "(SELECT 1)",
        "VALUES (1), (2)",
        "TABLE executions",
        "DESCRIBE executions",
        "DESCRIBE SELECT 1",
        "SHOW TABLES",
        "SUMMARIZE executions",
        "EXPLAIN SELECT 1",
        "EXPLAIN ANALYZE FROM executions",
        "EXPLAIN (FORMAT json) SELECT 'é' FROM executions",
        "PIVOT executions ON status IN ('ok', 'error') USING count(*)",
        "SELECT * FROM lineage.executions",
        "FROM query('SELECT 1')",
        "SELECT 'INSERT INTO executions'",
    ],
)
def test_a_query_gives_a_frame(filled, sql):
    assert isinstance(filled.frame(sql), pd.DataFrame)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO executions VALUES (1)",
        "WITH x AS (SELECT 1) INSERT INTO executions SELECT * FROM x",
        "UPDATE executions SET source = ''",
        "DELETE FROM executions",
        "DROP TABLE executions",
        "CREATE TABLE t (i INT)",
        "CREATE TEMP TABLE t AS SELECT 1",
        "COPY executions TO 'out.csv'",
        "EXPORT DATABASE 'out'",
        "ATTACH 'other.duckdb'",
        "DETACH lineage",
        "USE memory",
        "SET threads = 1",
        "PRAGMA threads = 1",
        "PRAGMA database_list",
        "INSTALL httpfs",
        "LOAD httpfs",
        "CHECKPOINT",
        "VACUUM",
        "BEGIN",
        "CALL pragma_version()",
        "PREPARE p AS SELECT 1",
        "EXPLAIN ANALYZE INSERT INTO executions (source) VALUES (1)",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO 'out.csv'",
        "EXPLAIN (ANALYZE, FORMAT json) COPY (SELECT 1) TO 'out.csv'",
        "EXPLAIN /* ANALYZE */ ANALYZE CREATE TABLE memory.main.t (i INT)",
        "FROM query('INSERT INTO executions (source) VALUES (1)')",
        "FROM enable_logging(storage := 'file', storage_path := 'out')",
        'FROM "enable_logging"()',
        "FROM query('FROM enable_' || 'logging()')",
        "EXPLAIN ANALYZE FROM enable_logging()",
        "FROM enable_profiling()",
        "FROM checkpoint()",
        "FROM force_checkpoint()",
        "FROM truncate_duckdb_logs()",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP TABLE executions",
        "",
        "-- nothing",
        "PIVOT executions ON status USING count(*)",
    ],
)
def test_anything_else_is_refused_in_one_line_and_writes_nothing(filled, sql, tmp_path):
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(QueryError) as caught:
        filled.frame(sql)
    assert "\n" not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == before
    assert len(filled.history().executions) == 1


@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("FROM execution", 'Did you mean "executions"'),
        ("SELECT executionid FROM executions", '"execution_id"'),
        ("SELEC 1", 'syntax error at or near "SELEC"'),
        ("SELECT ?", "parameters: 1"),
        ("SELECT 'a'::INT", "Could not convert"),
        ("FROM 'Corrupt database.csv'", "No files found"),
        ("FROM 'lineage.duckdb.csv'", "No files found"),
        ("FROM read_csv('https://example.org/a.csv')", "httpfs"),
    ],
)
def test_a_mistake_is_told_in_duckdbs_words_on_one_line(filled, sql, says):
    with pytest.raises(QueryError) as caught:
        filled.frame(sql)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_a_refusal_says(filled):
    with pytest.raises(QueryError, match=r"^INSERT is refused; the store is read-only: ask with SELECT"):
        filled.frame("INSERT INTO executions VALUES (1)")
    with pytest.raises(QueryError, match=r"^one statement at a time, not 2$"):
        filled.frame("SELECT 1; SELECT 2")


def test_python_variables_are_no_tables(filled):
    mine = pd.DataFrame({"a": [1]})
    with pytest.raises(QueryError, match="mine does not exist"):
        filled.frame("FROM mine")
    assert len(mine) == 1


def test_a_query_may_read_files(filled, tmp_path):
    (tmp_path / "a.csv").write_text("n\n1\n2\n")
    assert filled.frame(f"SELECT sum(n) AS n FROM '{tmp_path}/a.csv'").n.tolist() == [3]


def test_times_with_a_zone_come_without_remarks(filled):
    assert len(filled.frame("SELECT now() AS t, started_at::TIMESTAMPTZ AS s FROM executions")) == 1


def test_times_are_utc(filled):
    assert filled.frame("SELECT started_at FROM executions").started_at[0] == pd.Timestamp("2023-11-14 22:13:20.25")


def test_the_columns_are_those_of_the_interface(filled):
    expected = {
        "sessions": "session_id started_at ended_at notebook host python git_commit git_dirty environment",
        "executions": "execution_id session_id cell_id execution_count name source source_hash started_at seconds"
        " cpu_seconds peak_bytes status reused_from error tags",
        "versions": "version_id kind name execution_id fingerprint type shape nbytes preview artifact",
        "reads": "execution_id version_id how",
        "writes": "execution_id version_id how",
        "files": "execution_id path mode fingerprint nbytes",
        "lineage": "child_version child_name parent_version parent_name execution_id cell_id",
        "params": "execution_id trial_id step name value text",
        "metrics": "execution_id trial_id step name value text",
    }
    for table, columns in expected.items():
        found = filled.frame(f"DESCRIBE {table}").column_name.tolist()
        assert found[: len(columns.split())] == columns.split()
