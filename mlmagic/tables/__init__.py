"""Any tabular data in, its columns as NumPy arrays out: pandas, polars, Arrow, a Parquet or CSV file, a DuckDB relation."""

from mlmagic.tables.table import Column, Table, table_of

__all__ = ["Column", "Table", "table_of"]
