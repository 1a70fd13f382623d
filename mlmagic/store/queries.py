"""Questions that the store itself asks, by name. `$session` is a session's id, or NULL for the whole project."""

from __future__ import annotations

_MINE = "SELECT execution_id FROM executions WHERE $session::VARCHAR IS NULL OR session_id = $session"

# Columns are those of the records of the same names, times in microseconds.
SESSIONS = """
SELECT * REPLACE (epoch_us(started_at) AS started_at, epoch_us(ended_at) AS ended_at)
FROM sessions ORDER BY sessions.started_at, session_id
"""

EXECUTIONS = f"""
SELECT * REPLACE (epoch_us(started_at) AS started_at)
FROM executions WHERE execution_id IN ({_MINE}) ORDER BY execution_id
"""

# Also what a session read from elsewhere: files, and versions that other sessions wrote.
VERSIONS = f"""
SELECT version_id, kind, name, execution_id, fingerprint, type, shape, nbytes, preview, artifact
FROM versions
WHERE $session::VARCHAR IS NULL
   OR execution_id IN ({_MINE})
   OR version_id IN (SELECT version_id FROM reads WHERE execution_id IN ({_MINE}))
   OR version_id IN (SELECT version_id FROM writes WHERE execution_id IN ({_MINE}))
ORDER BY version_id
"""

READS = f"""
SELECT execution_id, version_id, how FROM reads WHERE execution_id IN ({_MINE}) ORDER BY execution_id, version_id
"""

READS_OF = "SELECT version_id, how FROM reads WHERE execution_id = $execution ORDER BY version_id"

WRITES = f"""
SELECT execution_id, version_id, how FROM writes WHERE execution_id IN ({_MINE}) ORDER BY execution_id, version_id
"""

REUSES = f"""
SELECT * FROM reuses WHERE execution_id IN ({_MINE}) ORDER BY execution_id
"""

# A sweep is a session's by its cell, which has its row from its end on.
SWEEPS = f"""
SELECT * REPLACE (epoch_us(started_at) AS started_at)
FROM sweeps WHERE $session::VARCHAR IS NULL OR execution_id IN ({_MINE}) ORDER BY sweeps.started_at, sweep_id
"""

TRIALS = """
SELECT * REPLACE (epoch_us(started_at) AS started_at)
FROM trials WHERE sweep_id = $sweep ORDER BY number, trial_id
"""

ASSERTIONS = """
SELECT * REPLACE (epoch_us(created_at) AS created_at)
FROM assertions ORDER BY assertions.created_at, assertion_id
"""

# `$every`: with the worst rows of all results, else with those of the last one of each rule.
ASSERTION_RESULTS = """
SELECT * REPLACE (
    epoch_us("at") AS "at",
    CASE WHEN $every OR row_number() OVER (PARTITION BY name ORDER BY assertion_results."at" DESC) = 1 THEN worst END
    AS worst
)
FROM assertion_results WHERE $name::VARCHAR IS NULL OR name = $name
ORDER BY assertion_results."at", assertion_id, data_version, model_version
"""

DRIFTS = """
SELECT * REPLACE (epoch_us("at") AS "at")
FROM drifts WHERE $drift::VARCHAR IS NULL OR drift_id = $drift
ORDER BY drifts."at", drift_id, column_name NULLS LAST, method
"""

EVALUATIONS = """
SELECT * REPLACE (epoch_us("at") AS "at")
FROM evaluations ORDER BY evaluations."at", evaluation_id, part, "by" NULLS FIRST, "group" NULLS FIRST, metric
"""

BUNDLES = """
SELECT * REPLACE (epoch_us(created_at) AS created_at)
FROM bundles ORDER BY bundles.created_at, bundle_id
"""

ENDPOINTS = """
SELECT * REPLACE (epoch_us(started_at) AS started_at, epoch_us(ended_at) AS ended_at)
FROM endpoints ORDER BY endpoints.started_at, endpoint_id
"""

# The last rows that were logged, newest first.
PREDICTIONS = """
SELECT * REPLACE (epoch_us("at") AS "at")
FROM predictions WHERE endpoint_id = $endpoint
ORDER BY predictions."at" DESC, request_id DESC, row DESC LIMIT $count
"""

# What the log has of each endpoint; a batch's time counts once for each of its rows.
LOGGED = """
SELECT endpoint_id, count(*) AS rows, count(DISTINCT request_id) AS requests,
       epoch_us(min("at")) AS first, epoch_us(max("at")) AS last,
       quantile_cont(seconds, 0.5) AS p50, quantile_cont(seconds, 0.99) AS p99,
       avg(batch_size) AS batch_mean, max(batch_size) AS batch_max
FROM predictions GROUP BY endpoint_id
"""

# What rules said of the rows of an endpoint, all results of a rule together; the newest error.
FIRING = """
SELECT endpoint_id, name, sum(rows)::BIGINT AS rows, sum(fired)::BIGINT AS fired, max(severity_max) AS severity_max,
       last(error ORDER BY "at") AS error
FROM assertion_results WHERE endpoint_id IS NOT NULL GROUP BY endpoint_id, name ORDER BY endpoint_id, min("at"), name
"""

# The last comparison of each endpoint's rows with its reference.
DRIFTING = """
SELECT * REPLACE (epoch_us("at") AS "at")
FROM drifts WHERE starts_with("current", 'endpoint:')
QUALIFY drift_id = max(drift_id) OVER (PARTITION BY "current")
ORDER BY "current", column_name NULLS LAST, method
"""

# What trials told on their way; a metric without a step is what one ended with.
REPORTS = """
SELECT m.execution_id, m.name, m.value, m.text, m.trial_id, m.step
FROM metrics m JOIN trials t ON t.trial_id = m.trial_id
WHERE t.sweep_id = $sweep AND m.step IS NOT NULL ORDER BY t.number, t.trial_id, m.step, m.name
"""

# The last text of a cell that is not the text of `$execution`; a name given by `%%track` outlives a cell's id.
EARLIER_SOURCE = """
SELECT source FROM executions
WHERE (cell_id = $cell OR name = $name) AND execution_id < $execution
  AND source_hash <> (SELECT source_hash FROM executions WHERE execution_id = $execution)
ORDER BY execution_id DESC LIMIT 1
"""

# Without the execution that only adopts what was there before: it is no cell, and has no In[n].
STATUS = """
SELECT count(*) AS cells_tracked, coalesce(sum(seconds), 0) AS seconds,
       coalesce(sum(tracking_seconds), 0) AS tracking_seconds
FROM executions
WHERE session_id = $session AND NOT (name IS NOT DISTINCT FROM $before AND execution_count IS NULL)
"""
