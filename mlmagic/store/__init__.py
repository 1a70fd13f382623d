"""The store, where a project's past is asked for: journals in, rows of `lineage.duckdb` and answers out."""

from mlmagic.store.store import Store

__all__ = ["Store"]
