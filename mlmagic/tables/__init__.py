"""Any tabular data in, columns as NumPy arrays out: of pandas, polars, Arrow, NumPy, DuckDB, a Parquet or CSV file."""

from mlmagic.tables.opening import table_of
from mlmagic.tables.table import Column, Table

__all__ = ["Column", "Table", "table_of"]
