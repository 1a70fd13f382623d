"""The shape of the store: which tables and views the projection of the journals has, and of which types.

The public tables and their columns are those of the interface. Times are `TIMESTAMP` in UTC, not `TIMESTAMPTZ`: DuckDB
needs the package pytz to hand the latter to Python, which a user's plain ``duckdb`` may lack.
"""

from __future__ import annotations

from dataclasses import dataclass

# Raised with every change to the tables, to what is put into them, or to the journal's events: a database of another
# version is built anew from the journals.
SCHEMA_VERSION = 5


@dataclass(frozen=True)
class Table:
    """A table that journal events fill: `columns` with their types, and the `key` that makes a row the same row.

    Rows of a table without a `key` are only ever added.
    """

    name: str
    columns: dict[str, str]
    key: tuple[str, ...]


def quoted(name: str) -> str:
    """A column's name as SQL takes it, whatever words SQL keeps for itself."""
    return f'"{name}"'


def _texts(*names: str) -> dict[str, str]:
    return dict.fromkeys(names, "VARCHAR")


_MEASURE = {
    **_texts("execution_id", "trial_id"),
    "step": "BIGINT",
    "name": "VARCHAR",
    "value": "DOUBLE",
    "text": "VARCHAR",
}
_MEASURE_KEY = ("execution_id", "trial_id", "step", "name")

SESSIONS = Table(
    "sessions",
    {
        "session_id": "VARCHAR",
        "started_at": "TIMESTAMP",
        "ended_at": "TIMESTAMP",
        **_texts("notebook", "host", "python", "git_commit"),
        "git_dirty": "BOOLEAN",
        "environment": "JSON",
    },
    ("session_id",),
)
EXECUTIONS = Table(
    "executions",
    {
        **_texts("execution_id", "session_id", "cell_id"),
        "execution_count": "BIGINT",
        **_texts("name", "source", "source_hash"),
        "started_at": "TIMESTAMP",
        "seconds": "DOUBLE",
        "cpu_seconds": "DOUBLE",
        "peak_bytes": "BIGINT",
        **_texts("status", "reused_from", "error"),
        "tags": "JSON",
        "error_line": "BIGINT",
        "write_lines": "BIGINT[]",
        "tracking_seconds": "DOUBLE",
        "code": "VARCHAR",
    },
    ("execution_id",),
)
VERSIONS = Table(
    "versions",
    {
        **_texts("version_id", "kind", "name", "execution_id", "fingerprint", "type", "shape"),
        "nbytes": "BIGINT",
        **_texts("preview", "artifact"),
    },
    ("version_id",),
)
READS = Table("reads", _texts("execution_id", "version_id", "how"), ("execution_id", "version_id"))
WRITES = Table("writes", _texts("execution_id", "version_id", "how"), ("execution_id", "version_id"))
PARAMS = Table("params", _MEASURE, _MEASURE_KEY)
METRICS = Table("metrics", _MEASURE, _MEASURE_KEY)

REUSES = Table(
    "reuses",
    {
        **_texts("execution_id", "decision", "missed", "unkept"),
        **dict.fromkeys(("seconds", "saved", "keep_seconds", "load_seconds"), "DOUBLE"),
        "nbytes": "BIGINT",
    },
    ("execution_id",),
)

SWEEPS = Table(
    "sweeps",
    {
        **_texts("sweep_id", "execution_id", "name"),
        "space": "JSON",
        **_texts("objective", "direction", "status"),
        "started_at": "TIMESTAMP",
        "seconds": "DOUBLE",
        "options": "JSON",
        **_texts("source", "code_hash"),
        "inputs": "JSON",
        "plan": "JSON",
    },
    ("sweep_id",),
)
TRIALS = Table(
    "trials",
    {
        **_texts("trial_id", "sweep_id"),
        "number": "BIGINT",
        "params": "JSON",
        "status": "VARCHAR",
        "value": "DOUBLE",
        "seconds": "DOUBLE",
        "worker": "BIGINT",
        "device": "VARCHAR",
        "started_at": "TIMESTAMP",
        "seed": "BIGINT",
        **_texts("error", "output", "artifact", "kept_from"),
    },
    ("trial_id",),
)

ASSERTIONS = Table(
    "assertions",
    {
        **_texts("assertion_id", "name", "model_version", "source", "action", "model"),
        "created_at": "TIMESTAMP",
        "execution_id": "VARCHAR",
        "imports": "JSON",
        "constants": "JSON",
        "portable": "BOOLEAN",
        "obstacle": "VARCHAR",
    },
    ("assertion_id",),
)
ASSERTION_RESULTS = Table(
    "assertion_results",
    {
        "assertion_id": "VARCHAR",
        "at": "TIMESTAMP",
        **_texts("model_version", "data_version", "endpoint_id"),
        **dict.fromkeys(("rows", "fired"), "BIGINT"),
        "severity_max": "DOUBLE",
        "worst": "JSON",
        **_texts("name", "execution_id"),
        "seconds": "DOUBLE",
        "error": "VARCHAR",
    },
    ("assertion_id", "at", "data_version", "model_version"),
)
DRIFTS = Table(
    "drifts",
    {
        "drift_id": "VARCHAR",
        "at": "TIMESTAMP",
        **_texts("reference", "current", "column_name", "method"),
        **dict.fromkeys(("statistic", "p_value", "threshold"), "DOUBLE"),
        "drifted": "BOOLEAN",
        "q_value": "DOUBLE",
        **_texts("reference_version", "current_version", "execution_id", "note"),
    },
    ("drift_id", "column_name", "method"),
)
EVALUATIONS = Table(
    "evaluations",
    {
        "evaluation_id": "VARCHAR",
        "at": "TIMESTAMP",
        **_texts("execution_id", "model", "data", "target"),
        **_texts("model_version", "data_version", "target_version", "kind", "part"),
        "rows": "BIGINT",
        "metric": "VARCHAR",
        **dict.fromkeys(("value", "low", "high"), "DOUBLE"),
        **_texts("by", "group"),
    },
    ("evaluation_id", "part", "by", "group", "metric"),
)

BUNDLES = Table(
    "bundles",
    {
        **_texts("bundle_id", "name", "path", "model_version"),
        "created_at": "TIMESTAMP",
        "parity": "JSON",
        **_texts("model", "version", "execution_id"),
    },
    ("bundle_id",),
)
ENDPOINTS = Table(
    "endpoints",
    {
        **_texts("endpoint_id", "bundle_id", "url"),
        **dict.fromkeys(("started_at", "ended_at"), "TIMESTAMP"),
        "name": "VARCHAR",
        "pid": "BIGINT",
        "session_id": "VARCHAR",
    },
    ("endpoint_id",),
)
# Without a key: clients may choose the ids of their requests, so nothing tells a row written again from another one.
PREDICTIONS = Table(
    "predictions",
    {
        **_texts("endpoint_id", "bundle_id", "request_id"),
        "row": "BIGINT",
        "at": "TIMESTAMP",
        "inputs": "JSON",
        "outputs": "JSON",
        "seconds": "DOUBLE",
        "batch_size": "BIGINT",
        "feedback": "VARCHAR",
    },
    (),
)

TABLES = {
    table.name: table
    for table in (
        SESSIONS, EXECUTIONS, VERSIONS, READS, WRITES, PARAMS, METRICS, REUSES, SWEEPS, TRIALS,
        ASSERTIONS, ASSERTION_RESULTS, DRIFTS, EVALUATIONS, BUNDLES, ENDPOINTS, PREDICTIONS,
    )
}  # fmt: skip

FILES = """
CREATE VIEW files AS
SELECT r.execution_id, v.name AS path, 'r' AS mode, v.fingerprint, v.nbytes
FROM reads r JOIN versions v ON v.version_id = r.version_id WHERE v.kind = 'file'
UNION ALL
SELECT w.execution_id, v.name AS path, 'w' AS mode, v.fingerprint, v.nbytes
FROM writes w JOIN versions v ON v.version_id = w.version_id WHERE v.kind = 'file'
"""

LINEAGE = """
CREATE VIEW lineage AS
SELECT w.version_id AS child_version, child.name AS child_name,
       r.version_id AS parent_version, parent.name AS parent_name,
       w.execution_id AS execution_id, e.cell_id AS cell_id
FROM writes w
JOIN reads r ON r.execution_id = w.execution_id
JOIN versions child ON child.version_id = w.version_id
JOIN versions parent ON parent.version_id = r.version_id
LEFT JOIN executions e ON e.execution_id = w.execution_id
"""

# Private: how far each journal is in the tables (`digest` is a checksum of the bytes before `offset`: it tells a
# journal that grew from one that was written anew), and what wrote this file.
BOOKKEEPING = (
    'CREATE TABLE _journals ("file" VARCHAR, "offset" BIGINT, digest BIGINT)',
    "CREATE TABLE _meta (schema_version BIGINT)",
    f"INSERT INTO _meta VALUES ({SCHEMA_VERSION})",
)


def statements() -> list[str]:
    """What makes an empty database into an empty store, in order."""
    tables = [
        f"CREATE TABLE {table.name} ({', '.join(f'{quoted(name)} {kind}' for name, kind in table.columns.items())})"
        for table in TABLES.values()
    ]
    return [*tables, FILES, LINEAGE, *BOOKKEEPING]
